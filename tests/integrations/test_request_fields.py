"""Tests of the fields of a request, which are few, short, and without secrets."""

from __future__ import annotations

import pytest

from discord_logging._integrations.request_fields import cut, find_id, first_values, mask_values


def test_a_list_of_one_value_becomes_the_value() -> None:
    """Several values of one name stay in their list."""
    assert first_values([("page", ["2"]), ("tag", ["tea", "milk"])]) == {"page": "2", "tag": ["tea", "milk"]}


def test_at_most_a_hundred_values_are_read() -> None:
    """A client may send millions of values."""
    assert len(first_values((f"n{number}", ["x"]) for number in range(1_000_000))) == 100


def test_long_texts_are_shortened() -> None:
    """An ellipsis marks the cut."""
    assert len(cut("x" * 501)) == 500
    assert cut("x" * 501).endswith("…")
    assert cut("x" * 500) == "x" * 500


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Request-ID": "a", "traceparent": "b"}, "a"),
        ({"X-Request-ID": "", "traceparent": "b"}, "b"),
        ({"X-Amzn-Trace-Id": "y" * 600}, "y" * 499 + "…"),
        ({"Accept": "c"}, None),
    ],
)
def test_the_first_header_with_an_id_is_the_id(headers: dict[str, str], expected: str | None) -> None:
    """An empty header is not an id."""
    assert find_id(headers.get) == expected


class _NoText:
    """The value of a converter that an application has written."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("/reset/kQ7zT2", {"token": "kQ7zT2"}, "/reset/***"),
        ("/reset/ABCDEF", {"token": "abcdef"}, "/reset/***"),
        ("/orders/4711", {"order": 4711}, "/orders/4711"),
        ("/reset/", {"token": ""}, "/reset/"),
        ("/a.c/abc", {"secret": "a.c"}, "/***/abc"),
        ("/reset/7", {"token": _NoText(), "order": _NoText()}, "/reset/7"),
    ],
)
def test_a_secret_in_the_path_is_masked(path: str, arguments: dict[str, object], expected: str) -> None:
    """The name of an argument of the path says whether its value is a secret."""
    assert mask_values(path, arguments) == expected
