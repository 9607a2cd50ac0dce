"""What a handler is told, checked when it is told."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import InvalidSettingError
from discord_logging._settings import (
    COLORS,
    EMOJIS,
    CardSettings,
    DeliverySettings,
    check_avatar_url,
    check_colors,
    check_context,
    check_delays,
    check_emojis,
    check_enabled,
    check_level,
    check_number,
    check_snowflake,
    check_username,
    nearest_level,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
NAN, INFINITY = math.nan, math.inf


class TestNearestLevel:
    """Custom levels look like the standard level below them."""

    @pytest.mark.parametrize(
        ("levelno", "nearest"),
        [(0, 0), (5, 0), (10, 10), (25, 20), (39, 30), (40, 40), (49, 40), (50, 50), (10**9, 50), (-1, 0)],
    )
    def test_a_level_takes_the_nearest_below(self, levelno: int, nearest: int) -> None:
        """A level below all of them takes the lowest."""
        assert nearest_level({each: each for each in COLORS}, levelno) == nearest

    @given(st.dictionaries(st.integers(), st.text(), min_size=1), st.integers())
    def test_there_is_always_one(self, mapping: dict[int, str], levelno: int) -> None:
        """No level above it that is still not above `levelno` was passed over."""
        found = nearest_level(mapping, levelno)
        below = sorted(level for level in mapping if level <= levelno)
        assert found == mapping[below[-1] if below else min(mapping)]


class TestCheckNumber:
    """Sizes and seconds."""

    @pytest.mark.parametrize("value", [0, 1, 0.5, 10**9])
    def test_numbers_pass_as_they_are(self, value: float) -> None:
        """From the minimum on."""
        assert check_number("timeout", value, minimum=0) is value

    @pytest.mark.parametrize("value", [None, "10", True, -1, -0.1, NAN, INFINITY, -INFINITY, [1], 1j])
    def test_others_are_refused_by_name(self, value: object) -> None:
        """The text says what is right, and what was given."""
        with pytest.raises(InvalidSettingError, match="timeout must be a number of seconds, at least 0, not") as caught:
            check_number("timeout", value, minimum=0)
        assert repr(value) in str(caught.value)

    @pytest.mark.parametrize("value", [0, 1.0, 2.5, "1", False, NAN])
    def test_a_size_is_whole(self, value: object) -> None:
        """Half a record cannot wait."""
        with pytest.raises(InvalidSettingError, match="queue_size must be a whole number, at least 1, not"):
            check_number("queue_size", value, minimum=1, whole=True)
        assert check_number("queue_size", 1, minimum=1, whole=True) == 1


class TestCheckDelays:
    """Seconds between tries."""

    @pytest.mark.parametrize(("value", "delays"), [([2, 3.5], (2.0, 3.5)), ((0,), (0.0,))])
    def test_a_list_becomes_a_tuple_of_floats(self, value: Any, delays: tuple[float, ...]) -> None:
        """`dictConfig` hands over lists."""
        assert check_delays("retry_delays", value) == delays

    @pytest.mark.parametrize("value", [None, [], (), 5, "2, 3", {2: 3}])
    def test_no_list_is_refused(self, value: object) -> None:
        """Nor an empty one: there would be nothing to double."""
        with pytest.raises(InvalidSettingError, match=r"retry_delays must be a list of seconds such as \[2, 3, 5\]"):
            check_delays("retry_delays", value)

    def test_a_wrong_one_is_named_by_its_place(self) -> None:
        """Counted as Python counts."""
        with pytest.raises(InvalidSettingError, match=r"retry_delays\[1\] must be a number of seconds, at least 0"):
            check_delays("retry_delays", [2, -3])


class TestCheckUsername:
    """The name that messages are posted under."""

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (None, None),
            ("shop", "shop"),
            ("  shop \n errors ", "shop errors"),
            ("x" * 80, "x" * 80),
            ("🔥", "🔥"),
            ("everyone here", "everyone here"),
            ("Dis cord", "Dis cord"),
            ("a@b #1", "a@b #1"),
        ],
    )
    def test_names_that_discord_takes(self, value: object, name: str | None) -> None:
        """White space is collapsed, as Discord does it."""
        assert check_username(value) == name

    @pytest.mark.parametrize(
        "value", ["", " \n", "x" * 81, "My Discord", "cLYDe 2", "Everyone", " here ", 5, b"shop", URL]
    )
    def test_names_that_discord_refuses(self, value: object) -> None:
        """Better at start than with every message; a webhook URL in the wrong place stays secret."""
        with pytest.raises(InvalidSettingError, match="username must be 1 to 80 characters without") as caught:
            check_username(value)
        assert TOKEN[:8] not in str(caught.value)


class TestCheckAvatarUrl:
    """The picture beside the messages."""

    @pytest.mark.parametrize(
        "value", [None, "https://x.example/a.png", "http://x.example", "https://x.example/" + "a" * 2030]
    )
    def test_addresses_that_discord_takes(self, value: object) -> None:
        """They pass as they are."""
        assert check_avatar_url(value) is value

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "x.example/a.png",
            "ftp://x.example/a.png",
            "http://localhost/a.png",
            "https://x.example/a b",
            "https://x.example/a.png\n",
            "https://x.example/" + "a" * 2031,
            "https://" + "." * 100_000,
            5,
        ],
    )
    def test_addresses_that_discord_refuses(self, value: object) -> None:
        """Hosts without a dot among them."""
        with pytest.raises(InvalidSettingError, match=r"avatar_url must be a http\(s\) URL on a public host"):
            check_avatar_url(value)


class TestCheckSnowflake:
    """Discord's ids."""

    @pytest.mark.parametrize(("value", "snowflake"), [(None, None), ("123", "123"), (2**64 - 1, str(2**64 - 1))])
    def test_text_and_numbers_pass_as_text(self, value: object, snowflake: str | None) -> None:
        """YAML and TOML make numbers of them."""
        assert check_snowflake("thread_id", value) == snowflake

    @pytest.mark.parametrize("value", ["", "0", "01", "-1", "1 ", "1\n", "1.0", "٣", "1٣", "1" * 21, 0, True, 1.0, []])
    def test_others_are_refused(self, value: object) -> None:
        """Discord would refuse every message."""
        with pytest.raises(InvalidSettingError, match="thread_id must be an id such as '123456789012345678', not"):
            check_snowflake("thread_id", value)


