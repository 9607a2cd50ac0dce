"""Tests of the pytest plugin, as users run it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests

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

def test_a_crash_is_reported_in_the_channel(local_discord, monkeypatch):
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", local_discord.webhook_url)
    create_app().test_client().get("/crash")
    message = local_discord.wait_for("ZeroDivisionError")
    assert message.embeds[0]["title"] == "❌ ZeroDivisionError: division by zero · ERROR · shop"
    assert message.pings == []
"""

_MISSED = """
import requests

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


def test_the_fixture_works_in_parallel(pytester: pytest.Pytester) -> None:
    """With pytest-xdist every test has its own channel."""
    pytester.makepyfile(_MANY)
    pytester.runpytest_inprocess("-n", "2").assert_outcomes(passed=4)


def test_the_plugin_imports_nothing_until_the_fixture_is_used(pytester: pytest.Pytester) -> None:
    """The plugin imports neither the local Discord nor its dependencies."""
    pytester.makepyfile(
        "import sys\n\ndef test_not_there():\n    assert not {'aiohttp', 'discord_logging.sandbox'} & set(sys.modules)"
    )
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
