"""The table of live cards: fifty kinds of errors at once, beside a handler that posts its repeats."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from typing import TYPE_CHECKING

from _table import Table

from discord_logging import DiscordHandler
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS, RATE = 50, 20
"""The number of kinds, and how many records of each come in a second."""
_FLUSH = 60.0
_BARS = {
    "records logged / delivered": "all",
    "messages / edits / 429s": "no 429",
    "all kinds have a card after, s": "",
    "a new kind in the middle has a card after, s": "<= 2, and the wait for the limit",
    "kinds whose newest card shows their number": f"{KINDS}",
    "flush at the end, s": "",
}


def measure(seconds: float) -> Table:
    """Return the table, for a load of so many seconds."""
    found = {mode: _Load(mode).run(seconds) for mode in ("post", "edit")}
    table = Table(f"Live cards: {KINDS} kinds, {RATE} records/s each, {seconds:g} s", columns=list(found))
    for name, bar in _BARS.items():
        table.rows.append((name, {mode: figures[name] for mode, figures in found.items()}, bar))
    return table


class _Load:
    """A load on a channel with Discord's limits.

    Args:
        mode: The setting `repeats`.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._log = logging.getLogger(f"benchmark.{mode}")
        self._log.propagate = False
        self._logged = Counter[int]()

    def run(self, seconds: float) -> Mapping[str, str]:
        """Return the figures of a run."""
        with LocalDiscord() as discord:
            handler = DiscordHandler(discord.webhook_url, repeats=self._mode, flush_timeout=_FLUSH)
            self._log.addHandler(handler)
            all_after, new_after = self._log_all(discord, seconds)
            began = time.monotonic()
            handler.flush(_FLUSH)
            flushed = time.monotonic() - began
            health = handler.health()
            handler.close()
            self._log.removeHandler(handler)
            exact = sum(self._shown(discord)[kind] == number for kind, number in self._logged.items() if kind < KINDS)
            edits = sum(message.edits for message in discord.messages)
            refused = sum(health["rate_limited"].values())
            figures = (
                f"{health['accepted']:,} / {health['delivered']:,}",
                f"{len(discord.messages)} / {edits} / {refused}",
                f"{all_after:.1f}",
                f"{new_after:.1f}",
                f"{exact}",
                f"{flushed:.1f}",
            )
        return dict(zip(_BARS, figures, strict=True))

    def _log_all(self, discord: LocalDiscord, seconds: float) -> tuple[float, float]:
        """Log all kinds at their pace, and return after how many seconds all, and a new one, have a card."""
        began, all_after, new_at, new_after = time.monotonic(), float("nan"), float("nan"), float("nan")
        for turn in range(int(seconds * RATE)):
            for kind in range(KINDS):
                self._fail(kind, turn)
            if turn == int(seconds * RATE / 2):
                self._fail(KINDS, turn)
                new_at = time.monotonic()
            if turn % RATE == 0 and not all_after < seconds and len(self._shown(discord)) >= KINDS:
                all_after = time.monotonic() - began
            if new_at > 0 and not new_after > 0 and KINDS in self._shown(discord):
                new_after = time.monotonic() - new_at
            time.sleep(max(began + (turn + 1) / RATE - time.monotonic(), 0.0))
        return all_after, new_after

    def _fail(self, kind: int, turn: int) -> None:
        self._logged[kind] += 1
        facts = self._log.name, logging.ERROR, f"shop_{kind}.py", 1, f"kind-{kind} in turn %d", (turn,), None
        self._log.handle(self._log.makeRecord(*facts))

    def _shown(self, discord: LocalDiscord) -> Counter[int]:
        """Return the largest number that a card shows, by kind."""
        shown = Counter[int]()
        for message in discord.messages:
            for embed in message.embeds:
                kinds = re.findall(r"kind-(\d+) in turn", embed.get("description", ""))
                count = re.match(r"×([\d,]+) ", embed.get("title", ""))  # noqa: RUF001 - the sign for times
                if len(kinds) == 1:
                    kind = int(kinds[0])
                    shown[kind] = max(shown[kind], int(count[1].replace(",", "")) if count else 1)
        return shown