class TestCheckEnabled:
    """A switch, mostly from the environment."""

    @pytest.mark.parametrize(
        ("yes", "no"), [(True, False), ("true", "false"), (" YES\n", " NO\n"), ("1", "0"), ("On", "OFF")]
    )
    def test_words_for_yes_and_no(self, yes: object, no: object) -> None:
        """In any case."""
        assert check_enabled(yes) is True
        assert check_enabled(no) is False

    @pytest.mark.parametrize("value", ["", "maybe", 1, 0, None, [], b"true"])
    def test_others_are_refused_by_the_name_that_was_used(self, value: object) -> None:
        """A misspelt `false` must not mean `true`."""
        with pytest.raises(InvalidSettingError, match=r"^DISCORD_NOTIFICATIONS_ENABLED must be true or false, not"):
            check_enabled(value, name="DISCORD_NOTIFICATIONS_ENABLED")


class TestCheckContext:
    """What stands on every card."""

    def test_names_and_values_become_text(self) -> None:
        """Whatever they were."""
        assert check_context({"service": "shop", 1: None}) == {"service": "shop", "1": "None"}
        assert check_context(None) == {}

    @pytest.mark.parametrize("value", ["service", ["service"], 5])
    def test_others_are_refused(self, value: object) -> None:
        """The text shows one that is right."""
        with pytest.raises(InvalidSettingError, match=r"context must be a mapping such as {'service': 'shop'}, not"):
            check_context(value)


