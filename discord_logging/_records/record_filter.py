"""This module has the filter that the settings `ignore`, `max_level` and `loggers` of a handler make."""

from __future__ import annotations

import builtins
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from discord_logging._exceptions import InvalidSettingError, suggest
from discord_logging._records.exceptions import members_of
from discord_logging._records.parse import LEVEL_RULE, parse_level, parse_names
from discord_logging._records.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_LOGGERS = 1_000
"""The number of loggers whose answers are remembered: a program may make a logger for each connection."""
_MAX_MEMBERS = 1_000
"""The number of exceptions that are looked at in a group."""


@dataclass(frozen=True)
class RecordFilter:
    """A filter as `logging.Handler.addFilter` takes it.

    Attributes:
        ignored: The types of exceptions whose records are left out: classes, or full names of classes.
        max_level: The highest level that passes, or `None`.
        loggers: Names of loggers, each with whether its records and those of its children pass.
    """

    ignored: tuple[type | str, ...] = ()
    max_level: int | None = None
    loggers: Mapping[str, bool] = field(default_factory=dict)
    _answers: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_options(cls, **options: object) -> RecordFilter | None:
        """Return the filter, or `None` if no option is given.

        Raises:
            InvalidSettingError: An option has a wrong type or value.
        """
        given = {name: resolve(name, value) for name, value in options.items()}
        max_level = given["max_level"]
        levelno = logging.NOTSET if max_level is None else parse_level("max_level", max_level, LEVEL_RULE)
        made = cls(_parse_ignore(given["ignore"]), levelno or None, _parse_loggers(given["loggers"]))
        return None if made == cls() else made

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` passes."""
        if self.max_level is not None and record.levelno > self.max_level:
            return False
        if self.loggers and not self._is_wanted(record.name):
            return False
        return not (self.ignored and self._is_ignored(getattr(record, "exc_info", None)))

    def _is_wanted(self, name: str) -> bool:
        """Return the answer of the longest name that is `name` or a parent of it."""
        answer = self._answers.get(name)
        if answer is None:
            parents = (name[:end] for end in range(len(name), 0, -1) if name[end : end + 1] in ("", "."))
            otherwise = not any(self.loggers.values())
            answer = next((self.loggers[each] for each in parents if each in self.loggers), otherwise)
            if len(self._answers) >= _MAX_LOGGERS:
                self._answers.clear()
            self._answers[name] = answer
        return answer

    def _is_ignored(self, exc_info: Any) -> bool:
        """Tell whether an exception, or each exception in a group, is of an ignored type."""
        if not exc_info:
            return False
        try:
            exception = exc_info[1] if isinstance(exc_info, tuple) else exc_info
            waiting, seen = [exception], 0
            while waiting and seen < _MAX_MEMBERS:
                seen += 1
                each = waiting.pop()
                if not self._has_ignored_type(each):
                    inner = members_of(each)
                    if not inner:
                        return False
                    waiting += inner
        except Exception:  # noqa: BLE001 - the class of the exception may be any
            return False
        return not waiting

    def _has_ignored_type(self, exception: Any) -> bool:
        classes = type(exception).__mro__
        names = {f"{each.__module__}.{each.__qualname__}" for each in classes}
        return any(
            each in names or _find(each) in classes if isinstance(each, str) else each in classes
            for each in self.ignored
        )


def _find(name: str) -> Any:
    """Return the class that a module has under a full name, which may be another module than the one that defines it.

    Nothing is imported: an exception whose module was not imported cannot have been raised.
    """
    path, _, attribute = name.rpartition(".")
    module = sys.modules.get(path)
    # A module may import what `getattr` asks for, and a lazy module imports itself as soon as any attribute is read.
    return None if module is None else object.__getattribute__(module, "__dict__").get(attribute)


def _parse_ignore(value: object) -> tuple[type | str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise _wrong_ignore(value)
    return tuple(_parse_exception(each) for each in value)


def _parse_exception(value: object) -> type | str:
    if isinstance(value, type) and issubclass(value, BaseException):
        return value
    name = value.strip() if isinstance(value, str) else ""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise _wrong_ignore(value)
    if len(parts) > 1:
        return name
    found = vars(builtins).get(name)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    hint = suggest(name, _builtin_exceptions())
    raise InvalidSettingError(
        f"ignore must name an exception with its module, such as 'shop.errors.{name}', unless it is one of Python's "
        f"own, not {value!r}.{hint}"
    )


def _builtin_exceptions() -> Iterator[str]:
    return (name for name, each in vars(builtins).items() if isinstance(each, type) and issubclass(each, BaseException))


def _wrong_ignore(value: object) -> InvalidSettingError:
    return InvalidSettingError(
        "ignore must be a list of types of exceptions, or of their names such as 'django.http.Http404' and "
        f"'KeyboardInterrupt', not {value!r}."
    )


def _parse_loggers(value: object) -> dict[str, bool]:
    parsed: dict[str, bool] = {}
    for entry in parse_names("loggers", value, "shop") or ():
        is_wanted = not entry.strip().startswith("-")
        name = entry.strip().removeprefix("-").strip()
        if not all(name.split(".")) or "*" in name:
            raise InvalidSettingError(
                "loggers must be names such as 'shop', which stands for its children too, or '-shop.noise' to leave "
                f"them out, not {entry!r}."
            )
        if parsed.setdefault(name, is_wanted) is not is_wanted:
            raise InvalidSettingError(f"loggers must have {name!r} with a '-' or without, not both.")
    return parsed
