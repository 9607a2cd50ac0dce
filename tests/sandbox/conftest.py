"""Fixtures of the local Discord's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from discord_logging.sandbox import LocalDiscord
from tests.sandbox._schema import check_response

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def unlimited() -> Iterator[LocalDiscord]:
    """A local Discord without rate limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """An HTTP session of a client that expects each response of the API to be as Discord describes it."""
    with requests.Session() as session:
        session.hooks["response"].append(check_response)
        yield session
