"""The middleware for FastAPI: `app.add_middleware(DiscordLogging)`. `discord_logging.asgi` describes it."""

from discord_logging.asgi import DiscordLogging

__all__ = ["DiscordLogging"]
