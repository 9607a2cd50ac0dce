"""Post typical messages to a local Discord and take their pictures: `python examples/gallery/take_pictures.py`.

The script needs Chromium with its driver, and `pip install 'discord-log-handler[sandbox]' selenium`. The pictures are
written to the folder of this file, unless the argument names another one.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _browser
import requests
import shop

from discord_logging import DiscordHandler, DiscordNotifier
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS: dict[str, Any] = {
    "username": "Shop",
    "context": {"service": "shop", "environment": "production", "release": "2026.11.2"},
}


def _post_records(discord: LocalDiscord, log: Callable[[logging.Logger], None], **settings: Any) -> None:
    url = discord.add_webhook(forum=True) if "thread_name" in settings else discord.webhook_url
    handler = DiscordHandler(url, **{**_SETTINGS, **settings})
    logger = logging.getLogger("shop.orders")
    logger.addHandler(handler)
    try:
        log(logger)
    finally:
        logger.removeHandler(handler)
        handler.close()


def _post_notices(discord: LocalDiscord) -> None:
    notifier = DiscordNotifier(discord.webhook_url, service="shop", username="Shop", channel_limit=None)
    notifier.send_embed(
        title="New subscriber",
        description="**Ada** reads the newsletter from today on.",
        color="#57f287",
        fields={"Plan": "Monthly", "Subscribers": "1,024"},
        footer="newsletter",
    )
    notifier.close()


def main(folder: Path) -> None:
    """Take all pictures."""
    scenes: list[tuple[Callable[[logging.Logger], None], dict[str, Any]]] = [
        *((scene, {}) for scene in (shop.short_error, shop.warning, shop.chained, shop.huge, shop.fields, shop.repeat)),
        (shop.mention, {"mentions": {"CRITICAL": "<@&123456789012345678>"}}),
        (shop.forum, {"thread_name": "Import of 23 November"}),
        (shop.lines, {"channel_limit": 5}),
        (shop.digest, {"channel_limit": 5}),
    ]
    logging.getLogger("shop").propagate = False
    logging.getLogger("shop").setLevel(logging.DEBUG)
    with _browser.open_browser() as browser:
        for scene, settings in scenes:
            with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as discord:
                _post_records(discord, scene, **settings)
                _browser.take_picture(browser, discord, folder / f"{scene.__name__}.png")
        with LocalDiscord() as discord:
            _post_notices(discord)
            _browser.take_picture(browser, discord, folder / "notice.png")
        with LocalDiscord() as discord:
            # The page shows this refused request.
            requests.post(discord.webhook_url, json={"content": "x" * 2_001}, timeout=10)
            for scene in (shop.fields, shop.mention, shop.chained):
                _post_records(discord, scene, mentions={"CRITICAL": "<@&123456789012345678>"})
            _browser.take_page(browser, discord, folder / "page.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
