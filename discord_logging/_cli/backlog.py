"""`discord-logging backlog` lists the records that wait in a durable backlog, or delivers them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs import redis_store
from discord_logging._backlogs.fallback import Fallback
from discord_logging._backlogs.packing import store_lost
from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.sqlite_store import find_hooks as find_stored_hooks
from discord_logging._backlogs.store import StoreError
from discord_logging._backlogs.stored import StoredBacklog
from discord_logging._delivery.registry import attach, detach, find_place, find_ring_place, open_store
from discord_logging._exceptions import InvalidSettingError
from discord_logging._process import clock
from discord_logging._records.backlog_setting import (
    find_directory_in_environment,
    find_in_environment,
    is_redis,
    parse_backlog,
)
from discord_logging._records.redis_address import parse_address
from discord_logging._records.settings import DeliverySettings
from discord_logging._text.numbers import counted
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from discord_logging._discord.webhook_url import WebhookURL

_MAX_SHOWN = 10
"""The largest number of processes that are listed."""
_POLL_INTERVAL = 0.05
_WISH_TIME, _WISH_INTERVAL = 10.0, 5.0
"""For how many seconds the process that sends is asked to hurry, and how often."""
_TIME_TO_LAND = 5.0
"""The longest wait for the message that is under way at the end, in seconds."""
_UNBOUNDED = 2**62


def run_backlog(options: argparse.Namespace, url: WebhookURL | None) -> int:
    """List what waits, or deliver what waits for a webhook, and return the exit code.

    Args:
        options: The options of the command.
        url: The webhook to deliver to; `None` lists what waits for each webhook.

    Raises:
        InvalidSettingError: No backlog is given.
    """
    given = find_setting(options.backlog)
    try:
        if url is not None:
            return _Sending(given, url, options.timeout).run()
        _list(given, as_json=options.json)
    except StoreError as error:
        sys.stderr.write(f"discord-logging: {error.reason}\n")
        return 1
    return 0


def find_setting(option: str | None) -> str:
    """Return the backlog that a command names, or else the environment.

    Raises:
        InvalidSettingError: No backlog is given, or it is malformed.
    """
    given = parse_backlog("the backlog", option) if option else find_in_environment()
    if given is None:
        raise InvalidSettingError("No directory is given: name one, or set DISCORD_BACKLOG.")
    return given


# The list


def _list(setting: str, *, as_json: bool) -> None:
    place = find_place(setting)
    webhooks = [_describe(setting, hook) for hook in find_hooks(setting)]
    if as_json:
        waiting = sum(webhook["waiting"] + webhook["unstored"] for webhook in webhooks)
        listed = {"where": place, "waiting": waiting, "webhooks": webhooks}
        sys.stdout.write(json.dumps(listed, indent=2) + "\n")
        return
    for webhook in webhooks:
        _print_webhook(webhook)
    if not any(webhook["waiting"] or webhook["unstored"] for webhook in webhooks):
        print_line(f"Nothing waits in {place}.")


def find_hooks(setting: str) -> list[str]:
    """Return the names of all webhooks whose records a backlog keeps.

    Raises:
        StoreError: There is no backlog, or it cannot be read.
    """
    return redis_store.find_hooks(parse_address(setting)) if is_redis(setting) else find_stored_hooks(Path(setting))


def _describe(setting: str, hook: str) -> dict[str, Any]:
    """Return what waits for a webhook, as plain data."""
    store = open_store(setting, hook)
    try:
        summary, counts, losses = store.summary(), store.counts(), store.losses()
    finally:
        store.close()
    return {
        "webhook": hook,
        "waiting": counts.waiting,
        "bytes": counts.bytes,
        "oldest": None if summary.oldest is None else round(max(time.time() - summary.oldest, 0.0), 3),
        "by_level": counts.by_level,
        "by_process": counts.by_writer,
        "unstored": _count_unstored(setting, hook),
        "workers": summary.workers,
        "sender": summary.sender and {"host": summary.sender[0], "pid": summary.sender[1]},
        "dropped": sum(losses.values()),
        "dropped_by_reason": _by_reason(losses),
    }


def _count_unstored(setting: str, hook: str) -> int:
    """Return how many records processes that have ended have left elsewhere. A few of them may be stored, too."""
    in_memory = sum(len(ring.records) for ring in rescue(find_ring_place(find_place(setting), hook)))
    return in_memory + _find_fallback(setting, hook).count_lost()


def _find_fallback(setting: str, hook: str) -> Fallback:
    fallback = Fallback(find_ring_place(find_place(setting), hook), hook)
    fallback.directory = find_directory_in_environment(setting) or ""
    return fallback


def _by_reason(losses: Mapping[tuple[str, str], int]) -> dict[str, int]:
    totals = Counter[str]()
    for (reason, _), number in losses.items():
        totals[reason] += number
    return dict(totals)


def _print_webhook(webhook: Mapping[str, Any]) -> None:
    waiting, unstored, sender = webhook["waiting"], webhook["unstored"], webhook["sender"]
    age = "" if webhook["oldest"] is None else f", the oldest for {spell_duration(webhook['oldest'])}"
    size = f" ({_spell_size(webhook['bytes'])}){age}" if waiting else ""
    print_line(f"webhook {webhook['webhook']}: {counted(waiting, 'record', 'waits/wait')}{size}")
    if waiting:
        print_line(f"  by level: {_enumerate(webhook['by_level'])}")
        print_line(f"  by process: {_enumerate(webhook['by_process'])}")
    if unstored:
        print_line(f"  not stored yet: up to {counted(unstored, 'record')} of processes that ended")
    print_line(f"  sender: {_name(sender['host'], sender['pid']) if sender else 'nobody at the moment'}")
    if webhook["dropped"]:
        print_line(f"  lost so far: {_enumerate(webhook['dropped_by_reason'])}")


def _enumerate(numbers: Mapping[str, int]) -> str:
    found = Counter(numbers).most_common()
    parts = [f"{number:,} {name}" for name, number in found[:_MAX_SHOWN]]
    if rest := found[_MAX_SHOWN:]:
        parts.append(f"{sum(number for _, number in rest):,} of {len(rest):,} others")
    return ", ".join(parts)


def _name(host: str, pid: int) -> str:
    return f"{host} ({pid})"


def spell_duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as `3 h 12 min`."""
    rest, parts = int(seconds), list[str]()
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        if parts or number or size == 1:
            parts.append(f"{number} {name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ") or len(parts) == 1)


