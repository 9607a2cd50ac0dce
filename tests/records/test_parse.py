"""The value of each setting is read in the forms in which people write it, and a wrong one is named."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import InvalidSettingError
from discord_logging._records.parse import (
    COLORS,
    EMOJIS,
    fill_source_url,
    parse_avatar_url,
    parse_by_level,
    parse_colors,
    parse_context,
    parse_delays,
    parse_emojis,
    parse_enabled,
    parse_level,
    parse_mentions,
    parse_names,
    parse_number,
    parse_snowflake,
    parse_source_url,
    parse_tags,
    parse_thread_name,
    parse_username,
)
from discord_logging._records.settings import at_level, nearest_level

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
NAN, INFINITY = math.nan, math.inf


class TestParseNumber:
    """Sizes and seconds."""

    @pytest.mark.parametrize("value", [0, 1, 0.5, 10**9])
    def test_numbers_pass_as_they_are(self, value: float) -> None:
        """The minimum itself is allowed."""
        assert parse_number("timeout", value, minimum=0) is value

    @pytest.mark.parametrize(("value", "number"), [("10", 10), (" 2.5 ", 2.5), ("0", 0), ("007", 7)])
    def test_a_text_of_digits_is_a_number(self, value: str, number: float) -> None:
        """An INI file has texts alone, and so has the environment."""
        assert parse_number("timeout", value, minimum=0) == number

    @pytest.mark.parametrize(
        "value",
        [
            *(None, "", "ten", "5s", "1,000", "1_000", "1e3", "0x10", "-1", ".5", "5.", "nan", "inf", "٣", "9" * 5000),
            *(True, -1, -0.1, NAN, INFINITY, -INFINITY, [1], 1j),
        ],
    )
    def test_other_values_are_refused_by_name(self, value: object) -> None:
        """The text has the rule and the given value."""
        with pytest.raises(InvalidSettingError, match="timeout must be a number of seconds, at least 0, not") as caught:
            parse_number("timeout", value, minimum=0)
        assert repr(value)[:100] in str(caught.value)

    @pytest.mark.parametrize("value", [0, 1.0, 2.5, "1.0", "0", False, NAN])
    def test_a_size_is_whole(self, value: object) -> None:
        """Half a record cannot wait."""
        with pytest.raises(InvalidSettingError, match="queue_size must be a whole number, at least 1, not"):
            parse_number("queue_size", value, minimum=1, whole=True)
        assert parse_number("queue_size", 1, minimum=1, whole=True) == 1
        assert parse_number("queue_size", "1", minimum=1, whole=True) == 1


class TestParseDelays:
    """Seconds between tries."""

    @pytest.mark.parametrize(("value", "delays"), [([2, 3.5], (2.0, 3.5)), ((0,), (0.0,))])
    def test_a_list_becomes_a_tuple_of_floats(self, value: Any, delays: tuple[float, ...]) -> None:
        """`dictConfig` hands over lists."""
        assert parse_delays("retry_delays", value) == delays

    @pytest.mark.parametrize("value", [None, [], (), 5, "2, 3", {2: 3}])
    def test_a_value_that_is_not_a_list_is_refused(self, value: object) -> None:
        """An empty list is refused as well, since there is no delay to double."""
        with pytest.raises(InvalidSettingError, match=r"retry_delays must be a list of seconds such as \[2, 3, 5\]"):
            parse_delays("retry_delays", value)

    def test_a_wrong_delay_is_named_by_its_index(self) -> None:
        """The first index is 0."""
        with pytest.raises(InvalidSettingError, match=r"retry_delays\[1\] must be a number of seconds, at least 0"):
            parse_delays("retry_delays", [2, -3])


class TestParseUsername:
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
    def test_names_that_discord_accepts(self, value: object, name: str | None) -> None:
        """White space is collapsed, as Discord does it."""
        assert parse_username(value) == name

    @pytest.mark.parametrize(
        "value", ["", " \n", "x" * 81, "My Discord", "cLYDe 2", "Everyone", " here ", 5, b"shop", URL]
    )
    def test_names_that_discord_refuses(self, value: object) -> None:
        """The error comes at start, not with every message, and a webhook URL as the name stays secret."""
        with pytest.raises(InvalidSettingError, match="username must be 1 to 80 characters without") as caught:
            parse_username(value)
        assert TOKEN[:8] not in str(caught.value)


class TestParseAvatarUrl:
    """The picture of the messages."""

    @pytest.mark.parametrize(
        "value", [None, "https://x.example/a.png", "http://x.example", "https://x.example/" + "a" * 2030]
    )
    def test_addresses_that_discord_accepts(self, value: object) -> None:
        """They pass unchanged."""
        assert parse_avatar_url(value) is value

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
        """A host needs a dot."""
        with pytest.raises(InvalidSettingError, match=r"avatar_url must be a http\(s\) URL on a public host"):
            parse_avatar_url(value)


class TestParseSnowflake:
    """Discord's ids."""

    @pytest.mark.parametrize(("value", "snowflake"), [(None, None), ("123", "123"), (2**64 - 1, str(2**64 - 1))])
    def test_text_and_numbers_pass_as_text(self, value: object, snowflake: str | None) -> None:
        """YAML and TOML turn ids into numbers."""
        assert parse_snowflake("thread_id", value) == snowflake

    @pytest.mark.parametrize("value", ["", "0", "01", "-1", "1 ", "1\n", "1.0", "٣", "1٣", "1" * 21, 0, True, 1.0, []])
    def test_others_are_refused(self, value: object) -> None:
        """Discord would refuse every message."""
        with pytest.raises(InvalidSettingError, match="thread_id must be an id such as '123456789012345678', not"):
            parse_snowflake("thread_id", value)


