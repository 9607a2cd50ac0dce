"""The settings of a handler are checked when they are given."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import InvalidSettingError
from discord_logging._records.parse import COLORS, EMOJIS
from discord_logging._records.settings import CardSettings, DeliverySettings, nearest_level

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
NAN, INFINITY = math.nan, math.inf


class TestNearestLevel:
    """Custom levels look like the nearest standard level below them."""

    @pytest.mark.parametrize(
        ("levelno", "nearest"),
        [(0, 0), (5, 0), (10, 10), (25, 20), (39, 30), (40, 40), (49, 40), (50, 50), (10**9, 50), (-1, 0)],
    )
    def test_a_level_takes_the_nearest_below(self, levelno: int, nearest: int) -> None:
        """A level below all of them takes the lowest."""
        assert nearest_level({each: each for each in COLORS}, levelno) == nearest

    @given(st.dictionaries(st.integers(), st.text(), min_size=1), st.integers())
    def test_no_nearer_level_is_passed_over(self, mapping: dict[int, str], levelno: int) -> None:
        """No level between the result and `levelno` exists."""
        found = nearest_level(mapping, levelno)
        below = sorted(level for level in mapping if level <= levelno)
        assert found == mapping[below[-1] if below else min(mapping)]


def test_records_share_a_message_if_they_look_and_go_alike() -> None:
    """Name, picture and thread belong to a message; all else belongs to a card."""
    settings = CardSettings(None, username="shop", avatar_url="https://x.example/a.png", thread_id="1")
    looks: dict[str, Any] = {"context": {"a": "b"}, "colors": {0: 1}, "emojis": {0: ""}}
    same = CardSettings(logging.Formatter(), "shop", "https://x.example/a.png", "1", **looks)
    assert settings.destination == same.destination
    changes: list[dict[str, Any]] = [{"username": None}, {"username": {40: "Alarm"}}, {"avatar_url": None}]
    for change in [*changes, {"thread_id": "2"}, {"thread_id": None, "thread_name": "a"}, {"applied_tags": ("1",)}]:
        other: dict[str, Any] = {
            "username": "shop",
            "avatar_url": "https://x.example/a.png",
            "thread_id": "1",
            **change,
        }
        assert CardSettings(None, **other).destination != settings.destination


def test_every_handler_has_colours_of_its_own() -> None:
    """Settings that were not given are the standard ones, and are not shared."""
    assert CardSettings(None).colors == COLORS
    assert CardSettings(None).emojis == EMOJIS
    assert CardSettings(None).context is not CardSettings(None).context


def test_standard_delivery() -> None:
    """The numbers are those of the documentation."""
    assert DeliverySettings() == DeliverySettings(
        queue_size=10_000,
        queue_bytes=64_000_000,
        max_lag=5.0,
        repeats="post",
        repeat_window=60.0,
        quiet_after=900.0,
        flush_timeout=5.0,
        timeout=10.0,
        retry_delays=(2.0, 3.0, 5.0),
        max_retry_delay=60.0,
        channel_limit=30,
        mention_interval=300.0,
        backlog=None,
        backlog_dir=None,
        backlog_bytes=256_000_000,
        backlog_age=604_800.0,
    )


CARD: dict[str, Any] = {
    **dict.fromkeys(("username", "avatar_url", "thread_id", "thread_name", "applied_tags", "context", "fields")),
    **dict.fromkeys(("colors", "emojis", "mentions", "source_url", "own_packages", "show_locals")),
    "redact": None,
    "silent_below": 0,
}


class TestCardSettings:
    """All settings of a handler's cards."""

    def test_nothing_said_is_the_standard(self) -> None:
        """Every setting has a standard value."""
        formatter = logging.Formatter()
        settings, standard = CardSettings.from_options(formatter, **CARD), CardSettings(formatter)
        for name in vars(standard).keys() - {"number"}:
            assert getattr(settings, name) == getattr(standard, name), name
        assert settings.number < standard.number
        assert settings.digest == standard.digest

    def test_each_setting_is_checked_and_kept(self) -> None:
        """The converted values are kept."""
        given: dict[str, Any] = {
            "username": {"ERROR": "Alarm"},
            "avatar_url": {"40": "https://x.example/a.png"},
            "thread_name": " Errors ",
            "applied_tags": [5],
            "context": {"service": "shop"},
            "fields": ["order_id"],
            "colors": {"ERROR": "#000001"},
            "emojis": {"ERROR": "🔥"},
            "mentions": {"CRITICAL": "<@&5>"},
            "redact": ["order"],
            "silent_below": "WARNING",
            "source_url": "https://git.example/{path}",
            "own_packages": ["acme", "shop.orders"],
            "show_locals": "own",
        }
        settings = CardSettings.from_options(None, **{**CARD, **given})
        assert settings.username == {0: None, 40: "Alarm"}
        assert settings.avatar_url == {0: None, 40: "https://x.example/a.png"}
        assert (settings.thread_id, settings.thread_name, settings.applied_tags) == (None, "Errors", ("5",))
        assert (settings.context, settings.fields) == ({"service": "shop"}, ("order_id",))
        assert (settings.colors[40], settings.emojis[40]) == (1, "🔥")
        assert settings.mentions == {0: "", 50: "<@&5>"}
        assert settings.masker.mask("order=5") == "order=***"
        assert (settings.silent_below, settings.source_url) == (30, "https://git.example/{path}")
        assert (settings.own_packages, settings.show_locals) == (("acme", "shop.orders"), "own")
        assert CardSettings.from_options(None, **{**CARD, "thread_id": 7}).thread_id == "7"

    @pytest.mark.parametrize("value", [None, False, ""])
    def test_no_local_variables_are_shown(self, value: object) -> None:
        """An environment variable can only be empty."""
        assert CardSettings.from_options(None, **{**CARD, "show_locals": value}).show_locals is None

    @pytest.mark.parametrize(("value", "levelno"), [(0, 0), (35, 35), ("WARNING", 30), ("30", 30), ("NOTSET", 0)])
    def test_silence_ends_at_a_level(self, value: object, levelno: int) -> None:
        """The level has a name or a number."""
        assert CardSettings.from_options(None, **{**CARD, "silent_below": value}).silent_below == levelno

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ({"username": "Clyde"}, "username must be 1 to 80 characters"),
            ({"username": {"ERROR": "Clyde"}}, "The value is that of the level 'ERROR'"),
            ({"username": {"oops": "shop"}}, "username must have levels such as 'ERROR' or 40 for keys, not 'oops'"),
            ({"avatar_url": {"ERROR": "a.png"}}, r"avatar_url must be a http\(s\) URL on a public host, not 'a.png'"),
            ({"thread_id": "Errors"}, "thread_id must be an id such as '123456789012345678', not 'Errors'"),
            ({"thread_name": "\x00"}, "thread_name must be 1 to 100 characters, not"),
            (
                {"thread_name": "Errors", "thread_id": 5},
                "thread_name opens a new post and thread_id is one that exists",
            ),
            ({"applied_tags": [5]}, "applied_tags are the tags of a new post: give thread_name, its title, as well"),
            ({"applied_tags": "5"}, "applied_tags must be a list of at most 5 ids, not '5'"),
            ({"context": 5}, "context must be a mapping such as {'service': 'shop'}, not 5"),
            ({"fields": "a"}, r"fields must be a list of names such as \['order_id'\], not 'a'"),
            ({"colors": {"ERROR": "red"}}, "colors must be 0xRRGGBB or '#rrggbb', not 'red'"),
            ({"emojis": "x"}, "emojis must be a mapping such as {'ERROR': '🔥'}, not 'x'"),
            ({"mentions": {"ERROR": "ops"}}, "mentions must be '<@&ID>' for a role"),
            ({"silent_below": "loud"}, "silent_below must be a level such as 'ERROR' or 40, not 'loud'"),
            ({"silent_below": "warning"}, "silent_below must be a level such as 'ERROR' or 40, not 'warning'. Did you"),
            ({"redact": "password"}, r"redact must be a list of names such as \['password'\], not 'password'"),
            ({"source_url": "x"}, "source_url must be a template such as 'https://"),
            ({"own_packages": "acme"}, r"own_packages must be a list of names such as \['acme'\], not 'acme'"),
            ({"own_packages": ["a-b"]}, "own_packages must be names as in an import, such as 'acme', not 'a-b'"),
            *(
                (
                    {"show_locals": value},
                    f"show_locals must be 'own', for frames of the program itself, or None, not {value!r}",
                )
                for value in (True, "all", 1, 0, "OWN")
            ),
            ({"own_packages": ["shop."]}, "own_packages must be names as in an import, such as 'acme', not 'shop.'"),
        ],
    )
    def test_a_wrong_one_is_named(self, setting: dict[str, Any], words: str) -> None:
        """The text shows a right value."""
        with pytest.raises(InvalidSettingError, match=words):
            CardSettings.from_options(None, **{**CARD, **setting})


