"""Log to the channel of the webhook in DISCORD_WEBHOOK_URL; without one nothing is posted."""

from __future__ import annotations

import json
import logging
import logging.config

logging.config.dictConfig(
    {
        "version": 1,
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "discord": {
                "class": "discord_logging.DiscordHandler",
                "level": "WARNING",
                "username": "Quickstart",
                "context": {"service": "quickstart"},
            },
        },
        "root": {"handlers": ["console", "discord"], "level": "INFO"},
    }
)

logger = logging.getLogger("quickstart")
logger.info("This stays on the console")
logger.warning("Disk is nearly full", extra={"mount": "/var", "free": "3 %"})
try:
    json.loads('{"price": 3.5')
except ValueError:
    logger.exception("The price list cannot be read")