class TestParseEnabled:
    """A switch, mostly from the environment."""

    @pytest.mark.parametrize(
        ("yes", "no"),
        [
            *((True, False), ("true", "false"), (" YES\n", " NO\n"), ("1", "0"), ("On", "OFF"), (1, 0)),
            *(("y", "n"), ("T", "F")),
        ],
    )
    def test_words_for_yes_and_no(self, yes: object, no: object) -> None:
        """Upper and lower case do not matter. PyYAML leaves `y` and `n` as texts."""
        assert parse_enabled(yes) is True
        assert parse_enabled(no) is False

    @pytest.mark.parametrize("value", ["", "maybe", "2", 2, -1, 1.0, 0.0, None, [], b"true", "truefalse"])
    def test_others_are_refused_by_the_name_that_was_used(self, value: object) -> None:
        """A misspelt `false` must not mean `true`."""
        with pytest.raises(InvalidSettingError, match=r"^DISCORD_NOTIFICATIONS_ENABLED must be true or false, not"):
            parse_enabled(value, name="DISCORD_NOTIFICATIONS_ENABLED")


class TestParseContext:
    """The values on every card."""

    def test_names_and_values_become_text(self) -> None:
        """Their types do not matter. False and zero are values."""
        assert parse_context({"service": "shop", 1: 0, "debug": False}) == {
            "service": "shop",
            "1": "0",
            "debug": "False",
        }
        assert parse_context(None) == {}

    def test_a_name_without_a_value_is_left_out(self) -> None:
        """YAML has null for `release:` without a value."""
        assert parse_context({"release": None, "build": "", "host": " ", None: "x", "": "y"}) == {}

    @pytest.mark.parametrize("value", ["service", ["service"], 5])
    def test_others_are_refused(self, value: object) -> None:
        """The text shows a right value."""
        with pytest.raises(InvalidSettingError, match=r"context must be a mapping such as {'service': 'shop'}, not"):
            parse_context(value)


