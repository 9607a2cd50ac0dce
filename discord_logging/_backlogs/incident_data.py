"""This module turns incidents into data that JSON keeps, so that the next process goes on with the same cards.

Only those from `WARNING` on are handed over, the most recent ones. The texts of files are not: the next text begins
another file.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.open_incident import OpenIncident
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._cards.live import LiveCard, LiveMessage
from discord_logging._records.incident import Books
from discord_logging._records.parse import DEFAULT_MASKER

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

MAX_HANDED_OVER = 30
"""The largest number of incidents that are handed over: they are written with each message."""


def digest(key: Hashable) -> str:
    """Return a text that is equal in all processes for equal kinds."""
    return hashlib.sha256(repr(key).encode(errors="backslashreplace")).hexdigest()[:32]


def export(incidents: Iterable[tuple[Hashable, OpenIncident]], posted: int, boot: float) -> list[dict[str, Any]]:
    """Return the most recent incidents that have a card.

    Args:
        incidents: The incidents with their kinds, or with the digests of these, the most recent last.
        posted: How many messages were posted.
        boot: When the monotonic clock began, on the wall clock.
    """
    live = [(key, each, each.card) for key, each in incidents if each.card]
    return [
        {
            "kind": key if isinstance(key, str) else digest(key),
            "levelno": each.levelno,
            "step": each.step,
            "seen_at": each.seen_at + boot,
            "first": each.first,
            "books": _books_to_data(each.books),
            "card": _card_to_data(card, posted, boot),
        }
        for key, each, card in live[-MAX_HANDED_OVER:]
    ]


def _books_to_data(books: Books) -> dict[str, Any]:
    return {
        "numbers": [books.count, books.unsure, books.untold],
        "times": [books.first, books.last],
        "minutes": list(books.minutes.items()),
        "sources": [[host, pid, number] for (host, pid), number in books.sources.items()],
    }


def _card_to_data(card: LiveCard, posted: int, boot: float) -> dict[str, Any]:
    message = card.message
    return {
        "ids": [message.id, message.channel_id, message.thread_id],
        "times": [message.posted_at + boot, message.edited_at + boot],
        "behind": posted - message.number,
        "embeds": message.embeds,
        "files": [*message.sealed, *([message.log_id] if message.log_id else [])],
        "place": card.place,
        "base": card.base,
        "reason": [card.shown.reason, card.shown.link],
        "is_quiet": card.shown.is_quiet,
        "unfiled": card.unfiled,
    }


def restore(data: Any, boot: float) -> Iterator[tuple[str, OpenIncident]]:
    """Yield the incidents of `export` with the digests of their kinds. What is malformed is left out."""
    messages: dict[str, LiveMessage] = {}
    for each in data if isinstance(data, list) else ():
        try:
            kind, incident = str(each["kind"]), _read_incident(each, messages, boot)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            continue
        yield kind, incident


def _read_incident(data: Mapping[str, Any], messages: dict[str, LiveMessage], boot: float) -> OpenIncident:
    incident = OpenIncident()
    incident.levelno, incident.step = int(data["levelno"]), max(int(data["step"]), 1)
    incident.first = str(data["first"])
    incident.seen_at = _finite(data["seen_at"]) - boot
    incident.books = _read_books(data["books"])
    incident.last_card = _read_card(data["card"], incident.books, messages, boot)
    return incident


def _read_books(data: Mapping[str, Any]) -> Books:
    books = Books()
    books.count, books.unsure, books.untold = map(int, data["numbers"])
    books.first, books.last = map(_finite, data["times"])
    books.minutes = Counter({int(minute): int(number) for minute, number in data["minutes"]})
    books.sources = Counter({(str(host), pid and int(pid)): int(number) for host, pid, number in data["sources"]})
    return books


def _read_card(data: Mapping[str, Any], books: Books, messages: dict[str, LiveMessage], boot: float) -> LiveCard:
    message_id, channel_id, thread_id = (each and str(int(each)) for each in data["ids"])
    if message_id not in messages:
        posted_at, edited_at = (_finite(each) - boot for each in data["times"])
        made = LiveMessage(message_id, channel_id, thread_id, posted_at, list(data["embeds"]))
        made.number, made.edited_at = -int(data["behind"]), edited_at
        made.sealed = [str(int(each)) for each in data["files"]]
        messages[message_id] = made
    message, place = messages[message_id], int(data["place"])
    if not (0 <= place < len(message.embeds) and isinstance(data["base"], dict)):
        raise ValueError("the card has no place")
    reason, link = map(str, data["reason"])
    shown = books.incident(reason=reason, link=link, is_quiet=data["is_quiet"] is True)
    return LiveCard(message, place, data["base"], shown, EmbedFormatter(), DEFAULT_MASKER, str(data["unfiled"]))  # type: ignore[arg-type]  # its parts are checked when it is shown


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("no time")
    return number
