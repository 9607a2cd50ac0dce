"""Records whose message is an object, or repeats what the record has besides."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from pythonjsonlogger.json import JsonFormatter

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.extra_values import shown_values
from discord_logging._records.events import parse_object
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings

FRAME = {"filename": "a.py", "lineno": 3, "name": "pay", "locals": {"pin": "1"}}
ERROR = {
    "exc_type": "ValueError",
    "exc_value": "no price",
    "exc_notes": ["in March"],
    "syntax_error": None,
    "is_cause": False,
    "is_group": False,
    "frames": [FRAME],
}
"""An exception, as `structlog.tracebacks.ExceptionDictTransformer` writes it."""
SETTINGS = CardSettings(EmbedFormatter())


def frozen(msg: Any, body: str | None = None, **attributes: Any) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, "orders.py", 42, msg, (), None, "pay")
    record.__dict__.update(attributes)
    return FrozenRecord(freeze(record, SETTINGS, body))


class TestValuesOfLoguru:
    """loguru passes its values in one attribute."""

    def test_each_is_a_value_of_the_record(self) -> None:
        """They are frozen as all others: an object is its `str`."""
        assert frozen("failed", extra={"order": 17, "error": ValueError("no")}).extra == {"order": 17, "error": "no"}

    def test_a_value_of_a_filter_stays_beside_one_of_the_same_name(self) -> None:
        """Neither replaces the other."""
        assert frozen("failed", extra={"user": "ann", "name": "x"}, user="bob").extra == {
            "user": "bob",
            "extra.user": "ann",
            "name": "x",
        }

    @pytest.mark.parametrize("extra", ["vat", 5, None, ["a"]])
    def test_another_value_of_that_name_is_one(self, extra: object) -> None:
        """It is the program's own."""
        assert frozen("failed", extra=extra).extra == {"extra": extra}


class TestHeadOfLoguru:
    """The standard format puts time, level and place in front of the message."""

    HEAD = "2026-11-29 16:50:11.335 | ERROR    | shop:pay:42 - "

    def test_it_is_left_out(self) -> None:
        """The message may have several lines, and is the template as well."""
        record = frozen(f"{self.HEAD}failed\nat once\n", extra={})
        assert record.message == record.template == "failed\nat once"

    @pytest.mark.parametrize("part", ["16:50:11", "ERROR", "shop", "pay", "42"])
    def test_it_is_that_of_the_record(self, part: str) -> None:
        """Another one is part of the message: a program passes on what another one said."""
        text = f"{self.HEAD.replace(part, '7')}failed"
        assert frozen(text, extra={}).message == text


