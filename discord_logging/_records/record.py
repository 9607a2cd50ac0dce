"""This module has the log record as it was when it was logged."""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import timedelta, timezone
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from discord_logging._records.attachment import find_attachments, map_attachments
from discord_logging._records.events import read_event
from discord_logging._records.frames import Frame, short_path
from discord_logging._records.libraries import library_of
from discord_logging._records.moments import may_have_moment, value_without_moment, without_moment
from discord_logging._records.text_exceptions import read_exceptions
from discord_logging._records.traceback_parser import may_have_traceback
from discord_logging._records.values import UniqueText, read_only, to_text, value_line, value_size

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from discord_logging._records.attachment import Attachment
    from discord_logging._records.exceptions import FrozenException
    from discord_logging._records.incident import Incident
    from discord_logging._records.settings import CardSettings
    from discord_logging._records.stored_card import StoredCard
    from discord_logging._records.values import Frozen

    _Text = TypeVar("_Text", str, "str | None")


class Details(NamedTuple):
    """The parts of a record that most records do not have."""

    extra: Mapping[str, Frozen] | None = None
    exception: FrozenException | None = None
    exc_text: str | None = None
    stack_info: str | None = None
    body: str | None = None
    """The text of a formatter other than `EmbedFormatter`, which is shown instead of the message."""


class Snapshot(NamedTuple):
    """The parts of a record that `freeze` keeps, unmasked. A record that was made by hand may have any values.

    A caller makes a plain tuple of them, which costs the least time and which the garbage collector does not follow.
    Records say the same if the first six parts and the details are equal, apart from times and the body.
    """

    message: str
    levelno: Any
    name: Any
    pathname: Any
    lineno: Any
    settings: CardSettings
    threadName: Any  # noqa: N815 - the name in logging, as below
    created: Any
    levelname: Any
    funcName: Any  # noqa: N815
    process: Any
    processName: Any  # noqa: N815
    taskName: Any  # noqa: N815
    template: str | None
    relativeCreated: Any  # noqa: N815
    details: Details


event_parts = itemgetter(*map(Snapshot._fields.index, ("relativeCreated", "created", "levelno", "message", "settings")))
"""Returns the parts of a snapshot by which an event is recognised that reaches a webhook more than once."""
NO_DETAILS = Details()
_FINGERPRINT_PARTS = 6
"""The number of the first parts of a snapshot that belong to its fingerprint."""
_PLAIN: frozenset[Any] = frozenset({str, int, type(None)})
_QUARTER, _ENDLESS = 900.0, 1e15
"""A quarter of an hour, and a time that no clock shows, in seconds."""
_MAX_COMPARED = 16_384
"""The largest size of a record in whose texts `kind` looks for a traceback, in bytes."""


class Origin(NamedTuple):
    """The facts about a record that only the process knows which logged it.

    Attributes:
        host: The name of the host.
        path: The path of the record's file, as a developer sees it.
        library: The library that the file belongs to, or `None`.
        utc_offset: The offset of the time zone from UTC when the record was logged, in seconds, or `None`.
    """

    host: str
    path: str
    library: str | None
    utc_offset: int | None

    @classmethod
    def here(cls, pathname: str, created: float, own_packages: tuple[str, ...] = ()) -> Origin:
        """Return the origin of a record that this process logged. Reads metadata of what is installed."""
        utc_offset = None
        with contextlib.suppress(OverflowError, OSError, TypeError, ValueError):
            utc_offset = time.localtime(created).tm_gmtoff
        return cls(socket.gethostname(), short_path(pathname), library_of(pathname, own_packages), utc_offset)


class Counts(NamedTuple):
    """The facts about a record that change while it waits.

    Attributes:
        records: The number of records that the record stands for: itself, and its repeats.
        last_created: The time at which the last repeat was logged, or `None` without repeats.
        is_repeat: Whether the record may be in the channel already, since Discord did not say whether it was saved.
        incident: The numbers of the incident that the record belongs to, or `None` if its card is not a live one.
        others: The repeats whose texts differ from that of the record, each text once.
    """

    records: int = 1
    last_created: float | None = None
    is_repeat: bool = False
    incident: Incident | None = None
    others: tuple[FrozenRecord, ...] = ()


