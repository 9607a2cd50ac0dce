"""The middleware for Starlette: `app.add_middleware(DiscordLogging)`. `discord_logging.asgi` describes it."""

from discord_logging.asgi import DiscordLogging

__all__ = ["DiscordLogging"]
