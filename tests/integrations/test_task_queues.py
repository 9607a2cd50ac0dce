"""Tests of what the integrations of task queues share."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler
from discord_logging._integrations.request_fields import given, unique
from discord_logging._integrations.task_queues import leave_out, name_arguments
from discord_logging._records.values import UniqueText

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging.sandbox import LocalDiscord


def pay(order: object, /, token: object = None, *rest: object, now: bool = False, **more: object) -> None: ...


class Shop:
    def pay(self, order: object) -> None:
        """Pay an order."""


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "expected"),
    [
        (pay, (7, "a"), {"now": True}, {"arguments": {"order": 7, "token": "a", "now": True}}),
        (pay, (7, "a", 1, 2), {"tip": 3}, {"arguments": {"order": 7, "token": "a", "rest": (1, 2), "tip": 3}}),
        (Shop().pay, [7], {}, {"arguments": {"order": 7}}),
        (functools.partial(pay, 7), (), {"token": "a"}, {"arguments": {"token": "a"}}),
        (pay, (), {"token": "a"}, {"arguments": {"token": "a"}}),
        (Shop().pay, (7, "a", "b"), {"now": True}, {"arguments": {"order": 7, "…": "2 more", "now": True}}),
        (None, (7,), {}, {"args": (7,)}),
        (None, None, None, {}),
        (print, (), {}, {}),
        (pay, ("x" * 501,), {}, {"arguments": {"order": "x" * 499 + "…"}}),
    ],
)
def test_arguments_have_their_names(
    function: Callable[..., Any], args: Any, kwargs: Any, expected: dict[str, object]
) -> None:
    """Arguments that the function does not accept, which may be the error, have no names, and might be secrets."""
    assert name_arguments(function, args, kwargs) == expected


def test_an_id_is_unique_text() -> None:
    """Records that differ only in the id are repeats."""
    assert type(unique(4711)) is UniqueText
    assert unique(4711) == "4711"
    assert given({"id": unique(None), "queue": "", "retries": 0, "job": "pay"}) == {"job": "pay"}


def test_records_that_tell_less_are_left_out(discord: LocalDiscord) -> None:
    """Other handlers get them, and so does ours for other loggers and templates."""
    handler = DiscordHandler(discord.webhook_url)
    logger = logging.getLogger("queue.worker")
    logger.addHandler(handler)
    leave_out([handler], "queue.worker", "has failed")
    leave_out([handler], "queue.worker", "has failed")
    assert len(handler.filters) == 1
    logging.getLogger("other").addHandler(handler)
    logger.error("%s has failed", "A")
    logging.getLogger("queue.worker.child").error("B has failed")
    logger.error("C is slow")
    logging.getLogger("other").error("D has failed")
    assert handler.flush(10)
    texts = [card["description"].split("\n")[0] for message in discord.messages for card in message.embeds]
    assert texts == ["C is slow", "D has failed"]