ONCE = Counts()
"""The counts of almost all records, so that these share one object."""


def _masked(path: str) -> Any:
    """Return an attribute that reads another one, and masks it if it is a text."""
    get = attrgetter(path)

    def read(record: FrozenRecord) -> Any:
        value = get(record)
        return record.mask(value) if isinstance(value, str) else value

    return property(read)


class FrozenRecord:
    """A log record as it was when it was logged, which cannot be changed.

    Besides the attributes below, a frozen record has these attributes of `logging.LogRecord`: `name`, `levelno`,
    `levelname`, `pathname`, `lineno`, `funcName`, `created`, `process`, `processName`, `threadName`, `taskName` and
    `stack_info`.

    Secrets in the texts and values are masked, except those in `exception`: use `mask` for its text.

    Attributes:
        message: The merged message, or the text of another formatter than `EmbedFormatter`, without its tracebacks.
        logged: The merged message, likewise.
        template: The message before its arguments were merged in, likewise, or `None` if it was not a text.
        extra: The values that `extra=` and filters added: scalars as they are, dicts, lists and tuples as copies of
            bounded depth and size, all else as text. `None` if there are no such values.
        attachments: The files among these values.
        exception: The exception, also if its traceback came as text, or `None`.
        exc_text: The text of an exception if the record had only that, and it was no traceback, or `None`.
        settings: The settings of the handler that took the record.
        count: The number of records that this one stands for: itself, and its repeats.
        last_created: The time at which the last of them was logged.
        is_repeat: Whether the record may be in the channel already, since Discord did not say whether it was saved.
        incident: The numbers of the incident that it belongs to, or `None` if its card is not a live one.
        others: The repeats whose texts differ from its own, each text once.
        origin: The host, the paths and the time zone of the process that logged it.
        source: The host and the id of the process that logged it.
        place: Where it was logged; if a library logged an exception, the last frame of the program in that exception.
        size: The estimated memory of the record in bytes, one per character.
        card: The finished card, if a formatter of the user's own made it in another process, or `None`.
    """

    __slots__ = ("_card", "_counts", "_message", "_origin", "_read", "_snapshot")

    def __init__(
        self,
        snapshot: tuple[Any, ...],
        origin: Origin | None = None,
        counts: Counts = ONCE,
        card: StoredCard | None = None,
    ) -> None:
        """Make a record from the result of `freeze`; an `origin` of `None` stands for this process."""
        self._snapshot = Snapshot._make(snapshot)
        self._origin = origin
        self._read: Snapshot | None = None
        self._message: str | None = None
        self._counts = counts
        self._card = card

    def carrying(self, card: StoredCard) -> FrozenRecord:
        """Return the same record with its finished card."""
        copy = FrozenRecord(self._snapshot, self._origin, self._counts, card)
        copy._read = self._read
        return copy

    def counted(self, counts: Counts) -> FrozenRecord:
        """Return the same record with these counts."""
        if counts is self._counts:
            return self
        copy = FrozenRecord(self._snapshot, self._origin, counts, self._card)
        copy._read = self._read
        return copy

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that `extra=` brings along, whatever the names of the values are."""
        extra = self._details.extra
        return tuple(find_attachments(extra)) if extra else ()

    def describing(self, describe: Callable[[Attachment], str]) -> FrozenRecord:
        """Return the same record with texts as values in place of its attachments."""
        details = self._details._replace(extra=map_attachments(self._details.extra, describe))
        return FrozenRecord(self._parts._replace(details=details), self._origin, self._counts, self._card)

    # The types are those of `logging.LogRecord`. A record that was made by hand may have any values.
    name: str = _masked("_snapshot.name")
    pathname: str = _masked("_snapshot.pathname")
    lineno: int = read_only("_snapshot.lineno")
    threadName: str | None = _masked("_snapshot.threadName")  # noqa: N815 - the name in logging, as below
    settings: CardSettings = read_only("_snapshot.settings")
    funcName: str | None = _masked("_snapshot.funcName")  # noqa: N815
    process: int | None = read_only("_snapshot.process")
    processName: str | None = _masked("_snapshot.processName")  # noqa: N815
    taskName: str | None = _masked("_snapshot.taskName")  # noqa: N815
    template: str | None = _masked("_parts.template")
    count: int = read_only("_counts.records")
    is_repeat: bool = read_only("_counts.is_repeat")
    incident: Incident | None = read_only("_counts.incident")
    others: tuple[FrozenRecord, ...] = read_only("_counts.others")
    card: StoredCard | None = read_only("_card")

    @property
    def _parts(self) -> Snapshot:
        """The parts, in which events are taken apart, and a traceback that came as text is the exception.

        They are read at the first use.
        """
        if self._read is None:
            self._read = _read_snapshot(read_event(self._snapshot))
        return self._read

    @property
    def _details(self) -> Details:
        details = self._parts.details
        return details if details is NO_DETAILS else Details._make(details)

    @property
    def has_details(self) -> bool:
        """Whether the record has anything beside its message and circumstances."""
        return self._parts.details is not NO_DETAILS

    @property
    def message(self) -> str:
        if self._message is None:
            body = self._details.body
            self._message = self.mask(self._parts.message if body is None else body)
        return self._message

    @property
    def logged(self) -> str:
        return self.message if self._details.body is None else self.mask(self._parts.message)

    @property
    def extra(self) -> Mapping[str, Frozen] | None:
        extra = self._details.extra
        mask = self.settings.masker.mask_value
        return {self.mask(name): _like(value, mask(name, value)) for name, value in extra.items()} if extra else None

    @property
    def exception(self) -> FrozenException | None:
        return self._details.exception

    @property
    def exc_text(self) -> str | None:
        return self.mask(self._details.exc_text)

    @property
    def stack_info(self) -> str | None:
        return self.mask(self._details.stack_info)

    def mask(self, text: _Text) -> _Text:
        """Return `text` with its secrets masked, by the handler's `redact`."""
        return self.settings.masker.mask(text) if text else text

    @property
    def levelno(self) -> int:
        levelno = self._snapshot.levelno
        if type(levelno) is int:
            return levelno
        # A record that was made from a dict without a level has None, which cannot be compared with numbers.
        return int.__int__(levelno) if isinstance(levelno, int) else 0

    @property
    def levelname(self) -> str:
        return self.mask(to_text(self._snapshot.levelname))

    @property
    def created(self) -> float:
        created = self._snapshot.created
        return created if type(created) is float else _to_seconds(created)

    @property
    def last_created(self) -> float:
        last_created = self._counts.last_created
        return self.created if last_created is None else last_created

    @property
    def origin(self) -> Origin:
        return self._origin or Origin.here(to_text(self.pathname), self.created, self.settings.own_packages)

    @property
    def source(self) -> tuple[str, int | None]:
        process = self.process
        # A record that was made by hand may have any object, which may have no hash.
        return self._origin.host if self._origin else socket.gethostname(), process if type(process) is int else None

    @property
    def place(self) -> Frame:
        """The place where the record was logged; if a library logged an exception, the program's last frame in it.

        Reads source files. The place has no `lines`.
        """
        origin = self.origin
        place = self.exception.place() if self.exception and (origin.library or not self.lineno) else None
        if place is None:
            return Frame(to_text(self.pathname), self.lineno, to_text(self.funcName), origin.path, origin.library, ())
        filename, name, path = map(self.mask, (place.filename, place.name, place.path))
        return place._replace(filename=filename, name=name, path=path, lines=())

    @property
    def zone(self) -> timezone:
        """The time zone of the process that logged the record, as of that time; UTC if it is unknown."""
        try:
            return timezone(timedelta(seconds=self.origin.utc_offset or 0))
        except (OverflowError, TypeError, ValueError):
            return timezone.utc

    @property
    def size(self) -> int:
        size, details = 512 + len(self._snapshot.message), self._snapshot.details
        size += self._card.size if self._card else 0
        return size if details is NO_DETAILS else size + details_size(details)

    def fingerprint(self) -> Hashable:
        """Return a value that is equal for records that were logged with the same facts, at any time, in any thread.

        No two notices are equal.
        """
        if self._snapshot.settings.is_notice:
            return object()
        snapshot = _read_snapshot(self._snapshot)
        parts: tuple[Any, ...] = snapshot[:_FINGERPRINT_PARTS]
        if may_have_moment(snapshot.message):
            parts = without_moment(snapshot.message, self.created), *parts[1:]
        details = snapshot.details
        if details is NO_DETAILS:
            return parts
        extra, exception, exc_text, stack_info, _ = details
        if not (extra or exception or exc_text or stack_info):
            return parts
        created = self.created
        told = {name: value for name, value in (extra or {}).items() if type(value) is not UniqueText}
        texts = ((name, value if type(value) is str else value_line(value)) for name, value in told.items())
        values = tuple((name, value_without_moment(name, text, created)) for name, text in texts)
        return (
            parts,
            exception and exception.fingerprint(),
            values,
            exc_text,
            stack_info,
            tuple(find_attachments(extra or {})),
        )

    def circumstances(self) -> Hashable:
        """Return a value that is equal for records of the same quarter of an hour with the same facts.

        The facts are all but the time, the texts, the details and the card. The value is `None` if they are of odd
        types, which may be equal and look different.
        """
        snapshot = self._snapshot
        facts = *snapshot[1:5], snapshot.threadName, *snapshot[8:13]
        if not _PLAIN.issuperset(map(type, facts)) or not abs(self.created) < _ENDLESS:
            return None
        # An offset from UTC begins and ends with a quarter.
        return facts, self.created // _QUARTER, self._origin, snapshot.settings

    def kind(self) -> tuple[Hashable, ...]:
        """Return a value that is equal for records about the same thing, which may differ in their arguments.

        The text of a record without arguments may have been merged before, as that of an f-string. So it does not
        count, if the place is known. The value is cheap, however long the text is. It is not masked, so it must only be
        compared.
        """
        # A long text may take seconds to be read.
        parts = _read_snapshot(self._snapshot) if self.size <= _MAX_COMPARED else self._snapshot
        message, _, name, path, line = parts[:5]
        template, subject = parts.template, None
        if template is not None and template != message:
            subject = template[:1_000]
        elif type(path) is not str or type(line) is not int or not line:
            subject = without_moment(message[:200], self.created)
        place = None if subject else (path, line)
        exception = parts.details[1] and parts.details[1].type_name
        return self.levelno, name if type(name) is str else None, subject, place, exception


