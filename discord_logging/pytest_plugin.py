"""A pytest plugin: no test posts to a real channel, and the fixture `local_discord`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import discord_notifier
from discord_logging._delivery import registry
from discord_logging._discord import local_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord

_GRACE = 1.0
"""The longest time to deliver what a test has left behind, in seconds."""


# A wrapper runs before the hooks of other plugins, such as that of pytest-django, which configures logging.
@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Iterator[None]:
    """Bound this process, and those that it starts, to webhooks on this machine while pytest runs."""
    patch = pytest.MonkeyPatch()
    if local_only.VARIABLE not in os.environ:
        patch.setenv(local_only.VARIABLE, "pytest")
    early_config.add_cleanup(lambda: _end(patch))
    yield


def _end(patch: pytest.MonkeyPatch) -> None:
    """Drop the records of handlers that tests have left open. Otherwise the exit would wait for dead webhooks."""
    if local_only.is_set():
        registry.abandon()
    patch.undo()


@pytest.fixture
def local_discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    """A Discord on this machine without rate limits: `webhook_url`, `messages`, `wait_for(...)`, `fail_next(...)`.

    `DISCORD_WEBHOOK_URL` is its URL, and `discord_notifier` posts to it.
    """
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - slow, so imported on first use

    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None, invalid_limit=None) as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        for name in ("DISCORD_NOTIFICATIONS_ENABLED", "DISCORD_BACKLOG"):
            monkeypatch.delenv(name, raising=False)
        discord_notifier.reset(_GRACE)
        yield local
        registry.flush_all(_GRACE)
        discord_notifier.reset(_GRACE)
