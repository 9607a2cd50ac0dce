"""This module counts records of one kind on one card, which is edited in place.

The first record of a kind posts its card. Whatever follows is held as one entry for each kind, which edits the card
when its message is due. The entry posts a new message instead when the records have become more severe, at 100, 1,000,
10,000 of them and so on, when they come back after the incident was quiet, and when the card is out of sight.

Below `WARNING`, records of one kind are news of different things, so only those that say the same are counted together.
As long as an incident has no card of its own, since its records became lines, its repeats are held as those of
`Repeats` are.
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from discord_logging._backlogs import incident_data
from discord_logging._backlogs.entry import Entry
from discord_logging._backlogs.open_incident import AT_ONCE, OpenIncident, Part
from discord_logging._backlogs.repeats import Repeats
from discord_logging._cards.progress import span_text, times
from discord_logging._process import clock
from discord_logging._records.freeze import freeze
from discord_logging._records.record import Counts, FrozenRecord
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

    from discord_logging._cards.live import LiveCard, LiveMessage

_MAX_INCIDENTS = 200
"""The largest number of incidents. The one without records for the longest time becomes plain first."""
_MAX_TEXTS = 5_000
"""The largest number of remembered texts. The oldest is forgotten first, and told again if it comes again."""
_MAX_SIZE = 16_384
"""The largest size of a record whose text is compared with others, in bytes. A larger one is new each time."""
_MAX_WAITING = 8_000_000
"""The largest size of all texts that wait to be told, in bytes. Further ones are counted only."""
_OUT_OF_SIGHT = 30
"""The number of later messages that push a card out of sight."""
_MIN_AGE, _MAX_AGE = 600.0, 6 * 3_600.0
"""The age of a message from which on its cards may be out of sight, and the one from which on they are, in seconds."""
_NEVER = float("inf")
_NO_RECORD = FrozenRecord(freeze(logging.makeLogRecord({"name": __name__}), CardSettings(None)))
"""The record of an entry that stands for none."""


class Incidents(Repeats):
    """Remembers the incidents, and the entries that are held for them. Not thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self.configure(60.0, 900.0, _MAX_WAITING)
        self._by_kind: dict[Hashable, OpenIncident] = {}
        self._by_text: dict[Hashable, OpenIncident] = {}  # the incidents of records below `WARNING`
        self._texts: dict[int, OpenIncident] = {}
        self._superseded: list[Entry] = []
        self._waiting = 0  # the size of the texts that wait, or more
        self._posted = 0
        self._restored: dict[str, OpenIncident] = {}  # those of an earlier process, by the digest of their kind
        self._check_at = _NEVER  # when the next incident may be quiet

    def configure(self, window: float, quiet_after: float, max_bytes: int) -> None:
        """Apply new settings."""
        self.window, self.quiet_after = window, quiet_after
        self.max_waiting = min(max_bytes // 4, _MAX_WAITING)

    def export(self, boot: float) -> list[dict[str, Any]]:
        """Return the most recent incidents as data that JSON keeps."""
        return incident_data.export((*self._restored.items(), *self._by_kind.items()), self._posted, boot)

    def restore(self, data: Any, boot: float) -> None:
        """Go on with the incidents of an earlier process, in place of those of this one."""
        for incident in self._all():
            incident.is_known = False
        self._by_kind, self._by_text, self._texts, self._posted = {}, {}, {}, 0
        self._restored = dict(incident_data.restore(data, boot))
        self._check_at = AT_ONCE

    # Records come

    def fold(self, entry: Entry, now: float) -> bool:
        """Return whether `entry` was counted on another entry or is held. If not, the caller enqueues it."""
        record = entry.record
        text = hash(record.fingerprint()) if entry.size <= _MAX_SIZE else None
        incident = None if text is None else self._texts.get(text)
        if incident is not None and incident.is_known:
            incident.touch()
            return self._count(incident, entry, now, is_new=False)
        if record.settings.is_notice or record.attachments:
            return False
        incident = self._find(record, text)
        return incident is not None and self._count(incident, entry, now, is_new=True)

    def _find(self, record: FrozenRecord, text: int | None) -> OpenIncident | None:
        """Return the incident of a record that says something new, or `None` if it is told alone."""
        key: Hashable
        if record.levelno >= logging.WARNING:
            table, key = self._by_kind, (record.kind()[1:], record.settings.destination)
        elif text is not None:
            table, key = self._by_text, text
        else:
            return None
        incident = table.pop(key, None)
        if incident is None and self._restored and table is self._by_kind:
            incident = self._restored.pop(incident_data.digest(key), None)
        incident = incident or OpenIncident()
        incident.place = table, key
        while len(table) >= _MAX_INCIDENTS:
            table.pop(next(iter(table))).is_known = False
        table[key] = incident
        if text is not None:
            self._texts.pop(text, None)
            while len(self._texts) >= _MAX_TEXTS:
                del self._texts[next(iter(self._texts))]
            self._texts[text] = incident
        return incident

    def _count(self, incident: OpenIncident, entry: Entry, now: float, *, is_new: bool) -> bool:
        level, silence, standing = entry.record.levelno, now - incident.seen_at, incident.waiting
        is_worse = 0 < incident.levelno < level
        incident.seen_at = now
        if standing and not is_worse:
            self._fold(standing, entry, is_new=is_new)
            return True
        is_over, incident.levelno = silence >= self.quiet_after, max(incident.levelno, level)
        part = self._begin(incident, entry, is_new=is_new)
        if is_over and incident.books.count:
            part.reason = f"again after {span_text(silence)}" if incident.last_card else ""
            incident.begin_again(level)
        elif is_worse:
            part.reason = f"now {entry.record.levelname}"
            if standing and standing in self._held:
                self._fold(entry, standing, is_new=_part(standing).is_new)
                self.remove([standing])
        elif incident.in_flight or incident.card or (not is_new and now < incident.left_at + self.window):
            self._held[entry] = now
            return True
        return False

    def _begin(self, incident: OpenIncident, entry: Entry, *, is_new: bool) -> Part:
        """Let an entry stand for the records of an incident that come from now on."""
        part = entry.part
        if part is None:
            part = entry.part = Part(incident, entry.record)
            part.books.add(entry.record.created, entry.record.source, entry.count, is_repeat=entry.counts.is_repeat)
        # A part that was in a queue before keeps its books.
        part.incident, part.is_new, part.card, part.reason = incident, is_new, None, ""
        incident.entry = entry
        return part

    def _fold(self, standing: Entry, entry: Entry, *, is_new: bool) -> None:
        """Count an entry on the one that stands for the incident."""
        standing.fold(entry)
        part, other, record = _part(standing), entry.part, entry.record
        if is_new:
            self._keep_text(part, record)
        if other is None:
            part.books.add(record.created, record.source, entry.count, is_repeat=entry.counts.is_repeat)
        else:
            part.books.merge(other.books)
            for text in other.others:
                self._keep_text(part, text)
        if record.levelno >= part.incident.levelno:
            part.newest = other.newest if other else record

    def _keep_text(self, part: Part, record: FrozenRecord) -> None:
        if self._waiting > self.max_waiting:
            waiting = (incident.waiting for incident in self._all())
            self._waiting = sum(_part(each).size for each in waiting if each)
        size = record.size
        if self._waiting + size > self.max_waiting:
            part.books.untold += 1
            return
        self._waiting += size
        part.size += size
        part.others.append(record)

    def _all(self) -> Iterator[OpenIncident]:
        return chain(self._restored.values(), self._by_kind.values(), self._by_text.values())

    # Entries leave

    @property
    def due_at(self) -> float:
        """The time at which the next entry is due, on the monotonic clock; infinity without one."""
        return AT_ONCE if self._superseded else min(self._check_at, super().due_at)

    def _due_at(self, entry: Entry) -> float:
        part = _part(entry)
        incident = part.incident
        if incident.in_flight:
            return _NEVER
        if card := incident.card:
            return card.message.due_at if incident.is_known else AT_ONCE
        return AT_ONCE if part.is_new or part.others else incident.left_at + self.window

    def release(self, now: float) -> Iterator[Entry]:
        """Yield the entries that are due, and hold them no longer."""
        yield from super().release(now)
        if now < _NEVER:
            yield from self._touch_ups(now)

    def aim(self, entry: Entry) -> None:
        """Decide whether an entry edits the card of its incident, or posts another one."""
        part = _part(entry)
        incident = part.incident
        card = incident.card
        if card is None:
            return
        part.reason = self._reason_to_speak(incident, part, card.message)
        if not part.reason:
            part.card = card

    def _reason_to_speak(self, incident: OpenIncident, part: Part, message: LiveMessage) -> str:
        if reached := incident.pass_steps(incident.books.count + part.books.count):
            return times(reached)
        age, later = clock.monotonic() - message.posted_at, self._posted - message.number
        is_out_of_sight = age >= _MAX_AGE or (age >= _MIN_AGE and later >= _OUT_OF_SIGHT)
        return "still going on" if is_out_of_sight or message.is_full else ""

    def _touch_ups(self, now: float) -> Iterator[Entry]:
        """Yield entries without a record, by which cards say that they are over or continued."""
        while self._superseded:
            yield self._superseded.pop()
        if now < self._check_at:
            return
        self._check_at = _NEVER
        for incident in self._all():
            card = incident.card
            if card is None or card.shown.is_quiet or card.shown.count <= 1 or incident.waiting or incident.in_flight:
                continue
            quiet_at = incident.seen_at + self.quiet_after
            if quiet_at <= now:
                yield _touch_up(incident, card, is_quiet=True)
            else:
                self._check_at = min(self._check_at, quiet_at)

    def leased(self, entries: Iterable[Entry], now: float) -> None:
        """Note that entries are in flight."""
        for part, entry in _parts(entries):
            incident = part.incident
            incident.in_flight += 1
            incident.left_at = now
            if incident.entry is entry:
                incident.entry = None

    def returned(self, entries: Iterable[Entry]) -> None:
        """Note that entries which were in flight wait again."""
        for part, entry in _parts(entries):
            incident = part.incident
            incident.in_flight -= 1
            if part.card and part.card.message.is_gone:
                part.card = None
            standing = incident.waiting
            if standing and standing in self._held:
                self._fold(entry, standing, is_new=_part(standing).is_new)
                self.remove([standing])
                standing = None
            if entry.count and standing is None:
                incident.entry = entry

    def dropped(self, entries: Iterable[Entry]) -> None:
        """Note that entries are dropped, of which some were in flight."""
        for part, entry in _parts(entries):
            part.incident.in_flight -= entry.leased_at is not None
            if part.incident.entry is entry:
                part.incident.entry = None

    def delivered(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard], now: float) -> list[Entry]:
        """Note that entries are delivered by one message, and return those that wait and are to edit it."""
        found: list[Entry] = []
        self._posted += not any(entry.edits for entry in entries)
        for part, entry in _parts(entries):
            incident = part.incident
            incident.in_flight -= 1
            if not entry.count:
                continue
            incident.books.merge(part.books)
            self._check_at = min(self._check_at, now + self.quiet_after)
            if card := cards.get(entry):
                self._replace_card(incident, card)
                # A flush may have released it before the card was known.
                if (waiting := incident.waiting) and waiting not in self._held and not _part(waiting).reason:
                    found.append(waiting)
        return found

    def _replace_card(self, incident: OpenIncident, card: LiveCard) -> None:
        # The message has rung for the number that it shows.
        incident.pass_steps(incident.books.count)
        card.message.number = self._posted
        old, incident.last_card, incident.is_over = incident.last_card, card, False
        incident.first = incident.first or card.message.path
        if old and not old.message.is_gone and old.message is not card.message:
            self._superseded.append(_touch_up(incident, old, continued=card.message.path))


def _part(entry: Entry) -> Part:
    return cast("Part", entry.part)


def _parts(entries: Iterable[Entry]) -> Iterator[tuple[Part, Entry]]:
    return ((entry.part, entry) for entry in entries if entry.part)


def _touch_up(incident: OpenIncident, card: LiveCard, *, is_quiet: bool = False, continued: str = "") -> Entry:
    """Return an entry that stands for no record, and edits a card."""
    entry = Entry(_NO_RECORD)
    entry.counts = Counts(0)
    entry.part = Part(incident, _NO_RECORD)
    entry.part.card, entry.part.is_quiet, entry.part.continued = card, is_quiet, continued
    return entry
