"""A settings module with a LOGGING dict: all records go to the console, and warnings and errors to the channel too."""

from __future__ import annotations

import logging
import logging.config


class LeaveOutHealthChecks(logging.Filter):
    """Keeps records about the load balancer's requests out of the channel."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` is about another request."""
        return "/health" not in record.getMessage()


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"console": {"format": "%(asctime)s %(levelname)-8s %(name)s: %(message)s"}},
    "filters": {"leave_out_health_checks": {"()": LeaveOutHealthChecks}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "console"},
        "discord": {
            "class": "discord_logging.DiscordHandler",
            # "webhook_url": the environment variable DISCORD_WEBHOOK_URL, since it is a password
            "level": "WARNING",
            "filters": ["leave_out_health_checks"],
            "username": {"WARNING": "Shop", "ERROR": "Shop alarm"},
            "context": {"service": "shop", "environment": "production"},
            "silent_below": "ERROR",
            "repeat_window": 300,
        },
    },
    "loggers": {
        "shop.audit": {"handlers": ["console"], "level": "INFO", "propagate": False},  # never to the channel
        "urllib3": {"level": "WARNING"},
    },
    "root": {"handlers": ["console", "discord"], "level": "INFO"},
}

if __name__ == "__main__":
    logging.config.dictConfig(LOGGING)
    logger = logging.getLogger("shop.orders")
    logger.info("Order %d received: this stays on the console", 4711)
    logger.warning("Stock of %s is low", "tea", extra={"left": 3, "warehouse": "Hamburg"})
    logging.getLogger("shop.web").error("GET /health took 3.2 s: this the filter leaves out")
    logging.getLogger("shop.audit").error("ann logged in from a new device: this is nobody else's business")
    try:
        {"tea": 3.5}["coffee"]
    except KeyError:
        logger.exception("Order %d has no price", 4711, extra={"order": 4711, "api_key": "masked on the card"})
