"""From the bytes of a request to the form in it: JSON, multipart or urlencoded."""

from __future__ import annotations

import email
import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

from ._answers import Refusal, invalid_form
from ._models import File

if TYPE_CHECKING:
    from email.message import Message as MimePart

_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
_FILE_PART = re.compile(r"files\[(\d)\]")


@dataclass(frozen=True)
class Body:
    """What came with a request: a payload and files, or the refusal of what cannot be read."""

    payload: Any = None
    files: list[File] = field(default_factory=list)
    refusal: Refusal | None = None


def parse_body(content_type: str, data: bytes) -> Body:
    """Read the body of a request."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return Body(_json(data))
        if kind == "multipart/form-data":
            return _multipart(content_type, data)
        if kind == "application/x-www-form-urlencoded":
            return Body(_form(dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))))
    except Refusal as refusal:
        return Body(refusal=refusal)
    message = f'Expected "Content-Type" header to be one of {set(_TYPES)}.'
    return Body(refusal=invalid_form({"_errors": [{"code": "CONTENT_TYPE_INVALID", "message": message}]}))


def secure_filename(name: str) -> str:
    """Return a file name as Discord sanitises it."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = ascii_name.replace("/", " ").replace("\\", " ").split()
    return re.sub(r"[^A-Za-z0-9_.-]", "", "_".join(words)).strip("._") or "unknown"


def _json(data: bytes | str) -> Any:
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


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
        numbered = _FILE_PART.fullmatch(name)
        if numbered and part.get_filename() is not None:
            files.append(_file(numbered[1], part, content))
        elif part.get_filename() is None:
            fields[name] = content.decode("utf-8", "replace")
    return Body(_form(fields), files)


def _file(number: str, part: MimePart, content: bytes) -> File:
    title = str(part.get_filename())
    content_type = part.get("content-type", "application/octet-stream")
    return File(secure_filename(title), content_type, content, title, None, number)
