"""Several processes keep their records in Redis, and one of them posts for all, whatever ends meanwhile."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._cli.main import main
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging.sandbox import Fault
from tests.backlogs._redis import Server, serve
from tests.failures.test_backlog import _PRELUDE, Worker, deploy, posted, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord
    from tests.failures.conftest import Run

    Start = Callable[..., Worker]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory for it"),
]
PASSWORD = "hunter2Hunter2"
IMPATIENT = """
import discord_logging._backlogs.redis_store as redis_store
redis_store._PATIENCE, redis_store._SPREAD = 0.5, 0.0
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Keep the records of all programs in one Redis, which writes them to its disk at once. The machine may be busy."""
    with serve(appendonly="yes", appendfsync="always", requirepass=PASSWORD) as server:
        monkeypatch.setenv("DISCORD_BACKLOG", f"unix://:{PASSWORD}@{server.socket}?socket_timeout=8")
        yield server


@pytest.fixture
def start(discord: LocalDiscord, server: Server) -> Iterator[Start]:
    """Return a function that starts a worker with this Redis."""
    assert server.socket.exists()
    with contextlib.ExitStack() as stack:

        def start_one(*, code: str = "") -> Worker:
            worker = Worker(discord.webhook_url, textwrap.dedent(code) + _PRELUDE)
            stack.callback(worker.close)
            return worker

        yield start_one


def all_of(*names: str) -> list[str]:
    return sorted(f"{name} {number:03}" for name in names for number in range(200))


def log(worker: Worker, name: str) -> None:
    worker.ask(f"log_all(*(f'{name} {{number:03}}' for number in range(200)))")


class TestKilledProcess:
    @pytest.mark.usefixtures("server")
    def test_the_next_process_posts_all(self, discord: LocalDiscord, run: Run) -> None:
        """What the keeper has not seen is in shared memory."""
        discord.stop()
        killed = run("for number in range(1000): log.error('record %04d', number)\nkill()", prelude=_PRELUDE)
        assert killed.code == -signal.SIGKILL
        discord.start()
        done = run("log.error('the next one')\nprint(handler.flush(30))", prelude=_PRELUDE)
        assert (done.out, done.err, done.code) == ("True\n", "", 0)
        assert sorted(posted(discord)) == [*(f"record {number:04}" for number in range(1000)), "the next one"]
        assert refused(discord) == 0

    def test_another_living_process_takes_over(self, discord: LocalDiscord, start: Start) -> None:
        """The one that waited for it notices by itself."""
        sender = start()
        sender.ask("(log.error('from the sender'), handler.flush(20))")
        other = start()
        other.ask("(log.error('from the other'), handler.flush(20))")
        assert (sender.ask("health('is_sender')"), other.ask("health('is_sender')")) == ("True", "False")
        discord.stop()
        sender.ask("log_all('the last', 'words')")
        sender.kill()
        discord.start()
        discord.wait_for("the last", timeout=20)
        discord.wait_for("words", timeout=20)
        assert other.ask("(log.error('goes on'), handler.flush(20), health('is_sender'))") == "(None, True, True)"
        code, err = other.end()
        # The other process may have found Discord away.
        assert (code, "were not delivered" in err) == (0, False)

    def test_the_newest_version_sends(self, discord: LocalDiscord, start: Start) -> None:
        """The one that led gives its lease back."""
        deploy(start)
        assert posted(discord) == ["before", "deployed", "together"]

    def test_the_message_in_flight_is_marked(
        self, discord: LocalDiscord, start: Start, wait_until: Callable[..., None]
    ) -> None:
        """Nobody can know whether Discord has saved it."""
        sender = start()
        sender.ask("(log.error('before'), handler.flush(20))")
        requests = len(discord.requests)
        discord.fail_next(Fault.stall(60, save=True))
        sender.ask("log.error('in flight')")
        wait_until(lambda: len(discord.requests) > requests)
        sender.kill()
        other = start()
        assert other.ask("(log.error('behind'), handler.flush(20))") == "(None, True)"
        cards = [str(embed) for message in discord.messages for embed in message.embeds]
        assert ["in flight" in card for card in cards if "may be a repeat" in card] == [True]

    def test_a_stopped_process_posts_nothing_when_it_is_back(
        self, discord: LocalDiscord, start: Start, wait_until: Callable[..., None]
    ) -> None:
        """Another one has posted its records meanwhile."""
        sender = start()
        sender.ask("(log.error('before'), handler.flush(20))")
        discord.stop()
        log(sender, "stopped")
        sender.ask("until(lambda: len(handler._listener.backlog.rows()) == 200)")
        os.kill(sender.pid, signal.SIGSTOP)
        discord.start()
        other = start()
        log(other, "other")
        assert other.ask("handler.flush(40)") == "True"
        wait_until(lambda: len(posted(discord)) == 401)
        os.kill(sender.pid, signal.SIGCONT)
        assert sender.ask("(log.error('after'), handler.flush(20), health('is_sender'))") == "(None, True, False)"
        assert sorted(posted(discord)) == sorted(["after", "before", *all_of("stopped", "other")])
        assert refused(discord) == 0


class TestRedisInTrouble:
    def test_a_redis_that_is_killed_and_started_again_loses_and_doubles_nothing(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """Its records are on its disk, and the others wait in the processes."""
        workers = {"first": start(), "second": start()}
        for name, worker in workers.items():
            worker.ask(f"(log.error('{name}'), handler.flush(20))")
        for round_ in range(3):
            for name, worker in workers.items():
                log(worker, f"{name} {round_} up")
            server.kill()
            for name, worker in workers.items():
                log(worker, f"{name} {round_} down")
            server.start()
        assert [worker.ask("handler.flush(40)") for worker in workers.values()] == ["True", "True"]
        names = [f"{name} {round_} {state}" for name in workers for round_ in range(3) for state in ("up", "down")]
        assert sorted(posted(discord)) == sorted([*workers, *all_of(*names)])
        assert refused(discord) == 0
        for worker in workers.values():
            counts = ast.literal_eval(worker.ask("handler.health()"))
            assert (counts["delivered"], counts["pending"], counts["dropped"]) == (1_201, 0, 0)

    def test_a_redis_that_comes_back_empty_gets_everything_again(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """Each process still has what it has stored a moment ago, and what was delivered does not come again."""
        sender, other = start(), start()
        assert sender.ask("(log.error('from the sender'), handler.flush(20))") == "(None, True)"
        assert other.ask("(log.error('from the other'), handler.flush(20))") == "(None, True)"
        discord.stop()
        log(sender, "sender")
        log(other, "other")
        sender.ask("until(lambda: len(handler._listener.backlog.rows()) == 400)")
        server.tell("FLUSHALL")
        discord.start()
        assert [worker.ask("handler.flush(60)") for worker in (sender, other)] == ["True", "True"]
        assert sorted(posted(discord)) == sorted(["from the other", "from the sender", *all_of("other", "sender")])

    def test_a_redis_that_is_away_at_the_start_is_told_and_the_process_sends_alone(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """When Redis is there, it keeps the next records."""
        server.kill()
        worker = start(code=IMPATIENT)
        worker.ask("log.error('alone')")
        discord.wait_for("alone", timeout=60)
        assert worker.ask("(health('ok'), 'Redis cannot be reached' in health('reason'))") == "(False, True)"
        server.start()
        worker.ask("until(lambda: health('ok'))")
        assert worker.ask("(log.error('together'), handler.flush(20), health('is_sender'))") == "(None, True, True)"
        assert posted(discord) == ["alone", "together"]
        assert ["sent alone" in str(message.embeds) for message in discord.messages] == [True, False]
        code, err = worker.end()
        assert code == 0
        assert err.count("does not work") == 1

    def test_a_record_that_redis_may_have_comes_once_or_is_marked(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """Redis was stopped before it answered, and has the record only if it was asked to keep it before that."""
        worker = start(code=IMPATIENT)
        worker.ask("(log.error('before'), handler.flush(20))")
        server.pause()
        worker.ask("log.error('in limbo')")
        discord.wait_for("in limbo", timeout=60)
        worker.ask("until(lambda: not handler.health()['pending'])")
        worker.kill()
        server.go_on()
        assert start().ask("(log.error('after'), handler.flush(20))") == "(None, True)"
        cards = [str(embed) for message in discord.messages for embed in message.embeds if "in limbo" in str(embed)]
        assert len(cards) == 1 or "may be a repeat" in cards[0]

    def test_a_slow_redis_does_not_hold_up_the_program(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """Its callers never wait, and its end does not wait for long."""
        worker = start()
        assert worker.ask("(log.error('before'), handler.flush(20))") == "(None, True)"
        server.pause()
        log(worker, "paused")
        assert worker.ask("handler.flush(1)") == "False"
        server.go_on()
        assert worker.ask("handler.flush(60)") == "True"
        assert sorted(posted(discord)) == ["before", *all_of("paused")]

    def test_a_full_redis_costs_nothing(self, server: Server, discord: LocalDiscord, start: Start) -> None:
        """The records wait in memory until there is room."""
        worker = start()
        assert worker.ask("(log.error('before'), handler.flush(20))") == "(None, True)"
        server.tell("CONFIG", "SET", "maxmemory", "1")
        log(worker, "full")
        worker.ask("until(lambda: not health('ok'))")
        assert "maxmemory" in worker.ask("health('reason')")
        server.tell("CONFIG", "SET", "maxmemory", "0")
        assert worker.ask("handler.flush(60)") == "True"
        assert sorted(posted(discord)) == ["before", *all_of("full")]


class TestFallback:
    """Redis is away, and a directory of the machine keeps what waits."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Name the directory."""
        monkeypatch.setenv("DISCORD_BACKLOG_DIR", str(tmp_path / "fallback"))
        return tmp_path / "fallback"

    def test_killed_processes_lose_nothing_that_has_no_room_in_shared_memory(
        self, server: Server, discord: LocalDiscord, start: Start, folder: Path, wait_until: Callable[..., None]
    ) -> None:
        """The next process moves the records into Redis when it is back."""
        server.kill()
        discord.stop()
        names = [f"{name} {part}" for name in ("first", "second") for part in range(12)]
        for name in ("first", "second"):
            worker = start()
            for part in range(12):
                log(worker, f"{name} {part}")
            worker.ask("until(lambda: health('fallback')['waiting'] == 2400)")
            assert worker.ask("health('at_risk')") == "0"
            worker.kill()
        token = WebhookURL.parse(discord.webhook_url).token.encode()
        files = [path for path in folder.glob("*/*") if path.is_file()]
        assert not any(token in path.read_bytes() for path in files)
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o700}
        server.start()
        discord.start()
        last = start()
        last.ask("log.error('the last')")
        wait_until(lambda: len(posted(discord)) > 4_800)
        assert sorted(posted(discord)) == sorted(["the last", *all_of(*names)])
        assert list(folder.iterdir()) == []

    def test_the_records_of_a_living_process_go_into_redis_when_it_is_back(
        self, server: Server, discord: LocalDiscord, start: Start, folder: Path
    ) -> None:
        """They are sent once, and nothing is left in the directory."""
        workers = {"first": start(), "second": start()}
        for name, worker in workers.items():
            worker.ask(f"(log.error('{name}'), handler.flush(20))")
        server.kill()
        for name, worker in workers.items():
            log(worker, name)
            worker.ask("until(lambda: health('fallback')['waiting'] == 200)")
        server.start()
        assert [worker.ask("handler.flush(40)") for worker in workers.values()] == ["True", "True"]
        assert sorted(posted(discord)) == sorted([*workers, *all_of(*workers)])
        for worker in workers.values():
            worker.ask("until(lambda: not health('fallback')['waiting'])")
        assert [worker.end()[0] for worker in workers.values()] == [0, 0]
        assert list(folder.iterdir()) == []

    def test_what_was_sent_alone_does_not_come_again(
        self, server: Server, discord: LocalDiscord, start: Start, folder: Path
    ) -> None:
        """The process is killed after that, while Redis is still away."""
        server.kill()
        worker = start(code=IMPATIENT)
        log(worker, "alone")
        assert worker.ask("handler.flush(60)") == "True"
        worker.ask("until(lambda: not health('fallback')['waiting'])")
        worker.kill()
        server.start()
        other = start()
        assert other.ask("(log.error('other'), handler.flush(20))") == "(None, True)"
        assert sorted(posted(discord)) == sorted([*all_of("alone"), "other"])
        assert list(folder.iterdir()) == []

    def test_the_end_of_a_process_leaves_its_records(
        self, server: Server, discord: LocalDiscord, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also those that have no room in shared memory; the command finds them."""
        server.kill()
        discord.stop()
        worker = start()
        names = [f"worker {part}" for part in range(12)]
        for name in names:
            log(worker, name)
        worker.ask("setattr(handler._listener, 'flush_timeout', 0)")
        _, err = worker.end()
        assert "2,400 records wait" in err
        assert "were not delivered" not in err
        server.start()
        discord.start()
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        assert main(["backlog", "--send"]) == 0
        assert sorted(posted(discord)) == all_of(*names)
        assert list(folder.iterdir()) == []


class TestForks:
    @pytest.mark.parametrize("is_away", [False, True])
    def test_nothing_is_imported_after_the_handler_was_made(self, server: Server, start: Start, is_away: bool) -> None:
        """Regression: a child that was forked meanwhile had half a module, and its store did not work."""
        if is_away:
            server.kill()
        worker = start(code="import sys")
        worker.ask("setattr(sys, 'before', set(sys.modules))")
        worker.ask("log.error('one')")
        worker.ask("until(lambda: not health('ok'))" if is_away else "handler.flush(20)")
        assert worker.ask("set(sys.modules) - sys.before") == "set()"

    def test_each_child_is_a_process_of_its_own(self, discord: LocalDiscord, start: Start) -> None:
        """Parent and children use connections of their own, and each record is posted once."""
        parent = start()
        assert parent.ask("(log.error('parent'), handler.flush(20))") == "(None, True)"
        parent.ask(
            "[os.waitpid(fork(lambda: log_all(*(f'child {each} {number:03}' for number in range(200)))), 0)"
            " for each in range(3)] and None"
        )
        log(parent, "parent")
        assert parent.ask("handler.flush(40)") == "True"
        children = ("child 0", "child 1", "child 2")
        for name in children:
            discord.wait_for(f"{name} 199", timeout=60)
        assert sorted(posted(discord)) == sorted(["parent", *all_of("parent", *children)])


class TestSecrets:
    def test_neither_the_password_nor_the_token_is_anywhere(
        self, server: Server, discord: LocalDiscord, start: Start, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The password is in no text, and the token not in Redis."""
        worker = start()
        discord.stop()
        worker.ask("log.error('a record')")
        worker.ask("until(lambda: health('waiting') == 1)")
        keys = [key for key in server.tell("KEYS", "*") if b":writer:" not in key]
        stored = b"".join(key + server.tell("DUMP", key) for key in keys)
        token = WebhookURL.parse(discord.webhook_url).token
        assert token.encode() not in stored
        assert PASSWORD.encode() not in stored
        assert PASSWORD not in worker.ask("handler.health()")
        assert PASSWORD not in worker.ask("handler")
        server.kill()
        worker.ask("until(lambda: not health('ok'))")
        assert PASSWORD not in worker.ask("handler.health()")
        _, err = worker.end()
        assert f"in unix://{server.socket}" in err
        assert PASSWORD not in err
        assert main(["backlog"]) == 1
        captured = capfd.readouterr()
        assert "Redis cannot be reached" in captured.err
        assert PASSWORD not in captured.out + captured.err


class TestCommand:
    def test_what_waits_is_listed_and_sent(
        self, server: Server, discord: LocalDiscord, start: Start, capfd: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        """The command uses the same setting."""
        assert main(["backlog"]) == 0
        assert capfd.readouterr().out == f"Nothing waits in unix://{server.socket}.\n"
        worker = start()
        discord.stop()
        log(worker, "waiting")
        worker.ask("until(lambda: health('waiting') == 200)")
        assert main(["backlog", "--json"]) == 0
        listed = json.loads(capfd.readouterr().out)
        assert (listed["where"], listed["waiting"]) == (f"unix://{server.socket}", 200)
        assert listed["webhooks"][0]["sender"]["pid"] == worker.pid
        worker.kill()
        discord.start()
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        assert main(["backlog", "--send"]) == 0
        assert "200 records delivered, nothing is left." in capfd.readouterr().out
        assert sorted(posted(discord)) == all_of("waiting")