def _like(value: Frozen, masked: Any) -> Any:
    return UniqueText(masked) if type(value) is UniqueText else masked


def _read_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return the parts of a record, in which tracebacks that came as text are its exception."""
    # A `QueueHandler`, as every handler that formats, leaves an attribute, so that the record has details.
    is_direct = snapshot.details is NO_DETAILS
    if is_direct and not may_have_traceback(snapshot.message):
        return snapshot
    read = read_exceptions(
        *(snapshot.message, snapshot.template, snapshot.details),
        is_direct=is_direct,
        own_packages=snapshot.settings.own_packages,
    )
    if read is None:
        return snapshot
    message, template, details = read
    return snapshot._replace(message=message, template=template, details=Details._make(details))


def details_size(details: tuple[Any, ...]) -> int:
    """Return the estimated memory of the details of a record in bytes, one per character."""
    extra, exception, *texts = details
    values = sum(map(len, extra)) + sum(map(value_size, extra.values())) if extra else 0
    return values + sum(len(text) for text in texts if text) + (exception.size if exception else 0)


def _to_seconds(created: Any) -> float:
    """Return the time of a record as a float. Another value, in a record that was made by hand, becomes NaN."""
    try:
        return float(created)
    except Exception:  # noqa: BLE001 - the user's object may raise anything
        return float("nan")
