"""Tests of `discord-logging backlog`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, NewRecord, Writer
from discord_logging._cli import backlog
from discord_logging._cli.main import main
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.once
needs_ring = pytest.mark.skipif(sys.platform != "linux", reason="there is no such memory on this platform")
PROGRAM = """
import logging, os, signal, sys, time
from pathlib import Path
from discord_logging import DiscordHandler
from discord_logging._backlogs.keeper import Keeper
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._discord.webhook_url import WebhookURL

folder, hook = Path(sys.argv[1]), WebhookURL.parse(os.environ["DISCORD_WEBHOOK_URL"]).key
log = logging.getLogger("app")
log.setLevel("DEBUG")

def wait_until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def wait_for(waiting):
    store = SqliteStore(folder, hook)
    wait_until(lambda: store.summary().waiting == waiting)

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
STORED = """
log.addHandler(DiscordHandler(backlog=folder))
log.info("hello")
for number in range(4): log.error("order %d", number)
wait_for(5)
die()
"""
UNSTORED = """
Keeper.step = lambda _: None
log.addHandler(DiscordHandler(backlog=folder))
for number in range(3): log.error("parcel %d", number)
die()
"""
SENDING = """
handler = DiscordHandler(backlog=folder)
log.addHandler(handler)
def say(): log.error("again")  # records of other lines are no repeats
say()
wait_until(lambda: handler.health()["delivered"] == 1)  # a flush would let the repeats leave, too
for _ in range(2): say()
wait_for(2)  # repeats are held
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        yield local


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backlog"


@pytest.fixture
def command(folder: Path, discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command and returns its exit code and output."""
    token = WebhookURL.parse(discord.webhook_url).token

    def run(*arguments: str, directory: object = folder) -> tuple[int, str]:
        code = main(["backlog", str(directory), *arguments])
        output = "".join(capsys.readouterr())
        assert token not in output
        return code, output

    return run


def run_and_kill(script: str, folder: Path) -> int:
    """Run a program that kills itself, and return its process id."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM + script, str(folder)], env=dict(os.environ)) as process:
        assert process.wait(100) == -9
        return process.pid


@contextlib.contextmanager
def sending(folder: Path) -> Iterator[int]:
    """Run a program that sends, and that holds two repeats; yield its process id."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM + SENDING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def killed(discord: LocalDiscord, folder: Path) -> int:
    """Leave five records of a process that was killed while Discord was down, and return its id."""
    discord.stop()
    pid = run_and_kill(STORED, folder)
    discord.start()
    return pid


def hook_of(discord: LocalDiscord) -> str:
    return WebhookURL.parse(discord.webhook_url).key


def change(folder: Path, statement: str, *values: object) -> None:
    """Change the database behind the back of the store."""
    with contextlib.closing(sqlite3.connect(folder / "backlog-1.db")) as connection, connection:
        connection.execute(statement, values)


def texts(discord: LocalDiscord) -> list[str]:
    """Return the first line of each card."""
    return [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]


ORDERS = ["hello", "order 0", "order 1", "order 2", "order 3"]


