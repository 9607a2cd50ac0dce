"""Log a burst of records and watch how it is folded into few messages, within the rate limits.

The example posts to the channel of DISCORD_WEBHOOK_URL. Without this variable it runs a local Discord, which needs the
extra `[sandbox]`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time

from discord_logging import DiscordHandler

RECORDS = 2000
PATIENCE = 20.0  # seconds


def find_webhook(stack: contextlib.ExitStack) -> str:
    """Return the URL of the webhook to post to."""
    if url := os.environ.get("DISCORD_WEBHOOK_URL"):
        return url
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - needs the extra

    discord = stack.enter_context(LocalDiscord(latency=0.2))
    print(f"A local Discord shows the channel at {discord.url} while this runs")
    return discord.webhook_url


def print_state(handler: DiscordHandler) -> None:
    """Print the progress of the delivery, and the state of Discord's limits."""
    health, limits = handler.health(), handler.get_rate_limit_info()
    buckets = ", ".join(
        f"{bucket['remaining']} of {bucket['limit']} requests left, wait {bucket['wait_time']:.1f} s"
        for bucket in limits["buckets"].values()
    )
    print(
        f"{health['delivered']:5} of {health['accepted']} records in {health['requests']} requests, {health['status']};"
        f" limit: {buckets or 'not known yet'}"
    )


def log_burst(logger: logging.Logger) -> None:
    """Log many INFO records and a few errors, as in a bad minute."""
    for number in range(RECORDS):
        if not number % 400:
            logger.error("Payment %d was refused", number, extra={"payment": number})
        else:
            logger.info("Parcel %d left for %s", number, ("Hamburg", "Leeds", "Turin")[number % 3])


def main() -> None:
    """Log the bursts, and show how they are delivered."""
    with contextlib.ExitStack() as stack:
        handler = DiscordHandler(find_webhook(stack))
        stack.callback(handler.close)
        logger = logging.getLogger("shop.parcels")
        logger.setLevel("INFO")
        logger.propagate = False
        logger.addHandler(handler)

        for burst in range(3):
            log_burst(logger)
            print(f"Burst {burst + 1}: {RECORDS} records logged")
            deadline = time.monotonic() + PATIENCE
            while not handler.flush(timeout=0.25) and time.monotonic() < deadline:
                print_state(handler)
            print_state(handler)


if __name__ == "__main__":
    main()
