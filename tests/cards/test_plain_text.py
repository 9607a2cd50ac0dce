"""A frozen record as text: whole, or as one line."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.plain_text import (
    ansi_line,
    clock_time,
    describe_repeats,
    exact_time,
    extra_text,
    full_text,
    has_traceback,
    one_line,
    reader_time,
    traceback_text,
)
from discord_logging._records.freeze import freeze
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
FENCE = "```"
ZONE = timezone(timedelta(hours=5, minutes=30))
NO_TIMES = [float("nan"), float("inf"), float("-inf"), 1e300]
ANYTHING = st.text(st.characters(), max_size=30) | st.sampled_from(
    [URL, FENCE, "`" * 7, "\x1b[31m", "a\r\nb", "\ud800"]
)


def make(msg: object = "hello", **attributes: object) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, "/srv/orders.py", 42, msg, (), None, "place")
    record.__dict__.update({"created": 1e9 + 0.25, **attributes})
    return FrozenRecord(freeze(record, CardSettings(EmbedFormatter(), context={"service": "shop", "env": "test"})))


def raised(depth: int) -> ValueError:
    """Return an exception that was raised in the last of some calls."""

    def fail(left: int) -> None:
        if left:
            fail(left - 1)
        raise ValueError("declined\nby the bank")

    with pytest.raises(ValueError, match="declined") as caught:
        fail(depth)
    return caught.value


class TestTimes:
    """The times in a text: for the reader, or in a zone that the text names."""

    def test_discord_shows_a_time_in_the_zone_of_the_reader(self) -> None:
        """A part of a second does not count, also before 1970."""
        assert reader_time(1e9 + 0.75) == "<t:1000000000:T>"
        assert reader_time(-0.25, "d") == "<t:-1:d>"

    def test_a_time_of_day_is_in_the_given_zone(self) -> None:
        """The zone of the machine does not matter."""
        assert clock_time(1e9, timezone.utc) == "01:46:40"
        assert clock_time(1e9, ZONE) == "07:16:40"

    def test_an_exact_time_has_its_offset(self) -> None:
        """Files may be read anywhere."""
        assert exact_time(1e9 + 0.25, ZONE) == "2001-09-09T07:16:40.250+05:30"
        assert exact_time(-1.5, timezone.utc) == "1969-12-31T23:59:58.500+00:00"

    @pytest.mark.parametrize("created", NO_TIMES)
    def test_an_invalid_time_is_shown_as_dashes(self, created: float) -> None:
        """A record that was made by hand may have any value."""
        assert {reader_time(created), clock_time(created, ZONE), exact_time(created, ZONE)} == {"--:--:--"}

    @given(st.floats(), st.sampled_from([timezone.utc, ZONE, timezone(timedelta(hours=-12))]))
    @example(-62135596800.0, timezone(timedelta(hours=-12)))
    @example(253402300799.9, ZONE)
    def test_a_time_is_right_or_dashes(self, created: float, zone: timezone) -> None:
        """The year 1 begins later in the west, and the year 9999 ends earlier in the east."""
        exact, shown = exact_time(created, zone), reader_time(created)
        assert exact == "--:--:--" or abs(datetime.fromisoformat(exact).timestamp() - created) < 0.002
        assert re.fullmatch(r"--:--:--|<t:-?\d{1,12}:T>", shown)


class TestRepeats:
    """The number and the times of repeats."""

    def test_a_record_without_repeats_has_no_text(self) -> None:
        """This is the usual case."""
        assert describe_repeats(make()) == ""

    def test_repeats_have_a_number_and_two_times(self) -> None:
        """The times are those of the first and the last."""
        record = make().counted(Counts(1280, 1e9 + 60))
        assert describe_repeats(record) == "×1,280, first <t:1000000000:T>, last <t:1000000060:T>"  # noqa: RUF001 - the sign
        assert describe_repeats(record, lambda seconds: f"at {seconds:.0f}").endswith("last at 1000000060")


@pytest.mark.parametrize(
    ("attributes", "text", "has_one"),
    [
        ({}, "", False),
        ({"exc_text": ""}, "", False),
        ({"exc_text": "Traceback"}, "Traceback", True),
        ({"exc_info": ValueError("no")}, "ValueError: no", True),
        ({"stack_info": "Stack"}, "", True),
    ],
)
def test_a_traceback_is_an_exception_or_a_stack(attributes: dict[str, object], text: str, *, has_one: bool) -> None:
    """The message does not matter."""
    record = make(**attributes)
    assert (traceback_text(record), has_traceback(record)) == (text, has_one)


class TestFullText:
    """The text for a file that works well with `grep`."""

    def test_all_parts_are_in_order(self) -> None:
        """The order is that of reading."""
        record = make("one\ntwo", order=17, user="ann", exc_text="Traceback:\nno", stack_info="Stack:\nhere")
        record = record.counted(Counts(3, 1e9 + 60))
        assert full_text(record, ZONE) == (
            "2001-09-09T07:16:40.250+05:30 ERROR shop [MainThread] orders.py:42: one\ntwo "
            "(×3, first 2001-09-09T07:16:40.250+05:30, last 2001-09-09T07:17:40.000+05:30)\n"  # noqa: RUF001 - the sign
            "order=17 user=ann\nTraceback:\nno\nStack:\nhere\n"
        )

    def test_an_exception_far_below_stands_among_the_first_lines(self) -> None:
        """Discord shows six lines of a file above the card."""
        record = make("Order 17 was not paid", order=17, exc_info=raised(3))
        lines = full_text(record, ZONE, for_card=True).splitlines()
        assert lines[1:4] == ["ValueError: declined by the bank", "order=17", "service=shop env=test"]
        assert lines[-2:] == ["ValueError: declined", "by the bank"]

    @pytest.mark.parametrize(
        ("msg", "error", "second"),
        [
            ("Order 17 was not paid", ValueError("declined"), "service=shop env=test"),
            ("declined\nby the bank", raised(3), "by the bank"),
        ],
    )
    def test_an_exception_among_the_first_lines_is_not_named_again(
        self, msg: str, error: ValueError, second: str
    ) -> None:
        """The traceback is short, or the message says the same."""
        lines = full_text(make(msg, exc_info=error), ZONE, for_card=True).splitlines()
        assert lines[1] == second
        assert sum("ValueError: declined" in line for line in lines) == 1

    def test_the_text_of_a_card_has_the_context(self) -> None:
        """The context is the same for all records of a handler."""
        assert full_text(make(order=17), ZONE, for_card=True).endswith(": hello\norder=17\nservice=shop env=test\n")
        assert "service" not in full_text(make(order=17), ZONE)

    @pytest.mark.parametrize("created", [*NO_TIMES, None, "now"])
    def test_a_record_without_a_time(self, created: object) -> None:
        """All other parts are there."""
        assert full_text(make(created=created), ZONE) == "--:--:-- ERROR shop [MainThread] orders.py:42: hello\n"

    @pytest.mark.parametrize("created", [1e9 + 0.999_999_9, 1e9, 0.0, -0.001, 12])
    def test_milliseconds_have_three_digits(self, created: float) -> None:
        """The lines of a file can be sorted then."""
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 ERROR ", full_text(make(created=created), ZONE))

    @given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.dictionaries(ANYTHING, ANYTHING, max_size=3))
    def test_of_any_record(self, msg: str, name: str, levelname: str, thread: str, extra: dict[str, str]) -> None:
        """The head line has time, level and logger; the text is UTF-8 without codes and tokens."""
        extra = {f"_{key}": value for key, value in extra.items()}
        record = make(f"id {msg}", name=name, levelname=levelname, threadName=thread, pathname=thread, **extra)
        text = full_text(record, ZONE, for_card=True)
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.250\+05:30 .*:42: id ", text)
        assert re.search(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", text.encode().decode()) is None
        assert TOKEN[:9] not in text
        assert text.endswith("\n")

    @pytest.mark.parametrize("blank", ["", "\xa0", "\u200e"])
    @pytest.mark.parametrize("line_break", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
    def test_a_text_cannot_look_like_a_record_of_its_own(self, line_break: str, blank: str) -> None:
        """Such lines of a message or a traceback are indented, and a name has no lines."""
        forged = f"a{line_break}{blank}2001-09-09T01:46:40.000+00:00 CRITICAL till [MainThread] till.py:1: gone"
        everywhere = make(forged, name=forged, levelname=forged, threadName=forged, exc_text=forged, stack_info=forged)
        lines = full_text(everywhere, ZONE).splitlines()
        heads = [line for line in lines if re.match(r"\W{0,3}2001-", line)]
        assert heads == lines[:1]
        assert full_text(make(f"a{line_break}--:--:-- b"), ZONE).endswith(("a\n    --:--:-- b\n", "a--:--:-- b\n"))

    def test_no_line_of_a_long_text_looks_like_a_record(self) -> None:
        """A long text is searched in portions, so that other threads get their turn."""
        forged = "2001-09-09T01:46:40.000+00:00 gone"
        for before in range(9_960, 10_050, 7):
            text = full_text(make(f"{'x' * before}\n{forged}\n{'y' * 20_000}\n\n{forged}"), ZONE)
            assert text.count(f"\n    {forged}\n") == 2
            assert text.count(forged) == 2


class TestAnsiLine:
    """The line for a block that looks like a terminal."""

    @pytest.mark.parametrize(
        ("level", "color"), [(10, ""), (20, ""), (29, ""), (30, "33"), (40, "31"), (50, "1;31"), (99, "1;31")]
    )
    def test_the_level_has_its_colour(self, level: int, color: str) -> None:
        """Only the level is coloured, and only from `WARNING` on, so that the line is readable on phones.

        They show the codes as they are.
        """
        shown = f"\x1b[{color}mERROR\x1b[0m" if color else "ERROR"
        assert ansi_line(make(levelno=level), ZONE) == f"07:16:40 {shown} shop: hello"

    @pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
    def test_a_line_of_a_message_cannot_look_like_a_record_of_its_own(self, line_break: str) -> None:
        """It is indented, and a name has no lines."""
        name = f"x{line_break}01:46:40 ERROR y"
        first, second = ansi_line(make(f"a{line_break}12:00:00 CRITICAL till: gone", name=name), ZONE).splitlines()
        assert first.endswith("x 01:46:40 ERROR y: a")
        assert second == "         12:00:00 CRITICAL till: gone"

    def test_values_and_repeats_follow_the_message(self) -> None:
        """They are on the same line, and further lines of the message below it."""
        record = make(" one\r\ntwo \n", order=17).counted(Counts(2, 1e9))
        assert ansi_line(record, ZONE) == (
            "07:16:40 \x1b[31mERROR\x1b[0m shop: one\n         two order=17 ×2, first 07:16:40, last 07:16:40"  # noqa: RUF001 - the sign
        )

    @given(ANYTHING, ANYTHING, ANYTHING, st.dictionaries(ANYTHING, ANYTHING, max_size=3))
    def test_of_any_record(self, msg: str, name: str, levelname: str, extra: dict[str, str]) -> None:
        """The line has no fence, no codes but ours, and no token."""
        extra = {f"_{key}": value for key, value in extra.items()}
        line = ansi_line(make(msg, name=name, levelname=levelname, **extra), ZONE)
        assert FENCE not in line
        assert TOKEN[:9] not in line
        assert re.findall("\x1b.{0,4}", line)[:1] == ["\x1b[31m"]
        assert line.count("\x1b") == 2
        assert all(part.startswith(" " * 9) for part in line.split("\n")[1:])
        assert line.encode()


def test_extra_values_are_pairs() -> None:
    """The values are shown as they were frozen."""
    assert extra_text(make()) == ""
    assert extra_text(make(order=17, user=None, items=["a"])) == "order=17 user=None items=['a']"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("one", "one"),
        ("\n one\ntwo", "one"),
        ("\x1b[1mone\x00", "one"),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "…"),
        ("x" * 1_000_000, "x" * 9 + "…"),
        (f"{URL} x", "https://d…"),
    ],
)
def test_one_line_is_the_first_line(text: str, line: str) -> None:
    """The line is cleaned and cut."""
    assert one_line(text, 10) == line


def test_a_whole_record_names_the_line_that_raised() -> None:
    """A library logged the exception."""
    with pytest.raises(ValueError, match="no") as caught:
        raise ValueError("no")
    record = make(pathname="/x/site-packages/django/utils/log.py", exc_info=caught.value)
    line = caught.traceback[0].lineno + 1
    assert f" test_plain_text.py:{line}: hello\nTraceback " in full_text(record)


def test_a_whole_record_leaves_out_unknown_parts() -> None:
    """A line that another program wrote has neither thread nor location."""
    record = make("hello", threadName=None, lineno=0)
    assert full_text(record, ZONE) == "2001-09-09T07:16:40.250+05:30 ERROR shop hello\n"
