"""The pytest plugin of `discord_logging`: no test posts to a real channel, and the fixture `local_discord`.

The plugin is not in the package, since pytest would import the whole package at each start.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord

_LOCAL_ONLY = "DISCORD_LOCAL_ONLY"
"""The variable of `discord_logging._discord.local_only`."""
_GRACE = 1.0
"""The longest time to deliver what a test has left behind, in seconds."""


# A wrapper runs before the hooks of other plugins, such as that of pytest-django, which configures logging.
@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Iterator[None]:
    """Bound this process, and those that it starts, to webhooks on this machine while pytest runs."""
    patch = pytest.MonkeyPatch()
    if _LOCAL_ONLY not in os.environ:
        patch.setenv(_LOCAL_ONLY, "pytest")
    early_config.add_cleanup(lambda: _end(patch))
    yield


def _end(patch: pytest.MonkeyPatch) -> None:
    """Drop the records of handlers that tests have left open. Otherwise the exit would wait for dead webhooks."""
    if "discord_logging._delivery.registry" in sys.modules:
        from discord_logging._delivery import registry  # noqa: PLC0415 - likewise
        from discord_logging._discord import local_only  # noqa: PLC0415 - likewise

        if local_only.is_set():
            registry.abandon()
    patch.undo()


@pytest.fixture
def local_discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    """A Discord on this machine without rate limits: `webhook_url`, `messages`, `wait_for(...)`, `fail_next(...)`.

    `DISCORD_WEBHOOK_URL` is its URL, and `discord_notifier` posts to it.
    """
    # These imports are slow, so they wait for the first use.
    from discord_logging import discord_notifier  # noqa: PLC0415
    from discord_logging._delivery.registry import flush_all  # noqa: PLC0415
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415

    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None, invalid_limit=None) as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        monkeypatch.delenv("DISCORD_NOTIFICATIONS_ENABLED", raising=False)
        discord_notifier.reset(_GRACE)
        yield local
        flush_all(_GRACE)
        discord_notifier.reset(_GRACE)
