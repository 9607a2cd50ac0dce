"""A pytest plugin with the fixture `local_discord`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord


@pytest.fixture
def local_discord() -> Iterator[LocalDiscord]:
    """A Discord on this machine without rate limits: `webhook_url`, `messages`, `wait_for(...)`, `fail_next(...)`."""
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - slow, so imported on first use

    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None, invalid_limit=None) as local:
        yield local
