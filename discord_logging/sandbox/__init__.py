"""A Discord on this machine: for demos, for developing without a channel, and for tests."""

try:
    from ._faults import Fault
    from ._models import Embed, EmbedField, File, Message, Request
    from ._polls import Poll
    from ._server import LocalDiscord
except ModuleNotFoundError as _error:
    _words = f"discord_logging.sandbox needs {_error.name}: pip install 'discord-log-handler[sandbox]'"
    raise ImportError(_words) from _error

__all__ = ["Embed", "EmbedField", "Fault", "File", "LocalDiscord", "Message", "Poll", "Request"]
