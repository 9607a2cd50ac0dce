"""Puts a program's log records into a Discord channel, through a webhook, without ever being in its way."""

from __future__ import annotations

from discord_logging._capture import capture_exceptions, log_exceptions
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.signals import flush_on_signals
from discord_logging._discord.pace import Budget
from discord_logging._discord.rate_limit_headers import RateLimitInfo
from discord_logging._discord.rate_limiter import DiscordRateLimiter, RateLimitBucket, RateLimitHit
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.types import (
    AllowedMentions,
    Embed,
    EmbedAuthor,
    EmbedField,
    EmbedFooter,
    EmbedImage,
    File,
    Message,
    Payload,
)
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import (
    DiscordLoggingError,
    InvalidSettingError,
    InvalidWebhookURLError,
    TransportError,
)
from discord_logging._flush_after import flush_after
from discord_logging._handler import DiscordHandler
from discord_logging._masking.masker import SecretMasker
from discord_logging._masking.names import DEFAULT_REDACT
from discord_logging._notifier import DiscordNotifier, discord_notifier
from discord_logging._records.attachment import Attachment
from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import Frame
from discord_logging._records.incident import Incident
from discord_logging._records.record import FrozenRecord, Origin
from discord_logging._records.settings import CardSettings
from discord_logging._version import __version__ as __version__

__all__ = [
    "DEFAULT_REDACT",
    "AllowedMentions",
    "Attachment",
    "Budget",
    "CardSettings",
    "DiscordHandler",
    "DiscordLoggingError",
    "DiscordNotifier",
    "DiscordRateLimiter",
    "Embed",
    "EmbedAuthor",
    "EmbedField",
    "EmbedFooter",
    "EmbedFormatter",
    "EmbedImage",
    "File",
    "Frame",
    "FrozenException",
    "FrozenRecord",
    "Incident",
    "InvalidSettingError",
    "InvalidWebhookURLError",
    "Message",
    "Origin",
    "Payload",
    "RateLimitBucket",
    "RateLimitHit",
    "RateLimitInfo",
    "Response",
    "SecretMasker",
    "TransportError",
    "WebhookSender",
    "WebhookURL",
    "capture_exceptions",
    "discord_notifier",
    "flush_after",
    "flush_on_signals",
    "log_exceptions",
]
