"""What a log record says, frozen on the caller's thread.

This is the only code of ours that a caller waits for. All that may change or die after the call (the merged message,
`extra` values, the exception's own text) becomes text at once. A traceback is kept as (code, line, last instruction)
triples: no frames, no locals and no source lines, which are read later on the listener's thread.
"""

from __future__ import annotations

import contextlib
import linecache
import logging
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from types import CodeType, TracebackType

    FrameLocation = tuple[CodeType, int | None, int]
    """A place in a traceback: code, line, and the offset of the last instruction, which tells the column."""

_STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_STANDARD_ATTRIBUTE_COUNT = len(logging.makeLogRecord({}).__dict__)
_SCALARS = (str, int, float, bool, type(None))
_MAX_EXCEPTIONS = 500
"""How many exceptions of one chain or group are frozen."""


class FrozenException:
    """An exception as text, its traceback as places.

    Attributes:
        type_name: The qualified name of its class.
        text: The last line (for a `SyntaxError` lines) of its traceback, such as `ValueError: no`.
        notes: Its notes (https://docs.python.org/3/library/exceptions.html#BaseException.add_note).
        stack: Where it came from, outermost first: code, line, and the offset of the last instruction.
        cause: The exception that it was raised from, or `None`.
        context: The exception that was being handled when it was raised, or `None`.
        members: The exceptions of a group.
    """

    __slots__ = ("cause", "context", "members", "notes", "stack", "text", "type_name")

    def __init__(self, exception: BaseException, tb: TracebackType | None, seen: set[int]) -> None:
        seen.add(id(exception))
        self.type_name = _type_name(type(exception))
        self.notes = _notes(exception)
        self.text = _exception_text(exception, self.type_name, self.notes)
        self.stack = _freeze_stack(tb)
        self.cause: FrozenException | None = None
        self.context: FrozenException | None = None
        self.members: tuple[FrozenException, ...] = ()

    def fingerprint(self) -> Hashable:
        """Return what is the same for exceptions that came the same way. Formats nothing."""
        return tuple(
            (each.text, each.notes, tuple((code.co_filename, lineno) for code, lineno, _ in each.stack))
            for each in self._linked()
        )

    def _linked(self) -> list[FrozenException]:
        found = [self]
        for each in found:
            found += [linked for linked in (each.cause, each.context, *each.members) if linked]
        return found

    @property
    def size(self) -> int:
        """About how many bytes it holds on to."""
        return sum(256 + len(each.text) + sum(map(len, each.notes)) + 112 * len(each.stack) for each in self._linked())


class FrozenRecord:
    """A log record as it was when it was logged. Attributes are named as in `logging.LogRecord`.

    Attributes:
        message: The merged message.
        template: The message before its arguments were merged in, or `None` when it was no text.
        extra: What `extra=` and filters added: scalars as they are, all else as text. `None` when there is nothing.
        exception: The exception, or `None`.
        exc_text: The text of an exception that came ready-made with the record, or `None`.
        settings: The settings of the handler that took the record.
        count: How many records it stands for: itself, and those that said the same.
        last_created: When the last of them was logged.
        is_repeat: Whether it may stand in the channel already, for Discord did not say whether it was saved.
        size: About how many bytes it holds on to, given that a character is one.
        sequence: Its place in the order of the backlog, from 1; 0 until it has one.
        taken_at: When it left the backlog to be delivered, on the monotonic clock; `None` while it waits.
    """

    __slots__ = (
        "_folded",
        "count",
        "created",
        "exc_text",
        "exception",
        "extra",
        "funcName",
        "is_repeat",
        "last_created",
        "levelname",
        "levelno",
        "lineno",
        "message",
        "name",
        "pathname",
        "process",
        "processName",
        "sequence",
        "settings",
        "size",
        "stack_info",
        "taken_at",
        "taskName",
        "template",
        "threadName",
    )
    count: int
    created: float
    exc_text: str | None
    exception: FrozenException | None
    is_repeat: bool
    last_created: float
    levelname: str
    levelno: int
    sequence: int
    size: int
    stack_info: str | None
    taken_at: float | None
    template: str | None

    def __init__(self, record: logging.LogRecord, settings: Any, message: str | None = None) -> None:
        # Copying the attributes at once and sorting them later costs the caller a third of sorting them at once.
        folded = record.__dict__.copy()
        if message is None:
            try:
                message = record.getMessage()
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                message = _describe_unmerged(record, error)
        self.message = message if type(message) is str else to_text(message)
        self.extra = _freeze_extra(folded) if len(folded) != _STANDARD_ATTRIBUTE_COUNT else None
        self.settings = settings
        # What these hold may change, or keep much else alive.
        if self.extra:
            folded = {name: value for name, value in folded.items() if name in _STANDARD_ATTRIBUTES}
        folded["args"] = None
        if record.exc_info:
            folded["exc_info"] = _freeze_exc_info(record.exc_info)
        if type(record.msg) is not str:
            folded["msg"] = None
        self._folded = folded

    def __getattr__(self, name: str) -> Any:
        """Unfold the attributes when the first of them is asked for, which is on the listener's thread."""
        if name == "_folded":
            raise AttributeError(name)
        self._unfold(self._folded)
        return getattr(self, name)

    def _unfold(self, folded: Mapping[str, Any]) -> None:
        del self._folded
        get = folded.get
        self.name = get("name")
        # A record that was made from a dict without a level has None, which has no place in an order.
        levelno = get("levelno")
        self.levelno = int.__int__(levelno) if isinstance(levelno, int) else 0
        levelname = get("levelname")
        self.levelname = levelname if type(levelname) is str else to_text(levelname)
        self.template = folded["msg"]
        self.pathname = get("pathname")
        self.lineno = get("lineno")
        self.funcName = get("funcName")
        self.process = get("process")
        self.processName = get("processName")
        self.threadName = get("threadName")
        self.taskName = get("taskName")
        created = get("created")
        self.created = self.last_created = created if type(created) is float else _to_seconds(created)
        self.exception = get("exc_info") or None
        exc_text, stack_info = get("exc_text"), get("stack_info")
        self.exc_text = to_text(exc_text) if exc_text and self.exception is None else None
        self.stack_info = to_text(stack_info) if stack_info else None
        self.sequence = 0
        self.taken_at = None
        self.count = 1
        self.is_repeat = False
        self.size = 512 + len(self.message) + self._size_beside_message()

    def _size_beside_message(self) -> int:
        extra = sum(len(value) if type(value) is str else 64 for value in self.extra.values()) if self.extra else 0
        texts = len(self.exc_text or "") + len(self.stack_info or "")
        return extra + texts + (self.exception.size if self.exception else 0)

    def fingerprint(self) -> Hashable:
        """Return what is the same for records that say the same, from the same place and thread."""
        beside = None
        if self.extra or self.exception or self.exc_text or self.stack_info:
            exception = self.exception.fingerprint() if self.exception else self.exc_text
            beside = exception, self.stack_info, tuple((self.extra or {}).items())
        place = self.pathname, self.lineno, self.threadName
        return self.levelno, self.name, self.message, place, id(self.settings), beside


