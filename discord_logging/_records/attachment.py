"""This module has the file that a record brings along, and reads its content on the listener's thread."""

from __future__ import annotations

import base64
import codecs
import os
import re
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging._masking.masker import SecretMasker

MAX_BYTES = 7_500_000
"""The largest file that is posted, in bytes. A record with its files must fit into one message."""
MAX_TEXT_BYTES = 1_000_000
"""The most bytes of a text file that are posted: to search a text for secrets takes about a second per megabyte."""
_SAMPLE = 4_096
"""The bytes by which a text is told from other content when it is too large to be read whole."""
_MAX_NAME = 1_000
_CHUNK = 1_000_000
_BINARY = (b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"BZh", b"\xfd7zXZ")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):  # each platform has some of them
    _OPEN_FLAGS |= getattr(os, _flag, 0)


class Content(NamedTuple):
    """The part of a file that is posted.

    Attributes:
        content: The content, masked if it is a text.
        size: The size of the whole file in bytes.
        is_cut: Whether `content` is the beginning of a text that is too large.
    """

    content: bytes
    size: int
    is_cut: bool


class Attachment:
    """A file to post beside the card of a log record, as a value of `extra`.

    `log.error("Report failed", extra={"report": Attachment("report.csv")})` shows the card with the file. The first
    picture (PNG, JPEG, GIF or WebP) is shown in the card. No other value attaches a file: a path that is a text in
    `extra` is shown as a text.

    A path is read on the listener's thread when the message is made, so the file must exist until then, and its content
    is that of this later time. Bytes are kept as they are, and count in `queue_bytes`. A text is masked as the card is;
    other content is posted unchanged. The first 1,000,000 bytes of a text are posted, and other content of up to
    7,500,000 bytes; one message has up to 9 such files with 16,000,000 bytes. The card says what is cut or left out,
    also if a file is missing or cannot be read. Directories, pipes and devices are not read.

    Making an attachment reads no file and raises no error, so that it never costs the record.

    Args:
        content: The content as bytes, or the path of a file.
        name: The name of the file in the channel. `None` takes that of the path, or `"file"`. Characters other than
            ASCII letters, digits, `.`, `_` and `-` are replaced.
    """

    def __init__(
        self, content: bytes | bytearray | memoryview | str | os.PathLike[str], name: str | None = None
    ) -> None:
        self._content = b""
        self._path = self._problem = ""
        self._size = 0
        try:
            if isinstance(content, (bytes, bytearray, memoryview)):
                self._keep(memoryview(content).cast("B") if isinstance(content, memoryview) else content)
            elif not content:
                self._problem = "no content and no path was given"
            else:
                # The program may change its directory before the file is read.
                self._path = os.path.abspath(os.fsdecode(content))  # noqa: PTH100 - pathlib would not remove "..".
        except Exception as error:  # noqa: BLE001 - the record must not be lost
            self._problem = f"{type(content).__name__} that cannot be read: {type(error).__name__}"
        given = name if isinstance(name, str) and name else os.path.basename(self._path)  # noqa: PTH119 - it is text
        self._name = str.__str__(given)[:_MAX_NAME] or "file"

    def _keep(self, content: bytes | bytearray | memoryview) -> None:
        self._size = len(content)
        limit = _find_limit(bytes(content[:_SAMPLE]))
        if self._size <= limit or limit == MAX_TEXT_BYTES:
            self._content = bytes(content[:limit])
        else:
            self._problem = _describe_size(self._size)

    @property
    def name(self) -> str:
        """The name as it was given, or that of the path."""
        return self._name

    @property
    def held_bytes(self) -> int:
        """The bytes of content that the attachment keeps in memory."""
        return len(self._content)

    def __repr__(self) -> str:
        source = f"from {self._path!r}" if self._path else f"{self._size:,} bytes"
        return f"<{type(self).__name__} {self._name!r}, {source}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attachment) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def emptied(self, problem: str) -> Attachment:
        """Return the attachment without its content, with the reason for it."""
        return _make({**vars(self), "_content": b"", "_problem": problem})

    def masked(self, masker: SecretMasker) -> Attachment:
        """Return the attachment with the secrets of a text masked."""
        content = mask_content(self._content, masker)
        size = self._size + len(content) - self.held_bytes  # a text that is cut stays as much larger
        return _make({**vars(self), "_content": content, "_size": size})

    def read(self, masker: SecretMasker) -> Content:
        """Return what is posted of the file. Reads a regular file at the path, and blocks for it.

        Raises:
            OSError, ValueError: There is nothing to post. The text says why.
        """
        if self._problem:
            raise ValueError(self._problem)
        content, size = _read_file(self._path) if self._path else (self._content, self._size)
        if size <= len(content):
            return Content(mask_content(content, masker), size, is_cut=False)
        encoding = _find_encoding(content, is_whole=False)
        if encoding is None:
            raise ValueError(_describe_size(size))
        # Half a line might end within a secret, which would not be recognised any more.
        text = codecs.getincrementaldecoder(encoding)().decode(content)
        text = text.rpartition("\n")[0] or text
        return Content(masker.mask(text).encode(errors="replace"), size, is_cut=True)

    def to_data(self) -> list[Any]:
        """Return the attachment as plain data, for `from_data`."""
        return [self._name, self._path, base64.b64encode(self._content).decode(), self._size, self._problem]

    @staticmethod
    def from_data(data: list[Any]) -> Attachment:
        """Return the attachment that `to_data` turned into `data`.

        Raises:
            TypeError, ValueError: `data` does not come from `to_data`.
        """
        name, path, content, size, problem = data
        state = {"_content": base64.b64decode(content), "_path": path, "_problem": problem, "_size": size}
        return _make({**state, "_name": name})


