"""This module turns the result of `freeze` into bytes on the caller's thread, and back in a process that comes later.

The bytes are read once at most, after the process that wrote them was killed, by a process of the same user on the same
machine, so they are `marshal`'s: no other form is as fast. They hold exact built-ins alone, no code and no classes.
Settings are named by the number that they have in the process that wrote, and nothing is masked.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import Attachment
from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import read_frames_at
from discord_logging._records.oversize import cut_snapshot
from discord_logging._records.record import NO_DETAILS, Details, FrozenRecord, Snapshot
from discord_logging._records.values import UniqueText, UnquotedText, to_text
from discord_logging._records.variables import FrameVariables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType

    from discord_logging._records.frames import Frame
    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

_VERSION = 2
"""The version of `marshal`'s format that all versions of Python write and read alike."""
_SETTINGS = Snapshot._fields.index("settings")
_EXACT: frozenset[Any] = frozenset({str, int, float, bool, type(None)})
_MAX_KNOWN_PLACES, _MAX_KNOWN_FRAMES = 256, 64
"""How many tracebacks are remembered, and the largest number of frames that such a traceback has."""
_known_places: dict[tuple[int, ...], tuple[bytes, Sequence[CodeType]]] = {}
"""The dumped files and functions of tracebacks, by the ids of their code."""
_MAX_CONTENT = 32_768
"""The largest file that is kept, in bytes."""
_TOO_LARGE = "its content was lost with the process that logged it"