class TestParseColorsAndEmojis:
    """The colours and emojis of levels."""

    @pytest.mark.parametrize("color", ["#FF0000", "#ff0000", 0xFF0000, "0xff0000"])
    @pytest.mark.parametrize("level", ["ERROR", 40, "40"])
    def test_colours_are_laid_over_the_standard_ones(self, level: object, color: object) -> None:
        """The level has a name or a number, as in `dictConfig`."""
        assert parse_colors({level: color}) == {**COLORS, 40: 0xFF0000}

    @pytest.mark.parametrize("color", [0, 0xFFFFFF, "#000000"])
    def test_black_and_white_are_colours(self, color: object) -> None:
        """Limits are inclusive."""
        assert parse_colors({"ERROR": color})[40] in (0, 0xFFFFFF)

    def test_emojis_are_laid_over_the_standard_ones(self) -> None:
        """An empty text stands for no emoji, and so does null, which YAML has for `INFO:` without a value."""
        assert parse_emojis({"ERROR": "🔥", 25: "", 20: None}) == {**EMOJIS, 40: "🔥", 25: "", 20: ""}

    @pytest.mark.parametrize("emoji", [5, True, ["🔥"], {}, b"x"])
    def test_other_emojis_are_refused(self, emoji: object) -> None:
        """The text shows a right value, and names the level."""
        with pytest.raises(
            InvalidSettingError, match="emojis must be texts such as '🔥', or '' for no emoji, not"
        ) as caught:
            parse_emojis({"INFO": "x", "ERROR": emoji})
        assert "'ERROR'" in str(caught.value)

    @pytest.mark.parametrize("empty", [None, "", " "])
    def test_a_level_without_a_colour_keeps_the_standard(self, empty: object) -> None:
        """Nothing was given for it."""
        assert parse_colors({"ERROR": empty, "INFO": 1}) == {**COLORS, 20: 1}

    def test_own_levels_have_their_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """These are the names that were added to `logging`."""
        monkeypatch.setattr(logging, "_nameToLevel", {**logging._nameToLevel, "NOTICE": 25})
        assert parse_colors({"NOTICE": 1})[25] == 1

    def test_none_is_the_standard(self) -> None:
        """Nobody can change the standard by accident."""
        assert parse_colors(None) is COLORS
        assert parse_emojis(None) is EMOJIS
        assert not hasattr(COLORS, "__setitem__")

    @pytest.mark.parametrize(
        "color", ["red", "#ff00", "#ff00000", "#ff0000\n", "ff0000", "16711680", -1, 0x1000000, True, 1.0, []]
    )
    def test_other_colours_are_refused(self, color: object) -> None:
        """Discord accepts only numbers. The text names the level."""
        with pytest.raises(InvalidSettingError, match="colors must be 0xRRGGBB or '#rrggbb', not") as caught:
            parse_colors({"INFO": 1, "ERROR": color})
        assert str(caught.value).endswith("The value is that of the level 'ERROR'.")

    @pytest.mark.parametrize(
        ("level", "hint"), [("error", "ERROR"), ("WARNIGN", "WARNING"), (" Info", "INFO"), ("CRITCAL", "CRITICAL")]
    )
    def test_a_misspelt_level_gets_a_suggestion(self, level: str, hint: str) -> None:
        """The text has the level as it was written, and the one that was meant."""
        with pytest.raises(InvalidSettingError, match=f"not {level!r}. Did you mean {hint!r}"):
            parse_colors({level: 1})

    @pytest.mark.parametrize("level", ["error", "FATALITY", "", None, (), NAN, INFINITY, True])
    @pytest.mark.parametrize(("name", "check"), [("colors", parse_colors), ("emojis", parse_emojis)])
    def test_other_levels_are_refused(self, level: object, name: str, check: Callable[[object], object]) -> None:
        """A misspelt level would never be used."""
        with pytest.raises(InvalidSettingError, match=f"{name} must have levels such as 'ERROR' or 40 for keys, not"):
            check({level: 1})

    @pytest.mark.parametrize("value", ["#ff0000", 5, [("ERROR", 1)]])
    @pytest.mark.parametrize(("name", "check"), [("colors", parse_colors), ("emojis", parse_emojis)])
    def test_others_are_refused(self, value: object, name: str, check: Callable[[object], object]) -> None:
        """The text shows a right value."""
        with pytest.raises(InvalidSettingError, match=f"{name} must be a mapping such as {{'ERROR': "):
            check(value)


def test_standard_looks_cover_the_standard_levels() -> None:
    """Each has an emoji and, except DEBUG, a colour of its own."""
    assert set(COLORS) == set(EMOJIS) == {0, 10, 20, 30, 40, 50}
    assert all(0 < color < 0xFFFFFF for color in COLORS.values())


@pytest.mark.parametrize("level", [0, 35, "ERROR", logging.DEBUG])
def test_levels(level: int | str) -> None:
    """Numbers and names are levels."""
    assert parse_level("level", level, "be") == logging._checkLevel(level)  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", ["error!", None, 1.5, URL])
def test_a_value_that_is_not_a_level_is_named(level: object) -> None:
    """A webhook URL, given as the level by mistake, is not shown."""
    with pytest.raises(InvalidSettingError, match="level must be a level such as") as caught:
        parse_level("level", level, "be a level such as 'ERROR' or 40")
    assert TOKEN not in str(caught.value)