class TestCheckColorsAndEmojis:
    """How levels look."""

    @pytest.mark.parametrize("color", ["#FF0000", "#ff0000", 0xFF0000])
    @pytest.mark.parametrize("level", ["ERROR", 40, "40"])
    def test_colours_are_laid_over_the_standard_ones(self, level: object, color: object) -> None:
        """By the level's name or number, as `dictConfig` has it."""
        assert check_colors({level: color}) == {**COLORS, 40: 0xFF0000}

    @pytest.mark.parametrize("color", [0, 0xFFFFFF, "#000000"])
    def test_black_and_white_are_colours(self, color: object) -> None:
        """Limits are inclusive."""
        assert check_colors({"ERROR": color})[40] in (0, 0xFFFFFF)

    def test_emojis_are_laid_over_the_standard_ones(self) -> None:
        """An empty one is none."""
        assert check_emojis({"ERROR": "🔥", 25: ""}) == {**EMOJIS, 40: "🔥", 25: ""}

    def test_own_levels_have_their_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As they were added to `logging`."""
        monkeypatch.setattr(logging, "_nameToLevel", {**logging._nameToLevel, "NOTICE": 25})
        assert check_colors({"NOTICE": 1})[25] == 1

    def test_none_is_the_standard(self) -> None:
        """Which nobody can change by accident."""
        assert check_colors(None) is COLORS
        assert check_emojis(None) is EMOJIS
        assert not hasattr(COLORS, "__setitem__")

    @pytest.mark.parametrize(
        "color", ["red", "#ff00", "#ff00000", "#ff0000\n", "0xff0000", -1, 0x1000000, True, 1.0, None]
    )
    def test_other_colours_are_refused(self, color: object) -> None:
        """Discord takes numbers alone."""
        with pytest.raises(InvalidSettingError, match="colors must be 0xRRGGBB or '#rrggbb', not"):
            check_colors({"ERROR": color})

    @pytest.mark.parametrize("level", ["error", "FATALITY", "", None, (), NAN, INFINITY])
    @pytest.mark.parametrize(("name", "check"), [("colors", check_colors), ("emojis", check_emojis)])
    def test_other_levels_are_refused(self, level: object, name: str, check: Callable[[object], object]) -> None:
        """A misspelt level would never be seen."""
        with pytest.raises(InvalidSettingError, match=f"{name} must have levels such as 'ERROR' or 40 for keys, not"):
            check({level: 1})

    @pytest.mark.parametrize("value", ["#ff0000", 5, [("ERROR", 1)]])
    @pytest.mark.parametrize(("name", "check"), [("colors", check_colors), ("emojis", check_emojis)])
    def test_others_are_refused(self, value: object, name: str, check: Callable[[object], object]) -> None:
        """The text shows one that is right."""
        with pytest.raises(InvalidSettingError, match=f"{name} must be a mapping such as {{'ERROR': "):
            check(value)


def test_standard_looks_cover_the_standard_levels() -> None:
    """Each has a colour of its own but DEBUG, and an emoji."""
    assert set(COLORS) == set(EMOJIS) == {0, 10, 20, 30, 40, 50}
    assert all(0 < color < 0xFFFFFF for color in COLORS.values())


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
    """Settings that were not given are the standard ones, and not shared."""
    assert CardSettings(None).colors == COLORS
    assert CardSettings(None).emojis == EMOJIS
    assert CardSettings(None).context is not CardSettings(None).context


def test_standard_delivery() -> None:
    """The numbers that the documentation names."""
    assert DeliverySettings() == DeliverySettings(
        queue_size=10_000,
        queue_bytes=64_000_000,
        max_lag=5.0,
        repeat_window=60.0,
        flush_timeout=5.0,
        timeout=10.0,
        retry_delays=(2.0, 3.0, 5.0),
        max_retry_delay=60.0,
        channel_limit=30,
    )


@pytest.mark.parametrize("level", [0, 35, "ERROR", logging.DEBUG])
def test_levels(level: int | str) -> None:
    """Numbers and names are levels."""
    assert check_level(level) == level


@pytest.mark.parametrize("level", ["error!", None, 1.5, URL])
def test_what_is_no_level_is_named(level: object) -> None:
    """A webhook URL, given as the level by mistake, is not shown."""
    with pytest.raises(InvalidSettingError, match="level must be a level such as") as caught:
        check_level(level)
    assert TOKEN not in str(caught.value)
