"""This module reads the setting `backlog`: the directory, or the Redis, in which processes keep waiting records."""

from __future__ import annotations

import os
import re

from discord_logging._discord.webhook_url import HiddenText
from discord_logging._exceptions import InvalidSettingError
from discord_logging._records import redis_address
from discord_logging._records.parse import DEFAULT_MASKER, is_blank
from discord_logging._records.values import to_text

VARIABLE, DIRECTORY_VARIABLE = "DISCORD_BACKLOG", "DISCORD_BACKLOG_DIR"
"""The environment variables with the place, and with the directory for it, for handlers without such settings."""
_RULE = (
    "must be a directory such as '/var/lib/shop/backlog', or 'sqlite:///var/lib/shop/backlog' for the same, or a Redis"
    " such as 'redis://cache.example:6379/0'"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""The beginning of a URL. The drives of Windows have one letter."""
_DRIVE = re.compile(r"/[A-Za-z]:")


def parse_backlog(name: str, value: object) -> str:
    """Return the absolute path of the directory that `value` names, a path or a `sqlite:///` URL with one.

    The URL of a Redis is returned as a text that hides it.

    Args:
        name: The name of the setting, for the error.
        value: The value. No error shows the password that a URL may contain.

    Raises:
        InvalidSettingError: `value` names neither a directory nor a Redis.
    """
    try:
        return _read(name, value)
    except InvalidSettingError as error:
        # A tool may show the locals of the frames that an error has passed, and those of `_read` hold the password.
        raise error.with_traceback(None)  # noqa: B904 - it is the same error


def check_directory(name: str, directory: str, backlog: str | None) -> None:
    """Refuse a place that cannot keep records while `backlog` is away.

    Raises:
        InvalidSettingError: `directory` is a Redis, or `backlog` is not a Redis.
    """
    if is_redis(directory):
        raise InvalidSettingError(f"{name} must be a directory such as '/var/lib/shop/backlog', not a Redis.")
    if backlog is None or not is_redis(backlog):
        raise InvalidSettingError(
            f"{name} must come with a backlog in Redis, not alone: backlog={directory!r} keeps it in a directory."
        )


def is_redis(backlog: str) -> bool:
    """Tell whether a setting that was parsed is the URL of a Redis, and no path."""
    return isinstance(backlog, HiddenText)


def find_in_environment() -> str | None:
    """Return the place that the environment names, or `None`.

    Raises:
        InvalidSettingError: The variable names no place.
    """
    return None if is_blank(os.environ.get(VARIABLE)) else parse_backlog(VARIABLE, os.environ[VARIABLE])


def find_directory_in_environment(backlog: str | None) -> str | None:
    """Return the directory that the environment names for a backlog in Redis; `None` for another one.

    Raises:
        InvalidSettingError: The variable names no directory.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if is_blank(given) or backlog is None or not is_redis(backlog):
        return None
    directory = parse_backlog(DIRECTORY_VARIABLE, given)
    check_directory(DIRECTORY_VARIABLE, directory, backlog)
    return directory


def _read(name: str, value: object) -> str:
    path = str.__str__(value).strip() if isinstance(value, str) else value
    if isinstance(path, os.PathLike):
        path = os.fsdecode(path)
    if not isinstance(path, str) or is_blank(path):
        raise InvalidSettingError(f"{name} {_RULE}, not {to_text(value, repr):.100}.")
    if url := _SCHEME.match(path):
        if url[1].lower() in redis_address.SCHEMES:
            return _read_redis(name, path)
        path = _path_of_url(name, url[1].lower(), path[url.end() :])
    try:
        absolute = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - pathlib would not remove ".."
    except OSError as error:
        raise InvalidSettingError(f"{name} {_RULE}: the working directory is gone ({error.strerror}).") from None
    if "\0" in absolute or (path.startswith("~") and absolute == os.path.abspath(path)):  # noqa: PTH100 - as above
        raise InvalidSettingError(f"{name} {_RULE}, not {DEFAULT_MASKER.mask(path)!r}.")
    return absolute


def _read_redis(name: str, url: str) -> HiddenText:
    try:
        return HiddenText(redis_address.parse_address(url).url)
    except ValueError as error:
        reason = str(error)
    # Outside of the handler, the error has no context, whose frames hold the password.
    raise InvalidSettingError(f"{name} {_RULE}, not '{url.partition(':')[0].lower()}://***': {reason}.")


def _path_of_url(name: str, scheme: str, rest: str) -> str:
    """Return the path of a URL, of which `rest` follows the first slash."""
    if scheme != "sqlite":
        raise InvalidSettingError(f"{name} {_RULE}, not '{scheme}://***'.")
    path = rest.removeprefix("/")
    if path == rest or not path.strip("/") or not path.startswith("/") or {"?", "#"} & set(path):
        raise InvalidSettingError(f"{name} {_RULE}, not {DEFAULT_MASKER.mask(f'sqlite:/{rest}')!r}.")
    path = "/" + path.lstrip("/")
    return path[1:] if os.name == "nt" and _DRIVE.match(path) else path
