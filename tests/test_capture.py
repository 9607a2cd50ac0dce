"""`capture_exceptions` and `log_exceptions` log each exception once, and pass it on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import types
import warnings
from multiprocessing import Process
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, InvalidSettingError, capture_exceptions, log_exceptions
from discord_logging._records.record_filter import RecordFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from discord_logging.sandbox import LocalDiscord

LIBRARY = "/usr/lib/python3/site-packages/framework/log.py"


class Recorder(DiscordHandler):
    """A handler that collects records instead of posting them."""

    def __init__(self, level: str = "NOTSET") -> None:
        super().__init__(level=level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect the record."""
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        """Return the messages."""
        return [record.getMessage() for record in self.records]


@pytest.fixture
def recorder() -> Recorder:
    handler = Recorder()
    logging.getLogger().addHandler(handler)
    return handler


@pytest.fixture(autouse=True)
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Install hooks that collect their arguments."""
    calls: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: calls.append(args))
    monkeypatch.setattr(threading, "excepthook", lambda args: calls.append(args.exc_value))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: calls.append(args.exc_value))
    return calls


def raised(error: BaseException) -> BaseException:
    with contextlib.suppress(BaseException):
        raise error
    return error


def call_excepthook(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)


def run_thread(error: BaseException) -> None:
    thread = threading.Thread(target=raised_in, args=(error,), name="packer")
    thread.start()
    thread.join()


def raised_in(error: BaseException) -> None:
    raise error


class TestCapture:
    def test_an_uncaught_exception_is_critical(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """The record has the location of the exception, and the previous hook is called."""
        error = raised(ValueError("no"))
        with capture_exceptions():
            call_excepthook(error)
        [record] = recorder.records
        assert (record.levelno, record.name, record.getMessage()) == (logging.CRITICAL, "root", "Uncaught exception")
        assert record.exc_info == (ValueError, error, error.__traceback__)
        assert (record.filename, record.funcName) == ("test_capture.py", "raised")
        assert passed_on == [(ValueError, error, error.__traceback__)]

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
    def test_exits_are_not_logged(self, recorder: Recorder, passed_on: list[Any], error: BaseException) -> None:
        """Ctrl-C and `sys.exit` are passed on to the previous hook only."""
        with capture_exceptions():
            call_excepthook(error)
            run_thread(error)
        assert recorder.records == []
        assert passed_on == [(type(error), error, None), error]

    def test_exceptions_at_a_prompt_are_not_logged(
        self, recorder: Recorder, passed_on: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The user at the prompt sees the traceback."""
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
        with capture_exceptions():
            call_excepthook(ValueError("no"))
        assert (recorder.records, len(passed_on)) == ([], 1)

    def test_a_thread_is_named(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """The record has the thread's name and the level `ERROR`."""
        error = ValueError("no")
        with capture_exceptions():
            run_thread(error)
        [record] = recorder.records
        assert (record.levelno, record.getMessage()) == (logging.ERROR, "Uncaught exception in thread packer")
        assert vars(record)["thread_name"] == record.threadName == "packer"
        assert passed_on == [error]

    def test_an_unknown_thread_has_the_name_of_the_current_thread(self, recorder: Recorder) -> None:
        """`threading.excepthook` may be called without a thread."""
        error = ValueError("no")
        with capture_exceptions():
            threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, None)))
        assert recorder.texts == [f"Uncaught exception in thread {threading.current_thread().name}"]

    def test_an_unraisable_exception_is_logged(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """An exception in `__del__` is logged with the object."""

        class Broken:
            def __del__(self) -> None:
                raise ValueError("no")

        with capture_exceptions():
            Broken()
            gc.collect()
        [record] = recorder.records
        assert record.levelno == logging.ERROR
        assert record.getMessage().startswith("Exception ignored in: <function TestCapture.")
        assert [str(error) for error in passed_on] == ["no"]

    def test_the_logger_is_found_by_its_name(self, recorder: Recorder) -> None:
        """The name may be given before `dictConfig` disables the existing loggers."""
        logging.getLogger("shop").addHandler(handler := Recorder())
        with capture_exceptions("shop"), capture_exceptions(logging.getLogger("bank")):
            call_excepthook(ValueError("no"))
        assert [record.name for record in handler.records] == ["shop"]
        assert [record.name for record in recorder.records] == ["bank", "shop"]

    @pytest.mark.parametrize("logger", [3, classmethod(lambda _: None)], ids=["number", "classmethod"])
    @pytest.mark.parametrize("function", [capture_exceptions, log_exceptions])
    def test_a_wrong_logger_is_refused(self, function: Any, logger: Any) -> None:
        """The error says what is right, and no hook is installed."""
        before = sys.excepthook
        with pytest.raises(
            InvalidSettingError, match=r"logger must be a logging\.Logger, the name of one or None, not"
        ):
            function(logger)
        assert sys.excepthook is before

    def test_two_captures_report_once(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """After two calls an exception is reported once."""
        with capture_exceptions(), capture_exceptions():
            call_excepthook(ValueError("no"))
            run_thread(ValueError("no"))
        assert (len(recorder.records), len(passed_on)) == (2, 2)

    def test_a_disabled_logger_does_not_count(self, recorder: Recorder) -> None:
        """An exception that one logger refuses is logged to the other."""
        logging.getLogger("quiet").disabled = True
        with capture_exceptions(), capture_exceptions("quiet"):
            call_excepthook(ValueError("no"))
        assert [record.name for record in recorder.records] == ["root"]

    def test_a_handler_with_a_higher_level_gets_the_exception_later(self) -> None:
        """A handler for errors gets an exception that was logged as a warning before."""
        logging.getLogger().addHandler(handler := Recorder("ERROR"))
        with capture_exceptions():
            with pytest.raises(ValueError, match="no"), log_exceptions(level="WARNING"):
                raise (error := ValueError("no"))
            call_excepthook(error)
            call_excepthook(error)
        assert handler.texts == ["Uncaught exception"]

    def test_a_failing_handler_does_no_harm(self, passed_on: list[Any]) -> None:
        """The previous hook is still called."""

        class Failing(logging.Handler):
            def handle(self, record: logging.LogRecord) -> bool:
                raise RuntimeError(record)

        logging.getLogger().addHandler(Failing())
        with capture_exceptions():
            call_excepthook(ValueError("no"))
        assert len(passed_on) == 1

    def test_a_failing_previous_hook_fails_as_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The exception of the previous hook is passed on."""
        monkeypatch.setattr(sys, "excepthook", lambda *_: 1 / 0)
        with capture_exceptions(), pytest.raises(ZeroDivisionError):
            call_excepthook(ValueError("no"))

    def test_an_exception_that_leaves_the_block_is_logged(self, recorder: Recorder) -> None:
        """The hook is already uninstalled when the exception ends the program."""
        with pytest.raises(ValueError, match="no"), capture_exceptions():
            raise ValueError("no")
        assert recorder.texts == ["Uncaught exception"]
        capture = capture_exceptions()
        capture.uninstall()
        with pytest.raises(ValueError, match="no"), capture:
            raise ValueError("no")
        assert len(recorder.records) == 1

    def test_an_exception_that_ends_a_process_is_critical(self, recorder: Recorder) -> None:
        """The exception is passed on to the code of `multiprocessing` that prints it."""
        with capture_exceptions(), pytest.raises(ValueError, match="no"):
            Process(target=raised_in, args=(ValueError("no"),), name="packer").run()
        assert recorder.texts == ["Uncaught exception in process packer"]
        assert recorder.records[0].levelno == logging.CRITICAL

    def test_warnings_are_logged_on_request(self, recorder: Recorder) -> None:
        """`logging.captureWarnings` is called, and undone by `uninstall`."""
        before = warnings.showwarning
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with capture_exceptions(warnings=True):
                warnings.warn("old", stacklevel=1)
        assert [record.name for record in recorder.records] == ["py.warnings"]
        assert "UserWarning: old" in recorder.texts[0]
        assert warnings.showwarning is before

    def test_uninstall_keeps_a_previous_capture_of_warnings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A capture of warnings by other code is not switched off."""
        logging.captureWarnings(True)
        try:
            captured = warnings.showwarning
            capture_exceptions(warnings=True).uninstall()
            assert warnings.showwarning is captured
        finally:
            logging.captureWarnings(False)
        capture = capture_exceptions(warnings=True)
        monkeypatch.setattr(warnings, "showwarning", others := lambda *_: None)
        capture.uninstall()
        assert warnings.showwarning is others
        monkeypatch.undo()
        logging.captureWarnings(False)


class TestUninstall:
    def test_all_hooks_are_restored(self) -> None:
        """A second call of `uninstall` changes nothing."""

        def hooks() -> list[Any]:
            loop = asyncio.BaseEventLoop.default_exception_handler
            return [sys.excepthook, threading.excepthook, sys.unraisablehook, loop, Process.run, warnings.showwarning]

        before = hooks()
        capture = capture_exceptions(warnings=True)
        assert not set(before) & set(hooks())
        capture.uninstall()
        capture.uninstall()
        assert hooks() == before

    def test_a_wrapped_hook_only_calls_the_previous_one(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """The wrapper of other code keeps working."""
        capture = capture_exceptions()
        ours = sys.excepthook
        sys.excepthook = wrapped = functools.partial(ours)
        capture.uninstall()
        assert sys.excepthook is wrapped
        call_excepthook(ValueError("no"))
        assert (recorder.records, len(passed_on)) == ([], 1)

    def test_captures_are_uninstalled_in_any_order(self, recorder: Recorder, passed_on: list[Any]) -> None:
        """The first of two captures may be uninstalled first."""
        first, second = capture_exceptions(), capture_exceptions()
        first.uninstall()
        call_excepthook(ValueError("no"))
        second.uninstall()
        call_excepthook(ValueError("no"))
        assert (len(recorder.records), len(passed_on)) == (1, 2)


async def fail() -> None:
    raise ValueError("no")


async def leave_task(task_name: str = "fetch") -> None:
    task = asyncio.create_task(fail(), name=task_name)
    await asyncio.wait([task])
    del task
    gc.collect()


class TestAsyncio:
    def test_a_task_that_is_never_awaited_is_reported(
        self, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        """There is one card, with the task's name, and other handlers get asyncio's record as well."""
        with capture_exceptions(), capture_exceptions():
            asyncio.run(leave_task())
        [record] = recorder.records
        assert (record.levelno, record.getMessage()) == (logging.ERROR, "Task exception was never retrieved")
        assert (record.name, vars(record)["task"]) == ("root", "fetch")
        assert [each.name for each in caplog.records] == ["root", "asyncio"]

    def test_a_loop_made_before_is_covered(self, recorder: Recorder) -> None:
        """A failed callback has no task."""
        loop = asyncio.new_event_loop()
        with capture_exceptions():
            loop.call_soon(raised_in, ValueError("no"))
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()
        [record] = recorder.records
        assert record.getMessage().startswith("Exception in callback raised_in(")
        assert "task" not in vars(record)

    def test_a_disabled_asyncio_logger_does_not_matter(self, recorder: Recorder) -> None:
        """`dictConfig` disables the logger `asyncio` by default, and the exception is still reported."""
        logging.getLogger("asyncio").disabled = True
        with capture_exceptions():
            asyncio.run(leave_task())
        assert [record.name for record in recorder.records] == ["root"]

    def test_a_disabled_target_logger_lets_asyncio_log(self, recorder: Recorder) -> None:
        """The handler then gets asyncio's own record."""
        logging.getLogger("quiet").disabled = True
        with capture_exceptions("quiet"):
            asyncio.run(leave_task())
        assert [record.name for record in recorder.records] == ["asyncio"]

    def test_two_loggers_report_once_each(self) -> None:
        """Each of two captures with separate handlers reports the exception once."""
        channels = {name: Recorder() for name in ("shop", "bank")}
        for name, handler in channels.items():
            logging.getLogger(name).addHandler(handler)
        with capture_exceptions("shop"), capture_exceptions("bank"):
            asyncio.run(leave_task())
        assert [[record.name for record in handler.records] for handler in channels.values()] == [["shop"], ["bank"]]

    def test_a_custom_exception_handler_takes_precedence(self, recorder: Recorder) -> None:
        """An exception that the loop's own handler takes is not logged."""
        contexts: list[Any] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
            await leave_task()

        with capture_exceptions():
            asyncio.run(main())
        assert (recorder.records, len(contexts)) == ([], 1)

    def test_an_event_without_an_exception_is_logged_by_asyncio(self, recorder: Recorder) -> None:
        """The record of asyncio is logged once, as before."""
        loop = asyncio.new_event_loop()
        with capture_exceptions():
            loop.call_exception_handler({"message": "Unclosed connection"})
            loop.call_exception_handler({"exception": ValueError("no")})
        loop.close()
        assert [(record.name, record.getMessage()) for record in recorder.records] == [
            ("asyncio", "Unclosed connection"),
            ("root", "Unhandled exception in event loop"),
        ]
        assert recorder.records[1].lineno == 0

    def test_uvloop_is_covered(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        """The loops of uvloop have their own default handler."""

        class Loop(asyncio.SelectorEventLoop):
            def default_exception_handler(self, context: dict[str, Any]) -> None:
                logging.getLogger("asyncio").error("uvloop: %s", context["message"])

        monkeypatch.setitem(sys.modules, "uvloop", types.SimpleNamespace(Loop=Loop))
        loop = Loop()
        with capture_exceptions():
            loop.run_until_complete(leave_task())
        loop.close()
        assert [record.name for record in recorder.records] == ["root"]

    def test_an_exception_logged_by_log_exceptions_is_not_repeated(self, recorder: Recorder) -> None:
        """An exception that was logged before is not logged again when nobody awaits the task."""

        async def main() -> None:
            task = asyncio.create_task(log_exceptions(fail)())
            await asyncio.wait([task])
            del task
            gc.collect()

        with capture_exceptions():
            asyncio.run(main())
        assert recorder.texts == ["Exception in fail"]


@log_exceptions
def divide(a: int, *, by: int = 0) -> float:
    """Divide."""
    return a / by


class TestLogExceptions:
    def test_an_exception_of_a_function_is_logged(self, recorder: Recorder) -> None:
        """The exception is logged to the logger of the module, and raised again."""
        with pytest.raises(ZeroDivisionError):
            divide(1)
        [record] = recorder.records
        assert (record.levelno, record.name, record.getMessage()) == (logging.ERROR, __name__, "Exception in divide")
        assert record.funcName == "divide"
        assert divide(1, by=2) == 0.5

    def test_a_decorated_function_keeps_its_signature(self) -> None:
        """Name, signature, documentation and kind of the function are kept."""
        assert (divide.__name__, divide.__doc__) == ("divide", "Divide.")
        assert str(inspect.signature(divide)) == "(a: 'int', *, by: 'int' = 0) -> 'float'"
        assert inspect.iscoroutinefunction(log_exceptions(fail))
        assert inspect.isgeneratorfunction(log_exceptions(count))
        assert inspect.isasyncgenfunction(log_exceptions(acount))

    def test_the_arguments_apply(self, recorder: Recorder) -> None:
        """The arguments set the logger, the level, the message, and whether the exception is raised again."""

        @log_exceptions("shop", level="CRITICAL", message="100% of the stock is lost", reraise=False)
        def lose() -> int:
            raise ValueError("no")

        assert lose() is None
        [record] = recorder.records
        assert (record.levelno, record.name) == (logging.CRITICAL, "shop")
        assert record.getMessage() == "100% of the stock is lost"

    def test_an_exception_of_a_block_is_logged(self, recorder: Recorder) -> None:
        """The message has the name of the function around the block."""
        with pytest.raises(ValueError, match="no"), log_exceptions():
            raise ValueError("no")
        with log_exceptions(reraise=False):
            raise ValueError("no")
        assert recorder.texts == ["Exception in test_an_exception_of_a_block_is_logged"] * 2
        assert recorder.records[0].name == __name__

    def test_a_staticmethod_is_refused(self) -> None:
        """A wrapped staticmethod would become a method with one argument more; the error says what is right."""
        with pytest.raises(InvalidSettingError, match="place it below @classmethod and @staticmethod"):
            log_exceptions(staticmethod(lambda: None))

    def test_methods_of_every_kind_are_decorated(self, recorder: Recorder) -> None:
        """Methods, class methods and static methods can be decorated."""

        class Shop:
            @log_exceptions
            def open(self) -> None:
                raise ValueError(self)

            @classmethod
            @log_exceptions()
            def make(cls) -> None:
                raise ValueError(cls)

            @staticmethod
            @log_exceptions
            def close() -> None:
                raise ValueError

        for method in (Shop().open, Shop.make, Shop.close):
            with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
                method()
        assert [text.rpartition(".")[2] for text in recorder.texts] == ["open", "make", "close"]

    @pytest.mark.parametrize("wrong", [int, 3], ids=["class", "number"])
    def test_a_class_or_another_object_is_refused(self, wrong: Any) -> None:
        """A decorated class would not be a class any more."""
        with pytest.raises(InvalidSettingError, match="log_exceptions decorates functions, not"):
            log_exceptions()(wrong)

    def test_a_callable_object_is_named_by_its_class(self, recorder: Recorder) -> None:
        """A callable object has no name of its own."""

        class Job:
            def __call__(self) -> None:
                raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
            log_exceptions(Job())()
        assert recorder.texts == ["Exception in Job"]

    def test_an_asynchronous_callable_object_is_decorated(self, recorder: Recorder) -> None:
        """The result of the call fails later."""

        class Job:
            async def __call__(self) -> None:
                raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
            asyncio.run(log_exceptions(Job())())
        assert recorder.texts == ["Exception in Job"]

    def test_a_wrong_level_is_refused(self) -> None:
        """The error says what is right."""
        with pytest.raises(InvalidSettingError, match="level must be a level such as 'ERROR' or 40, not 'LOUD'"):
            log_exceptions(level="LOUD")

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()], ids=repr
    )
    def test_exits_are_not_logged(self, recorder: Recorder, error: BaseException) -> None:
        """Exits are raised again even if exceptions are not."""
        with pytest.raises(type(error)):
            log_exceptions(reraise=False)(raised_in)(error)
        assert recorder.records == []

    def test_an_exception_is_logged_once(self, recorder: Recorder) -> None:
        """Neither an outer decorator, nor the hook, nor another process logs the exception again."""
        with capture_exceptions():
            with pytest.raises(ZeroDivisionError) as caught, log_exceptions("shop"):
                divide(1)
            call_excepthook(caught.value)
            call_excepthook(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own
        assert recorder.texts == ["Exception in divide"]

    def test_an_object_that_is_raised_again_is_logged_again(self, recorder: Recorder) -> None:
        """The note on the exception made every later raise of one object vanish."""
        error = ValueError("the only one")

        @log_exceptions
        def fail(depth: int) -> None:
            if depth:
                fail(depth - 1)
            raise error

        with log_exceptions("shop"):
            for _ in range(3):
                with contextlib.suppress(ValueError):
                    fail(2)
        assert len(recorder.records) == 3

    @pytest.mark.parametrize("name", ["django.request", "uvicorn.error"])
    def test_a_framework_logs_it_as_well(self, recorder: Recorder, name: str) -> None:
        """The records of all layers are about one event, also if one passes the handler twice."""
        logging.getLogger(name).addHandler(recorder)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError) as caught:
                divide(1)
            log_in_library(name, "Internal Server Error", caught.value)
            log_in_library("asyncio", "Task failed", caught.value)
        assert recorder.texts == ["Exception in divide"] * 3

    def test_a_framework_logs_an_object_that_is_raised_again(self, recorder: Recorder) -> None:
        """The same line logs it, so that the event is another one."""
        error = ValueError("the only one")
        with contextlib.suppress(ValueError):
            log_exceptions(raised_in)(error)
        for _ in range(3):
            log_in_library("django.request", "Internal Server Error", error)
        assert recorder.texts == ["Exception in raised_in", *["Internal Server Error"] * 2]

    def test_a_record_that_a_setting_leaves_out_tells_nothing(self, recorder: Recorder) -> None:
        """The framework's record was taken for a copy of it, and the exception was told nowhere."""
        recorder.addFilter(RecordFilter(loggers={"noise": False}))
        error = ValueError("no")
        with contextlib.suppress(ValueError), log_exceptions("noise"):
            raise error
        log_in_library("django.request", "Internal Server Error", error)
        assert recorder.texts == ["Internal Server Error"]

    @pytest.mark.parametrize(
        ("path", "level", "thread"),
        [(__file__, 40, False), (LIBRARY, 50, False), (LIBRARY, 40, True)],
        ids=["the program", "a higher level", "another thread"],
    )
    def test_what_says_more_is_logged(self, recorder: Recorder, path: str, level: int, *, thread: bool) -> None:
        """The program's own record, a rise in severity, and another call are no copies."""
        with pytest.raises(ZeroDivisionError) as caught:
            divide(1)

        def tell() -> None:
            log_in_library("jobs", "Giving up", caught.value, level, path)

        if thread:
            other = threading.Thread(target=tell)
            other.start()
            other.join()
        else:
            tell()
        assert recorder.texts == ["Exception in divide", "Giving up"]

    @pytest.mark.parametrize(("level", "texts"), [(40, ["Own"]), (10, ["Own", "Exception in fail"])])
    def test_the_function_has_logged_it_itself(self, recorder: Recorder, level: int, texts: list[str]) -> None:
        """The decorator has nothing to add then, unless the record was less severe."""
        logging.getLogger().setLevel(logging.DEBUG)

        @log_exceptions(message="Exception in fail")
        def fail() -> None:
            try:
                raised_in(ValueError("no"))
            except ValueError as error:
                logging.getLogger("shop").log(level, "Own", exc_info=error)
                raise

        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                fail()
        assert recorder.texts == texts * 2

    def test_records_without_a_decorator_stay_as_they_are(self, recorder: Recorder) -> None:
        """Nothing is noted on exceptions that no function of ours watches."""
        error = ValueError("no")
        for name in ("shop", "django"):
            logging.getLogger(name).error("Failed", exc_info=error)
        assert recorder.texts == ["Failed", "Failed"]
        assert vars(error) == {}

    def test_an_exception_raised_from_a_logged_one_is_logged(self, recorder: Recorder) -> None:
        """The new exception has its own message."""
        with pytest.raises(ZeroDivisionError) as caught:
            divide(1)
        with pytest.raises(RuntimeError, match="no"), log_exceptions(message="Outer"):
            raise RuntimeError("no") from caught.value
        assert recorder.texts == ["Exception in divide", "Outer"]

    def test_an_exception_without_attributes_is_logged(self, recorder: Recorder) -> None:
        """The exception cannot be marked, and is raised again unchanged."""

        class HiddenError(Exception):
            @property
            def __dict__(self) -> Any:  # type: ignore[override]  # a hostile class
                raise RuntimeError

        with pytest.raises(HiddenError), log_exceptions():
            raise HiddenError
        assert len(recorder.records) == 1


def log_in_library(name: str, message: str, error: BaseException, level: int = 40, path: str = LIBRARY) -> None:
    """Log an exception as the code of a framework does."""
    logger = logging.getLogger(name)
    exc_info = (type(error), error, error.__traceback__)
    logger.handle(logger.makeRecord(name, level, path, len(name), message, (), exc_info))


def count(limit: int = 3) -> Iterator[int]:
    for number in range(limit):
        try:
            sent = yield number
            assert sent is None
        except KeyError:  # noqa: PERF203 - it is thrown in
            yield 100
    raise ValueError("no more")


async def acount(limit: int = 3) -> AsyncIterator[Any]:
    for number in range(limit):
        try:
            sent = yield number
            if sent is not None:
                yield sent
        except KeyError:  # noqa: PERF203 - it is thrown in
            yield 100
    if limit:
        raise ValueError("no more")


class TestGenerators:
    def test_exceptions_of_a_generator_are_logged(self, recorder: Recorder) -> None:
        """`throw` reaches the generator, and exceptions that it raises are logged."""
        numbers: Any = log_exceptions(count)()
        assert [next(numbers), numbers.throw(KeyError()), next(numbers)] == [0, 100, 1]
        with pytest.raises(ValueError, match="no more"):
            list(numbers)
        assert recorder.texts == ["Exception in count"]

    def test_closing_a_generator_logs_nothing(self, recorder: Recorder) -> None:
        """Many generators end by being closed."""
        numbers: Any = log_exceptions(count)()
        next(numbers)
        numbers.close()
        assert recorder.records == []

    def test_exceptions_of_a_coroutine_are_logged(self, recorder: Recorder) -> None:
        """The exception is logged when the coroutine fails, and not when it is made."""
        coroutine = log_exceptions(fail)()
        assert recorder.records == []
        with pytest.raises(ValueError, match="no"):
            asyncio.run(coroutine)
        assert recorder.texts == ["Exception in fail"]

    def test_exceptions_of_an_asynchronous_generator_are_logged(self, recorder: Recorder) -> None:
        """`asend` and `athrow` reach the generator, and exceptions that it raises are logged."""

        async def main() -> None:
            numbers: Any = log_exceptions(acount)()
            assert [await anext(numbers), await numbers.athrow(KeyError()), await anext(numbers)] == [0, 100, 1]
            assert await numbers.asend("tea") == "tea"
            with pytest.raises(ValueError, match="no more"):
                _ = [number async for number in numbers]
            assert [number async for number in log_exceptions(acount)(0)] == []

        asyncio.run(main())
        assert recorder.texts == ["Exception in acount"]

    def test_closing_an_asynchronous_generator_logs_nothing(self, recorder: Recorder) -> None:
        """Many generators end by being closed."""

        async def main() -> None:
            numbers: Any = log_exceptions(acount)()
            await anext(numbers)
            await numbers.aclose()

        asyncio.run(main())
        assert recorder.records == []

    def test_an_asynchronous_context_manager_is_logged(self, recorder: Recorder) -> None:
        """`asynccontextmanager` throws exceptions into the generator that it wraps."""

        @contextlib.asynccontextmanager
        @log_exceptions
        async def connect() -> AsyncIterator[str]:
            try:
                yield "connection"
            except KeyError:
                raise ValueError("translated") from None

        async def main() -> None:
            async with connect():
                raise KeyError

        with pytest.raises(ValueError, match="translated"):
            asyncio.run(main())
        assert len(recorder.records) == 1


@pytest.fixture
def run(discord: LocalDiscord) -> Callable[[str], tuple[int, str, list[tuple[str, str]]]]:
    """Return a function that runs a program and returns its exit code, its stderr, and level and text of its cards."""
    prelude = """
        import asyncio, gc, logging, os, sys, threading, time
        from discord_logging import DiscordHandler, capture_exceptions, log_exceptions
        logging.getLogger().addHandler(handler := DiscordHandler(level="ERROR"))
        def fail(): raise ValueError("no")
    """

    def run_program(script: str) -> tuple[int, str, list[tuple[str, str]]]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script)],
            env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        embeds = [embed for message in discord.messages for embed in message.embeds]
        cards = [(embed["title"].split(" · ")[-2].split()[-1], embed["description"].split("\n")[0]) for embed in embeds]
        return done.returncode, done.stderr, cards

    return run_program


TASK = """
logging.getLogger("asyncio").addHandler(logging.StreamHandler())
async def main(): await asyncio.wait([asyncio.create_task(asyncio.to_thread(fail))])
asyncio.run(main())
"""


@pytest.mark.measured
class TestProcesses:
    """Programs end while the record is being delivered."""

    @pytest.mark.parametrize(
        ("script", "code", "expected"),
        [
            ("fail()", 1, [("CRITICAL", "Uncaught exception")]),
            ("asyncio.run(asyncio.to_thread(fail))", 1, [("CRITICAL", "Uncaught exception")]),
            ("threading.Thread(target=fail, name='packer').start()", 0,
             [("ERROR", "Uncaught exception in thread packer")]),
            ("class Broken:\n  __del__ = lambda self: fail()\n  __repr__ = None\nBroken(); gc.collect()", 0,
             [("ERROR", "Exception ignored in: ")]),
            (TASK, 0, [("ERROR", "Task exception was never retrieved")]),
            ("log_exceptions(fail)()", 1, [("ERROR", "Exception in fail")]),
        ],
        ids=["main", "asyncio.run", "thread", "unraisable", "task", "log_exceptions"],
    )  # fmt: skip
    def test_the_exception_is_delivered_once(
        self, run: Any, script: str, code: int, expected: list[tuple[str, str]]
    ) -> None:
        """The card arrives although the process ends, with its own exit code and the traceback on stderr."""
        done, err, cards = run(f"capture_exceptions()\n{script}")
        assert (done, len(cards)) == (code, 1)
        assert cards[0][0] == expected[0][0]
        assert cards[0][1].startswith(expected[0][1])
        assert err.count("ValueError: no\n") == 1

    @pytest.mark.parametrize("hook", ["sys.excepthook", "threading.excepthook"])
    def test_a_previous_hook_may_end_the_process_at_once(self, run: Any, hook: str) -> None:
        """The card is delivered before the previous hook is called."""
        done, _, cards = run(
            f"""
            {hook} = lambda *_: os._exit(70)
            capture_exceptions()
            threading.Thread(target=fail).run() if {hook == "sys.excepthook"} else threading.Thread(target=fail).start()
            """
        )
        assert (done, len(cards)) == (70, 1)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has none")
    def test_a_forked_child_reports_its_end(self, run: Any) -> None:
        """The child and the parent report their exceptions once each."""
        done, err, cards = run(
            """
            capture_exceptions()
            pid = os.fork()
            if pid:
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
                raise ValueError("no, says the parent")
            fail()
            """
        )
        assert (done, cards) == (1, [("CRITICAL", "Uncaught exception")] * 2)
        assert err.count("Traceback") == 2

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_a_process_of_multiprocessing_reports_its_end(
        self, discord: LocalDiscord, tmp_path: Any, method: str
    ) -> None:
        """The child reports the exceptions of its process and of its threads."""
        program = tmp_path / "program.py"
        program.write_text(
            textwrap.dedent(
                f"""
                import logging, multiprocessing, threading
                from discord_logging import DiscordHandler, capture_exceptions
                logging.getLogger().addHandler(DiscordHandler(level="ERROR"))
                capture_exceptions()

                def fail():
                    raise ValueError("no")

                def work():
                    thread = threading.Thread(target=fail, name="packer")
                    thread.start()
                    thread.join()
                    fail()

                if __name__ == "__main__":
                    child = multiprocessing.get_context("{method}").Process(target=work, name="child")
                    child.start()
                    child.join()
                    raise SystemExit(child.exitcode)
                """
            )
        )
        done = subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        shown = [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]
        assert (done.returncode, done.stderr.count("ValueError: no\n")) == (1, 2), done.stderr
        assert shown == ["Uncaught exception in thread packer", "Uncaught exception in process child"]
