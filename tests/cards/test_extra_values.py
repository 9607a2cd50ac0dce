"""The `extra` values that are shown."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.extra_values import repeats_exception, shown_values
from discord_logging._cards.plain_text import ansi_line, full_text
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Callable


def make(
    msg: str = "hello", *args: object, name: str = "shop", fields: list[str] | None = None, **attributes: Any
) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord(name, logging.ERROR, "orders.py", 42, msg, args, None)
    record.__dict__.update(attributes)
    return FrozenRecord(freeze(record, CardSettings.from_options(EmbedFormatter(), fields=fields)))


class TestInnerValues:
    """The values that frameworks attach for themselves are left out."""

    @pytest.mark.parametrize(
        ("logger", "values"),
        [
            ("uvicorn.error", {"color_message": "Started [\x1b[36m%d\x1b[0m]"}),
            ("shop", {"_logger": "<Logger>", "_name": "info", "_record": "<LogRecord>", "_from_structlog": True}),
            ("celery.app.trace", {"data": {"id": 1}}),
            ("django.request", {"request": "<WSGIRequest: GET '/'>", "status_code": 500}),
            ("django.server", {"server_time": "29/Nov/2026 10:00:01"}),
            ("django.db.backends", {"duration": 0.1, "sql": "SELECT 1", "params": [], "alias": "default"}),
            # The children of a logger with three parts in its name were left out.
            ("django.db.backends.schema", {"sql": "CREATE TABLE x", "params": None}),
            ("gunicorn.error", {"metric": "gunicorn.workers", "value": 2, "mtype": "gauge"}),
            ("aiohttp.access", {"remote_address": "::1", "request_header": {"Referer": "-"}}),
            ("sanic.server", {"verbosity": 2}),
            ("scrapy.core.engine", {"spider": "<Spider>"}),
            ("shop", {"otelSpanID": "5", "otelTraceID": "0", "otelTraceSampled": False, "otelServiceName": "shop"}),
            ("shop", {"dd.trace_id": "0", "dd.span_id": "0", "dd.env": "", "dd.service": "shop", "dd.version": ""}),
            ("shop", {"markup": True}),
        ],
    )
    def test_they_are_not_shown(self, logger: str, values: dict[str, Any]) -> None:
        """The other values of the record are, and a file has all of them."""
        record = make(name=logger, order=17, **values)
        assert shown_values(record) == {"order": 17}
        assert all(f"{name}=" in full_text(record) for name in values)
        assert "order=17" in ansi_line(record, record.zone)
        assert not any(f"{name}=" in ansi_line(record, record.zone) for name in values)

    @pytest.mark.parametrize(
        "values",
        [
            {"data": 1, "request": 2, "status_code": 3, "value": 4, "spider": 5},
            {"otelTraceID": "4bf92f3577b34da6a3ce929d0e0e4736", "dd.trace_id": "17"},
            {"markup": "20 %", "extra": "vat", "_id": 5},
        ],
    )
    def test_values_of_the_program_are_shown(self, values: dict[str, Any]) -> None:
        """Another logger may use the same names, and the id of a trace leads to it."""
        assert shown_values(make(**values)) == values
        assert shown_values(make(name="djangoish", **values)) == values

    def test_the_setting_may_name_them(self) -> None:
        """The user wants them then."""
        record = make(color_message="hello", fields=["color_message"])
        assert shown_values(record) == {"color_message": "hello"}

    def test_the_setting_may_hide_others(self) -> None:
        """A list with only exclusions shows all other values, and the file has all."""
        record = make(fields=["-request_id", "-taken"], request_id=5, order=17, color_message="hello")
        assert shown_values(record) == {"order": 17}
        assert "request_id=5" in full_text(record)
        card = EmbedFormatter().embed(record)
        assert [field["name"] for field in card["fields"]] == ["order"]

    def test_a_list_with_a_name_to_show_shows_only_these(self) -> None:
        """A `-` is a part of a name there."""
        record = make(fields=["order", "-request_id"], request_id=5, order=17)
        assert [field["name"] for field in EmbedFormatter().embed(record)["fields"]] == ["order"]


class TestFacts:
    """Formatters and structlog add what every card shows anyway."""

    @pytest.mark.parametrize(
        "values",
        [
            {"level": "error", "severity": "ERROR", "level_number": 40, "logger": "shop"},
            {"pathname": "orders.py", "filename": "orders.py", "module": "orders", "lineno": 42, "line": "42"},
            {"thread_name": "MainThread", "thread": 139727349480320, "process": os.getpid()},
            {"log.level": "error", "log": {"logger": "shop", "origin": {"file": {"name": "orders.py", "line": 42}}}},
            {"original": "hello"},
            {"exc_info": None, "stack_info": False, "taskName": None},
        ],
    )
    def test_a_value_that_repeats_one_is_not_shown(self, values: dict[str, Any]) -> None:
        """Its name says that it is the same, and a file has it."""
        record = make(extra={"order": 17, **values})
        assert shown_values(record) == {"order": 17}
        assert all(f"{name}=" in full_text(record) for name in values)

    @pytest.mark.parametrize("write", [datetime.isoformat, str, datetime.timestamp, "{:%Y-%m-%d %H:%M:%S}Z".format])
    @pytest.mark.parametrize("name", ["timestamp", "@timestamp", "ts", "asctime"])
    def test_the_time_is_not_shown(self, write: Callable[[datetime], Any], name: str) -> None:
        """Another time says something else."""
        now = datetime.now(timezone.utc)
        assert shown_values(make(extra={name: write(now)})) == {}
        other = write(now - timedelta(hours=3.3))
        assert shown_values(make(extra={name: other})) == {name: other}

    @pytest.mark.parametrize(
        "values",
        [
            {"level": "gold", "line": 1, "file": "orders.csv", "process": "payment", "time": 12.5, "host": None},
            {"order": 42, "error": "error", "user": "shop"},
            {"log": {"logger": "shop", "order": 17}},
            {"name_": "x" * 1_000},
        ],
    )
    def test_other_values_are_shown(self, values: dict[str, Any]) -> None:
        """The name may be another one, or the value."""
        assert shown_values(make(extra=values)) == values

    def test_the_setting_may_name_them_too(self) -> None:
        """The user wants them then."""
        assert shown_values(make(level="error", fields=["level"])) == {"level": "error"}


class TestRepeats:
    """A value that repeats the text of the card is not shown twice."""

    @pytest.mark.parametrize("value", ["order 17 failed", " order 17 failed\n", "\x1b[31morder 17 failed\x1b[0m"])
    def test_a_value_may_repeat_the_message(self, value: str) -> None:
        """Colours and blanks do not matter."""
        assert shown_values(make("order %d failed", 17, event=value, order=17)) == {"order": 17}

    @pytest.mark.parametrize(
        "value",
        [
            "no price",
            "ValueError: no price",
            ValueError("no price"),
            "Traceback (most recent call last):\n  …\nValueError: no price\n",
        ],
    )
    def test_a_value_may_repeat_the_exception(self, value: object) -> None:
        """Programs attach its text, its `repr` or its traceback."""
        assert shown_values(make(exc_info=ValueError("no price"), error=value)) == {}

    @pytest.mark.parametrize("value", [17, "17", None, "price", "no"])
    def test_a_part_or_a_number_is_no_repeat(self, value: object) -> None:
        """Its name tells more."""
        assert shown_values(make("order 17: no price", exc_info=ValueError("no price"), found=value)) == {
            "found": value
        }

    def test_the_text_of_a_formatter_may_show_a_value(self) -> None:
        """The renderer of structlog for consoles writes all values, in colours."""
        record = logging.makeLogRecord({"msg": "failed", "order": 17, "user": "ann lee", "item": "tea"})
        body = "failed  \x1b[36morder\x1b[0m=\x1b[35m17\x1b[0m user='ann lee'"
        frozen = FrozenRecord(freeze(record, CardSettings(EmbedFormatter()), body))
        assert shown_values(frozen) == {"item": "tea"}

    def test_texts_too_long_for_a_card_are_not_compared(self) -> None:
        """Five megabytes were masked five times for it, which took two seconds."""
        text = "no price " * 1_000
        assert shown_values(make(exc_info=ValueError(text), error=text)) == {"error": text}

    def test_a_ready_made_traceback_may_be_repeated(self) -> None:
        """The record has only its text."""
        assert shown_values(make(exc_text="Traceback: no", trace="Traceback: no")) == {}


@pytest.mark.parametrize(
    ("message", "error", "repeats"),
    [
        ("no price", ValueError("no price"), True),
        ("ValueError: no price", ValueError("no price"), True),
        ("Order failed: no price", ValueError("no price"), False),
        ("", ValueError(""), False),
        ("hello", None, False),
    ],
)
def test_a_message_may_repeat_the_exception(message: str, error: Exception | None, *, repeats: bool) -> None:
    """The whole text must be equal."""
    assert repeats_exception(make(message, exc_info=error)) is repeats
