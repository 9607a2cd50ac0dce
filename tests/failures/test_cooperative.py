"""These programs run many tasks on one thread, where a task that blocks stops all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from tests.failures.conftest import Run

_STALL = 3.0
"""Seconds that the server is silent. A wait for it stops the ticker for as long."""

_GEVENT = """
import logging, sys, time, warnings
warnings.simplefilter("ignore")  # gevent warns of each module that it patches late

def patch():
    from gevent import monkey
    monkey.patch_all()

{before_import}
import discord_logging
{before_handler}
handler = discord_logging.DiscordHandler(flush_timeout=20)
logging.basicConfig(level="DEBUG", handlers=[handler])
log = logging.getLogger("app")
{before_record}
log.error("first")
{after_record}
import gevent
gevent.get_hub()  # two threads that make their first at the same time may wait for each other

def await_request():
    while not handler.health()["requests"]:
        time.sleep(0.001)
"""
"""The handler stands on a DEBUG root, so that a listener which is not known as one feeds itself."""

_TICKER = """
ticks = []
def show(flushed):
    longest = max(later - earlier for earlier, later in zip(ticks, ticks[1:]))
    health = handler.health()
    print(flushed, health["accepted"], health["delivered"], longest, flush=True)
"""

_ORDERS = ("before_import", "before_handler", "before_record", "after_record")


def _prelude(order: str) -> str:
    steps = {**dict.fromkeys(_ORDERS, ""), order: "patch()"}
    if order == "after_record":
        # The listener's thread is in the network by then.
        steps[order] = "while not handler.health()['requests']: time.sleep(0.001)\npatch()"
    return _GEVENT.format(**steps) + _TICKER


_LOG = """
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)
gevent.spawn(tick)
for number in range(300):
    log.error("%d", number)
    if number % 50 == 0:
        gevent.sleep(0.01)
await_request()
show(handler.flush(10))
"""


class TestCooperativeTasks:
    """Greenlets and tasks run on while records are logged, delivered and flushed."""

    @pytest.mark.measured
    @pytest.mark.parametrize("order", _ORDERS)
    def test_gevent(self, discord: LocalDiscord, run: Run, order: str) -> None:
        """A ticker runs on while the server is silent, all records arrive, and our own requests log no record.

        Without new locks for a program that is patched between handler and first record, all its greenlets stop for
        ever. With the listener known by its thread's ident, a program that is patched after the import posts
        urllib3's line about every POST.
        """
        discord.fail_next(Fault.stall(_STALL))
        done = run(_LOG, prelude=_prelude(order))
        flushed, accepted, delivered, longest = done.out.split()
        assert (flushed, accepted, delivered, done.code) == ("True", "301", "301", 0)
        assert float(longest) < _STALL / 2

    @pytest.mark.parametrize("order", _ORDERS[:3])
    def test_gevent_exit(self, discord: LocalDiscord, run: Run, texts: Any, order: str) -> None:
        """The last record of a program is delivered at exit.

        Without new locks a program that is patched between handler and first record hangs before it gets there.
        """
        done = run("handler.flush(10)\nlog.error('last')", prelude=_prelude(order))
        assert (texts(), done.code, done.err) == (["first", "last"], 0, "")
        assert len(discord.requests) <= 2

    def test_gevent_exit_of_a_program_that_was_patched_too_late(
        self, discord: LocalDiscord, run: Run, texts: Any
    ) -> None:
        """A listener that ran before the patch may lose the last record, but reports the loss in time.

        gevent makes no resolver for a thread once the interpreter ends, and urllib3 has closed the connection by then.
        """
        discord.fail_next(Fault.stall(0.5))
        prelude = _prelude("after_record").replace("flush_timeout=20", "flush_timeout=2")
        done = run("handler.flush(10)\nlog.error('last')", prelude=prelude)
        is_said = "1 of 2 records were not delivered" in done.err
        assert texts() == (["first"] if is_said else ["first", "last"])
        assert done.code == 0

    @pytest.mark.parametrize("debug", [False, True])
    def test_asyncio(self, discord: LocalDiscord, run: Run, debug: bool) -> None:
        """A running loop is never blocked by logging calls while the server is silent.

        A handler that posts in `emit` blocks the loop for as long as the server is silent.
        """
        discord.fail_next(Fault.stall(_STALL))
        done = run(
            f"""
            import asyncio
            async def tick():
                while True:
                    ticks.append(time.monotonic())
                    await asyncio.sleep(0.01)
            async def main():
                loop = asyncio.get_running_loop()
                loop.slow_callback_duration = {_STALL / 2}
                loop.set_debug({debug})
                ticker = asyncio.create_task(tick())
                for number in range(300):
                    log.error("%d", number)
                    if number % 50 == 0:
                        await asyncio.sleep(0.01)
                while not handler.health()["requests"]:
                    await asyncio.sleep(0.001)
                show(await asyncio.to_thread(handler.flush, 10))
                ticker.cancel()
            logging.basicConfig(format="%(message)s")
            asyncio.run(main())
            """,
            prelude=_ASYNCIO,
        )
        flushed, accepted, delivered, longest = done.out.split()
        assert (flushed, accepted, delivered, done.code) == ("True", "300", "300", 0)
        assert float(longest) < _STALL / 2
        assert "Executing" not in done.err


_ASYNCIO = (
    """
import logging, sys, time
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.propagate = False
"""
    + _TICKER
)
