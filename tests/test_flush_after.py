"""A serverless handler under `flush_after` returns only when its records are delivered, or its time is over."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, InvalidSettingError, flush_after, log_exceptions
from discord_logging.sandbox import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import LocalDiscord

log = logging.getLogger("serverless")


@pytest.fixture(autouse=True)
def handler(local_discord: LocalDiscord) -> Iterator[DiscordHandler]:
    made = DiscordHandler(local_discord.webhook_url, flush_timeout=20)
    logging.getLogger().addHandler(made)
    yield made
    made.close(0)


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, or run a coroutine."""
    result = function(*args)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def answer(event: str, context: object = None) -> tuple[str, object]:
    """Log and return."""
    log.error("taken %s", event)
    return event, context


async def answer_async(event: str, context: object = None) -> tuple[str, object]:
    """Log and return."""
    log.error("taken %s", event)
    return event, context


class Application:
    """A handler that is an object, as an adapter for web frameworks is."""

    def __call__(self, event: str, context: object = None) -> tuple[str, object]:
        """Answer as the function does."""
        return answer(event, context)


@pytest.mark.parametrize("function", [answer, answer_async, Application()])
@pytest.mark.parametrize("decorate", [flush_after, flush_after(), flush_after(timeout=20)])
def test_all_is_delivered_before_the_function_returns(
    decorate: Callable[..., Any], function: Callable[..., Any], local_discord: LocalDiscord
) -> None:
    """The result is that of the function."""
    decorated = decorate(function)
    for number, event in enumerate(["order", "payment"], 1):
        assert call(decorated, event, 5) == (event, 5)
        assert len(local_discord.messages) == number
    assert not hasattr(function, "__name__") or decorated.__name__ == function.__name__


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_is_told_once_and_raised_again(local_discord: LocalDiscord, *, is_async: bool) -> None:
    """It may pass another decorator, and be logged to the logger of the module."""
    error = LookupError("no order")

    @log_exceptions
    def fail() -> None:
        raise error

    async def fail_async() -> None:
        fail()

    with pytest.raises(LookupError) as caught:
        call(flush_after(fail_async if is_async else fail))
    assert caught.value is error
    [message] = local_discord.messages
    [card] = message.embeds
    assert card["title"].replace("\\", "") == f"❌ LookupError: no order · ERROR · {__name__}"


@pytest.mark.parametrize("function", [answer, answer_async])
@pytest.mark.parametrize("decorate", [flush_after(timeout=0.2), flush_after])
def test_the_wait_has_a_deadline(
    decorate: Callable[..., Any],
    function: Callable[..., Any],
    handler: DiscordHandler,
    local_discord: LocalDiscord,
) -> None:
    """A rate limit that lasts longer is not waited for. The record waits for the next call."""
    local_discord.fail_next(Fault.rate_limited(600))
    began = time.monotonic()
    assert call(decorate(function), "order") == ("order", None)
    assert time.monotonic() - began < 10
    assert handler.health()["pending"] == 1


def test_a_loop_goes_on_while_a_coroutine_waits(local_discord: LocalDiscord) -> None:
    """Other tasks of the loop may have work to do."""
    local_discord.fail_next(Fault(delay=0.5))
    ticks = []

    async def tick() -> None:
        while True:
            ticks.append(len(local_discord.messages))
            await asyncio.sleep(0.01)

    async def run() -> None:
        ticking = asyncio.create_task(tick())
        await flush_after(answer_async)("order")
        ticking.cancel()

    asyncio.run(run())
    assert len(ticks) > 2


@pytest.mark.parametrize("is_in_a_loop", [True, False], ids=["no thread starts", "another kind of loop"])
def test_a_coroutine_waits_where_it_is_if_it_must(
    local_discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, *, is_in_a_loop: bool
) -> None:
    """The records are delivered all the same."""
    log.error("before")  # which starts the thread of the handler
    coroutine = flush_after(answer_async)("order")
    if is_in_a_loop:
        monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
        assert asyncio.run(coroutine) == ("order", None)
    else:
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value == ("order", None)
    assert sum(len(message.embeds) for message in local_discord.messages) == 2


def test_a_coroutine_that_is_closed_does_not_wait() -> None:
    """An `await` would be an error then."""

    async def hang() -> None:
        await asyncio.Event().wait()

    coroutine = flush_after(hang)()

    async def start() -> None:
        coroutine.send(None)
        coroutine.close()

    asyncio.run(start())


@pytest.mark.parametrize("function", [5, Application, iter([]), staticmethod(answer)])
def test_other_things_are_refused(function: Any) -> None:
    """The error names the decorator."""
    with pytest.raises(InvalidSettingError, match="flush_after must decorate a function"):
        flush_after(function)


def test_generators_are_refused() -> None:
    """Their code runs after they have returned."""

    def generate() -> Iterator[int]:
        yield 5

    with pytest.raises(InvalidSettingError, match="not <function"):
        flush_after(generate)


@pytest.mark.parametrize("timeout", [-1, "soon", True])
def test_a_wrong_timeout_is_named(timeout: Any) -> None:
    """It is wrong before any call."""
    with pytest.raises(InvalidSettingError, match=r"^timeout must be a number of seconds"):
        flush_after(timeout=timeout)


_FROZEN = """
import logging, sys
import discord_logging

logging.getLogger().addHandler(discord_logging.DiscordHandler(flush_timeout=20))

@discord_logging.flush_after
def handle(event):
    logging.error("event %s", event)

for line in sys.stdin:
    handle(line.strip())
    print("returned", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
def test_a_process_that_was_frozen_goes_on(local_discord: LocalDiscord) -> None:
    """All threads stand still from one call to the next, and the connection may be gone."""
    command = [sys.executable, "-c", _FROZEN]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ}, **pipes) as process:
        assert process.stdin
        assert process.stdout
        for number in range(1, 4):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "returned\n"
            texts = [embed["description"] for message in local_discord.messages for embed in message.embeds]
            assert [text.split("\n")[0] for text in texts] == [f"event {each}" for each in range(1, number + 1)]
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            process.send_signal(signal.SIGCONT)
        process.stdin.close()
        assert process.wait(20) == 0
