"""Automatic logging of uncaught exceptions, and of exceptions that leave a marked function or block."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import warnings as _warnings
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import TYPE_CHECKING, Any, overload

from discord_logging._delivery.registry import flush_all
from discord_logging._exceptions import InvalidSettingError
from discord_logging._handler import discord_handlers
from discord_logging._process.own_threads import is_own_thread
from discord_logging._records.exceptions import origin
from discord_logging._records.parse import parse_level
from discord_logging._records.record_filter import RecordFilter
from discord_logging._records.reports import forget, guarded, has_all, is_noted, note, tick
from discord_logging._records.values import to_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    from typing_extensions import Self

    _P = ParamSpec("_P")
    _R = TypeVar("_R")


class _Hook:
    """A function or method that replaces another one, `previous`."""

    def __init__(self, capture: ExceptionCapture, act: Callable[..., None], previous: Any) -> None:
        self._capture = capture
        self._act = act
        self._previous = previous

    def __get__(self, instance: object, owner: object = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        hook = self.live()
        if hook is self:
            self._act(_live(self._previous), *args, **kwargs)
        else:
            hook(*args, **kwargs)

    def live(self) -> Any:
        """Return this hook while it is installed, and the previous hook afterwards."""
        return self if self._capture.is_installed else _live(self._previous)


class ExceptionCapture:
    """The hooks that `capture_exceptions` installed. The end of a `with` block uninstalls them.

    An exception that leaves the block is logged like one that ends the program, because the hook for it is uninstalled
    by then.
    """

    def __init__(self, logger: logging.Logger | str | None, *, captures_warnings: bool) -> None:
        self._logger = logger
        self.is_installed: bool = True
        self._hooks: list[tuple[Any, str, _Hook]] = []
        self._captured_warnings: object = None
        self._install()
        if captures_warnings:
            before = _warnings.showwarning
            logging.captureWarnings(True)
            if _warnings.showwarning is not before:
                self._captured_warnings = _warnings.showwarning

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.is_installed:
            self._log(logging.CRITICAL, exception, "Uncaught exception")
        self.uninstall()

    def uninstall(self) -> None:
        """Restore the previous hooks. May be called twice.

        A hook that other code has wrapped in the meantime stays in place, and only calls the previous hook.
        """
        self.is_installed = False
        for owner, name, hook in self._hooks:
            if getattr(owner, name) is hook:
                setattr(owner, name, hook.live())
        self._hooks.clear()
        if self._captured_warnings is not None and self._captured_warnings is _warnings.showwarning:
            logging.captureWarnings(False)
        self._captured_warnings = None

    def _install(self) -> None:
        import asyncio.base_events  # noqa: PLC0415 - slow, so imported on first use
        import multiprocessing.process  # noqa: PLC0415 - likewise

        self._hook(sys, "excepthook", self._on_main)
        self._hook(threading, "excepthook", self._on_thread)
        self._hook(sys, "unraisablehook", self._on_unraisable)
        # The hook is on the class, so that it applies to every loop without a custom exception handler.
        self._hook(asyncio.base_events.BaseEventLoop, "default_exception_handler", self._on_loop)
        if uvloop := sys.modules.get("uvloop"):
            self._hook(uvloop.Loop, "default_exception_handler", self._on_loop)
        self._hook(multiprocessing.process.BaseProcess, "run", self._on_process)
        if (shell := _ipython_shell()) is not None:
            self._hook(type(shell), "showtraceback", self._on_cell)

    def _hook(self, owner: Any, name: str, act: Callable[..., None]) -> None:
        hook = _Hook(self, act, getattr(owner, name))
        setattr(owner, name, hook)
        self._hooks.append((owner, name, hook))

    def _log(self, level: int, exception: object, text: str, *args: object, **extra: object) -> bool:
        is_loud = isinstance(exception, BaseException) and not isinstance(exception, (KeyboardInterrupt, SystemExit))
        if is_loud:
            _log_once(0, self._logger, level, exception, text, *args, **extra)
        return is_loud

    def _on_main(self, previous: Any, exc_type: Any, exception: Any, traceback: Any) -> None:
        is_prompt = hasattr(sys, "ps1")  # the user sees the traceback
        if not is_prompt and self._log(logging.CRITICAL, exception, "Uncaught exception"):
            _flush_before(previous, sys.__excepthook__)
        previous(exc_type, exception, traceback)

    def _on_thread(self, previous: Any, args: Any) -> None:
        name = args.thread.name if args.thread else threading.current_thread().name
        if self._log(logging.ERROR, args.exc_value, "Uncaught exception in thread %s", name, thread_name=name):
            _flush_before(previous, threading.__excepthook__)
        previous(args)

    def _on_unraisable(self, previous: Any, args: Any) -> None:
        # The object becomes text at once, because it may be about to be deleted and must not be kept alive.
        text = args.err_msg or "Exception ignored in"
        self._log(logging.ERROR, args.exc_value, "%s: %s", text, to_text(args.object, repr))
        previous(args)

    def _on_loop(self, previous: Any, loop: Any, context: dict[str, Any]) -> None:
        exception, task = context.get("exception"), context.get("task") or context.get("future")
        extra = {"task": task.get_name()} if task and hasattr(task, "get_name") else {}
        self._log(logging.ERROR, exception, context.get("message") or "Unhandled exception in event loop", **extra)
        # The previous hook logs the exception as well, to the logger `asyncio`, for the console and other handlers. Our
        # handlers must not post it twice.
        is_muted = is_noted(exception) and not isinstance(previous, _Hook)
        token = is_own_thread.set(True) if is_muted else None
        try:
            previous(loop, context)
        finally:
            if token:
                is_own_thread.reset(token)

    def _on_cell(self, previous: Any, shell: Any, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        exception = (exc_tuple or sys.exc_info())[1]
        # IPython says so about its own commands, such as a misspelt `%magic`.
        usage_error = getattr(sys.modules.get("IPython.core.error"), "UsageError", ())
        if not isinstance(exception, usage_error):
            self._log(logging.ERROR, exception, "Uncaught exception in a cell")
        previous(shell, exc_tuple, *args, **kwargs)

    def _on_process(self, previous: Any, process: Any) -> None:
        try:
            previous(process)
        except BaseException as error:
            self._log(logging.CRITICAL, error, "Uncaught exception in process %s", process.name)
            raise


def capture_exceptions(logger: logging.Logger | str | None = None, *, warnings: bool = False) -> ExceptionCapture:
    """Log uncaught exceptions.

    Each exception is logged once, with its traceback:

    - at level `CRITICAL` an exception that ends the program (`sys.excepthook`) or a process of `multiprocessing` that
      runs a `target`;
    - at level `ERROR` an exception that ends a thread (`threading.excepthook`), that cannot be raised, as in `__del__`
      (`sys.unraisablehook`), that reaches the default exception handler of an asyncio event loop, such as that of a
      task that is never awaited, or whose traceback IPython shows, such as that of a cell in a notebook.

    `KeyboardInterrupt`, `SystemExit`, exceptions at the prompt of `python -i`, and syntax errors in a cell of IPython
    are not logged.

    The previous hooks are called as well, so that tracebacks stay on the console. A previous hook that is not Python's
    own may end the process at once; before calling it, this one blocks until all records are delivered, for at most
    the longest `flush_timeout` of all handlers. A custom exception handler of an event loop takes precedence, unless it
    calls `loop.default_exception_handler`. Loops of uvloop are covered if uvloop was imported before.

    May be called twice, also with different loggers: each handler still gets an exception once.

    Args:
        logger: The logger, or its name, to log to; `None` stands for the root logger.
        warnings: Whether to call `logging.captureWarnings`, which logs warnings to the logger `py.warnings`.

    Returns:
        An object with a method `uninstall`. The object is also a context manager, which logs an exception that leaves
        its block.

    Raises:
        InvalidSettingError: `logger` is neither a logger nor a name.
    """
    return ExceptionCapture(_check_logger(logger), captures_warnings=warnings)


@dataclass(frozen=True)
class ExceptionLog:
    """A decorator and context manager, which `log_exceptions` returns."""

    logger: logging.Logger | str | None
    level: int
    message: str | None
    reraise: bool
    where: str
    _calls: list[_Call] = field(default_factory=list, init=False, repr=False, compare=False)

    def __enter__(self) -> Self:
        self._calls.append(_Call(self).__enter__())
        return self

    # With `bool`, type checkers would assume that the block may swallow exceptions.
    def __exit__(
        self, exc_type: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._calls.pop().__exit__(exc_type, exception, traceback)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return `function` with its exceptions logged."""
        import inspect  # noqa: PLC0415 - 9 ms

        _check_function(function)
        log = replace(self, where=getattr(function, "__qualname__", type(function).__name__))
        kinds = function, type(function).__call__  # the second is for callable objects
        if any(map(inspect.isasyncgenfunction, kinds)):
            wrapper = _wrap_async_generator(log, function)
        elif any(map(inspect.iscoroutinefunction, kinds)):
            wrapper = _wrap_coroutine(log, function)
        elif any(map(inspect.isgeneratorfunction, kinds)):
            wrapper = _wrap_generator(log, function)
        else:
            wrapper = _wrap_function(log, function)
        return functools.wraps(function)(wrapper)


