"""Tests of the pytest plugin, as users run it."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest
import requests
import responses

from discord_logging import TransportError, WebhookSender
from discord_logging._discord import local_only
from discord_logging._discord.types import Message

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord

pytest_plugins = ["pytester"]

_APP = """
import logging
from flask import Flask
from discord_logging import DiscordHandler

def create_app():
    app = Flask("shop")
    app.logger.addHandler(DiscordHandler(level="ERROR"))

    @app.route("/crash")
    def crash():
        return 1 / 0

    return app
"""

_RECIPE = """
from shop import create_app

def test_a_crash_is_reported_in_the_channel(local_discord):
    create_app().test_client().get("/crash")
    message = local_discord.wait_for("ZeroDivisionError")
    assert message.embeds[0]["title"] == "❌ ZeroDivisionError: division by zero · ERROR · shop"
    assert message.pings == []
"""

_MISSED = """
import requests
import responses

def test_missed(local_discord):
    requests.post(local_discord.webhook_url, json={"content": "something else"})
    requests.post(local_discord.webhook_url, json={"content": ""})
    local_discord.wait_for("an alarm", timeout=0.01)
"""

_MANY = """
import pytest, requests

@pytest.mark.parametrize("number", range(4))
def test_each_has_its_own(local_discord, number):
    requests.post(local_discord.webhook_url, json={"content": str(number)})
    assert [message.content for message in local_discord.messages] == [str(number)]
"""


def test_a_flask_app_is_tested_in_six_lines(pytester: pytest.Pytester) -> None:
    """The example of the README passes."""
    pytester.makepyfile(shop=_APP, test_shop=_RECIPE)
    pytester.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_a_missing_message_is_explained(pytester: pytest.Pytester) -> None:
    """The failure shows the wanted text, the messages in the channel and the refused requests."""
    pytester.makepyfile(_MISSED)
    result = pytester.runpytest_inprocess("-p", "no:xdist")
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "no message has the text 'an alarm' after 0.01 s; messages in the channels: 1" in output
    assert "Local Discord: 'something else'" in output
    assert 'was answered 400: \'{"message": "Cannot send an empty message"' in output


_STORED = """
import logging
from discord_logging import DiscordHandler

def test_an_error_is_logged():
    logging.getLogger("shop").addHandler(DiscordHandler())
    logging.getLogger("shop").error("a test of the shop")
"""


def test_records_of_tests_are_in_no_backlog(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service, which shares the backlog, would deliver them."""
    monkeypatch.delenv(local_only.VARIABLE, raising=False)
    folder = pytester.path / "backlog"
    monkeypatch.setenv("DISCORD_BACKLOG", str(folder))
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"https://discord.com/api/webhooks/{'1' * 18}/{'a1B2' * 17}")
    pytester.makepyfile(_STORED)
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)
    assert not folder.exists()


@pytest.mark.once
def test_the_fixture_works_in_parallel(pytester: pytest.Pytester) -> None:
    """With pytest-xdist every test has its own channel."""
    pytester.makepyfile(_MANY)
    pytester.runpytest_inprocess("-n", "2").assert_outcomes(passed=4)


