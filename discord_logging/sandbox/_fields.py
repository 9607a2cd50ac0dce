"""Discord's types of fields: each reads a value of a payload and collects the errors in it.

The errors form Discord's tree: keys and indexes down to leaves of ``{"_errors": [{"code": …, "message": …}]}``
(https://discord.com/developers/docs/reference#error-messages).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Path = tuple[str | int, ...]

# Discord does not document which characters it strips. It was seen to strip the C0 controls except tab, newline, CR and
# ESC, and the bidirectional controls.
_STRIPPED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\u202a-\u202e\u2066-\u2069]")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?")
_MEDIA_SCHEMES = ("http", "https", "attachment")
_OWN_FILE = re.compile(r"http://[^/?#\s]+/attachments/\d+/\d+/[\w.-]+", re.ASCII)
"""The address of a file in an answer, which clients send back with an embed; its host may be ``localhost``."""
TRUE, _FALSE = (True, "true", "True", "1"), (False, "false", "False", "0")


class Fields:
    """Reads values at their paths and collects the errors; a value with an error is read as absent."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}

    def error(self, path: Path, code: str, message: str) -> None:
        """Add an error at `path`."""
        branch = self.errors
        for step in path:
            branch = branch.setdefault(str(step), {})
        branch.setdefault("_errors", []).append({"code": code, "message": message})

    def present(self, value: Any, path: Path) -> bool:
        """Refuse a missing value; return whether it is there."""
        if value is None:
            self.error(path, "BASE_TYPE_REQUIRED", "This field is required")
        return value is not None

    def text(
        self, value: Any, path: Path, max_length: int, min_length: int = 0, *, required: bool = False
    ) -> str | None:
        """Read a string, strip it as Discord does, and check its length in code points."""
        if value is None:
            if required:
                self.present(value, path)
            return None
        if not isinstance(value, str | int | float):
            self.error(path, "STRING_TYPE_CONVERT", f'Could not interpret "{shorten(value)}" as string.')
            return None
        text = _STRIPPED.sub("", str(value)).strip()
        self._check_length(len(text), path, max_length, min_length)
        return text

    def integer(self, value: Any, path: Path, maximum: int, minimum: int = 0) -> int | None:
        """Read a whole number from `minimum` to `maximum`; 24.0 is one, too."""
        if value is None:
            return None
        whole = isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())
        try:
            number = int(value) if whole and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None:
            self.error(path, "NUMBER_TYPE_COERCE", f'Value "{shorten(value)}" is not int.')
        elif number > maximum:
            self.error(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {maximum}.")
        elif number < minimum:
            self.error(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {minimum}.")
        else:
            return number
        return None

    def boolean(self, value: Any, path: Path) -> bool:
        """Read a boolean, in a query or a form as well; absent is false."""
        if value is not None and value not in TRUE + _FALSE:
            self.error(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
        return value in TRUE

    def snowflake(self, value: Any, path: Path) -> str | None:
        """Read an id."""
        if value is None:
            return None
        if isinstance(value, bool) or not re.fullmatch(r"0|[1-9][0-9]{0,19}", str(value)):
            self.error(path, "NUMBER_TYPE_COERCE", f'Value "{shorten(value)}" is not snowflake.')
            return None
        return str(value)

    def snowflakes(self, value: Any, path: Path, max_count: int) -> list[str]:
        """Read a list of ids."""
        items = self.items(value, path, max_count)
        return [self.snowflake(item, (*path, index)) or "" for index, item in enumerate(items)]

    def unique(self, items: list[str], path: Path) -> None:
        """Refuse items that stand in the list already."""
        for index, item in enumerate(items):
            if item in items[:index]:
                self.error((*path, index), "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value")

    def items(self, value: Any, path: Path, max_count: int, min_count: int = 0) -> list[Any]:
        """Read a list of `min_count` to `max_count` items; the items after them are not read."""
        if value is None:
            if min_count:
                self.present(value, path)
            return []
        if not isinstance(value, list):
            self.error(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        self._check_length(len(value), path, max_count, min_count)
        return value[:max_count]

    def model(self, value: Any, path: Path) -> dict[str, Any]:
        """Read an object."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.error(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            return {}
        return value

    def url(
        self,
        value: Any,
        path: Path,
        schemes: Sequence[str] = ("http", "https"),
        *,
        max_length: int = 2048,
        required: bool = False,
    ) -> str | None:
        """Read a URL; Discord refuses a host without a dot."""
        url = self.text(value, path, max_length, required=required)
        if url is None or len(url) > max_length:
            return url
        try:
            parts = urlsplit(url)
            well_formed = bool(parts.scheme) and not re.search(r"\s", url)
            known_host = parts.scheme == "attachment" or "." in (parts.hostname or "")
        except ValueError:
            well_formed = False
        if well_formed and parts.scheme not in schemes:
            message = f'Scheme "{shorten(parts.scheme)}" must be one of {tuple(schemes)}.'
            self.error(path, "URL_TYPE_INVALID_SCHEME", message)
        elif not well_formed or not known_host:
            self.error(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        return url

    def media(
        self,
        value: Any,
        path: Path,
        names: Collection[str],
        schemes: Sequence[str] = _MEDIA_SCHEMES,
        *,
        required: bool = True,
    ) -> str | None:
        """Read the URL of a picture or a file; ``attachment://`` must name one of `names`."""
        if isinstance(value, str) and _OWN_FILE.fullmatch(value) and "http" in schemes:
            return value
        url = self.url(value, path, schemes, required=required)
        if url and url.startswith("attachment://") and url.removeprefix("attachment://") not in names:
            code = "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"
            self.error(path, code, "Referenced attachment was not found in the attachments of the message.")
        return url

    def timestamp(self, value: Any, path: Path) -> str | None:
        """Read an ISO 8601 time; without an offset it is UTC."""
        if value is None:
            return None
        match = _TIMESTAMP.fullmatch(str(value))
        try:
            datetime.fromisoformat(match[1] if match else "")
        except ValueError:
            self.error(path, "DATE_TIME_TYPE_PARSE", f"Could not parse {shorten(value)}. Should be ISO8601.")
            return None
        time = str(value).replace(" ", "T")
        return time if match and match[3] else f"{time}+00:00"

    def _check_length(self, length: int, path: Path, maximum: int, minimum: int) -> None:
        if minimum and not minimum <= length <= maximum:
            self.error(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {minimum} and {maximum} in length.")
        elif length > maximum:
            self.error(path, "BASE_TYPE_MAX_LENGTH", f"Must be {maximum} or fewer in length.")


def shorten(value: Any, limit: int = 200) -> str:
    """Return `value` as text, cut after `limit` characters, so that errors stay short."""
    text = str(value)
    return text if len(text) <= limit else text[:limit] + "..."