class TestParseByLevel:
    """A setting with one value, or one for each level."""

    @pytest.mark.parametrize("level", ["ERROR", 40, "40"])
    @pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
    def test_each_value_holds_from_its_level_on(self, kind: Callable[[object], object], level: object) -> None:
        """Levels below the lowest have None, and each value is checked alone."""
        names = parse_by_level("username", kind({level: "  Alarm ", "CRITICAL": None}), parse_username)
        assert [at_level(names, levelno) for levelno in (0, 30, 40, 45, 50, 99)] == [
            None,
            None,
            "Alarm",
            "Alarm",
            None,
            None,
        ]

    def test_one_value_holds_for_all_levels(self) -> None:
        """None is allowed too."""
        assert at_level(parse_by_level("username", "shop", parse_username), 40) == "shop"
        assert at_level(parse_by_level("username", None, parse_username), 40) is None
        assert at_level(parse_by_level("username", {}, parse_username), 40) is None

    def test_not_set_is_the_lowest_level(self) -> None:
        """The value applies to all levels without their own value."""
        names = parse_by_level("username", {"NOTSET": "shop", "ERROR": "Alarm"}, parse_username)
        assert [at_level(names, levelno) for levelno in (0, 10, 40)] == ["shop", "shop", "Alarm"]

    @pytest.mark.parametrize("value", [{"ERROR": "Discord"}, {40: 5}, {"ERROR": {"ERROR": "shop"}}])
    def test_a_wrong_value_is_named(self, value: object) -> None:
        """The text has the rule of the setting."""
        with pytest.raises(InvalidSettingError, match="username must be 1 to 80 characters"):
            parse_by_level("username", value, parse_username)

    @pytest.mark.parametrize("level", ["error", "FATALITY", None, NAN])
    def test_a_wrong_level_is_named(self, level: object) -> None:
        """A misspelt level would never be used."""
        with pytest.raises(InvalidSettingError, match="username must have levels such as 'ERROR' or 40 for keys, not"):
            parse_by_level("username", {level: "shop"}, parse_username)


class TestParseThreadName:
    """The title of a forum post."""

    @pytest.mark.parametrize(
        ("value", "name"),
        [(None, None), ("Errors", "Errors"), (" my \n errors ", "my errors"), ("x" * 100, "x" * 100), ("🔥", "🔥")],
    )
    def test_titles_that_discord_accepts(self, value: object, name: str | None) -> None:
        """White space is collapsed."""
        assert parse_thread_name(value, None) == name

    @pytest.mark.parametrize("value", ["", " \n", "\x00", "x" * 101, 5, b"Errors", ["Errors"]])
    def test_titles_that_discord_refuses(self, value: object) -> None:
        """The error comes at start, not with every message."""
        with pytest.raises(InvalidSettingError, match="thread_name must be 1 to 100 characters, not") as caught:
            parse_thread_name(value, None)
        assert repr(value) in str(caught.value)

    def test_a_webhook_url_in_the_wrong_place_stays_secret(self) -> None:
        """The URL would be the title of a post."""
        assert parse_thread_name(URL, None) == URL.replace(TOKEN, "***")
        with pytest.raises(InvalidSettingError) as caught:
            parse_thread_name(f"{URL} {URL} {URL}", None)
        assert TOKEN not in str(caught.value)

    def test_a_post_is_new_or_there_already(self) -> None:
        """Discord refuses both together (220002)."""
        assert parse_thread_name(None, "5") is None
        with pytest.raises(InvalidSettingError, match=r"thread_name opens a new post and thread_id is one that exists"):
            parse_thread_name("Errors", "5")


class TestParseTags:
    """The tags of a forum post."""

    @pytest.mark.parametrize(
        ("value", "tags"),
        [(None, ()), ([], ()), (["1", 2], ("1", "2")), (("1",) * 5, ("1",) * 5)],
    )
    def test_ids_become_text(self, value: object, tags: tuple[str, ...]) -> None:
        """YAML and TOML turn ids into numbers."""
        assert parse_tags(value) == tags

    @pytest.mark.parametrize("value", ["1", 1, {"1": 2}, ["1"] * 6, [None], ["1", None]])
    def test_others_are_refused(self, value: object) -> None:
        """None, for an id that was not set, is refused as well."""
        with pytest.raises(InvalidSettingError, match="applied_tags must be a list of at most 5 ids, not"):
            parse_tags(value)

    def test_a_wrong_id_is_named(self) -> None:
        """The name of a tag is not an id."""
        with pytest.raises(
            InvalidSettingError, match="applied_tags must be an id such as '123456789012345678', not 'bug'"
        ):
            parse_tags(["1", "bug"])


class TestParseNames:
    """The values of a record that are shown."""

    @pytest.mark.parametrize(
        ("value", "names"), [(None, None), ([], ()), (["b", "a"], ("b", "a")), (("a",), ("a",)), ([""], ("",))]
    )
    def test_a_list_becomes_a_tuple(self, value: object, names: tuple[str, ...] | None) -> None:
        """None stands for all values, an empty list for no value."""
        assert parse_names("fields", value) == names

    @pytest.mark.parametrize("value", ["order_id", {"order_id": 1}, ["a", 1], [None], 5, {"a"}])
    def test_others_are_refused(self, value: object) -> None:
        """A single text would be read as a list of its letters."""
        with pytest.raises(InvalidSettingError, match=r"fields must be a list of names such as \['order_id'\], not"):
            parse_names("fields", value)


