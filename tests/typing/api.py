"""The public names as programs use them. Never run: mypy and pyright check it, in their strict modes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import loguru
import structlog

from discord_logging import (
    DEFAULT_REDACT,
    Attachment,
    Budget,
    CardSettings,
    DiscordHandler,
    DiscordLoggingError,
    DiscordNotifier,
    DiscordRateLimiter,
    Embed,
    EmbedField,
    EmbedFooter,
    EmbedFormatter,
    File,
    Frame,
    FrozenException,
    FrozenRecord,
    InvalidSettingError,
    InvalidWebhookURLError,
    Message,
    Origin,
    RateLimitBucket,
    RateLimitHit,
    RateLimitInfo,
    Response,
    SecretMasker,
    TransportError,
    WebhookSender,
    WebhookURL,
    capture_exceptions,
    discord_notifier,
    flush_after,
    flush_on_signals,
    log_exceptions,
)
from discord_logging.loguru import DiscordSink
from discord_logging.sandbox import Fault, LocalDiscord
from discord_logging.structlog import DiscordProcessor


class Cards(EmbedFormatter):
    """Overrides every part of a card."""

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the whole card."""
        embed = super().embed(record)
        embed["title"] = f"{record.levelname} in {record.funcName}"
        footer: EmbedFooter = {"text": "shop", "icon_url": "https://shop.example/icon.png"}
        embed["footer"] = footer
        return embed

    def title(self, record: FrozenRecord) -> str:
        """Return a text of what a record has."""
        place: tuple[str, str, int] = record.name, record.pathname, record.lineno
        process: int | None = record.process
        names: tuple[str | None, ...] = record.threadName, record.processName, record.taskName
        return f"{place} {process} {names} {record.count} {record.created:.0f}"

    def description(self, record: FrozenRecord) -> str:
        """Return the message, which is masked already."""
        return record.message

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        """Return a field for the exception."""
        exception: FrozenException | None = record.exception
        if exception is None:
            return []
        frames: list[Frame] = [frame for frame in exception.stack if frame.library is None]
        origin: Origin = record.origin
        lines = [f"{origin.host} {frame.path}:{frame.lineno} {frame.name}" for frame in frames]
        return [{"name": exception.type_name, "value": record.mask("\n".join(lines)), "inline": False}]

    def footer(self, record: FrozenRecord) -> str:
        """Return the template."""
        return record.template or ""

    def color(self, record: FrozenRecord) -> int:
        """Return a colour by the level."""
        settings: CardSettings = record.settings
        if color := settings.colors.get(record.levelno):
            return color
        return 0xFF0000 if record.levelno >= logging.ERROR else 0x00FF00

    def mention(self, record: FrozenRecord) -> str:
        """Return whom the record notifies."""
        return "@here" if record.levelno >= logging.CRITICAL else super().mention(record)


class Handler(DiscordHandler):
    """Overrides what every handler has."""

    def emit(self, record: logging.LogRecord) -> None:
        """Change the record."""
        record.msg = f"shop: {record.msg}"
        super().emit(record)


def use_handler() -> dict[str, Any]:
    """Make, configure and end a handler."""
    handler = Handler(
        "https://discord.com/api/webhooks/1/x",
        "ERROR",
        username={"ERROR": "Alarm"},
        context={"service": "shop"},
        mentions={logging.CRITICAL: "<@&1>"},
        redact=[*DEFAULT_REDACT, "iban"],
        retry_delays=[1, 2.5],
        channel_limit=None,
    )
    handler.setFormatter(Cards())
    logging.getLogger().addHandler(handler)
    is_delivered: bool = handler.flush(timeout=2.0)
    limits: dict[str, Any] = handler.get_rate_limit_info()
    handler.reset_rate_limits()
    handler.close(timeout=0.5)
    return {"delivered": is_delivered, "closed": handler.closed, **handler.health(), **limits}