class _Call:
    """One call of a decorated function, or one run of a block."""

    __slots__ = ("_began", "_log")

    def __init__(self, log: ExceptionLog) -> None:
        self._log = log
        self._began = 0

    def __enter__(self) -> Self:
        self._began = tick()
        guarded.add(self._began)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        guarded.discard(self._began)
        if not isinstance(exception, Exception):
            return False
        log = self._log
        text, args = ("Exception in %s", (log.where,)) if log.message is None else (log.message, ())
        # An exception that was logged before the call began has been raised again.
        _log_once(self._began, log.logger, log.level, exception, text, *args)
        return not log.reraise


@overload
def log_exceptions(logger: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def log_exceptions(
    logger: logging.Logger | str | None = None,
    *,
    level: int | str = logging.ERROR,
    message: str | None = None,
    reraise: bool = True,
) -> ExceptionLog: ...


def log_exceptions(
    logger: Any = None,
    *,
    level: int | str = logging.ERROR,
    message: str | None = None,
    reraise: bool = True,
) -> Any:
    """Log exceptions that leave a function or a block.

    The result is a decorator, used with or without parentheses, for functions, methods, generators, coroutines and
    asynchronous generators, whose signature it keeps; and a context manager: `with log_exceptions(): ...`. Only
    subclasses of `Exception` are logged, so `KeyboardInterrupt`, `SystemExit`, `GeneratorExit` and
    `asyncio.CancelledError` are not. An exception is logged once, even if it leaves several decorated functions or
    reaches `capture_exceptions`, or if a framework logs it as well. An exception that is raised again later is logged
    again, even if it is the same object.

    Args:
        logger: The logger, or its name, to log to; `None` stands for the logger of the calling module.
        level: The level to log at, `ERROR` by default.
        message: The message of the record; `None` makes a message with the name of the function.
        reraise: Whether the exception is raised again, which is the default. Otherwise the function returns `None`, or
            the code after the block runs.

    Raises:
        InvalidSettingError: An argument has a wrong type or value.
    """
    caller = sys._getframe(1)  # noqa: SLF001 - as in logging
    function = logger if callable(logger) else None
    log = ExceptionLog(
        logger=_check_logger(None if function else logger) or caller.f_globals.get("__name__"),
        level=parse_level("level", level, "be a level such as 'ERROR' or 40"),
        message=message,
        reraise=reraise,
        where=caller.f_code.co_name,
    )
    return log(function) if function else log


def _wrap_function(log: ExceptionLog, function: Callable[..., Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Call(log):
            return function(*args, **kwargs)

    return wrapper


def _wrap_coroutine(log: ExceptionLog, function: Callable[..., Any]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Call(log):
            return await function(*args, **kwargs)

    return wrapper


def _wrap_generator(log: ExceptionLog, function: Callable[..., Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Call(log):
            return (yield from function(*args, **kwargs))

    return wrapper


def _wrap_async_generator(log: ExceptionLog, function: Callable[..., Any]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Call(log):
            generator = function(*args, **kwargs)
            step = generator.__anext__()
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = generator.asend((yield value))
                except BaseException as error:  # noqa: BLE001 - the generator decides
                    step = generator.athrow(error)

    return wrapper


def _check_logger(logger: Any) -> logging.Logger | str | None:
    if logger is None or isinstance(logger, (logging.Logger, str)):
        return logger
    raise InvalidSettingError(f"logger must be a logging.Logger, the name of one or None, not {logger!r}.")


def _check_function(function: Any) -> None:
    # A wrapped staticmethod would become a method.
    if not callable(function) or isinstance(function, (type, staticmethod)):
        raise InvalidSettingError(
            f"log_exceptions decorates functions, not {function!r}; place it below @classmethod and @staticmethod."
        )


def _ipython_shell() -> Any:
    """Return the running shell of IPython, such as that of a notebook, or `None`. IPython is not imported."""
    shell_class: Any = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    return shell_class.instance() if shell_class is not None and shell_class.initialized() else None


def _live(hook: Any) -> Any:
    return hook.live() if isinstance(hook, _Hook) else hook


def _flush_before(previous: Any, standard: Any) -> None:
    if previous is not standard and not isinstance(previous, _Hook):
        with contextlib.suppress(Exception):
            flush_all()


def _is_taken(record: logging.LogRecord, handler: logging.Handler) -> bool:
    return all(each.filter(record) for each in handler.filters if isinstance(each, RecordFilter))


def _log_once(
    since: int,
    logger: logging.Logger | str | None,
    level: int,
    exception: Any,
    text: str,
    *args: object,
    **extra: object,
) -> None:
    """Log `exception`, unless all Discord handlers of the logger got it after the tick `since`.

    Never raises an `Exception`.
    """
    with contextlib.suppress(Exception):
        # The logger is looked up now, because `dictConfig` disables the loggers that exist when it runs.
        target = logger if isinstance(logger, logging.Logger) else logging.getLogger(logger)
        if not target.isEnabledFor(level):
            return
        path, line, function = origin(exception.__traceback__)
        exc_info = type(exception), exception, exception.__traceback__
        record = target.makeRecord(target.name, level, path, line, text, args, exc_info, function, extra)
        receivers = [id(each) for each in discord_handlers(target) if level >= each.level and _is_taken(record, each)]
        if has_all(exception, receivers, level, since):
            return
        forget(exception, receivers)
        target.handle(record)
        note(exception, receivers, level, is_automatic=True)
