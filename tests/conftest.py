"""What every test stands on: logging as it was before, and no setting from the environment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from discord_logging import _handler, _listener
from discord_logging._rate_limiter import DiscordRateLimiter
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator


# On a busy machine an example takes whatever it takes.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISCORD_WEBHOOK_URL", "DISCORD_NOTIFICATIONS_ENABLED", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back loggers, handlers and levels, and begin with a limiter that has learned nothing."""
    monkeypatch.setattr(_listener, "_rate_limiter", DiscordRateLimiter())
    monkeypatch.setattr(_handler, "_said", set())
    root = logging.getLogger()
    handlers, level, disabled_level = root.handlers[:], root.level, root.manager.disable
    loggers = {name: getattr(logger, "disabled", False) for name, logger in root.manager.loggerDict.items()}
    yield
    for listener in list(_listener._listeners.values()):
        for user in list(listener.users):
            user.close(timeout=0)  # type: ignore[call-arg]  # users are DiscordHandlers
    root.handlers[:], root.level = handlers, level
    logging.disable(disabled_level)
    for name in set(root.manager.loggerDict) - set(loggers):
        del root.manager.loggerDict[name]
    for name, disabled in loggers.items():
        logger = root.manager.loggerDict[name]
        if isinstance(logger, logging.Logger):
            logger.disabled = disabled


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """A local Discord with Discord's own limits."""
    with LocalDiscord() as local:
        yield local