def _spell_size(size: float) -> str:
    for name in ("bytes", "kB", "MB"):
        if size < 1_000:  # noqa: PLR2004 - the next unit
            return f"{size:.0f} {name}"
        size /= 1_000
    return f"{size:.1f} GB"


def print_line(text: str) -> None:
    """Print a text on one line."""
    # The terminal may lack characters of a level's name, and a damaged file may have any others.
    encoding = sys.stdout.encoding or "utf-8"
    line = clean(text).replace("\n", " ")
    sys.stdout.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))


# The delivery


class _Sending:
    """Delivers what waits for a webhook, or has the process deliver it that sends already.

    Args:
        setting: The directory or the URL of the backlog.
        url: The URL of the webhook.
        patience: The longest wait, in seconds.
    """

    def __init__(self, setting: str, url: WebhookURL, patience: float) -> None:
        self._setting = setting
        self._url = url
        self._deadline = clock.monotonic() + patience
        self._store = open_store(setting, url.key)
        self._ring_place = find_ring_place(find_place(setting), url.key)
        self._delivered = 0
        self._trouble = ""

    def run(self) -> int:
        """Deliver, tell what was done and return the exit code: 0 if nothing is left, 1 otherwise.

        Raises:
            StoreError: The store does not work.
        """
        try:
            find_hooks(self._setting)
        except StoreError:
            # Processes may have been killed before they made a store.
            if not _count_unstored(self._setting, self._url.key):
                raise
        try:
            return self._run()
        finally:
            self._store.close()

    def _run(self) -> int:
        losses = Counter(self._store.losses())
        if rescued := self._rescue():
            print_line(
                f"{counted(rescued, 'record')} of processes that ended {'was' if rescued == 1 else 'were'} found."
            )
        try:
            if self._store.summary().waiting:
                self._deliver()
        finally:
            left = self._store.summary().waiting
            self._report(left, Counter(self._store.losses()) - losses)
        return 1 if left else 0

    def _rescue(self) -> int:
        """Store the records that processes have left which ended, and return their number."""
        fallback = _find_fallback(self._setting, self._url.key)
        return sum((*store_lost(self._store, self._ring_place), *fallback.move_lost(self._store)))

    def _deliver(self) -> None:
        # Nothing is dropped here: how long records may wait, and how many of them, is for the program to say.
        settings = DeliverySettings(
            backlog=self._setting, backlog_bytes=_UNBOUNDED, backlog_age=_UNBOUNDED, repeat_window=0.0
        )
        handler = logging.NullHandler()
        listener = attach(handler, self._url, settings)
        backlog = listener.backlog
        assert isinstance(backlog, StoredBacklog)  # noqa: S101 - the settings have a directory
        try:
            self._wait(backlog)
        finally:
            detach(handler, listener)
            listener.stop(_TIME_TO_LAND)
            self._delivered = backlog.delivered
            health = listener.health()
            last_error = health["last_error"] or {}
            self._trouble = backlog.keeper.trouble or health["reason"] or last_error.get("reason", "")

    def _wait(self, backlog: StoredBacklog) -> None:
        """Wait until nothing is left, the time is over, or Discord refuses all."""
        writer = backlog.arrivals.writer
        if (sender := self._store.summary().sender) and sender != (writer.host, writer.pid):
            print_line(f"{_name(*sender)} sends already.")
        wish_at = float("-inf")
        while (now := clock.monotonic()) < self._deadline and not backlog.keeper.is_refused:
            backlog.keeper.wake()
            if now >= wish_at:
                wish_at = now + _WISH_INTERVAL
                self._store.wish(writer, time.time() + self._store.ahead + min(_WISH_TIME, self._deadline - now))
            if not self._store.summary().waiting:
                return
            clock.sleep(_POLL_INTERVAL)

    def _report(self, left: int, losses: Mapping[tuple[str, str], int]) -> None:
        delivered = f"{counted(self._delivered, 'record')} delivered, " if self._delivered else ""
        if losses:
            delivered += f"{_enumerate(_by_reason(losses))} lost, "
        if not left:
            print_line(f"{delivered}nothing is left.")
            return
        trouble = f" ({self._trouble})" if self._trouble else ""
        print_line(f"{delivered}{left:,} {'is' if left == 1 else 'are'} left{trouble}.")
