"""The settings `max_level`, `loggers` and `ignore` leave records out, before they are counted."""

from __future__ import annotations

import builtins
import importlib.util
import logging
import logging.config
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, InvalidSettingError
from discord_logging._records import record_filter
from discord_logging._records.record_filter import RecordFilter

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord


class MissingError(LookupError):
    """An error of the program."""

    class Inner(Exception):  # noqa: N818 - a name in a name
        """An error that is defined in a class."""


def passes(exception: object = None, name: str = "shop", level: int = logging.ERROR, **options: Any) -> bool:
    """Return whether a record passes the filter that options make."""
    exc_info: Any = (type(exception), exception, None) if isinstance(exception, BaseException) else exception
    made = RecordFilter.from_options(**{"max_level": None, "loggers": None, "ignore": None, **options})
    assert made is not None
    return made.filter(logging.LogRecord(name, level, "orders.py", 42, "down", None, exc_info))


def group(*members: Any) -> BaseException:
    """Return an exception group, which Python has from 3.11 on."""
    own = type("BaseExceptionGroup", (Exception,), {"exceptions": members})
    made: BaseException = vars(builtins).get("BaseExceptionGroup", own)("several", members)
    return made


class TestMaxLevel:
    @pytest.mark.parametrize(("level", "is_passed"), [(10, True), (30, True), (31, False), (50, False)])
    def test_it_is_the_highest_that_passes(self, level: int, *, is_passed: bool) -> None:
        """One handler may have INFO to WARNING, and another one ERROR and above."""
        assert passes(level=level, max_level="WARNING") is is_passed

    def test_notset_is_no_bound(self) -> None:
        """Like a `level` of NOTSET, it means all."""
        assert RecordFilter.from_options(max_level="NOTSET", loggers=None, ignore=None) is None


