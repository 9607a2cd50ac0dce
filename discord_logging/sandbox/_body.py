"""The body of a request is parsed: JSON, multipart or urlencoded."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, unquote

from multipart import MultipartError, ParserLimitReached, PushMultipartParser  # type: ignore[import-untyped]

from ._answers import Refusal, invalid_form
from ._models import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from multipart import MultipartSegment

_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
_FILE_PART = re.compile(r"files\[(\d{1,20})\]", re.ASCII)
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200})(?![^\s;]))', re.IGNORECASE)
_EXTENDED_NAME = re.compile(r";\s*filename\*=([^\s;']*)'[^\s;']*'([^\s;]*)", re.IGNORECASE)
"""A file name with its encoding (https://www.rfc-editor.org/rfc/rfc8187), which some clients send."""
_MAX_TEXT_BYTES = 1024 * 1024
"""The largest JSON or form, in bytes: far more than a message can need, but little enough against hostile requests."""
_MAX_VALUES = 50_000
"""The largest number of values in a JSON, likewise."""
_MAX_DIGITS = 1000
_MAX_FIELDS = 32
"""The largest number of fields of a form, and of parts of a multipart body, likewise."""
_MAX_HEADERS = 4
_MAX_HEADER_BYTES = 4352
_MAX_NAME = 1024
_MAX_LEVELS = 100
_VALUE_BYTES = 100


@dataclass(frozen=True)
class Body:
    """The body of a request: a payload and files, or the refusal of an unreadable body.

    `size` is the approximate memory that it takes, in bytes.
    """

    payload: Any = None
    files: list[File] = field(default_factory=list)
    refusal: Refusal | None = None
    size: int = 0

    @property
    def size_without_files(self) -> int:
        """The approximate memory of the payload alone, in bytes."""
        return self.size - sum(len(file.data) for file in self.files)


def parse_body(content_type: str, data: bytes) -> Body:
    """Read the body of a request."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return _sized(_json(data), data)
        if kind == "multipart/form-data":
            return _multipart(content_type, data)
        if kind == "application/x-www-form-urlencoded":
            _check_size(data)
            return _sized(_form(_urlencoded(data)), data)
    except Refusal as refusal:
        return Body(refusal=refusal)
    message = f'Expected "Content-Type" header to be one of {set(_TYPES)}.'
    return Body(refusal=invalid_form({"_errors": [{"code": "CONTENT_TYPE_INVALID", "message": message}]}))


def secure_filename(name: str) -> str:
    """Return a file name as Discord sanitises it."""
    # The time of the normalisation grows with the square of the length.
    ascii_name = unicodedata.normalize("NFKD", name[:_MAX_NAME]).encode("ascii", "ignore").decode()
    words = ascii_name.replace("/", " ").replace("\\", " ").split()
    return re.sub(r"[^A-Za-z0-9_.-]", "", "_".join(words)).strip("._") or "unknown"


def _sized(payload: Any, data: bytes, files: Sequence[File] = ()) -> Body:
    """Return a body with its size, and refuse a payload that is nested deeper than a message can be."""
    values, level = 0, [payload]
    for _ in range(_MAX_LEVELS):
        values += len(level)
        level = [child for value in level if isinstance(value, dict | list) for child in _children(value)]
        if not level:
            return Body(payload, list(files), size=len(data) + values * _VALUE_BYTES)
    raise _invalid_json()


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _check_size(data: bytes) -> None:
    if len(data) > _MAX_TEXT_BYTES:
        raise _too_large()


def _too_large() -> Refusal:
    return Refusal(413, 40005, "Request entity too large")


def _json(data: bytes) -> Any:
    _check_size(data)
    if sum(map(data.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise _invalid_json()
    try:
        return json.loads(data, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer)
    except (ValueError, RecursionError):
        raise _invalid_json() from None


def _invalid_json() -> Refusal:
    return Refusal(400, 50109, "The request body contains invalid JSON.")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_constant(digits)


def _urlencoded(data: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise _too_large() from None


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else _no_constant(digits)


def _form(fields: dict[str, str]) -> Any:
    return _json(fields["payload_json"].encode()) if "payload_json" in fields else fields


def _multipart(content_type: str, data: bytes) -> Body:
    fields: dict[str, str] = {}
    files: list[File] = []
    text_bytes = 0
    for part, content in _parts(content_type, data):
        name, filename = _utf8(part.name), _filename(part)
        if filename is None:
            text_bytes += len(content)
            if text_bytes > _MAX_TEXT_BYTES:
                raise _too_large()
            fields[name] = content.decode("utf-8", "replace")
        elif "%" not in name:
            # Discord accepts other names than files[n], which discord-webhook sends, but no percent-encoded brackets.
            numbered = _FILE_PART.fullmatch(name)
            content_type = _utf8(part.header("Content-Type", "application/octet-stream"))
            number = numbered[1] if numbered else name
            files.append(File(secure_filename(filename), content_type, content, filename, None, number))
    return _sized(_form(fields), data, files)


def _parts(content_type: str, data: bytes) -> Iterator[tuple[MultipartSegment, bytes]]:
    """Yield each part of a multipart body with its content."""
    boundary = _BOUNDARY.search(content_type)
    try:
        parser = PushMultipartParser(
            ((boundary[1] or boundary[2]) if boundary else "").encode("utf-8", "replace"),
            max_header_size=_MAX_HEADER_BYTES,
            max_header_count=_MAX_HEADERS,
            max_segment_count=_MAX_FIELDS,
            header_charset="latin-1",  # it accepts all bytes; `_utf8` decodes them
            strict=True,
        )
        part, content = None, b""
        with parser:
            for event in parser.parse(data):
                if event is None:
                    yield part, content
                elif isinstance(event, bytes):
                    content = event
                else:
                    part, content = event, b""
    except ParserLimitReached:
        raise _too_large() from None
    except MultipartError:
        raise Refusal(400, 0, "400: Bad Request") from None


def _utf8(header: str) -> str:
    return header.encode("latin-1").decode("utf-8", "replace")


def _filename(part: MultipartSegment) -> str | None:
    extended = _EXTENDED_NAME.search(part.header("Content-Disposition"))
    if extended is None:
        return None if part.filename is None else _utf8(part.filename)
    try:
        return unquote(extended[2], extended[1] or "utf-8", "strict")
    except (ValueError, LookupError):  # an unknown or broken encoding
        return "unknown"
