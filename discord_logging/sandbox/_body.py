"""The body of a request is parsed: JSON, multipart or urlencoded."""

from __future__ import annotations

import email
import json
import math
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

from ._answers import Refusal, invalid_form
from ._models import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from email.message import Message as MimePart

_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
_FILE_PART = re.compile(r"files\[(\d)\]")
_MAX_JSON_BYTES = 4 * 1024 * 1024
"""The largest JSON, in bytes: far more than a message can need, but little enough against hostile requests."""
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
            fields = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
            return _sized(_form(dict(fields)), data)
    except Refusal as refusal:
        return Body(refusal=refusal)
    message = f'Expected "Content-Type" header to be one of {set(_TYPES)}.'
    return Body(refusal=invalid_form({"_errors": [{"code": "CONTENT_TYPE_INVALID", "message": message}]}))


def secure_filename(name: str) -> str:
    """Return a file name as Discord sanitises it."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
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


def _check_size(data: bytes | str) -> None:
    if len(data) > _MAX_JSON_BYTES:
        raise Refusal(413, 40005, "Request entity too large")


def _json(data: bytes | str) -> Any:
    _check_size(data)
    try:
        return json.loads(data, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise _invalid_json() from None


def _invalid_json() -> Refusal:
    return Refusal(400, 50109, "The request body contains invalid JSON.")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_constant(digits)


def _form(fields: dict[str, str]) -> Any:
    return _json(fields["payload_json"]) if "payload_json" in fields else fields


def _multipart(content_type: str, data: bytes) -> Body:
    boundary = email.message_from_string(f"Content-Type: {content_type}\n").get_boundary()
    pieces = (b"\r\n" + data).split(b"\r\n--" + (boundary or "").encode())
    if not boundary or not pieces[-1].startswith(b"--"):
        raise Refusal(400, 0, "400: Bad Request")
    fields: dict[str, str] = {}
    files: list[File] = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        part = email.message_from_string(head.decode("utf-8", "replace").lstrip())
        name = str(part.get_param("name", header="content-disposition"))
        filename = _filename(part)
        if filename is None:
            _check_size(content)
            fields[name] = content.decode("utf-8", "replace")
        elif "%" not in name:
            # Discord accepts other names than files[n], which discord-webhook sends, but no percent-encoded brackets.
            numbered = _FILE_PART.fullmatch(name)
            files.append(_file(numbered[1] if numbered else name, filename, part, content))
    return _sized(_form(fields), data, files)


def _filename(part: MimePart) -> str | None:
    try:
        return part.get_filename()
    except (UnicodeError, LookupError):  # an unknown or broken encoding (RFC 2231)
        return "unknown"


def _file(number: str, title: str, part: MimePart, content: bytes) -> File:
    content_type = str(part.get("content-type", "application/octet-stream"))
    return File(secure_filename(title), content_type, content, title, None, number)