def _make(state: dict[str, Any]) -> Attachment:
    attachment = Attachment.__new__(Attachment)
    vars(attachment).update(state)
    return attachment


def _describe_size(size: int) -> str:
    return f"it has {size:,} bytes, more than {MAX_BYTES:,}"


def _read_file(path: str) -> tuple[bytes, int]:
    """Return the content of a file up to the limit, and the size of the file."""
    # A device may act when it is opened, so it is looked at first. A path may become a pipe in between: without
    # O_NONBLOCK, a pipe would block until somebody writes to it.
    _check_kind(os.stat(path))  # noqa: PTH116 - a text needs no Path
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        _check_kind(status)
        content = os.read(descriptor, _CHUNK)
        limit = _find_limit(content[:_SAMPLE])
        parts, size = [content], len(content)
        # A file that grows is read up to the limit.
        while parts[-1] and size <= limit:
            parts.append(os.read(descriptor, min(_CHUNK, limit + 1 - size)))
            size += len(parts[-1])
    finally:
        os.close(descriptor)
    return b"".join(parts)[:limit], max(size, status.st_size) if size > limit else size


def _check_kind(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")


def _find_limit(beginning: bytes) -> int:
    """Return the most bytes that are kept of a content with this beginning: a text is cut earlier."""
    return MAX_BYTES if _find_encoding(beginning, is_whole=False) is None else MAX_TEXT_BYTES


def _find_encoding(content: bytes, *, is_whole: bool) -> str | None:
    """Return the encoding of a text, or of the beginning of one; `None` for other content."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if content.startswith(_BINARY) or (b"\x00" in content and not is_wide):
        return None
    encoding = "utf-16" if is_wide else "utf-8"
    try:
        codecs.getincrementaldecoder(encoding)().decode(content, final=is_whole)
    except UnicodeDecodeError:
        return None if _CONTROLS.search(content) else "latin-1"
    return encoding


def mask_content(content: bytes, masker: SecretMasker) -> bytes:
    """Return the content of a text without its secrets, and other content as it is."""
    encoding = _find_encoding(content, is_whole=True)
    if encoding is None:
        return content
    text = content.decode(encoding)
    masked = masker.mask(text)
    return content if masked == clean(text) else masked.encode(encoding, errors="replace")


def find_attachments(value: Any) -> Iterator[Attachment]:
    """Yield the attachments in a frozen value."""
    if isinstance(value, Attachment):
        yield value
    elif type(value) in (dict, list, tuple):
        for each in value.values() if type(value) is dict else value:
            yield from find_attachments(each)


def map_attachments(value: Any, convert: Callable[[Attachment], Any]) -> Any:
    """Return a copy of a frozen value with each attachment converted, in the order of `find_attachments`."""
    if isinstance(value, Attachment):
        return convert(value)
    if type(value) is dict:
        return {name: map_attachments(each, convert) for name, each in value.items()}
    return type(value)(map_attachments(each, convert) for each in value) if type(value) in (list, tuple) else value