class TestLoggers:
    @pytest.mark.parametrize(
        ("loggers", "wanted", "others"),
        [
            (["shop"], ["shop", "shop.orders", "shop.noise.x"], ["shopping", "root", "sho", "other.shop"]),
            (["-shop"], ["shopping", "root"], ["shop", "shop.orders"]),
            (["shop", "-shop.noise"], ["shop", "shop.noises"], ["shop.noise", "shop.noise.x", "root"]),
            (["-shop", "shop.noise"], ["shop.noise", "shop.noise.x"], ["shop", "shop.x", "root"]),
            (["-a", "-a.b.c", "a.b"], ["a.b", "a.b.d"], ["a", "a.c", "a.b.c", "a.b.c.d"]),
            (["root"], ["root"], ["shop"]),
        ],
    )
    def test_the_longest_name_decides(self, loggers: list[str], wanted: list[str], others: list[str]) -> None:
        """The order of the names does not matter; with exclusions alone, all other loggers are wanted."""
        for names in (loggers, loggers[::-1]):
            assert [each for each in wanted + others if passes(name=each, loggers=names)] == wanted

    def test_the_answers_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program may make a logger for each of its connections."""
        monkeypatch.setattr(record_filter, "_MAX_LOGGERS", 10)
        made = RecordFilter(loggers={"shop": True})
        for number in range(100):
            record = logging.LogRecord(f"shop.{number}", logging.ERROR, "", 0, "", None, None)
            assert made.filter(record)
            assert made.filter(record)
            assert len(made._answers) <= 10


class TestIgnore:
    @pytest.mark.parametrize(
        "ignored",
        [MissingError, LookupError, "LookupError", f"{__name__}.MissingError", "builtins.LookupError", BaseException],
    )
    def test_a_type_or_its_name_leaves_out_its_subclasses_too(self, ignored: object) -> None:
        """A builtin needs no module."""
        assert not passes(MissingError(), ignore=[ignored])
        assert passes(ignore=[ignored])

    @pytest.mark.parametrize("exception", [ValueError(), MissingError.Inner(), 5, True, (None, None, None)])
    def test_other_exceptions_pass(self, exception: object) -> None:
        """So does a record with anything else in place of an exception."""
        assert passes(exception, ignore=[LookupError, f"{__name__}.MissingError", "shop.no_such_module.Missing"])

    def test_an_exception_may_stand_in_for_its_exc_info(self) -> None:
        """A record that was made by hand may have it so."""
        made = RecordFilter((LookupError,))
        record = logging.makeLogRecord({"exc_info": MissingError()})
        assert not made.filter(record)
        del record.exc_info
        assert made.filter(record)

    def test_a_class_inside_a_class_has_its_full_name(self) -> None:
        """As its module and qualified name say it."""
        assert not passes(MissingError.Inner(), ignore=[f"{__name__}.MissingError.Inner"])

    def test_a_name_may_be_that_of_a_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`django.http.Http404` is defined in `django.http.response`, and nobody knows that."""
        package = ModuleType("webframe")
        vars(package)["Http404"] = MissingError
        monkeypatch.setitem(sys.modules, "webframe", package)
        assert not passes(MissingError(), ignore=["webframe.Http404"])
        assert passes(ValueError(), ignore=["webframe.Http404"])

    def test_nothing_is_imported(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        """A lazy module stays lazy, and the `__getattr__` of a module is not asked."""
        (tmp_path / "lazily.py").write_text("raise AssertionError('imported')")
        spec = importlib.util.spec_from_file_location("lazily", tmp_path / "lazily.py")
        assert spec
        assert spec.loader
        spec.loader = importlib.util.LazyLoader(spec.loader)
        lazy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(lazy)
        monkeypatch.setitem(sys.modules, "lazily", lazy)
        asking = ModuleType("asking")
        vars(asking)["__getattr__"] = pytest.fail
        monkeypatch.setitem(sys.modules, "asking", asking)
        monkeypatch.setitem(sys.modules, "blocked", None)
        assert passes(ValueError(), ignore=["lazily.Error", "asking.Error", "blocked.Error", "shop.nowhere.Error"])

    def test_a_cause_does_not_count(self) -> None:
        """The record is about the exception itself."""
        error = ValueError()
        error.__cause__ = error.__context__ = MissingError()
        assert passes(error, ignore=[MissingError])

    def test_a_group_is_left_out_if_all_in_it_are(self) -> None:
        """One other exception in it is enough to tell of it."""
        assert not passes(group(MissingError(), group(MissingError())), ignore=[MissingError])
        assert passes(group(MissingError(), group(MissingError(), ValueError())), ignore=[MissingError])
        several = group(ValueError())
        assert not passes(several, ignore=[type(several)])

    def test_a_group_that_is_too_large_passes(self) -> None:
        """The search ends after some members."""
        assert passes(group(*[MissingError()] * 2_000), ignore=[MissingError])

    def test_a_class_that_cannot_be_read_passes(self) -> None:
        """The record is told rather than lost."""
        odd = type("Odd", (Exception,), {"__module__": property(lambda _: 1 / 0)})
        assert passes(odd(), ignore=["shop.Missing"])

    def test_a_wrong_name_of_a_builtin_is_explained(self) -> None:
        """The text has the form with a module, and the nearest builtin."""
        text = r"such as 'shop.errors.KeyErorr', unless .* Did you mean 'KeyError'"
        with pytest.raises(InvalidSettingError, match=text):
            passes(ignore=["KeyErorr"])


def test_records_that_are_left_out_are_not_counted(discord: LocalDiscord) -> None:
    """Two handlers that `dictConfig` makes share the records, and both report to the same webhook."""
    shared = {"class": "discord_logging.DiscordHandler", "webhook_url": discord.webhook_url}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "calm": {**shared, "level": "INFO", "max_level": "WARNING", "username": "Calm"},
                "alarm": {
                    **shared,
                    "level": "ERROR",
                    "loggers": ["split", "-split.noise"],
                    "ignore": ["KeyboardInterrupt", f"{__name__}.MissingError"],
                },
            },
            "loggers": {"split": {"handlers": ["calm", "alarm"], "level": "DEBUG", "propagate": False}},
        }
    )
    log = logging.getLogger("split")
    log.warning("nearly full")
    log.error("full")
    log.error("who", exc_info=MissingError())
    logging.getLogger("split.noise").error("noise")
    calm, alarm = log.handlers
    assert isinstance(alarm, DiscordHandler)
    assert isinstance(calm, DiscordHandler)
    assert alarm.flush(10)
    assert alarm.health()["accepted"] == 2
    assert alarm.health()["dropped"] == 0
    shown = [message.embeds[0]["description"].split("\n")[0] for message in discord.messages]
    assert sorted(shown) == ["full", "nearly full"]


def test_a_handler_without_these_settings_has_no_filter(discord: LocalDiscord) -> None:
    """A call costs nothing for what is not set."""
    handler = DiscordHandler(discord.webhook_url, max_level=None, loggers=[], ignore="")
    assert handler.filters == []
