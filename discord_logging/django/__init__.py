"""The Django app: unhandled exceptions with their request or command, and a notice of the start.

`INSTALLED_APPS = [..., "discord_logging.django"]` sets it up. Programs import this package, and so does Django; nothing
else of ours does. It needs the extra `django`: `pip install 'discord-log-handler[django]'`.
"""

from __future__ import annotations

from typing import Any

from discord_logging import _handler

try:
    from discord_logging.django import _watch
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.django needs Django: pip install 'discord-log-handler[django]'", name=_error.name
    ) from _error

__all__ = ["DiscordHandler"]


class DiscordHandler(_handler.DiscordHandler):
    """The handler for `LOGGING`, with the request or the command on its cards.

    It has the settings of `discord_logging.DiscordHandler`, and works without an entry in `INSTALLED_APPS`: only the
    notice of the start is missing then. With that entry, any `DiscordHandler` in `LOGGING` has the same cards.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        _watch.watch(self)
