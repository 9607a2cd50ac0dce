"""Tests of the arguments of notices."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._notice import (
    RichCard,
    as_values,
    check_fields,
    check_part,
    check_text,
    check_timestamp,
    describe_limits,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()
PICTURE = "https://example.org/shop.png"


class _Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class _Word(str, enum.Enum):
    SHOP = "shop"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ([], []),
        ({"item": "tea", "left": 3}, [("item", "tea", None), ("left", 3, None)]),
        ([("item", "tea"), ["left", 3, False]], [("item", "tea", None), ("left", 3, False)]),
        (({"name": "item", "value": "tea", "inline": True},), [("item", "tea", True)]),
        ({1: {"a": [1, 2]}}, [("1", {"a": [1, 2]}, None)]),
    ],
)
def test_fields_may_be_written_in_every_usual_form(value: object, expected: list[tuple[Any, ...]]) -> None:
    """Mappings, pairs, triples and Discord's own dicts have the same meaning."""
    assert check_fields("fields", value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "item=tea",
        b"item",
        7,
        ["ab"],
        ["abc"],
        [("item",)],
        [("item", "tea", True, 4)],
        [("item", "tea", "yes")],
        [{"name": "item"}],
        [{"name": "item", "value": 1, "colour": 2}],
        [None],
        {"a", "b"},
        _Hostile(),
        [_Hostile()],
    ],
)
def test_other_fields_are_refused_by_name(value: object) -> None:
    """The error shows the right forms."""
    with pytest.raises(ValueError, match=r"^context must be \{'name': value\}, or a list"):
        check_fields("context", value)


def test_fields_of_one_name_are_joined() -> None:
    """The values become lines of one text."""
    assert as_values(check_fields("fields", [("a", 1), ("b", [2]), ("a", "x")])) == {"a": "1\nx", "b": [2]}


@pytest.mark.parametrize(("value", "expected"), [(None, ""), ("", ""), ("shop", "shop"), (_Word.SHOP, "shop")])
def test_a_text_may_be_a_str_or_none(value: object, expected: str) -> None:
    """`None` becomes "", and a subclass of str becomes a str."""
    assert check_text("title", value) == expected
    with pytest.raises(TypeError, match=r"^title must be a str, not int\.$"):
        check_text("title", 7)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T13:00:00+01:00",
        datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
        datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
        datetime.fromtimestamp(NOON),  # noqa: DTZ006 - without a zone it is local time
    ],
)
def test_a_time_has_many_forms(value: object) -> None:
    """A datetime and an ISO 8601 text are accepted in any zone."""
    assert check_timestamp(value) == NOON
    assert check_timestamp(None) is None


@pytest.mark.parametrize("value", ["noon", 1_769_860_800, True])
def test_a_wrong_time_is_refused(value: object) -> None:
    """The error shows a right time."""
    with pytest.raises(ValueError, match=r"^timestamp must be a datetime or a text such as "):
        check_timestamp(value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("author", None, {}),
        ("author", "", {}),
        ("author", {"name": "\x00 "}, {}),
        ("author", "Ann", {"name": "Ann"}),
        ("author", {"name": "Ann", "icon_url": PICTURE, "url": None}, {"name": "Ann", "icon_url": PICTURE}),
        ("footer", {"text": "v1", "icon_url": PICTURE}, {"text": "v1", "icon_url": PICTURE}),
        ("image", PICTURE, {"url": PICTURE}),
        ("thumbnail", {"url": PICTURE}, {"url": PICTURE}),
    ],
)
def test_a_part_is_a_text_or_a_mapping(name: str, value: object, expected: Mapping[str, str]) -> None:
    """A text becomes the main text of the part."""
    assert check_part(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("author", {"icon_url": PICTURE}, ValueError, "author must have 'name'"),
        ("author", {"name": 7}, TypeError, r"author\.name must be a str"),
        ("author", {"name": "Ann", "link": PICTURE}, ValueError, "author must be a text, or a mapping with .*'link'"),
        ("footer", {"text": "v1", "icon_url": "icon.png"}, ValueError, r"footer\.icon_url must be a http"),
        ("image", "http://localhost/a.png", ValueError, r"image\.url must be a http"),
        ("image", 7, ValueError, r"image\.url must be a http"),
    ],
)
def test_a_wrong_part_is_named(name: str, value: object, error: type[Exception], message: str) -> None:
    """The error names the part and the key."""
    with pytest.raises(error, match=message):
        check_part(name, value)


def test_limits_are_described() -> None:
    """The description has the remaining requests and the wait of each known limit."""
    nothing = {"global_rate_limit": {"active": True, "wait_time": 3.21}, "buckets": {}}
    assert describe_limits(nothing) == {"Discord: all of Discord": "wait 3.2 s"}
    known = DiscordRateLimiter().info("1", 0.0)
    assert describe_limits({**known, "channel": {"limit": None}}) == {"Discord: all of Discord": "no wait"}
    known["buckets"]["b"] = {"limit": 5, "remaining": 0, "reset_after": 2.0, "wait_time": 1.5}
    described = describe_limits(known)
    assert described["Discord: webhook"] == "0 of 5 left, wait 1.5 s"
    assert described["Discord: channel"] == "30 of 30 left, no wait"


@pytest.mark.parametrize("blank", [None, "", " \n"])
@pytest.mark.parametrize(
    "name", ["description", "color", "fields", "url", "author", "footer", "image", "thumbnail", "timestamp"]
)
def test_an_empty_argument_is_not_given(name: str, blank: str | None) -> None:
    """A program often has an empty text where there is no value."""
    arguments: dict[str, Any] = dict.fromkeys(
        ("description", "color", "fields", "url", "author", "footer", "image", "thumbnail", "timestamp")
    )
    card = RichCard(title="Deployed", **{**arguments, name: blank})
    assert (card.text.strip(), card.values(), card.timestamp) == ("Deployed", {}, None)
