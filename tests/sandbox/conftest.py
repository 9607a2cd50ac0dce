"""Fixtures of the local Discord's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def unlimited() -> Iterator[LocalDiscord]:
    """A local Discord without rate limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """An HTTP session of a client."""
    with requests.Session() as session:
        yield session