def dump(frozen: tuple[Any, ...], limit: int = 65_536) -> bytes:
    """Return the result of `freeze` as bytes. Never raises an `Exception`.

    Args:
        frozen: The result of `freeze`.
        limit: The size in bytes from which on the texts of the record are cut, so that the result has rarely more.
    """
    try:
        if len(frozen[0]) <= limit:
            data = _dump(frozen)
            if len(data) <= limit:
                return data
        # A character may take four bytes, and the template is kept as well.
        return _dump(cut_snapshot(frozen, FrozenRecord(frozen).size, limit // 5))
    except Exception:  # noqa: BLE001 - the user's code may raise anything, and the stack may be full
        return marshal.dumps(_flatten_texts(frozen), _VERSION)


def load(data: bytes, find_settings: Callable[[int], CardSettings]) -> FrozenRecord:
    """Return the record that `dump` turned into `data`, which must not be damaged: `marshal` would crash.

    Args:
        data: The bytes.
        find_settings: Returns the settings that have a number in the process that logged.

    Raises:
        Exception: Another version of the package has written the data, or `find_settings` raises.
    """
    return restore(marshal.loads(data), find_settings)  # noqa: S302 - written by this user, and checked


def _dump(frozen: tuple[Any, ...]) -> bytes:
    # The numbers are written out, since this happens for every record: 5 are the settings, and 15 the details.
    details = frozen[15]
    details = None if details is NO_DETAILS else (details[0], details[1] and _link(details[1]), *details[2:])
    flat = frozen[:5], frozen[5].number, frozen[6:15], details
    try:
        return marshal.dumps(flat, _VERSION)
    except ValueError:
        # Some value is of no exact built-in type.
        return marshal.dumps(_make_exact(frozen, flat), _VERSION)


def restore(flat: Sequence[Any], find_settings: Callable[[int], CardSettings]) -> FrozenRecord:
    """Return the record that `dump` made flat. Reads source files. See `load`."""
    head, number, tail, parts = flat
    settings = find_settings(number)
    details = Details(*_restore_details(*parts, settings)) if parts else NO_DETAILS
    return FrozenRecord(Snapshot._make((*head, settings, *tail, details)))


def _make_exact(frozen: tuple[Any, ...], flat: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the parts of a record that was made by hand, whose level is of an enumeration, or that has odd values."""
    record, details = FrozenRecord(frozen), flat[-1]
    exact = Snapshot._make(value if type(value) in _EXACT else to_text(value) for value in frozen)
    exact = exact._replace(levelno=record.levelno, created=record.created)
    return exact[:5], flat[1], exact[6:15], details and (_pack(details[0]), *details[1:])


def _flatten_texts(frozen: tuple[Any, ...]) -> tuple[Any, ...]:
    parts = [value if type(value) in _EXACT else None for value in frozen]
    _, exception, exc_text, stack_info, body = frozen[-1]
    texts = [exception.text if exception else exc_text, stack_info, body]
    details = (None, (), *(None if text is None else str.__str__(text) for text in texts)) if any(texts) else None
    return parts[:5], frozen[_SETTINGS].number, parts[6:15], details


def _restore_details(extra: Any, exceptions: Sequence[Any] | None, *texts_and_settings: Any) -> tuple[Any, ...]:
    *texts, settings = texts_and_settings
    return extra and _unpack(extra), _unlink(exceptions or (), settings), *texts


def _pack(value: Any) -> Any:
    """Return a frozen value with bytes, which it has none of, in place of attachments and other kinds of texts."""
    kind: Any = type(value)
    if kind in _EXACT:
        return value
    if kind is dict:
        if _EXACT.issuperset(map(type, value)) and _EXACT.issuperset(map(type, value.values())):
            return value
        return {_pack(name): _pack(each) for name, each in value.items()}
    if kind in (list, tuple):
        return value if _EXACT.issuperset(map(type, value)) else kind(map(_pack, value))
    if isinstance(value, Attachment):
        kept = value if value.held_bytes <= _MAX_CONTENT else value.emptied(_TOO_LARGE)
        return b"a" + marshal.dumps(kept.to_data(), _VERSION)
    text = to_text(value).encode(errors="surrogatepass")
    return (
        b"q" + text
        if kind is UnquotedText
        else b"u" + text
        if kind is UniqueText
        else text.decode(errors="surrogatepass")
    )


def _unpack(value: Any) -> Any:
    if type(value) is bytes:
        return _READERS[value[:1]](value[1:])
    if type(value) is dict:
        return {_unpack(name): _unpack(each) for name, each in value.items()}
    return type(value)(map(_unpack, value)) if type(value) in (list, tuple) else value


_READERS: dict[bytes, Callable[[bytes], Frozen]] = {
    b"a": lambda data: Attachment.from_data(marshal.loads(data)),  # noqa: S302 - as above
    b"q": lambda text: UnquotedText(text.decode(errors="surrogatepass")),
    b"u": lambda text: UniqueText(text.decode(errors="surrogatepass")),
}


def _link(exception: FrozenException) -> list[tuple[Any, ...]]:
    """Return an exception and all linked exceptions, each with the indices of its cause, context and members."""
    if exception.cause is None and exception.context is None and not exception.members:
        return [(*_flatten_exception(exception), None, None, ())]
    found = exception.linked()
    index = {id(each): number for number, each in enumerate(found)}
    return [
        (
            *_flatten_exception(each),
            each.cause and index[id(each.cause)],
            each.context and index[id(each.context)],
            tuple(index[id(member)] for member in each.members),
        )
        for each in found
    ]


def _flatten_exception(exception: FrozenException) -> tuple[Any, ...]:
    variables = exception.variables
    taken = variables and {index: _pack(values) for index, values in variables.values.items()}
    return exception.type_name, exception.text, exception.notes, _dump_places(exception), exception.lines, taken


def _dump_places(exception: FrozenException) -> bytes:
    """Return the files and functions of the frames. Most tracebacks of a program were there before."""
    codes = exception.codes
    # Code objects compare by content, which is slow, and without their file.
    key = tuple(map(id, codes))
    known = _known_places.get(key)
    if known is None:
        places = exception.places()
        number = {place: index for index, place in enumerate(dict.fromkeys(places))}
        data = marshal.dumps((list(number), [number[place] for place in places]), _VERSION)
        if not codes or len(codes) > _MAX_KNOWN_FRAMES:
            return data
        if len(_known_places) >= _MAX_KNOWN_PLACES:
            _known_places.clear()
        # The code is kept, so that no other one gets its id.
        known = _known_places[key] = data, codes
    return known[0]


def _unlink(data: Sequence[Any], settings: CardSettings) -> FrozenException | None:
    found = [_restore_exception(settings, *parts) for *parts, _, _, _ in data]
    for exception, (*_, first, second, members) in zip(found, data, strict=True):
        cause, context = (None if index is None else found[index] for index in (first, second))
        exception.link(cause, context, tuple(found[index] for index in members))
    return found[0] if found else None


def _restore_exception(
    settings: CardSettings, type_name: str, text: str, notes: tuple[str, ...], *traceback: Any
) -> FrozenException:
    known, lines, taken = traceback
    places, order = marshal.loads(known)  # noqa: S302 - as above
    located = [(places[index][0], line, places[index][1]) for index, line in zip(order, lines, strict=True)]
    frames: list[Frame] = read_frames_at(located, settings.own_packages)
    if taken:
        values = {index: _unpack(variables) for index, variables in taken.items()}
        for index, shown in FrameVariables(values, settings.masker).shown.items():
            if frames[index].library is None:
                frames[index] = frames[index]._replace(variables=shown)
    return FrozenException(type_name, text, notes, frames=frames)
