"""Tests of the command line."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from discord_logging import DiscordHandler
from discord_logging._cli import demo
from discord_logging._cli.main import main
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    import threading

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
REFUSED = f"http://127.0.0.1:9/api/webhooks/123456789012345678/{TOKEN}"


@pytest.fixture
def small_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_BURST", 12)


@pytest.mark.usefixtures("small_burst")
class TestDemo:
    """`discord-logging demo` shows the records that arrive."""

    def test_every_record_arrives_in_the_local_discord(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without arguments the command needs no webhook, and prints the cards."""
        assert main(["demo", "--no-keep-open"]) == 0
        output = capsys.readouterr().out
        assert "18 of 18 records found in 2 messages." in output
        assert "18 of 18 records delivered with 2 requests, 0 of which got a 429." in output
        assert "A local Discord is at http://127.0.0.1:" in output
        for text in (
            "ERROR · shop",
            "OrderError: order for",
            "could not convert string to float",
            "order_id: 4711",
            "packer",
        ):
            assert text in output
        assert "/webhooks/" not in output

    @pytest.mark.parametrize("from_stdin", [False, True])
    def test_posts_to_a_given_webhook(
        self, discord: LocalDiscord, from_stdin: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The URL may come from standard input, so that `ps` does not show it."""
        monkeypatch.setattr(sys, "stdin", io.StringIO(discord.webhook_url + "\n"))
        assert main(["demo", "--webhook-url", "-" if from_stdin else discord.webhook_url]) == 0
        assert sum(len(message.embeds) for message in discord.messages) == 18

    def test_large_burst_is_folded_and_found(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three hundred records at once become a few messages, and each record is found in the channel."""
        monkeypatch.setattr(demo, "_BURST", 300)
        assert main(["demo", "--no-keep-open"]) == 0
        output = capsys.readouterr().out
        assert "306 of 306 records found" in output
        assert "more lines" in output

    def test_missing_record_is_exit_code_1(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A record that was delivered but is not in the channel is reported as missing."""
        monkeypatch.setattr(demo, "_card_text", lambda _: "")
        assert main(["demo", "--no-keep-open"]) == 1
        assert "0 of 18 records found" in capsys.readouterr().out

    def test_unreachable_discord_is_exit_code_1_and_counted(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The output has the number of undelivered records, and not the token."""
        assert main(["demo", "--webhook-url", REFUSED]) == 1
        output = "".join(capsys.readouterr())
        assert "18 records could not be delivered" in output
        assert TOKEN not in output

    def test_progress_is_shown_while_the_limits_hold(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The output shows the progress while the rate limit delays records."""
        monkeypatch.setattr(demo, "_PATIENCE", 0.4)
        with LocalDiscord(webhook_limit=(1, 1.0)) as discord:
            assert demo.run_demo(discord.webhook_url, discord) == 0
        assert re.search(r"\d+ of 18 records delivered \.\.\.", capsys.readouterr().out)

    def test_channel_stays_open_until_interrupted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With `--keep-open` the page is served until Ctrl-C."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("discord_logging._cli.main._wait_for_interrupt", interrupt)
        assert main(["demo", "--keep-open"]) == 130


def test_wrong_url_is_an_error_without_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    """A malformed URL gives exit code 1 and one line on stderr."""
    assert main(["demo", "--webhook-url", f"https://discord.com/{TOKEN}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("discord-logging: ")
    assert "webhook URL" in error
    assert TOKEN not in error


@pytest.mark.parametrize("command", ["check", "send", "pipe"])
class TestURL:
    """The commands for a webhook read its URL from the environment or a file."""

    def test_missing_url_is_exit_code_2(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The message names the variable and the option."""
        assert main([command]) == 2
        error = capsys.readouterr().err
        assert "No webhook URL is set: set DISCORD_WEBHOOK_URL, or name a file" in error
        assert "--url-file" in error

    def test_malformed_url_is_exit_code_2(
        self, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The message shows the right form, and not the token."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"https://discord.com/webhooks/1/{TOKEN}")
        assert main([command]) == 2
        error = capsys.readouterr().err
        assert "expected https://discord.com/api/webhooks/<id>/<token>" in error
        assert TOKEN not in error

    def test_empty_and_missing_files_are_exit_code_2(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The message names the file."""
        path = tmp_path / "url"
        path.touch()
        assert main([command, "--url-file", str(path)]) == 2
        assert f"The file {path} is empty" in capsys.readouterr().err
        assert main([command, "--url-file", f"{REFUSED}"]) == 2
        error = capsys.readouterr().err
        assert "No such file" in error
        assert TOKEN not in error

    def test_url_is_not_accepted_as_an_argument(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The error does not repeat the token of a URL that is given as an argument."""
        with pytest.raises(SystemExit) as exit_info:
            main([command, "--url", REFUSED])
        assert exit_info.value.code == 2
        assert TOKEN not in capsys.readouterr().err

    def test_help_has_an_example_and_the_exit_codes(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The help also says where the URL comes from."""
        with pytest.raises(SystemExit):
            main([command, "--help"])
        output = capsys.readouterr().out
        assert "example" in output
        assert "exit codes: 0 " in output
        assert "DISCORD_WEBHOOK_URL" in output


def test_url_file_that_others_can_read_is_warned_of(
    discord: LocalDiscord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command works nevertheless; for a file that only its owner can read there is no warning."""
    path = tmp_path / "url"
    path.write_text(f"\ufeff{discord.webhook_url}\nanything\n", encoding="utf-8")
    path.chmod(0o644)
    assert main(["check", "--url-file", str(path)]) == 0
    assert capsys.readouterr().err == f"discord-logging: everybody on this machine can read {path}: chmod 600 {path}\n"
    path.chmod(0o600)
    assert main(["check", "--url-file", str(path)]) == 0
    assert capsys.readouterr().err == ""


def test_plain_http_is_for_this_machine_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's own proxy may be without TLS."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"http://proxy.example/api/webhooks/1/{TOKEN}")
    assert main(["send", "x"]) == 2
    assert "plain http" in capsys.readouterr().err
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
    assert main(["send", "--allow-http", "x"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [["--level", "loud"], ["--level", "-5"], ["--wait", "soon"], ["--wait", "0"], ["--wait", "nan"]],
)
def test_wrong_levels_and_times_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the option."""
    with pytest.raises(SystemExit) as exit_info:
        main(["send", *arguments, "x"])
    assert exit_info.value.code == 2
    assert "argument --" in capsys.readouterr().err


def test_sandbox_shows_where_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`discord-logging sandbox` prints the page's address and a webhook URL to export."""

    def interrupt(_: threading.Event) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "discord_logging._cli.main.threading", SimpleNamespace(Event=type("Event", (), {"wait": interrupt}))
        )
        assert main(["sandbox", "--port", "0"]) == 130
    assert re.search(
        r"export DISCORD_WEBHOOK_URL=http://127\.0\.0\.1:\d+/api/v10/webhooks/\d+/\S+", capsys.readouterr().out
    )


def test_sandbox_keeps_its_channel(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With `--keep FILE` the webhook is the same after a restart; another kind of file gives exit code 1."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("discord_logging._cli.main._wait_for_interrupt", interrupt)
    arguments = ["sandbox", "--port", "0", "--keep", str(tmp_path / "channel")]
    outputs = []
    for _ in range(2):
        assert main(arguments) == 130
        outputs.append(re.findall(r"/api/v10/webhooks/\d+/\S+", capsys.readouterr().out))
    assert outputs[0] == outputs[1] != []
    (tmp_path / "channel").write_text("a diary, longer than the header of a database would be; " * 4)
    assert main(arguments) == 1
    assert "was not written by a sandbox" in capsys.readouterr().err


def test_sandbox_on_all_addresses_prints_what_others_need(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler in a shell with the printed lines posts to it; a warning says who can reach it."""

    def post() -> None:
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", capsys.readouterr().out, re.MULTILINE))
        for name, value in exports.items():
            monkeypatch.setenv(name, value)
        handler = DiscordHandler()
        handler.handle(logging.makeLogRecord({"msg": "reached"}))
        assert handler.flush(10)
        assert handler.health()["delivered"] == 1
        handler.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("discord_logging._cli.main._wait_for_interrupt", post)
    with pytest.warns(UserWarning, match="anybody who can reach it"):
        assert main(["sandbox", "--port", "0", "--host", "0.0.0.0"]) == 130  # noqa: S104 - the point of the test


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_sandbox_refuses_an_impossible_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends at once with a message."""
    assert main(["sandbox", "--port", port]) == 1
    assert "port must be between 0 and 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("stdin", ["pipe"], 0),
        ("stdin", ["send"], 2),
        ("stdout", ["check"], 0),
        ("stdout", ["pipe", "--tee"], 0),
        ("stderr", ["send", "--file", "missing", "text"], 2),
    ],
)
def test_commands_work_with_closed_streams(
    discord: LocalDiscord, name: str, arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon may start the command without standard streams."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        monkeypatch.setattr(sys, name, None)
        assert main(arguments) == code
        getattr(sys, name).close()


def test_module_runs_like_the_script() -> None:
    """`python -m discord_logging` shows the same help."""
    done = subprocess.run(
        [sys.executable, "-m", "discord_logging", "--help"], capture_output=True, text=True, check=True, timeout=100
    )
    assert "demo" in done.stdout
    assert "sandbox" in done.stdout


@pytest.mark.measured
def test_missing_extra_is_named() -> None:
    """Without aiohttp the error names what to install."""
    script = """
import sys
sys.modules["aiohttp"] = None
from discord_logging._cli.main import main
sys.exit(main(["demo"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100, env=dict(os.environ)
    )
    assert done.returncode == 1
    assert "discord-log-handler[sandbox]" in done.stderr