class TestBody:
    """A formatter may write JSON."""

    def test_it_is_a_message_and_values(self) -> None:
        """The values of the record are those that were logged, and no texts."""
        body = json.dumps({"message": "failed", "order": "17", "app": "shop", "tags": ["a", {"b": None}]})
        record = frozen("failed", body, order=17)
        assert record.message == record.logged == "failed"
        assert record.extra == {"order": 17, "app": "shop", "tags": ["a", {"b": None}]}

    @pytest.mark.parametrize("name", ["message", "msg", "event", "short_message", "text"])
    def test_the_message_has_many_names(self, name: str) -> None:
        """It is the value that repeats the record's own, or one of a usual name."""
        assert frozen("failed", json.dumps({"message": "", "event": "", name: "failed"})).message == "failed"

    def test_the_message_may_be_another_one(self) -> None:
        """A formatter may change it."""
        record = frozen("failed", json.dumps({"event": "It failed", "order": 17}))
        assert (record.message, record.logged) == ("It failed", "failed")

    def test_secrets_are_masked_by_their_names(self) -> None:
        """Those names are the formatter's."""
        body = json.dumps({"message": "failed", "password": "hunter" + "2"})
        assert frozen("failed", body).extra == {"password": "***"}

    @pytest.mark.parametrize(
        "body",
        [
            "{}",
            "{order}",
            '{"order": 17}',
            '{"message": 17, "order": 17}',
            '[{"message": "failed"}]',
            '{"message": "failed"} {"message": "failed"}',
            '{"message": "failed", "order": 1, "order": 2}',
            json.dumps({"message": "failed", "many": list(range(500))}),
            json.dumps({"message": "failed", "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}),
            json.dumps({"message": "failed", "long": "x" * 100_000}),
            "{" * 5_000 + "}",
        ],
    )
    def test_another_text_stays(self, body: str) -> None:
        """It is no object, has no message, or would lose a value."""
        record = frozen("failed here", body)
        assert record.message == body
        assert not record.extra

    def test_it_makes_no_record_another_one(self) -> None:
        """The same was logged, whatever the formatter adds."""
        bodies = [json.dumps({"message": "failed", "thread": name}) for name in ("a", "b")]
        one, other = (frozen("failed", body, relativeCreated=1.0) for body in bodies)
        assert one.fingerprint() == other.fingerprint()

    def test_python_json_logger(self) -> None:
        """The card is that of a record without it, and its own values."""
        attributes = (
            "%(asctime)s %(levelname)s %(name)s %(message)s %(filename)s %(lineno)d %(threadName)s %(exc_info)s"
        )
        formatter = JsonFormatter(attributes, timestamp=True, static_fields={"app": "shop"})
        record = logging.LogRecord("shop", logging.ERROR, "orders.py", 42, "order %d failed", (17,), None, "pay")
        record.__dict__.update(order=17, taskName=None)
        read = FrozenRecord(freeze(record, SETTINGS, formatter.format(record)))
        assert read.message == "order 17 failed"
        assert shown_values(read) == {"order": 17, "app": "shop"}


class TestMessage:
    def test_json_of_structlog_is_an_event(self) -> None:
        """Its renderer makes the text before `logging` gets it."""
        record = frozen('{"order": 17, "event": "failed", "level": "error"}')
        assert record.message == record.template == "failed"
        assert shown_values(record) == {"order": 17}

    def test_other_json_stays(self) -> None:
        """The program has logged that text."""
        text = '{"message": "failed", "order": 17}'
        assert frozen(text).message == text

    def test_serialized_records_of_loguru(self) -> None:
        """With `serialize=True`, the formatted text is in the object, too."""
        text = json.dumps({"text": f"{TestHeadOfLoguru.HEAD}failed\n", "record": {"extra": {"order": 17}}})
        record = frozen(text, extra={"order": 17})
        assert (record.message, record.extra) == ("failed", {"order": 17})
        assert frozen('{"text": 5, "record": {}}').message == '{"text": 5, "record": {}}'

    @pytest.mark.parametrize("name", ["event", "message", "msg"])
    def test_a_dict_with_a_message_is_an_event(self, name: str) -> None:
        """Formatters of JSON take such dicts."""
        record = frozen({name: "failed", "order": 17})
        assert (record.message, record.template, record.extra) == ("failed", "failed", {"order": 17})

    def test_values_of_any_type_are_kept(self) -> None:
        """Some have no truth value, such as an array."""

        class Array:
            """As that of numpy."""

            def __bool__(self) -> bool:
                raise ValueError("ambiguous")

            def __str__(self) -> str:
                return "[1 2]"

        record = frozen({"event": Array(), "exc_info": Array(), "stack_info": Array(), "order": Array()})
        assert (record.message, record.extra, record.exception) == ("[1 2]", {"order": "[1 2]"}, None)


class TestDictTracebacks:
    """structlog can make an exception a list of dicts."""

    def test_they_are_an_exception(self) -> None:
        """Frames that were left out are no frames."""
        gap = {"filename": "", "lineno": -1, "name": "Skipped frames: 9"}
        cause = {**ERROR, "exc_type": "KeyError", "exc_value": "", "is_cause": True, "frames": [FRAME, gap]}
        record = frozen("failed", exception=[ERROR, cause], order=17)
        assert record.exception
        assert [each.text for each in record.exception.linked()] == [
            "ValueError: no price\nin March",
            "KeyError\nin March",
        ]
        assert [frame.name for frame in record.exception.stack] == ["pay"]
        assert record.exception.cause
        assert record.extra == {"order": 17}

    @pytest.mark.parametrize("change", [{"syntax_error": {"line": 3}}, {"is_group": True}, {"frames": None}])
    def test_others_are_values(self, change: dict[str, Any]) -> None:
        """A text would not tell all of them."""
        record = frozen("failed", exception=[{**ERROR, **change}])
        assert record.exception is None
        assert record.extra
        assert "exception" in record.extra

    @pytest.mark.parametrize("value", [["a"], [], [None]])
    def test_other_lists_are_values(self, value: list[object]) -> None:
        """The name may be the program's own."""
        assert frozen("failed", exception=value).extra == {"exception": value}


def test_an_object_is_read_in_whole() -> None:
    """Blanks behind it do not count."""
    assert parse_object('{"a": 1} \n') == {"a": 1}


def test_an_exception_with_a_note_that_is_no_text_stays_a_value() -> None:
    """The record was dropped."""
    record = frozen("failed", exception=[{**ERROR, "exc_notes": [1]}])
    assert record.exception is None
    assert "'exc_notes': [1]" in str(record.extra)
