"""The configuration of the app, which Django finds by the name of the package."""

from __future__ import annotations

import logging
import os

import django
from django.apps import AppConfig
from django.conf import settings

from discord_logging._discord.webhook_url import hide_urls
from discord_logging._exceptions import InvalidSettingError, InvalidWebhookURLError
from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.handlers import ensure_handler, post_start
from discord_logging._integrations.workers import flush_at_sigterm, worker_number
from discord_logging.django import _watch
from discord_logging.django._commands import find_command
from discord_logging.django._handlers import REQUEST_LOGGER, bind_tests, find_handlers
from discord_logging.django._settings import OWN_SETTINGS, is_on, read_settings


class DiscordLoggingConfig(AppConfig):
    """Posts the errors of a Django project to a Discord channel.

    - An unhandled exception becomes one card with its request: method, path, route, view, request id, user id, GET,
      POST, files and headers. What Django's exception reporter filter hides is hidden, and secrets are masked.
    - Records of all loggers are posted as well, from the level of the handler on. Those that are logged during a
      request show its method, path and id. Each exception of a request is told once, whoever logs it.
    - An exception that ends a management command becomes one card with the command and its arguments; so does a
      `CommandError`, unless standard error is a terminal. Records of a command show the same.
    - One notice is posted when a server starts, however many workers or reloads follow.

    If `LOGGING` has a `DiscordHandler` for the logger `django.request` or one above it, that handler is used. Otherwise
    the app adds one to the root logger, of level `ERROR`, with the settings of `DISCORD_LOGGING`, a dict of settings of
    `DiscordHandler`. While tests run, nothing is posted but to webhooks on this machine. Waiting records are
    delivered when the process ends.

    Raises:
        InvalidSettingError: `DISCORD_LOGGING` has an unknown key or a wrong value; the text names it.
        InvalidWebhookURLError: The webhook URL is malformed.
    """

    name = "discord_logging.django"
    label = "discord_logging"

    def ready(self) -> None:
        """Find or make the handler, and watch requests and commands. Does not block."""
        for name in OWN_SETTINGS:
            is_on(name)
        if find_command() == "test":
            bind_tests()
        _watch.watch(*_ensure_handlers())
        flush_at_sigterm()
        _watch.on_server_start.append(_post_start)
        if find_command() == "runserver":
            _post_start()


def _ensure_handlers() -> list[DiscordHandler]:
    logger = logging.getLogger(REQUEST_LOGGER)
    has_handler = any(True for _ in discord_handlers(logger))
    given = hide_urls({name: value for name, value in read_settings().items() if name not in OWN_SETTINGS})
    try:
        return ensure_handler(logger if has_handler else logging.getLogger(), **given)
    except InvalidWebhookURLError as error:
        raise InvalidWebhookURLError(f"DISCORD_LOGGING: {error}") from None
    except InvalidSettingError as error:
        raise InvalidSettingError(f"DISCORD_LOGGING: {error}") from None


def _post_start() -> None:
    """Post the notice, unless this is the second process of the development server, or not the first worker."""
    _watch.on_server_start.clear()
    if os.environ.get("RUN_MAIN") or worker_number() > 1 or not is_on("startup_notice"):
        return
    fields = {
        "django": django.get_version(),
        "server": os.environ.get("SERVER_SOFTWARE") or find_command(),
        "debug": settings.DEBUG,
    }
    project = str(settings.SETTINGS_MODULE or settings.ROOT_URLCONF).partition(".")[0]
    post_start(find_handlers(), "django", project, fields)
