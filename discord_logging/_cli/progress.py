"""The progress of `discord-logging pipe`, on stderr."""

from __future__ import annotations

import sys
from typing import Any

from discord_logging._process import clock

_INTERVAL = 0.2
_SLOW_INTERVAL = 2.0


class Progress:
    """Shows how many lines were read and how many records were delivered.

    In a terminal the progress is one line that changes; elsewhere a new line is written every few seconds.

    Args:
        is_shown: Whether to show the progress; `None` shows it in a terminal only.
    """

    def __init__(self, *, is_shown: bool | None) -> None:
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._is_shown = self._is_terminal if is_shown is None else is_shown
        self._next = clock.monotonic() + _INTERVAL

    def is_due(self) -> bool:
        """Return whether it is time to call `show`."""
        return self._is_shown and clock.monotonic() >= self._next

    def show(self, lines: int, health: dict[str, Any], *, is_last: bool = False) -> None:
        """Show the progress; `is_last` ends the line."""
        if not self._is_shown:
            return
        self._next = clock.monotonic() + (_INTERVAL if self._is_terminal else _SLOW_INTERVAL)
        status = health["status"] if health["status"] != "ok" and health["pending"] else ""
        parts = [
            f"{lines:,} lines read",
            f"{health['delivered']:,} of {health['accepted']:,} records delivered",
            f"{health['requests']:,} requests",
            f"{health['dropped']:,} lost" if health["dropped"] else "",
            status,
        ]
        text = ", ".join(part for part in parts if part)
        begin = "\r\x1b[K" if self._is_terminal else ""
        sys.stderr.write(begin + text + ("\n" if is_last or not self._is_terminal else ""))
        sys.stderr.flush()
