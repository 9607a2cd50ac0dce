"""This module turns the attachments of a record into files of a message, within Discord's limits.

The names and sizes are those of https://docs.discord.com/developers/reference#uploading-files.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._discord import lengths
from discord_logging._discord.types import File
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.markdown import ELLIPSIS
from discord_logging._text.numbers import counted
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from discord_logging._masking.masker import SecretMasker
    from discord_logging._records.attachment import Attachment, Content
    from discord_logging._records.record import FrozenRecord

_MAX_NAME = 100
_MAX_SHOWN_NAME = 50
_MAX_REASON = 80
_UNSAFE = lazy_pattern(r"[^A-Za-z0-9._-]+")
_SPOILER = lazy_pattern(r"[._-]*SPOILER_", re.IGNORECASE)
"""The beginning of a name that hides a file until the reader clicks on it."""
_OWN_NAME = lazy_pattern(r"records[-\dTZ]*\.txt", re.IGNORECASE)
"""The name of the file that we attach to a message ourselves, with or without its time in UTC."""
_PICTURES = {
    "png": lazy_pattern(rb"\x89PNG\r\n\x1a\n"),
    "jpg": lazy_pattern(rb"\xff\xd8\xff"),
    "gif": lazy_pattern(rb"GIF8[79]a"),
    "webp": lazy_pattern(rb"RIFF.{4}WEBP", re.DOTALL),
}
"""The beginnings of the pictures that an embed can show, by the endings of their names."""
_PICTURE_ENDINGS = frozenset({*_PICTURES, "jpeg"})
LEFT_OUT = "is left out"


class Attached(NamedTuple):
    """The attachments of a record as files of a message.

    Attributes:
        record: The record with texts in place of its attachments, which say what became of them.
        files: The files.
        left_out: The texts about the attachments that are left out.
        lacks_room: Whether one is left out because the message has no room for it.
    """

    record: FrozenRecord
    files: Sequence[File] = ()
    left_out: Sequence[str] = ()
    lacks_room: bool = False

    @property
    def picture(self) -> str | None:
        """The name of the first picture, or `None`."""
        return next((file.filename for file in self.files if _find_picture(file.content)), None)


class Reader:
    """Reads attachments for the drafts of one message, each of them once.

    Args:
        refused: The records whose files Discord has refused, so that they are left out.
    """

    def __init__(self, refused: Collection[FrozenRecord] = ()) -> None:
        self._refused = refused
        self._read: dict[int, Content | str] = {}

    def attach(self, record: FrozenRecord, present: Sequence[File] = ()) -> Attached:
        """Return the attachments of `record` as files, and read them, which blocks. Never raises an `Exception`.

        Args:
            record: The record.
            present: The attachments that the message has already.
        """
        if not record.attachments:
            return Attached(record)
        files: list[File] = []
        left_out: list[str] = []
        lacks_room = False

        def describe(attachment: Attachment) -> str:
            nonlocal lacks_room
            masker = record.settings.masker
            name = safe_name(attachment.name, masker)
            found = "Discord has refused it" if record in self._refused else self._read_once(attachment, masker)
            if not isinstance(found, str):
                file = _make_file(name, found, {each.filename.lower() for each in (*present, *files)})
                if _has_room((*present, *files, file)):
                    files.append(file)
                    return _describe(file.filename, found)
                lacks_room = True
                found = "the message has no room for it"
            left_out.append(f"{name[-_MAX_SHOWN_NAME:]} {LEFT_OUT}: {found}")
            return left_out[-1]

        return Attached(record.describing(describe), files, left_out, lacks_room)

    def _read_once(self, attachment: Attachment, masker: SecretMasker) -> Content | str:
        """Return the content of an attachment, or the reason why there is none."""
        key = id(attachment)
        if key not in self._read:
            try:
                self._read[key] = attachment.read(masker)
            except Exception as error:  # noqa: BLE001 - no file may cost the record
                words = getattr(error, "strerror", None) or str(error) or type(error).__name__
                reason = clean(on_one_line(masker.mask(words))).strip()[:_MAX_REASON]
                self._read[key] = reason[:1].lower() + reason[1:]
        return self._read[key]


def _has_room(files: Sequence[File]) -> bool:
    size = sum(len(file.content) for file in files)
    return len(files) <= lengths.ATTACHMENTS and size <= lengths.ATTACHMENTS_BYTES


def _make_file(name: str, found: Content, taken: Collection[str]) -> File:
    kind = _find_picture(found.content)
    if kind and name.rpartition(".")[2].lower() not in _PICTURE_ENDINGS:
        name = f"{name}.{kind}"
    stem, dot, ending = name.rpartition(".")
    numbered = (f"{stem or ending}-{number}{dot}{ending if stem else ''}" for number in itertools.count(2))
    name = next(each for each in itertools.chain([name], numbered) if each.lower() not in taken)
    end = f"\n{ELLIPSIS} cut: the file has {found.size:,} bytes\n" if found.is_cut else ""
    return File(name, found.content + end.encode())


def _describe(name: str, found: Content) -> str:
    size = counted(found.size, "byte")
    return f"{name} (the beginning of {size})" if found.is_cut else f"{name} ({size})"


def _find_picture(content: bytes) -> str | None:
    """Return the ending of the names of such pictures, or `None` if the content is no picture for an embed."""
    return next((kind for kind, beginning in _PICTURES.items() if beginning.match(content)), None)


def safe_name(name: str, masker: SecretMasker) -> str:
    """Return a file name without its folder and secrets, and without the characters that Discord would change."""
    stem, dot, ending = re.split(r"[/\\]", name)[-1].rpartition(".")
    # A name such as `.env` has no ending.
    safe = _UNSAFE.sub("_", masker.mask(stem) + dot + ending if stem else masker.mask(ending))
    while match := _SPOILER.match(safe):
        safe = safe[match.end() :]
    safe = safe[-_MAX_NAME:].lstrip("._-") or "file"
    return f"file-{safe}" if _OWN_NAME.fullmatch(safe) else safe