class TestParseMentions:
    """The mentions by level."""

    @pytest.mark.parametrize("mention", ["<@&5>", "<@18446744073709551615>", "@everyone", "@here", "", None])
    @pytest.mark.parametrize("level", ["ERROR", 40, "40"])
    def test_each_holds_from_its_level_on(self, level: object, mention: str | None) -> None:
        """Levels below the lowest, and those without a value, notify nobody."""
        mentions = parse_mentions({level: mention})
        shown = mention or ""
        assert [nearest_level(mentions, levelno) for levelno in (0, 39, 40, 50)] == ["", "", shown, shown]

    @pytest.mark.parametrize("value", [None, {}])
    def test_nobody_is_notified_without_the_setting(self, value: object) -> None:
        """The setting is optional."""
        assert not any(parse_mentions(value).values())

    @pytest.mark.parametrize(
        "mention",
        [
            *(
                "5",
                5,
                True,
                "@ops",
                "ops",
                "<@>",
                "<@&>",
                "<@0>",
                "<@05>",
                "<@!5>",
                "<#5>",
                "<@&5> now",
                "<@5>\n",
            ),
            *("<@5><@6>", "everyone", "@everyone @here", "@Everyone", "<@" + "1" * 21 + ">", ["<@5>"], b"<@5>"),
        ],
    )
    def test_others_are_refused(self, mention: object) -> None:
        """The text shows all right forms."""
        with pytest.raises(
            InvalidSettingError, match="mentions must be '<@&ID>' for a role, '<@ID>' for a user"
        ) as caught:
            parse_mentions({"ERROR": mention})
        assert f"'@everyone' or '@here', not {mention!r}." in str(caught.value)

    @pytest.mark.parametrize("value", ["<@5>", [("ERROR", "<@5>")], 5])
    def test_a_value_that_is_not_a_mapping_is_refused(self, value: object) -> None:
        """The text shows a right value."""
        with pytest.raises(InvalidSettingError, match=r"mentions must be a mapping such as {'CRITICAL': '<@&1234"):
            parse_mentions(value)

    @pytest.mark.parametrize("level", ["error", "", None, ()])
    def test_a_wrong_level_is_named(self, level: object) -> None:
        """A misspelt level would notify nobody."""
        with pytest.raises(InvalidSettingError, match="mentions must have levels such as 'ERROR' or 40 for keys, not"):
            parse_mentions({level: "<@5>"})


class TestParseSourceUrl:
    """The address of a line of source."""

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "https://github.com/acme/shop/blob/main/{path}#L{line}",
            "http://git.example/{path}",
            "https://git.example/?file={path}&line={line}&again={line}",
        ],
    )
    def test_templates_pass_as_they_are(self, value: object) -> None:
        """The line may be missing, the path may not."""
        assert parse_source_url(value) is value

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "https://git.example/",
            "https://git.example/#L{line}",
            "https://git.example/{{path}}",
            "https://git.example/{path}@{commit}",
            "https://git.example/{path}/{",
            "https://git.example/{path!r}",
            "https://git.example/{path.__class__}",
            "https://git.example/{0}",
            "https://git.example/{}",
            "https://git.example/a b/{path}",
            "https://git.example/{path}\n",
            "{path}",
            "ftp://git.example/{path}",
            "file:///{path}",
            "https://localhost/{path}",
            "https://git.example/{path}" + "x" * 2048,
            "https://discord.com/api/webhooks/5/" + TOKEN + "/{path}",
            5,
            b"https://git.example/{path}",
            ["https://git.example/{path}"],
        ],
    )
    def test_others_are_refused(self, value: object) -> None:
        """The text shows a right value."""
        right = "source_url must be a template such as 'https://github.com/acme/shop/blob/main/{path}#L{line}', not"
        with pytest.raises(InvalidSettingError, match=right) as caught:
            parse_source_url(value)
        assert TOKEN not in str(caught.value)

    @given(st.text(), st.text())
    def test_filling_it_in_never_fails(self, path: str, line: str) -> None:
        """A path is never read as a template."""
        assert fill_source_url("https://git.example/{path}", path, line) == f"https://git.example/{path}"
