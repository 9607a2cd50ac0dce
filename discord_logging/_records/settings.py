"""This module checks the settings of a handler when they are given.

`CardSettings` belong to one handler and travel with its records. `DeliverySettings` belong to a webhook, and all its
handlers share them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from discord_logging._exceptions import InvalidSettingError
from discord_logging._records.backlog_setting import (
    check_directory,
    find_directory_in_environment,
    find_in_environment,
    parse_backlog,
)
from discord_logging._records.parse import (
    COLORS,
    DEFAULT_MASKER,
    EMOJIS,
    LEVEL_RULE,
    is_blank,
    parse_avatar_url,
    parse_by_level,
    parse_choice,
    parse_colors,
    parse_context,
    parse_delays,
    parse_emojis,
    parse_fields,
    parse_level,
    parse_mentions,
    parse_number,
    parse_packages,
    parse_redact,
    parse_show_locals,
    parse_snowflake,
    parse_source_url,
    parse_tags,
    parse_thread_name,
    parse_username,
)
from discord_logging._records.settings_data import read_settings, write_settings
from discord_logging._records.values import to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging._masking.masker import SecretMasker

_MINIMA = {
    "queue_size": 1,
    "queue_bytes": 1,
    "timeout": 0.1,
    "max_retry_delay": 1,
    "channel_limit": 1,
    "backlog_bytes": 1,
    "backlog_age": 0.1,
    "quiet_after": 1,
}
_WHOLE_NUMBERS = frozenset({"queue_size", "queue_bytes", "channel_limit", "backlog_bytes"})


@dataclass(frozen=True, eq=False)  # each record is hashed with its settings, so by identity
class CardSettings:
    """The settings for the look of one handler's records, and for their destination in the webhook's channel."""

    formatter: Any
    username: str | Mapping[int, str | None] | None = None
    avatar_url: str | Mapping[int, str | None] | None = None
    thread_id: str | None = None
    thread_name: str | None = None
    applied_tags: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] | None = None
    hidden_fields: frozenset[str] = frozenset()
    colors: Mapping[int, int] = field(default_factory=COLORS.copy)
    emojis: Mapping[int, str] = field(default_factory=EMOJIS.copy)
    mentions: Mapping[int, str] = field(default_factory=dict)
    silent_below: int = 0
    source_url: str | None = None
    own_packages: tuple[str, ...] = ()
    show_locals: str | None = None
    masker: SecretMasker = DEFAULT_MASKER
    is_notice: bool = False
    """Whether the records are notices, each of which is shown, however often the same is said."""
    number: int = field(default_factory=itertools.count(1).__next__, init=False)
    """The number that names these settings within this process."""

    @classmethod
    def from_options(cls, formatter: Any, **options: object) -> CardSettings:
        """Return the settings. An option that is empty, or that is missing, has its default.

        Raises:
            InvalidSettingError: A setting has a wrong type or value.
        """
        given = {name: resolve(name, value) for name, value in options.items()}
        take = given.get
        thread_id = parse_snowflake("thread_id", take("thread_id"))
        thread_name = parse_thread_name(take("thread_name"), thread_id)
        tags = parse_tags(take("applied_tags"))
        masker = parse_redact(take("redact"))
        silent_below = take("silent_below")
        if tags and thread_name is None:
            raise InvalidSettingError("applied_tags are the tags of a new post: give thread_name, its title, as well.")
        context = parse_context(take("context"))
        fields, hidden_fields = parse_fields(take("fields"))
        return cls(
            formatter,
            username=parse_by_level("username", take("username"), parse_username),
            avatar_url=parse_by_level("avatar_url", take("avatar_url"), parse_avatar_url),
            thread_id=thread_id,
            thread_name=thread_name,
            applied_tags=tags,
            context={name: str(masker.mask_value(name, value)) for name, value in context.items()},
            fields=fields,
            hidden_fields=hidden_fields,
            colors=parse_colors(take("colors")),
            emojis=parse_emojis(take("emojis")),
            mentions=parse_mentions(take("mentions")),
            silent_below=0 if silent_below is None else parse_level("silent_below", silent_below, LEVEL_RULE),
            source_url=parse_source_url(take("source_url")),
            own_packages=parse_packages(take("own_packages")),
            show_locals=parse_show_locals(take("show_locals")),
            masker=masker,
        )

    def to_data(self) -> dict[str, Any]:
        """Return the settings as data that JSON keeps, with texts masked. The formatter is left out."""
        return {**write_settings(self), "digest": self.digest}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], formatter: Any) -> CardSettings:
        """Return the settings that `to_data` turned into `data`, with the same digest.

        Args:
            data: The data. Unknown settings are left out, and missing ones have their default.
            formatter: The formatter of the settings, which the data do not name.

        Raises:
            KeyError, TypeError, ValueError: A setting is not as `to_data` writes it.
        """
        settings = cls(formatter, **read_settings(data))
        digest = data.get("digest", settings.digest)
        if not isinstance(digest, str):
            raise TypeError("the digest must be a text")
        # A formatter of the user's own, and settings that this version does not know, count in it.
        vars(settings)["digest"] = digest
        return settings

    @cached_property
    def destination(self) -> tuple[Any, ...]:
        """The settings that two records must share to go out in one message."""
        looks = (
            tuple(each.items()) if isinstance(each, Mapping) else each for each in (self.username, self.avatar_url)
        )
        return *looks, self.thread_id, self.thread_name, self.applied_tags

    @cached_property
    def digest(self) -> str:
        """A text that is equal, in any process, for settings that show records alike and at the same destination."""
        shown = [
            (each.name, _plain(getattr(self, each.name)))
            for each in dataclasses.fields(self)
            if each.name not in ("number", "formatter")
        ]
        formatter = type(self.formatter)
        text = repr((formatter.__module__, formatter.__qualname__, shown))
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]

    def shows_like(self, other: CardSettings) -> bool:
        """Tell whether a record would look the same with `other`, at the same destination."""
        return self is other or (self.digest == other.digest and _state(self.formatter) == _state(other.formatter))


def _state(formatter: Any) -> dict[str, Any]:
    """Return the attributes of a formatter, which is equal to another one of its class if they are."""
    values = vars(formatter).items()
    return {name: (type(each), vars(each)) if isinstance(each, logging.PercentStyle) else each for name, each in values}


@dataclass(frozen=True)
class DeliverySettings:
    """The settings for the queue, the requests and the retries of one webhook. Times are in seconds."""

    queue_size: int = 10_000
    queue_bytes: int = 64_000_000
    max_lag: float = 5.0
    repeats: str = "post"
    """How repeats are told: `"edit"` edits the card of the first, `"post"` posts further cards, `"off"` is neither."""
    repeat_window: float = 60.0
    quiet_after: float = 900.0
    flush_timeout: float = 5.0
    timeout: float = 10.0
    retry_delays: tuple[float, ...] = (2.0, 3.0, 5.0)
    max_retry_delay: float = 60.0
    channel_limit: int | None = 30
    mention_interval: float = 300.0
    backlog: str | None = None
    """The path of the directory, or the URL of the Redis, that keeps what waits; `None` stands for the memory."""
    backlog_dir: str | None = None
    """The path of the directory that keeps what the Redis cannot take; `None` stands for none."""
    backlog_bytes: int = 256_000_000
    backlog_age: float = 604_800.0

    @classmethod
    def from_options(cls, **options: object) -> DeliverySettings:
        """Return the settings. An option that is empty, or that is missing, has its default.

        The defaults of `backlog` and `backlog_dir` are the places that the environment names.

        Raises:
            InvalidSettingError: A setting has a wrong type or value.
        """
        given: dict[str, Any] = {}
        for name, option in options.items():
            value = resolve(name, option)
            if value is not None:
                given[name] = _parse_delivery(name, value)
            elif name == "channel_limit" and option is None:
                given[name] = None
        if "backlog" not in given:
            given["backlog"] = find_in_environment()
        if "backlog_dir" in given:
            check_directory("backlog_dir", given["backlog_dir"], given["backlog"])
        else:
            given["backlog_dir"] = find_directory_in_environment(given["backlog"])
        return cls(**given)


def _parse_delivery(name: str, value: object) -> Any:
    if name == "retry_delays":
        return parse_delays(name, value)
    if name in ("backlog", "backlog_dir"):
        return parse_backlog(name, value)
    if name == "repeats":
        return parse_choice(name, value, ("edit", "post", "off"))
    return parse_number(name, value, minimum=_MINIMA.get(name, 0.0), whole=name in _WHOLE_NUMBERS)


def without_blanks(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are given. `channel_limit=None` is one of them, for it means no limit."""
    return {
        name: value
        for name, value in options.items()
        if not is_blank(value) or (name == "channel_limit" and value is None)
    }