def attach() -> str:
    """Log files, by their content and by their path."""
    report = Attachment(bytearray(b"a,b"), "report.csv")
    logging.getLogger().error("Report", extra={"report": report, "log": [Attachment("app.log"), Attachment(Path("x"))]})
    return report.name


def use_notifier() -> list[bool]:
    """Send a notice of each kind."""
    with_handler = DiscordNotifier(handler=DiscordHandler(), service="shop")
    return [
        with_handler.send_plaintext("**Deployed**"),
        discord_notifier.send_embed(title="Order", color="#2ecc71", fields={"item": "tea", "count": 2}),
        discord_notifier.send_diagnostic("warning", message="Disk is nearly full", fields={"left": "2 GB"}),
        discord_notifier.send_startup("shop", fields={"version": "1.2"}),
        discord_notifier.send_error(ValueError("no"), {"order_id": 4711}),
    ]


@log_exceptions(reraise=False)
def run_job(number: int) -> str:
    """Keep its signature under the decorator."""
    return str(number)


@flush_after
def handle_event(event: dict[str, str]) -> int:
    """Likewise."""
    return len(event)


@flush_after(timeout=2)
async def handle_later(event: dict[str, str]) -> int:
    """Likewise, as a coroutine."""
    return handle_event(event)


def filtered() -> DiscordHandler:
    """Leave records out."""
    return DiscordHandler(max_level="WARNING", loggers=["shop", "-shop.noise"], ignore=["shop.Missing", KeyError])


def capture() -> None:
    """Log what nobody catches."""
    capture = capture_exceptions("shop", warnings=True)
    flush_on_signals()
    with log_exceptions():
        text: str | None = run_job(3)
        del text
    capture.uninstall()


def catch(error: DiscordLoggingError) -> bool:
    """Tell the errors apart."""
    if isinstance(error, TransportError):
        return error.maybe_saved
    return isinstance(error, (InvalidSettingError, InvalidWebhookURLError))


def use_limiter() -> float:
    """Ask the limiter, and look at a bucket."""
    limiter = DiscordRateLimiter(channel_limit=30)
    bucket = RateLimitBucket(id="abc", limit=5, remaining=4, reset_at=2.0)
    bucket.use(1.0)
    left: int | None = bucket.left(1.0)
    wait = limiter.acquire("1", 1.0)
    hit: RateLimitHit | None = limiter.update("1", 429, {"Retry-After": "4"}, None, 1.2)
    bucket.update(RateLimitInfo(remaining=3), 1.2)
    budget: Budget = limiter.budget("1", 2.0)
    return wait + (left or 0) + (hit.retry_after if hit else 0.0) + budget.channel_window


def post() -> str | None:
    """Send a message with a file, without the handler."""
    sender = WebhookSender(WebhookURL.parse("https://discord.com/api/webhooks/1/x"))
    response: Response = sender.post(Message({"content": "Deployed"}, files=(File("log.txt", b"ok"),)))
    return response.message_id if response.status == 200 else response.reason


def mask() -> str:
    """Mask a text, and make a sender of the text of a URL."""
    return SecretMasker(["iban"]).mask(repr(WebhookSender("https://discord.com/api/webhooks/1/x", timeout=2.0)))


def use_other_loggers(handler: DiscordHandler) -> list[DiscordHandler]:
    """Post records of loguru and structlog."""
    loguru.logger.add(DiscordSink(handler), level="ERROR")
    structlog.configure(processors=[DiscordProcessor(level="ERROR"), structlog.processors.JSONRenderer()])
    return [DiscordSink(webhook_url="https://discord.com/api/webhooks/1/x").handler, DiscordProcessor(handler).handler]


def use_local_discord() -> list[str]:
    """Read what stands in the channel."""
    with LocalDiscord() as discord:
        discord.fail_next(Fault.rate_limited(2), times=1)
        shown = [each for message in discord.messages for each in (*message.versions, message)]
        return [embed.get("title", "") for message in shown for embed in message.embeds]