class TestDeliverySettings:
    """All settings of a webhook's delivery."""

    def test_nothing_said_is_the_standard(self) -> None:
        """The settings that are left out have it, too."""
        standard = DeliverySettings()
        assert DeliverySettings.from_options(**vars(standard)) == standard
        assert DeliverySettings.from_options(retry_delays=[2, 3, 5], channel_limit=30) == standard
        assert DeliverySettings.from_options(repeats="", quiet_after=None) == standard

    @pytest.mark.parametrize(
        "setting",
        [
            *({"queue_size": 1}, {"queue_bytes": 1}, {"max_lag": 0}, {"repeat_window": 0}, {"flush_timeout": 0}),
            *({"timeout": 0.1}, {"max_retry_delay": 1}, {"mention_interval": 0}, {"channel_limit": 1}),
            *({"channel_limit": None}, {"backlog_bytes": 1}, {"backlog_age": 0.1}, {"quiet_after": 1}),
            *({"repeats": each} for each in ("edit", "post", "off")),
        ],
    )
    def test_the_minimum_of_each_is_accepted(self, setting: dict[str, Any]) -> None:
        """Limits are inclusive."""
        [(name, value)] = setting.items()
        assert getattr(DeliverySettings.from_options(**{**vars(DeliverySettings()), **setting}), name) == value

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ({"queue_size": 0}, "queue_size must be a whole number, at least 1, not 0"),
            ({"queue_bytes": 1.5}, "queue_bytes must be a whole number, at least 1, not 1.5"),
            ({"max_lag": -1}, "max_lag must be a number of seconds, at least 0, not -1"),
            ({"repeat_window": "60 s"}, "repeat_window must be a number of seconds, at least 0, not '60 s'"),
            ({"quiet_after": 0.9}, "quiet_after must be a number of seconds, at least 1, not 0.9"),
            ({"quiet_after": True}, "quiet_after must be a number of seconds, at least 1, not True"),
            ({"quiet_after": NAN}, "quiet_after must be a number of seconds, at least 1, not nan"),
            ({"quiet_after": INFINITY}, "quiet_after must be a number of seconds.*, not inf"),
            *(
                ({"repeats": each}, f"^repeats must be 'edit' or 'post' or 'off', not {re.escape(repr(each))}.$")
                for each in ("edits", "EDIT", " edit", True, False, 0, ["edit"], {"edit"}, b"edit")
            ),
            ({"repeats": "x" * 1_000}, "^repeats must be 'edit' or 'post' or 'off', not 'x{99}.$"),
            ({"flush_timeout": "soon"}, "flush_timeout must be a number of seconds, at least 0, not 'soon'"),
            ({"timeout": 0}, "timeout must be a number of seconds, at least 0.1, not 0"),
            ({"retry_delays": 5}, r"retry_delays must be a list of seconds such as \[2, 3, 5\], not 5"),
            ({"max_retry_delay": 0.5}, "max_retry_delay must be a number of seconds, at least 1, not 0.5"),
            ({"channel_limit": 0}, "channel_limit must be a whole number, at least 1, not 0"),
            ({"backlog_bytes": 0}, "backlog_bytes must be a whole number, at least 1, not 0"),
            ({"backlog_age": 0}, "backlog_age must be a number of seconds, at least 0.1, not 0"),
            ({"backlog": 5}, "backlog must be a directory such as '/var/lib/shop/backlog', or 'sqlite:///.*, not 5"),
            (
                {"backlog_dir": "/var/lib/shop"},
                "backlog_dir must come with a backlog in Redis, not alone: backlog='/var",
            ),
            ({"mention_interval": -1}, "mention_interval must be a number of seconds, at least 0, not -1"),
            ({"mention_interval": 1e10}, r"mention_interval must be a number of seconds, at most 1e\+09, not"),
        ],
    )
    def test_a_wrong_one_is_named(self, setting: dict[str, Any], words: str) -> None:
        """The text shows a right value."""
        with pytest.raises(InvalidSettingError, match=words):
            DeliverySettings.from_options(**{**vars(DeliverySettings()), **setting})
