"""This module has what one store object knows of the data in Redis, so that it notices when they are other ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._backlogs.redis.connection import Connection
from discord_logging._backlogs.store import StoreError
from discord_logging._process import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._backlogs.redis.lease import Part
    from discord_logging._backlogs.store import Writer
    from discord_logging._records.redis_address import Address

_QUESTIONS = frozenset({"changed", "check", "wish", "lead"})


class Glance(NamedTuple):
    """The facts that a process looks for several times a second."""

    settled: int = 0
    """How often records were settled."""
    last: int = 0
    """The last number of the writer."""
    wish: float = float("-inf")
    holder: bytes = b""
    """The lease of the process that sends."""


class Session:
    """Runs the scripts of one store object.

    Args:
        address: The address of Redis.
        hook: The name of the webhook.
        find_part: Returns the part of this process in the sending.

    Attributes:
        connection: The connection.
        writer: The writer that the object works for.
        changed_at: When the data were found to be other ones, on the monotonic clock.
        settings_at: When settings were stored in these data, by digest.
        writers: The writers that are known, by name.
    """

    def __init__(self, address: Address, hook: str, find_part: Callable[[], Part]) -> None:
        self.connection = Connection(address, hook)
        self._find_part = find_part
        self.forget()

    def forget(self) -> None:
        """Know nothing, and have no connection."""
        self.connection.forget()
        self.writer: Writer | None = None
        self.settings_at: dict[str, float] = {}
        self.writers: dict[str, Writer] = {}
        self.changed_at = float("-inf")
        self._known: str | None = None  # the identity of the data
        self._checked = ""  # the identity of those that the keeper has made whole
        self._acked = "", 0  # a writer, and the last of its numbers that Redis has
        self._seen = -1  # the number of changes that this object knows
        self._most = 0  # the largest number of changes ever
        self._glance = Glance()
        self._unasked: set[str] = set()  # the questions that the last glance has not answered yet

    def run(self, name: str, *args: str | bytes | float, identity: str = "") -> list[Any]:
        """Run a script, and return its results.

        Args:
            name: The name of the script.
            args: Its arguments.
            identity: The identity of the data that it may use; `""` lets it use any.

        Raises:
            StoreError: The script was not run, or it is not known whether it was.
        """
        connection = self.connection
        result = connection.run(name, *args, identity=identity)
        if connection.identity != self._known:
            self.changed_at = float("-inf") if self._known is None else clock.monotonic()
            self._known, self._acked, self._seen, self._most = connection.identity, ("", 0), -1, 0
            self.settings_at.clear()
            self.writers.clear()
        self._most = max(self._most, connection.changes)
        return result

    def run_checked(self, name: str, *args: str | bytes | float) -> list[Any]:
        """Run a script that must not work with other data before the keeper has made them whole."""
        try:
            return self.run(name, *args, identity=self._checked)
        except StoreError:
            # The keeper finds other data by `check`.
            self._checked = ""
            raise

    def change(self, name: str, *args: str | bytes | float) -> list[Any]:
        """Run a script that changes something once. One's own changes are known."""
        result = self.run(name, *args)
        if self.connection.changes == self._seen + 1:
            self._seen += 1
        return result

    def note_acked(self, writer: Writer, last: int) -> None:
        """Note that Redis has the numbers of a writer up to this one."""
        self._acked = writer.name, last

    def note_settled(self, number: int) -> None:
        """Note how often records were settled in these data."""
        self._find_part().note_settled(self._known or "", number)

    def ask(self, question: str) -> Glance:
        """Return the last glance, unless it has answered the same question: one serves all questions of a step."""
        if question not in self._unasked or self.connection.identity is None:
            self._look()
        self._unasked.discard(question)
        return self._glance

    def forget_glance(self) -> None:
        """Look again for the next question."""
        self._unasked.clear()

    def check(self) -> None:
        """Find out whether Redis has other data than before, or lacks some."""
        self.ask("check")
        self._checked = self.connection.identity or ""

    def has_changed(self) -> bool:
        """Tell whether another object or process has changed the data since the last call."""
        self.ask("changed")
        has_changed, self._seen = self._seen != self.connection.changes, self.connection.changes
        return has_changed

    def _look(self) -> None:
        # Another thread of this process may settle records meanwhile.
        part, known, most, (name, last) = self._find_part(), self._known, self._most, self._acked
        identity, number = part.settled
        settled, found, wish, holder, now = self.run("glance", name or (self.writer.name if self.writer else ""))
        self._glance = Glance(int(settled), int(found), float(wish or "-inf"), holder)
        self._unasked = set(_QUESTIONS)
        part.note_time(float(now))
        if known is None or known != self._known:
            return
        is_settled = identity != known or self._glance.settled >= number
        if self.connection.changes < most or not is_settled or self._glance.last < last:
            # A replica that had not received all has taken the place of the server.
            self.run("renew", known)
