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

    from discord_logging._records.frames import Frame
    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

_VERSION = 2
"""The version of `marshal`'s format that all versions of Python write and read alike."""
_SETTINGS = Snapshot._fields.index("settings")
_EXACT: frozenset[Any] = frozenset({str, int, float, bool, type(None)})
_MAX_REPEATED = 64
"""The number of frames of an exception up to which the names in them are written again for each frame."""
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
            data = marshal.dumps(flatten(frozen), _VERSION)
            if len(data) <= limit:
                return data
        # A character may take four bytes, and the template is kept as well.
        frozen = cut_snapshot(frozen, FrozenRecord(frozen).size, limit // 5)
        return marshal.dumps(flatten(frozen), _VERSION)
    except Exception:  # noqa: BLE001 - a class of the user's may have a name of its own kind
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


def flatten(frozen: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the result of `freeze` as a tuple of exact built-ins. Never raises an `Exception`.

    A value of another type becomes text. Of a record that cannot be read at all, its texts are kept.
    """
    try:
        # The numbers are written out, since this happens for every record: 5 are the settings, and 15 the details.
        details = frozen[15]
        flat = (
            *frozen[:5],
            frozen[5].number,
            *frozen[6:15],
            None if details is NO_DETAILS else _flatten_details(*details),
        )
        return flat if _EXACT.issuperset(map(type, flat[:15])) else _make_exact(frozen, flat)
    except Exception:  # noqa: BLE001 - the user's code may raise anything, and the stack may be full
        return _flatten_texts(frozen)


def restore(flat: tuple[Any, ...], find_settings: Callable[[int], CardSettings]) -> FrozenRecord:
    """Return the record that `flatten` turned into `flat`. Reads source files. See `load`."""
    snapshot = Snapshot._make(flat)
    settings = find_settings(flat[_SETTINGS])
    details = Details(*_restore_details(*flat[-1], settings)) if flat[-1] else NO_DETAILS
    return FrozenRecord(snapshot._replace(settings=settings, details=details))


def _make_exact(frozen: tuple[Any, ...], flat: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the parts of a record that was made by hand, or whose level is of an enumeration."""
    record = FrozenRecord(frozen)
    exact = Snapshot._make(value if type(value) in _EXACT else to_text(value) for value in flat)
    return tuple(exact._replace(levelno=record.levelno, created=record.created, details=flat[-1]))


def _flatten_texts(frozen: tuple[Any, ...]) -> tuple[Any, ...]:
    parts = [value if type(value) in _EXACT else None for value in frozen]
    _, exception, exc_text, stack_info, body = frozen[-1]
    texts = [exception.text if exception else exc_text, stack_info, body]
    parts[_SETTINGS] = frozen[_SETTINGS].number
    parts[-1] = (None, (), *(None if text is None else str.__str__(text) for text in texts)) if any(texts) else None
    return tuple(parts)


def _flatten_details(extra: Any, exception: FrozenException | None, *texts: str | None) -> tuple[Any, ...]:
    return extra and _pack(extra), _link(exception) if exception else (), *texts


def _restore_details(extra: Any, exceptions: Sequence[Any], *texts_and_settings: Any) -> tuple[Any, ...]:
    *texts, settings = texts_and_settings
    return extra and _unpack(extra), _unlink(exceptions, settings), *texts


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
    files, lines, names = exception.places()
    order = None
    if len(files) > _MAX_REPEATED:
        # A recursion has a thousand frames, and few functions.
        places = list(zip(files, names, strict=True))
        known = {place: number for number, place in enumerate(dict.fromkeys(places))}
        order = [known[place] for place in places]
        files, names = [file for file, _ in known], [name for _, name in known]
    variables = exception.variables
    taken = variables and {index: _pack(values) for index, values in variables.values.items()}
    return exception.type_name, exception.text, exception.notes, files, names, order, lines, taken


def _unlink(data: Sequence[Any], settings: CardSettings) -> FrozenException | None:
    found = [_restore_exception(settings, *parts) for *parts, _, _, _ in data]
    for exception, (*_, first, second, members) in zip(found, data, strict=True):
        cause, context = (None if index is None else found[index] for index in (first, second))
        exception.link(cause, context, tuple(found[index] for index in members))
    return found[0] if found else None


def _restore_exception(
    settings: CardSettings, type_name: str, text: str, notes: tuple[str, ...], *traceback: Any
) -> FrozenException:
    files, names, order, lines, taken = traceback
    if order is not None:
        files, names = [files[index] for index in order], [names[index] for index in order]
    frames: list[Frame] = read_frames_at(zip(files, lines, names, strict=True), settings.own_packages)
    if taken:
        values = {index: _unpack(variables) for index, variables in taken.items()}
        for index, shown in FrameVariables(values, settings.masker).shown.items():
            if frames[index].library is None:
                frames[index] = frames[index]._replace(variables=shown)
    return FrozenException(type_name, text, notes, frames=frames)
