"""This module cuts a record that is too large to be kept. Each cut says how much it leaves out.

The caller's thread may run it, so no text is copied beyond the part that is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import find_attachments, map_attachments
from discord_logging._records.record import Details, Snapshot
from discord_logging._records.values import cut_text
from discord_logging._text.markdown import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discord_logging._records.exceptions import FrozenException

LEAST_LIMIT = 4_096
"""The lowest limit to which every record can be cut, in bytes."""
_NOTE = 64
"""The room for the note in each text that is cut, in characters."""
_MAX_TEMPLATE = 1_000
"""The length of the template of a record that is cut, in characters."""


def attached_bytes(frozen: tuple[Any, ...]) -> int:
    """Return the size of the attachments that a record holds, in bytes."""
    return sum(each.held_bytes for each in find_attachments(Snapshot._make(frozen).details[0]))


def cut_snapshot(frozen: tuple[Any, ...], size: int, limit: int) -> Snapshot:
    """Return the parts of a record whose size is `limit` at most.

    Args:
        frozen: The parts, as `freeze` returned them.
        size: The size of the record, in bytes.
        limit: The bound, at least `LEAST_LIMIT`.
    """
    snapshot = Snapshot._make(frozen)
    details = Details._make(snapshot.details)
    details, freed = _without_contents(details, size - limit)
    size -= freed
    if size <= limit:
        return snapshot._replace(details=details)
    lengths = list(map(len, _texts(snapshot.message, details)))
    fixed = size - sum(lengths) + _NOTE * len(lengths)
    if fixed > limit // 2:
        # The number of parts makes the record large, not the length of its texts.
        details = _without_parts(details)
        lengths = list(map(len, _texts(snapshot.message, details)))
        fixed = LEAST_LIMIT // 2
    longest = _longest(lengths, limit - fixed)
    extra = {
        name: cut_text(value, longest) if type(value) is str else value for name, value in (details.extra or {}).items()
    }
    return snapshot._replace(
        message=_cut_message(snapshot.message, longest),
        template=snapshot.template and snapshot.template[:_MAX_TEMPLATE],
        details=Details(
            extra or None,
            details.exception and details.exception.cut(longest),
            _cut_traceback(details.exc_text, longest),
            _cut_traceback(details.stack_info, longest),
            details.body and _cut_message(details.body, longest),
        ),
    )


def _without_contents(details: Details, excess: int) -> tuple[Details, int]:
    """Return the details with as many attachments emptied, the largest first, as make up for `excess` bytes."""
    emptied: set[int] = set()
    freed = 0
    for each in sorted(find_attachments(details.extra), key=lambda each: each.held_bytes, reverse=True):
        if freed < excess:
            emptied.add(id(each))
            freed += each.held_bytes
    if not freed:
        return details, 0
    extra = map_attachments(
        details.extra, lambda each: each.emptied("the queue has no room for it") if id(each) in emptied else each
    )
    return details._replace(extra=extra), freed


def _texts(message: str, details: Details) -> Iterable[str]:
    """Yield the texts that may be cut."""
    extra, exception, *others = details
    yield message
    yield from (text for text in others if text)
    yield from (value for value in (extra or {}).values() if type(value) is str)
    for each in exception.linked() if exception else ():
        yield each.text
        yield from each.notes


def _longest(lengths: Iterable[int], room: int) -> int:
    """Return the length to which longer texts must be cut so that all texts together fit into `room`."""
    ordered = sorted(lengths)
    for index, length in enumerate(ordered):
        share = room // (len(ordered) - index)
        if length > share:
            return share
        room -= length
    return max(ordered)


def _without_parts(details: Details) -> Details:
    """Return the details without values and tracebacks, which are counted instead."""
    extra, exception, exc_text, *others = details
    if extra:
        extra = {ELLIPSIS: f"{len(extra):,} values are left out"}
    return Details(extra, None, _describe(exception) if exception else exc_text, *others)


def _describe(exception: FrozenException) -> str:
    frames = sum(len(each.way()) // 2 for each in exception.linked())
    return f"({frames:,} frames and {len(exception.linked()) - 1:,} exceptions are left out)\n{exception.text}"


def _cut_message(text: str, limit: int) -> str:
    # The note comes first, where the card shows it.
    left_out = len(text) - limit
    if left_out <= 0:
        return text
    return f"({left_out:,} of {len(text):,} characters are left out) {text[:limit]}{ELLIPSIS}"


def _cut_traceback(text: str | None, limit: int) -> str | None:
    """Return the last lines of a traceback, which name the error."""
    if not text or len(text) <= limit:
        return text
    # Half a line might begin within a secret, which would not be recognised any more.
    end = text[-limit:].partition("\n")[2]
    return f"({len(text) - len(end):,} characters are left out)\n{end}" if end else cut_text(text, limit)