def resolve(name: str, value: object) -> Any:
    """Return the value of an option as plain data, with the references in it resolved, or `None` if it is empty.

    The containers that `logging.config.dictConfig` hands over replace `ext://` and `cfg://` only when an item is read
    by its key or index. Lists lose their empty items. A mapping keeps its empty values, which may mean none at a level.

    Raises:
        InvalidSettingError: A reference leads nowhere.
    """
    if isinstance(value, Mapping):
        return {key: _resolve(f"{name}[{key!r}]", item) for key, item in _read_items(name, value)}
    return _resolve(name, value)


def _resolve(name: str, value: object) -> Any:
    if is_blank(value):
        return None
    is_mapping = isinstance(value, Mapping)
    if not is_mapping and (not isinstance(value, (list, tuple)) or hasattr(value, "_fields")):
        return value
    pairs = [(key, _resolve(f"{name}[{key!r}]", item)) for key, item in _read_items(name, value)]
    given = {key: item for key, item in pairs if item is not None}
    if pairs and not given:
        return None
    return given if is_mapping else (tuple if isinstance(value, tuple) else list)(given.values())


def _read_items(name: str, value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, Mapping) else range(len(value)):
        try:
            yield key, value[key]
        except Exception as error:  # noqa: PERF203 - each item may fail, and is named
            words = f"{type(error).__name__}: {to_text(error)}"
            raise InvalidSettingError(f"{name}[{key!r}] cannot be resolved: {words}") from error


def _plain(value: Any) -> Any:
    # The order in a set is another one in each process.
    return (
        sorted(value.items() if isinstance(value, Mapping) else value)
        if isinstance(value, (Mapping, frozenset))
        else value
    )


def at_level(value: Any, levelno: int) -> Any:
    """Return `value`; from a mapping of levels, return its value for `levelno`."""
    return nearest_level(value, levelno) if isinstance(value, Mapping) else value


def nearest_level(mapping: Mapping[int, Any], levelno: int) -> Any:
    """Return the value for `levelno`, or for the nearest level below it, or for the lowest level."""
    return mapping[max((level for level in mapping if level <= levelno), default=min(mapping))]