def _to_seconds(created: Any) -> float:
    """Return the time of a record that was made by hand as a number; what is none is no time."""
    try:
        return float(created)
    except (OverflowError, TypeError, ValueError):
        return float("nan")


def to_text(value: object, convert: Callable[[Any], str] = str) -> str:
    """Return `str(value)`, or words about why there is none. Never raises an `Exception`."""
    try:
        text = convert(value)
        # A subclass of str, such as markupsafe's Markup, would change what is later joined to it.
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _describe_unmerged(record: logging.LogRecord, error: Exception) -> str:
    template, args = to_text(record.msg), to_text(record.args, repr)
    return f"{template}\nargs: {args} (could not be merged: {type(error).__name__}: {to_text(error)})"


def _freeze_extra(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    return {
        to_text(name): value if type(value) in _SCALARS else to_text(value)
        for name, value in attributes.items()
        if name not in _STANDARD_ATTRIBUTES
    } or None


def _freeze_exc_info(exc_info: Any) -> FrozenException | None:
    exception = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info  # noqa: PLR2004
    if not isinstance(exception, BaseException):
        return None
    return _freeze_chain(exception, exc_info[2] if exception is not exc_info else exception.__traceback__)


def _freeze_chain(exception: BaseException, tb: TracebackType | None) -> FrozenException:
    """Freeze `exception` and all that is linked to it. Not recursive: a chain may be longer than the stack is deep."""
    seen: set[int] = set()
    first = FrozenException(exception, tb, seen)
    found = [(first, exception)]

    def freeze(linked: Any) -> FrozenException | None:
        if not isinstance(linked, BaseException) or id(linked) in seen or len(seen) >= _MAX_EXCEPTIONS:
            return None
        frozen = FrozenException(linked, linked.__traceback__, seen)
        found.append((frozen, linked))
        return frozen

    for frozen, original in found:
        frozen.cause = freeze(original.__cause__)
        if frozen.cause is None and not original.__suppress_context__:
            frozen.context = freeze(original.__context__)
        if _is_group(original):
            frozen.members = tuple(filter(None, map(freeze, getattr(original, "exceptions", ()))))
    return first


def _freeze_stack(tb: TracebackType | None) -> list[FrameLocation]:
    stack: list[FrameLocation] = []
    while tb is not None:
        frame = tb.tb_frame
        code = frame.f_code
        stack.append((code, tb.tb_lineno, tb.tb_lasti))
        # Modules in a zip file have their source from their loader, which only the frame's globals know.
        if code.co_filename not in linecache.cache:
            linecache.lazycache(code.co_filename, frame.f_globals)
        tb = tb.tb_next
    return stack


def _type_name(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"


def _exception_text(exception: BaseException, type_name: str, notes: tuple[str, ...]) -> str:
    if isinstance(exception, SyntaxError):
        with contextlib.suppress(Exception):
            text = "".join(traceback.format_exception_only(type(exception), exception))
            # From Python 3.11 on the notes are in it.
            return text.removesuffix("".join(f"{note}\n" for note in notes)).rstrip("\n")
    text = to_text(exception)
    return f"{type_name}: {text}" if text else type_name


def _notes(exception: BaseException) -> tuple[str, ...]:
    try:
        notes = getattr(exception, "__notes__", ())
    except Exception:  # noqa: BLE001 - a __getattr__ of the user's may raise anything
        return ()
    return tuple(to_text(note) for note in notes) if isinstance(notes, (list, tuple)) else ()


def _is_group(exception: BaseException) -> bool:
    # Python 3.10 has no groups of its own; the backport's class has the same name and attribute.
    return any(cls.__name__ == "BaseExceptionGroup" for cls in type(exception).__mro__)
