"""The unit of work in which a record is logged."""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import FrozenRecord
from discord_logging._records.freeze import freeze
from discord_logging._records.reports import is_retold, is_told_in_work, note
from discord_logging._records.settings import CardSettings
from discord_logging._records.values import UniqueText
from discord_logging._records.work import Work, current_work, enter_work

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = CardSettings(None)
PROGRAM = "/srv/shop/app.py"


def make(line: int = 1, level: int = logging.ERROR, error: BaseException | None = None, **extra: Any) -> Any:
    exc_info: Any = error and (type(error), error, error.__traceback__)
    record = logging.LogRecord("shop", level, PROGRAM, line, "Payment failed", None, exc_info)
    record.__dict__.update(extra)
    return record


def _fail() -> Any:
    raise KeyError("form")


def extra_of(record: logging.LogRecord) -> Mapping[str, Any] | None:
    return FrozenRecord(freeze(record, SETTINGS)).extra


class TestValues:
    def test_each_record_shows_the_labels_after_its_own_values(self) -> None:
        """Values with the names of attributes of a record are shown too."""
        with enter_work(Work(lambda: {"path": "/pay", "args": "(7,)"})):
            assert list((extra_of(make(order=17)) or {}).items()) == [
                ("order", 17),
                ("path", "/pay"),
                ("args", "(7,)"),
            ]
        assert extra_of(make()) is None

    def test_own_values_take_precedence(self) -> None:
        """A record may know better."""
        with enter_work(Work(lambda: {"path": "/pay"})):
            assert extra_of(make(path="/own")) == {"path": "/own"}

    def test_a_record_with_an_exception_shows_the_details(self) -> None:
        """A reader who has to act wants all of them."""
        with enter_work(Work(lambda: {"path": "/pay"}, lambda: {"form": {"amount": "5"}})):
            assert extra_of(make()) == {"path": "/pay"}
            assert extra_of(make(error=ValueError())) == {"path": "/pay", "form": {"amount": "5"}}

    def test_secrets_are_masked(self) -> None:
        """The masker treats them as any other value."""
        with enter_work(Work(lambda: {"password": UniqueText("hunter2")})):
            assert extra_of(make()) == {"password": "***"}

    def test_values_that_cannot_be_read_cost_no_record(self) -> None:
        """The card names the error, and shows the labels."""
        with enter_work(Work(lambda: {"path": "/pay"}, _fail)):
            assert extra_of(make(error=ValueError(), order=17)) == {
                "order": 17,
                "path": "/pay",
                "details": "cannot be shown: KeyError",
            }

    def test_ids_do_not_keep_repeats_apart(self) -> None:
        """Otherwise no failure of a request would have a repeat."""
        prints = []
        for path, request_id in (("/pay", "r1"), ("/pay", "r2"), ("/buy", "r2")):
            with enter_work(Work(lambda: {"path": path, "request_id": UniqueText(request_id)})):  # noqa: B023 - read here
                prints.append(FrozenRecord(freeze(make(), SETTINGS)).fingerprint())
        assert prints[0] == prints[1] != prints[2]

    def test_work_ends_with_its_block(self) -> None:
        """The work around it goes on."""
        outer, inner = Work(dict), Work(dict)
        with enter_work(outer):
            with contextlib.suppress(ValueError), enter_work(inner):
                assert current_work() is inner
                raise ValueError
            assert current_work() is outer
        assert current_work() is None


class TestOneExceptionOneCard:
    def test_later_records_are_left_out(self) -> None:
        """Several layers of the program log the same failure on its way."""
        error = ValueError()
        with enter_work(Work(dict)):
            assert [is_retold(make(line, error=error), 7) for line in (1, 2, 3)] == [False, True, True]
            assert is_told_in_work(error, 7, logging.ERROR)
            assert not is_told_in_work(error, 8, logging.ERROR)

    def test_a_more_severe_record_is_told(self) -> None:
        """A warning mentions nobody, and the alarm must not be lost behind it."""
        error, levels = ValueError(), (logging.WARNING, logging.ERROR, logging.WARNING)
        with enter_work(Work(dict)):
            assert [is_retold(make(line, level, error), 7) for line, level in enumerate(levels)] == [False, False, True]

    def test_retries_of_one_object_are_told(self) -> None:
        """The same line logs it again, so it was raised again."""
        error = ValueError()
        with enter_work(Work(dict)):
            assert not any(is_retold(make(error=error), 7) for _ in range(3))
            assert is_retold(make(2, error=error), 7)

    def test_a_work_in_another_tells_for_both(self) -> None:
        """A view calls a task in its own thread, and the task's exception reaches the view."""
        error = ValueError()
        with enter_work(Work(lambda: {"path": "/pay"})):
            with enter_work(Work(lambda: {"task": "charge"})):
                assert extra_of(make()) == {"path": "/pay", "task": "charge"}
                assert not is_retold(make(error=error), 7)
            assert is_retold(make(2, error=error), 7)

    def test_another_work_tells_it_again(self) -> None:
        """A program may raise one object for ever."""
        error = ValueError()
        for _ in range(2):
            with enter_work(Work(dict)):
                assert not is_retold(make(error=error), 7)
        assert not is_retold(make(error=error), 7)

    def test_what_the_program_says_right_after_it_is_left_out(self) -> None:
        """Starlette calls the program's handler of errors outside of the middlewares."""
        error = ValueError()
        with enter_work(Work(dict)):
            note(error, [7], math.inf, is_automatic=True)
        assert is_retold(make(error=error), 7)
        assert not is_retold(make(error=error), 7)

    @pytest.mark.parametrize("key", [(1, 1), None])
    def test_notes_of_another_process_do_not_count(self, key: Any) -> None:
        """A pool pickles an exception with its notes, and the ids of handlers are the same after a fork."""
        error: Any = ValueError()
        work = Work(dict)
        with enter_work(work):
            note(error, [7], logging.ERROR)
            (name,) = vars(error)
            vars(error)[name][7] = *vars(error)[name][7][:4], key, {}
            assert not is_retold(make(error=error), 7)
