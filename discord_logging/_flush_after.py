"""`flush_after` delivers what a call has logged before it returns, for platforms that freeze the process afterwards."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any, overload

from discord_logging._capture import log_exceptions
from discord_logging._delivery.registry import flush_all
from discord_logging._exceptions import InvalidSettingError
from discord_logging._records.parse import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    _P = ParamSpec("_P")
    _R = TypeVar("_R")


@overload
def flush_after(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


@overload
def flush_after(*, timeout: float | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...


def flush_after(function: Any = None, /, *, timeout: float | None = None) -> Any:
    """Deliver all waiting records before a function returns, and log an exception that leaves it.

    AWS Lambda, Cloud Functions and similar platforms freeze the process as soon as a handler has returned, so that no
    thread delivers any more. The decorator, used with or without parentheses, is for such a handler, a function or a
    coroutine. An exception is logged as `log_exceptions` does, once, to the logger of the function's module, and raised
    again. Results and exceptions stay as they are. A coroutine does not block its event loop while it waits.

    Args:
        function: The handler.
        timeout: The longest wait, in seconds; `None` takes the longest `flush_timeout` of all handlers. The platform
            must leave the function this time. Records that are not delivered by then stay in memory, and are tried
            again in the next call, if the platform keeps the process.

    Raises:
        InvalidSettingError: An argument has a wrong type or value.
    """
    limit = None if timeout is None else parse_number("timeout", timeout, minimum=0)
    decorate = functools.partial(_decorate, limit)
    return decorate if function is None else decorate(function)


def _decorate(timeout: float | None, function: Any) -> Any:
    import inspect  # noqa: PLC0415 - 9 ms

    if not callable(function) or isinstance(function, (type, staticmethod)):
        raise _refuse(function)
    kinds = function, type(function).__call__  # the second is for callable objects
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise _refuse(function)
    logged = log_exceptions(getattr(function, "__module__", None))(function)
    is_coroutine = any(map(inspect.iscoroutinefunction, kinds))
    return functools.wraps(function)((_wrap_coroutine if is_coroutine else _wrap_function)(logged, timeout))


def _refuse(function: object) -> InvalidSettingError:
    return InvalidSettingError(f"flush_after must decorate a function or a coroutine function, not {function!r}.")


def _wrap_function(function: Callable[..., Any], timeout: float | None) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            _flush(timeout)

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], timeout: float | None) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            result = await function(*args, **kwargs)
        except GeneratorExit:  # the coroutine is closed, and must not wait for anything
            raise
        except BaseException:
            await flush_beside_loop(timeout)
            raise
        await flush_beside_loop(timeout)
        return result

    return wrapper


def _flush(timeout: float | None) -> None:
    with contextlib.suppress(Exception):
        flush_all(timeout)


async def flush_beside_loop(timeout: float | None = None) -> None:
    """Flush all listeners, as `flush_all` does, without blocking the event loop if it is one of asyncio."""
    import asyncio  # noqa: PLC0415 - slow, so imported on first use

    try:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def finish() -> None:
            if not done.done():  # it may be cancelled
                done.set_result(None)

        def run() -> None:
            _flush(timeout)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(finish)

        # The threads of the loop's executor may all be busy.
        threading.Thread(target=run, name="discord-logging-flush", daemon=True).start()
    except RuntimeError:  # no thread can be started, or the loop is not one of asyncio
        _flush(timeout)
    else:
        await done
