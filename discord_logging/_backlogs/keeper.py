"""This module has the keeper, the thread that moves the records of a durable backlog into the store, and out of it.

Each process has one. The keeper that holds the lock of the store reads the records of all processes for its listener,
and the others try to get that lock, so that one of them goes on as soon as the process that sends ends.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.feeder import Feeder
from discord_logging._backlogs.packing import Parcel, store_lost
from discord_logging._backlogs.precedence import Precedence
from discord_logging._backlogs.recovery import Recovery
from discord_logging._backlogs.store import StoreError
from discord_logging._process import clock
from discord_logging._process.diagnostics import warn
from discord_logging._process.locks import PATIENCE, Lock, start_once
from discord_logging._process.own_threads import is_own_thread
from discord_logging._process.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._backlogs.accounts import Losses
    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Store, Summary
    from discord_logging._backlogs.stored import Flush, StoredBacklog
    from discord_logging._records.settings import DeliverySettings

_VERIFICATION = 60.0
"""The shortest time between two checks of a store that has rows which cannot be read, in seconds."""
_PORTION = 500
"""The largest number of records that are stored at a time."""
_POLL, _IDLE_POLL, _IDLE_AFTER = 0.05, 0.5, 10.0
"""The seconds between two looks into the store, and the same after so many seconds in which nothing happened."""
_TOGETHER = 0.01
"""The seconds within which records are stored in one transaction. The ring keeps them meanwhile."""
_MAINTENANCE, _IDLE_MAINTENANCE = 1.0, 2.0
"""The seconds between two searches for rings of dead processes, and for a store that was replaced; the same when
nothing has happened for `_IDLE_AFTER` seconds."""
_GRACE = 5.0
"""The seconds after which the process that sends has stored its records again, if the store was removed; also the
seconds until the next look for them."""


class Keeper:
    """Moves the records of one backlog, on a daemon thread that the first record starts.

    Args:
        backlog: The backlog.
        store: A store object for the thread.
        ring_place: The name that the rings of all processes share.

    Attributes:
        is_idle: Whether a caller that has put a record is to wake the thread.
        is_refused: Whether Discord refuses all messages of this process, which then reads no more records.
    """

    def __init__(self, backlog: StoredBacklog, store: Store, ring_place: str) -> None:
        self._backlog = backlog
        self._store = store
        self._ring_place = ring_place
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Have no thread, and no part in the store: those are the parent's."""
        self._store.after_fork_in_child()
        self._starting = Lock()
        self._wakeup = Wakeup()
        self._thread: threading.Thread | None = None
        self.is_idle = True
        self.is_refused = False
        self._is_ending = self._leads = False
        self._maintain_at = self._active_at = float("-inf")
        self._feeder = Feeder(self._backlog, self._store)
        self._recovery = Recovery(self._backlog, self._store, self._feeder)
        self._precedence = Precedence()
        self._summary: Summary | None = None
        self._rescued = 0
        self._verify_at = float("-inf")
        self._losses: Losses = Counter()  # those that are being stored
        self._losses_number = 0
        self._stepping = Lock()

    # Any thread

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new settings to the store object of the thread."""
        self._store.configure(settings)

    @property
    def trouble(self) -> str:
        """The reason why the store does not work, or `""`."""
        return self._recovery.trouble

    @property
    def lone_hosts(self) -> int:
        """The number of hosts whose processes send what they have, if the store does not work; else 0."""
        return self._store.hosts if self.trouble else 0

    @property
    def identity(self) -> object:
        """The identity of the store that has all records of this process."""
        return self._recovery.identity

    def wake(self) -> bool:
        """Wake the thread, or start it, and return whether it runs. Never waits."""
        self.is_idle = False
        self._wakeup.set()
        if self.is_running():
            return True
        runs = start_once(self._starting, self.is_running, self._start)
        if not runs:
            self.is_idle = True
        return runs

    def is_running(self) -> bool:
        """Tell whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        if self._wakeup.is_outdated():
            self._wakeup = Wakeup()
        thread = threading.Thread(target=self._run, name="discord-logging-keeper", daemon=True)
        # This comes first: a signal handler may raise an exception out of the start, and the thread runs nevertheless.
        self._thread = thread
        thread.start()

    def finish(self, deadline: float) -> None:
        """Store what came, send no more, and end the thread. Blocks until the deadline, or for a moment."""
        self._is_ending = True
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            self._wakeup.set()
            thread.join(max(deadline - clock.monotonic(), PATIENCE))

    def reopen(self) -> None:
        """Go on with the records that come from now on."""
        self._is_ending = False
        # The records in the ring of before come first.
        self._maintain_at = float("-inf")

    def health(self) -> dict[str, Any]:
        """Return the state of the store, as plain data."""
        summary = self._summary
        sender = summary and summary.sender
        waiting, delivered = (summary.waiting, summary.delivered) if summary else (0, 0)
        losses = self._backlog.accounts.totals
        dropped = losses.total()
        return {
            "ok": not self.trouble,
            "reason": self.trouble,
            "waiting": waiting,
            "oldest": self.oldest_age(),
            "is_sender": self._leads,
            "sender": sender and {"host": sender[0], "pid": sender[1]},
            "workers": summary.workers if summary else 0,
            "rescued": self._rescued,
            "damaged": sum(number for (reason, _), number in losses.items() if reason == "damaged"),
            "all": {
                "accepted": delivered + waiting + dropped,
                "delivered": delivered,
                "pending": waiting,
                "dropped": dropped,
            },
        }

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record in the store has waited; 0.0 without one."""
        oldest = self._summary and self._summary.oldest
        return 0.0 if oldest is None else max(time.time() - oldest, 0.0)

    # The thread

    def _run(self) -> None:
        is_own_thread.set(True)
        while not self._may_end():
            self._gather()
            # This comes first: a record that comes now finds an idle keeper, and wakes it.
            self.is_idle = True
            self.step()
            self._wakeup.wait(self._poll())

    def _gather(self) -> None:
        """Wait for more records, if some came and nobody waits for them: a transaction costs more than its records."""
        arrivals = self._backlog.arrivals
        is_urgent = arrivals.at_risk or arrivals.is_crowded or self._backlog.flushes or self._is_ending
        if len(arrivals) and not is_urgent:
            self._wakeup.wait(_TOGETHER)

    def _may_end(self) -> bool:
        """Tell whether the thread may end now. From then on, the next record starts another one."""
        backlog = self._backlog
        if not self._is_ending or not backlog.stop_sending():
            return False
        with self._starting:
            if self._has_work():
                return False
            self._leads = False
            backlog.forget_rows()
            with contextlib.suppress(StoreError):
                self._store.resign()
                self._store.close()
            self._thread = None
            self.is_idle = True
        # The caller of a record that came meanwhile took this thread for a running one.
        if self._has_work():
            self.wake()
        return True

    def _has_work(self) -> bool:
        """Tell whether the store has still to learn something, and works. Otherwise, others would send twice."""
        backlog, has_arrived = self._backlog, len(self._backlog.arrivals) > 0
        if self.trouble:
            return has_arrived and backlog.fallback.works
        return bool(has_arrived or backlog.unsettled or backlog.has_parked)

    def _poll(self) -> float:
        return _POLL if self._is_active() or self._backlog.flushes or self._is_ending else _IDLE_POLL

    def _is_active(self) -> bool:
        return clock.monotonic() < self._active_at + _IDLE_AFTER

    def step(self) -> None:
        """Move all records that can be moved now, unless another thread does. Never raises an `Exception`."""
        if self._stepping.acquire(0):
            try:
                self._step()
            finally:
                self._stepping.release()

    def _step(self) -> None:
        try:
            if self._recovery.may_try():
                if self.trouble:
                    # The store may not answer for a while.
                    self._park()
                self._move()
                self._recovery.note_success()
            else:
                self._park()
        except StoreError as error:
            self._fail(error.reason)
        except Exception as error:  # noqa: BLE001 - a fault of this package must not end the thread
            warn("The backlog failed", exc_info=True)
            # All rows are read again.
            self._leads = False
            self._fail(f"{type(error).__name__}: {error}")

    def _move(self) -> None:
        flushes = list(self._backlog.flushes)
        if self.trouble:
            # A reader repairs a damaged file, and a writer may take the damage for a full disk.
            self._store.read(0, 1)
        has_changed = self._store.has_changed()
        is_end = any(flush.is_last and not flush.is_known for flush in flushes)
        is_due = clock.monotonic() >= self._maintain_at or is_end
        if not (has_changed or is_due or flushes or self._has_duties()):
            led = self._leads
            self._lead()
            if self._leads == led:
                return
            # The process that led may have been killed, and have left a ring.
            is_due = True
        if is_due:
            has_changed |= self._maintain()
            self._maintain_at = clock.monotonic() + (_MAINTENANCE if self._is_active() else _IDLE_MAINTENANCE)
        self._recovery.restore(leads=self._leads)
        has_changed |= self._store_arrived()
        self._feeder.is_behind |= has_changed
        # This comes first: who takes over reads all rows.
        has_changed |= self._recovery.settle()
        self._lead()
        if self._leads and not self._is_ending:
            self._feeder.feed(flushes)
        self._recovery.write_off()
        self._backlog.fallback.settle(closes=True)
        if has_changed or flushes:
            self._active_at = clock.monotonic()
            self._serve(flushes)

    def _has_duties(self) -> bool:
        """Tell whether there is something to do although the store has not changed."""
        backlog = self._backlog
        has_moves = len(backlog.arrivals) or backlog.unsettled or backlog.has_parked or backlog.fallback.is_open
        has_reads = self._leads and self._feeder.has_duties
        has_losses = bool(self._losses or backlog.find_losses())
        return bool(self.trouble or self._is_ending or has_moves or has_reads or has_losses)

    def _maintain(self) -> bool:
        """Do what is due about once a second, and return whether records came or went."""
        self._backlog.arrivals.keep()
        rescued = [*store_lost(self._store, self._ring_place), *self._backlog.fallback.move_lost(self._store)]
        self._rescued += sum(rescued)
        # A record that is about to arrive must not count as dropped.
        may_drop = self._leads and not self._backlog.leased
        has_changed = any(rescued) or (may_drop and self._feeder.tidy())
        if self._leads and self._summary and self._summary.waiting:
            # The records outlive a power cut from now on.
            self._store.checkpoint()
        self._summary = self._store.summary()
        if self._leads and self._summary.waiting and self._backlog.is_empty() and not self._backlog.unsettled:
            # A damaged log may have taken back that rows were removed, or have left an index without its rows.
            if clock.monotonic() >= self._verify_at:
                self._verify_at = clock.monotonic() + _VERIFICATION
                self._store.verify()
            self._feeder.read_again()
        return has_changed

    def _store_arrived(self) -> bool:
        """Store what came, and what was parked, and return whether there was anything."""
        backlog, found = self._backlog, False
        entries = backlog.take_parked() if backlog.has_parked else []
        while True:
            entries += backlog.take_arrived(_PORTION)
            if not self._losses and (losses := backlog.find_losses()):
                # The losses keep their number until they are stored, so that they are counted once.
                self._losses, self._losses_number = losses, backlog.accounts.numbers.take()
            if not entries and not self._losses:
                return found
            try:
                self._add(entries)
            except BaseException as error:
                if isinstance(error, StoreError) and error.is_unclear:
                    backlog.note_unclear(entries)
                self._set_apart(entries)
                raise
            found, entries = True, []

    def _add(self, entries: Sequence[Entry]) -> None:
        backlog, losses = self._backlog, self._losses
        parcel, covered = Parcel(losses), list(backlog.covered)
        parcel.cover(covered)
        now = time.time()
        for entry in entries:
            parcel.add(
                entry.record, sorted(slot.number for slot in entry.kept), since=now, is_repeat=entry.counts.is_repeat
            )
        numbers = [slot.number for entry in entries for slot in entry.kept]
        last = self._losses_number if losses else max(numbers)
        self._store.add(backlog.arrivals.writer, parcel.batch(last))
        backlog.note_stored(entries, losses)
        del backlog.covered[: len(covered)]
        self._losses = Counter()

    def _lead(self) -> None:
        """Try to become the process that sends, and go on where the last one stopped."""
        backlog = self._backlog
        # Another process may have a valid URL.
        gives_way = self.is_refused or (
            self._summary is not None and self._precedence.is_due_to_others(self._summary, leads=self._leads)
        )
        may_lead = not gives_way and (self._leads or not self._is_ending)
        leads = may_lead and self._store.try_to_lead(backlog.arrivals.writer)
        if leads != self._leads and not backlog.stop_sending():
            # The message in flight comes first.
            return
        if gives_way:
            self._store.resign()
        if leads and not self._leads:
            self._feeder.tidy()
            self._feeder.take_over()
            # The first message tells of the losses.
            self._note_tally()
        elif not leads and (self._leads or backlog.withheld):
            # If the folder was removed, another process may have found that first.
            self._recovery.restore(leads=True)
            backlog.forget_rows()
        self._leads = backlog.may_send = leads

    def _serve(self, flushes: Sequence[Flush]) -> None:
        """End the flushes whose records are settled, and ask the process that sends to hurry for the others."""
        backlog, writer = self._backlog, self._backlog.arrivals.writer
        settled = [flush for flush in flushes if self._store.is_settled(writer, flush.number)]
        # A flush returns after it is ended, and must find these numbers.
        self._note_tally()
        # Another process goes on, and needs not hurry as this one does.
        has_successor = self._summary is not None and self._summary.workers > 1
        has_more = self._leads and not has_successor and (self._feeder.is_behind or not backlog.is_empty())
        is_whole = self._recovery.is_whole()
        for flush in flushes:
            if not flush.is_known and not self._leads:
                remaining = flush.deadline - clock.monotonic()
                self._store.wish(writer, time.time() + self._store.ahead + remaining)
            flush.is_known = True
            is_settled = flush in settled and is_whole and not backlog.is_parked(flush.number)
            if is_settled and not (flush.is_last and has_more):
                flush.is_settled = True
                flush.wakeup.set()

    def _note_tally(self) -> None:
        self._backlog.note_tally(self._store.tally(self._backlog.arrivals.writer), self._store.losses())

    # A store that does not work

    def _park(self) -> None:
        backlog = self._backlog
        backlog.may_send = self._store.may_send_alone(self._recovery.lasts())
        self._set_apart(backlog.take_arrived(len(backlog.arrivals)))
        if backlog.fallback.is_due():
            backlog.keep_waiting()
        backlog.fallback.settle()
        if backlog.flushes:
            backlog.release_repeats()
        backlog.wake_delivery()

    def _set_apart(self, entries: Sequence[Entry]) -> None:
        """Park records, and keep them in the directory for that, if there is one."""
        backlog = self._backlog
        try:
            backlog.note_kept(backlog.fallback.keep(entries, backlog.arrivals.writer))
        finally:
            backlog.park(entries)

    def _fail(self, reason: str) -> None:
        self._recovery.note_failure(reason)
        if self._store.has_hosts:
            # Another host may send them.
            self._backlog.withhold_rows()
            self._leads = False
        self._park()
        # A flush that waited for the records of other processes alone may end now.
        self._backlog.notify_waiters()