@pytest.mark.once
def test_the_plugin_imports_no_sandbox_until_the_fixture_is_used(pytester: pytest.Pytester) -> None:
    """A run of tests without Discord does not pay for it."""
    pytester.makepyfile("import sys\n\ndef test_not_there():\n    assert 'discord_logging.sandbox' not in sys.modules")
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_the_fixture_has_no_rate_limits(local_discord: LocalDiscord) -> None:
    """Tests meet neither a 429 nor the headers of a bucket."""
    with requests.Session() as http:
        answers = [http.post(local_discord.webhook_url, json={"content": "x"}) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {204}
    assert "X-RateLimit-Limit" not in answers[0].headers


@pytest.mark.parametrize("wanted", [3, "cherry", lambda message: message.content == "cherry"])
def test_wait_for_gives_up_at_its_deadline(local_discord: LocalDiscord, wanted: object) -> None:
    """The error describes a missing number, text or function."""
    began = time.monotonic()
    with pytest.raises(
        TimeoutError, match=r"(3 messages|'cherry'|the function).* after 0.05 s; messages in the channels: 0"
    ):
        local_discord.wait_for(wanted, timeout=0.05)  # type: ignore[call-overload]  # one of each kind
    assert 0.05 <= time.monotonic() - began < 5


TOKEN = "pQ4zT2-" * 10
REAL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"

_MADE_BEFORE = f"""
import logging
from discord_logging import DiscordHandler

handler = DiscordHandler({REAL!r}, enabled=True)

def find_state():
    handler.handle(logging.LogRecord("shop", logging.ERROR, "shop.py", 1, "No price", None, None))
    handler.flush()
    return handler.health()["status"], handler.health()["reason"]
"""

_NO_POST = """
import subprocess, sys
import program

def test_made_at_import():
    status, reason = program.find_state()
    assert status == "stopped"
    assert reason.startswith("DISCORD_LOCAL_ONLY is 'pytest', so only webhooks on this machine are posted to")

def test_in_a_process():
    command = [sys.executable, "-c", "import program; print(*program.find_state())"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("stopped DISCORD_LOCAL_ONLY is 'pytest'")
    assert done.stderr.count("cannot be posted to any more: DISCORD_LOCAL_ONLY is 'pytest'") == 1
"""


class TestNoTestPosts:
    """Nothing leaves this machine while pytest runs, unless that is asked for."""

    @pytest.fixture(autouse=True)
    def _as_users_have_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DISCORD_LOCAL_ONLY")

    @pytest.mark.measured
    @pytest.mark.parametrize(
        "options", [(), pytest.param(("-p", "early"), marks=pytest.mark.once)], ids=["conftest", "plugin"]
    )
    def test_a_handler_on_a_real_url_stops(self, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
        """So is one that conftest.py or a plugin like pytest-django makes before all tests, and one in a process."""
        pytester.makepyfile(program=_MADE_BEFORE, test_program=_NO_POST, conftest="import program")
        hook = "@pytest.hookimpl(tryfirst=True)\ndef pytest_load_initial_conftests():\n    import program"
        pytester.makepyfile(early=f"import pytest\n\n{hook}\n")
        pytester.syspathinsert()
        pytester.runpytest_subprocess("-p", "no:xdist", *options).assert_outcomes(passed=2)

    @pytest.mark.once
    def test_the_workers_of_xdist_are_bound_too(self, pytester: pytest.Pytester) -> None:
        """They get the environment of the process that starts them."""
        pytester.makepyfile(program=_MADE_BEFORE, test_program=_NO_POST)
        pytester.runpytest_subprocess("-n", "1").assert_outcomes(passed=2)

    def test_the_environment_is_restored(self, pytester: pytest.Pytester) -> None:
        """A program may call `pytest.main`, and go on."""
        pytester.makepyfile("import os\n\ndef test_it():\n    assert os.environ['DISCORD_LOCAL_ONLY'] == 'pytest'")
        pytester.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=1)
        assert "DISCORD_LOCAL_ONLY" not in os.environ

    def test_a_fake_network_takes_any_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tests that fake the network post nothing to a real channel, whatever the URL is."""
        monkeypatch.setenv(local_only.VARIABLE, "pytest")
        with responses.RequestsMock() as fake:
            fake.post(re.compile(r"https://discord\.com/.*"), json={})
            assert WebhookSender(REAL).post(Message({"content": "x"})).status == 200

    def test_a_request_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A handler may have been made before the plugin was loaded, and a sender needs no handler."""
        sender = WebhookSender(REAL)
        monkeypatch.setenv(local_only.VARIABLE, "manage.py test")
        with pytest.raises(TransportError, match=r"DISCORD_LOCAL_ONLY is 'manage\.py test'") as caught:
            sender.post(Message({"content": "x"}))
        assert not caught.value.maybe_saved

    @pytest.mark.parametrize("text", ["", " ", "false", "No", "0"])
    def test_words_for_no_switch_it_off(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Any other text switches it on, also a misspelt one."""
        monkeypatch.setenv(local_only.VARIABLE, text)
        local_only.check(REAL)
        monkeypatch.setenv(local_only.VARIABLE, "flase")
        with pytest.raises(local_only.LocalOnlyError):
            local_only.check(REAL)

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:80", "x.localhost"])
    def test_this_machine_is_allowed(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A local Discord may run in another process."""
        monkeypatch.setenv(local_only.VARIABLE, "pytest")
        local_only.check(f"http://{host}/api/webhooks/1/{TOKEN}")


_NOTICES = """
import pytest
from discord_logging import discord_notifier

@pytest.mark.parametrize("number", range(3))
def test_each_sees_its_own(local_discord, number):
    assert discord_notifier.send_plaintext(f"notice {number}")
    local_discord.wait_for(f"notice {number}")
    assert len(local_discord.messages) == 1
    discord_notifier.close()

def test_without_a_channel():
    assert discord_notifier.health()["status"] == "disabled"
"""


@pytest.mark.once
def test_the_ready_notifier_posts_to_each_local_discord(pytester: pytest.Pytester) -> None:
    """Without the fixture it is disabled again."""
    pytester.makepyfile(_NOTICES)
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=4)


_LEAKED = """
import logging
from discord_logging import DiscordHandler

handler = DiscordHandler("http://127.0.0.1:9/api/webhooks/1/token", flush_timeout=600, retry_delays=[1])

def test_leaked():
    logging.getLogger().addHandler(handler)
    logging.error("to nobody")

def test_last_words(local_discord):
    logging.getLogger("other").addHandler(DiscordHandler(flush_timeout=600))
    logging.getLogger("other").error("at the end of the test")
"""


@pytest.mark.measured
@pytest.mark.once
def test_a_handler_that_was_left_open_does_not_hold_up_the_end(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its webhook is unreachable, and the loss is told. What a local Discord can take is delivered before it ends."""
    monkeypatch.delenv("DISCORD_LOCAL_ONLY")
    pytester.makepyfile(_LEAKED)
    result = pytester.runpytest_subprocess("-p", "no:xdist", timeout=100)
    result.assert_outcomes(passed=2)
    losses = [line for line in result.errlines if "not delivered" in line]
    assert len(losses) == 1
    # Records that the listener's thread has in hand at that moment are still pending.
    assert re.match(
        r"discord_logging: 2 of 2 records were not delivered to webhook 1 \(([12] closed|pending)\b", losses[0]
    )
