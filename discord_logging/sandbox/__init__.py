"""A Discord on this machine: for demos, for developing without a channel, and for tests."""

try:
    import aiohttp as _aiohttp  # noqa: F401  # imported first, so that the error can name the extra
except ImportError as _error:
    raise ImportError("discord_logging.sandbox needs aiohttp: pip install 'discord-log-handler[sandbox]'") from _error

from ._faults import Fault
from ._models import Embed, EmbedField, File, Message, Request
from ._server import LocalDiscord

__all__ = ["Embed", "EmbedField", "Fault", "File", "LocalDiscord", "Message", "Request"]