class TestList:
    """Without `--send`, the command tells what waits."""

    def test_records_of_a_killed_process_are_listed(
        self, killed: int, discord: LocalDiscord, folder: Path, command: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The list needs no webhook URL, and changes nothing."""
        change(folder, "UPDATE records SET created = ? WHERE number = 1", time.time() - 11_521)
        monkeypatch.delenv("DISCORD_WEBHOOK_URL")
        for _ in range(2):
            code, output = command()
            assert code == 0
            lines = output.splitlines()
            assert re.fullmatch(
                rf"webhook {hook_of(discord)}: 5 records wait \(\d+ (bytes|kB)\), the oldest for 3 h 12 min", lines[0]
            )
            assert lines[1:] == [
                "  by level: 4 ERROR, 1 INFO",
                f"  by process: 5 {socket.gethostname()} ({killed})",
                "  sender: nobody at the moment",
            ]
        assert not discord.messages

    @needs_ring
    @pytest.mark.usefixtures("killed")
    def test_records_that_are_not_stored_are_listed_and_stay(
        self, discord: LocalDiscord, folder: Path, command: Any
    ) -> None:
        """A process was killed before it stored them."""
        discord.stop()
        run_and_kill(UNSTORED, folder)
        for _ in range(2):
            code, output = command()
            assert code == 0
            assert "  not stored yet: up to 3 records of processes that ended\n" in output

    def test_the_list_can_be_read_by_programs(
        self, killed: int, discord: LocalDiscord, folder: Path, command: Any
    ) -> None:
        """The JSON has the same facts."""
        code, output = command("--json")
        assert code == 0
        found = json.loads(output)
        (webhook,) = found.pop("webhooks")
        assert found == {"where": str(folder), "waiting": 5}
        assert webhook.pop("bytes") > 0
        assert 0 <= webhook.pop("oldest") < 100
        assert webhook == {
            "webhook": hook_of(discord),
            "waiting": 5,
            "by_level": {"ERROR": 4, "INFO": 1},
            "by_process": {f"{socket.gethostname()} ({killed})": 5},
            "unstored": 0,
            "workers": 0,
            "sender": None,
            "dropped": 0,
            "dropped_by_reason": {},
        }

    def test_a_process_that_sends_is_named_and_not_disturbed(
        self, discord: LocalDiscord, folder: Path, command: Any
    ) -> None:
        """The process goes on sending, and its repeats stay held."""
        with sending(folder) as pid:
            code, output = command()
            assert code == 0
            assert f"  sender: {socket.gethostname()} ({pid})\n" in output
            assert ": 2 records wait (" in output
            assert json.loads(command("--json")[1])["webhooks"][0]["sender"]["pid"] == pid
            assert texts(discord) == ["again"]

    def test_every_webhook_is_listed(self, folder: Path, command: Any) -> None:
        """Of many processes, those with the most records are named. A terminal sequence is not passed on."""
        record = NewRecord(1, 40, "\x1b[31mERROR", time.time(), 700_000_000, "", b"{}")
        store = SqliteStore(folder, "discord.com/1")
        for number in range(12):
            store.add(Writer(str(number), "web-1", number), Batch([record._replace(count=20 - number)], 1))
        SqliteStore(folder, "discord.com/2").check()
        code, output = command()
        assert code == 0
        assert "webhook discord.com/1: 174 records wait (8.4 GB), the oldest for 0 s\n  by level: 174 ERROR\n" in output
        assert "  by process: 20 web-1 (0), 19 web-1 (1), " in output
        assert output.count("web-1") == 10
        assert ", 19 of 2 others\n" in output
        assert "webhook discord.com/2: 0 records wait\n" in output
        assert "Nothing waits" not in output

    def test_losses_are_listed(self, folder: Path, command: Any) -> None:
        """They have their reasons, and nothing else need wait."""
        lost = {("queue_full", "INFO"): 3, ("queue_full", "ERROR"): 1, ("too_old", "INFO"): 2}
        SqliteStore(folder, "discord.com/1").add(Writer("a", "web-1", 1), Batch([], 1, dropped=lost))
        code, output = command()
        assert code == 0
        assert "  lost so far: 4 queue_full, 2 too_old\n" in output
        assert output.endswith(f"Nothing waits in {folder}.\n")

    @pytest.mark.parametrize("kind", ["missing", "empty", "file"])
    @pytest.mark.parametrize("arguments", [(), ("--json",), ("--send",)])
    def test_a_directory_without_backlog_is_exit_code_1(
        self, kind: str, arguments: tuple[str, ...], folder: Path, tmp_path: Path, command: Any
    ) -> None:
        """Nothing is made there."""
        if kind == "empty":
            folder.mkdir(0o700)
        elif kind == "file":
            folder.touch()
        before = sorted(tmp_path.rglob("*"))
        assert command(*arguments) == (1, f"discord-logging: there is no backlog in {folder}\n")
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.skipif(os.name == "nt", reason="there are no such modes on this platform")
    @pytest.mark.parametrize("arguments", [(), ("--send",)])
    def test_a_directory_that_handlers_refuse_is_exit_code_1(
        self, arguments: tuple[str, ...], folder: Path, command: Any
    ) -> None:
        """The words are the same."""
        SqliteStore(folder, "discord.com/1").check()
        folder.chmod(0o770)
        code, output = command(*arguments)
        assert code == 1
        assert "can be written by other users" in output

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
    def test_a_directory_that_cannot_be_read_is_exit_code_1(self, folder: Path, command: Any) -> None:
        """That is another reason than none."""
        SqliteStore(folder, "discord.com/1").check()
        folder.chmod(0)
        try:
            assert command() == (1, f"discord-logging: {folder / 'backlog-1.db'}: Permission denied\n")
        finally:
            folder.chmod(0o700)


class TestSend:
    """With `--send`, the command delivers what waits for a webhook."""

    @needs_ring
    @pytest.mark.usefixtures("killed")
    def test_records_of_killed_processes_are_delivered_once(
        self, discord: LocalDiscord, folder: Path, command: Any
    ) -> None:
        """Both those that were stored and those that were not."""
        run_and_kill(UNSTORED, folder)
        assert command("--send") == (
            0,
            "3 records of processes that ended were found.\n8 records delivered, nothing is left.\n",
        )
        assert sorted(texts(discord)) == [*ORDERS, "parcel 0", "parcel 1", "parcel 2"]
        assert command("--send") == (0, "nothing is left.\n")
        assert command()[1].endswith(f"Nothing waits in {folder}.\n")
        assert len(texts(discord)) == 8

    @needs_ring
    def test_a_store_that_was_never_made_is_made_for_lost_records(
        self, discord: LocalDiscord, folder: Path, tmp_path: Path, command: Any
    ) -> None:
        """A link in the path of the command leads to the same records."""
        run_and_kill(UNSTORED, folder)
        (tmp_path / "link").symlink_to(tmp_path)
        code, output = command("--send", directory=tmp_path / "link" / "backlog")
        assert (code, output.splitlines()[-1]) == (0, "3 records delivered, nothing is left.")
        assert sorted(texts(discord)) == ["parcel 0", "parcel 1", "parcel 2"]

    @pytest.mark.usefixtures("killed")
    def test_what_is_not_delivered_in_time_stays(self, discord: LocalDiscord, command: Any) -> None:
        """The reason is told. A later run delivers all, and nothing is lost in between."""
        discord.stop()
        code, output = command("--send", "--timeout", "0.5")
        assert code == 1
        assert output.startswith("5 are left (ConnectionError: ")
        discord.start()
        assert command("--send") == (0, "5 records delivered, nothing is left.\n")
        assert sorted(texts(discord)) == ORDERS

    @pytest.mark.usefixtures("killed")
    def test_a_deleted_webhook_ends_the_wait(self, discord: LocalDiscord, command: Any) -> None:
        """The records stay for a process with another URL."""
        discord.fail_next(Fault.webhook_deleted())
        began = time.monotonic()
        code, output = command("--send", "--timeout", "300")
        assert time.monotonic() - began < 200
        assert code == 1
        assert "5 are left (" in output
        assert "404" in output
        assert ": 5 records wait (" in command()[1]

    def test_a_process_that_sends_already_is_hurried(self, discord: LocalDiscord, folder: Path, command: Any) -> None:
        """The command waits until that process has delivered all."""
        with sending(folder) as pid:
            code, output = command("--send", "--timeout", "50")
            assert (code, output) == (0, f"{socket.gethostname()} ({pid}) sends already.\nnothing is left.\n")
        assert [text.split()[0] for text in texts(discord)] == ["again", "again"]

    def test_a_process_that_dies_while_it_sends_is_followed(
        self, discord: LocalDiscord, folder: Path, command: Any
    ) -> None:
        """The repeats that it held are not lost."""
        with sending(folder):
            pass
        code, output = command("--send")
        assert (code, output) == (0, "2 records delivered, nothing is left.\n")
        assert {text.split()[0] for text in texts(discord)[1:]} == {"again"}

    @pytest.mark.usefixtures("killed")
    def test_the_age_of_a_record_does_not_matter(self, discord: LocalDiscord, folder: Path, command: Any) -> None:
        """The command does not know for how long the program wants to keep its records."""
        change(folder, "UPDATE records SET created = created - 90 * 86400")
        assert command("--send") == (0, "5 records delivered, nothing is left.\n")
        assert len(texts(discord)) == 5

    @pytest.mark.usefixtures("killed")
    def test_losses_are_told(self, discord: LocalDiscord, folder: Path, command: Any) -> None:
        """A record that nobody can read is dropped, and nothing is left."""
        change(folder, "UPDATE records SET body = x'00' WHERE levelname = 'INFO'")
        assert command("--send") == (0, "4 records delivered, 1 damaged lost, nothing is left.\n")
        assert sorted(texts(discord)) == ORDERS[1:]

    @pytest.mark.usefixtures("killed")
    def test_ctrl_c_ends_the_wait(self, discord: LocalDiscord, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The exit code is 130, and the output says what is left."""
        discord.stop()

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(SqliteStore, "wish", interrupt)
        code, output = command("--send")
        assert code == 130
        assert output.startswith("5 are left")
        assert ": 5 records wait (" in command()[1]

    @pytest.mark.usefixtures("killed")
    def test_the_environment_switches_it_off(self, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything stays as it is."""
        monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
        assert command("--send") == (0, "discord-logging: nothing sent: DISCORD_NOTIFICATIONS_ENABLED is false\n")
        assert ": 5 records wait (" in command()[1]


class TestUsage:
    """Wrong usage is exit code 2."""

    def test_the_directory_may_come_from_the_environment(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As with a handler. Without one, the message names the variable."""
        assert main(["backlog"]) == 2
        assert "No directory is given: name one, or set DISCORD_BACKLOG." in capsys.readouterr().err
        SqliteStore(folder, "discord.com/1").check()
        monkeypatch.setenv("DISCORD_BACKLOG", f"sqlite://{folder}")
        assert main(["backlog"]) == 0
        assert capsys.readouterr().out.endswith(f"Nothing waits in {folder}.\n")

    def test_other_places_are_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The password of a URL is not shown."""
        assert main(["backlog", "redis://:hunter2@host/zero"]) == 2
        error = capsys.readouterr().err
        assert "the backlog must be a directory" in error
        assert "hunter2" not in error

    def test_a_delivery_needs_a_url(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The message names the variable and the option."""
        SqliteStore(folder, "discord.com/1").check()
        assert main(["backlog", str(folder), "--send"]) == 2
        assert "No webhook URL is set" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [("--send", "--json"), ("--timeout", "0"), ("--timeout", "soon")])
    def test_wrong_options_are_refused(
        self, arguments: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The message names the option."""
        with pytest.raises(SystemExit) as exit_info:
            main(["backlog", str(folder), *arguments])
        assert exit_info.value.code == 2
        assert "argument --" in capsys.readouterr().err

    def test_help_has_examples_and_the_exit_codes(self, capsys: pytest.CaptureFixture[str]) -> None:
        """And says where the URL comes from."""
        with pytest.raises(SystemExit):
            main(["backlog", "--help"])
        output = capsys.readouterr().out
        assert "examples:" in output
        assert "exit codes: 0 " in output
        assert "DISCORD_WEBHOOK_URL" in output


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (11_521, "3 h 12 min"),
        (86_400 * 9 + 3_600 * 5, "9 d 5 h"),
    ],
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    """A second unit of zero is left out."""
    assert backlog.spell_duration(seconds) == words
