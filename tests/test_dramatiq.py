"""Tests of the Dramatiq middleware, with a worker in this process and the broker for tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries

from discord_logging import DiscordHandler
from discord_logging.dramatiq import DiscordLogging
from tests.conftest import cards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import LocalDiscord

    Actor = dramatiq.Actor[..., Any]


@pytest.fixture
def broker() -> Iterator[StubBroker]:
    """Yield a broker for this test."""
    broker = StubBroker()
    broker.emit_after("process_boot")
    yield broker
    broker.close()


def add(broker: StubBroker, function: Callable[..., Any], **options: Any) -> Actor:
    made: Actor = dramatiq.actor(broker=broker, min_backoff=1, max_backoff=1, **options)(function)
    return made


def process(broker: StubBroker, *messages: tuple[Actor, tuple[Any, ...]]) -> None:
    """Process messages in a worker."""
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
    worker.start()
    for actor, args in messages:
        actor.send(*args)
    for queue in {actor.queue_name for actor, _ in messages}:
        broker.join(queue, timeout=20_000, fail_fast=False)
    worker.join()
    worker.stop()


@pytest.fixture
def quiet(discord: LocalDiscord) -> DiscordLogging:
    """Return a middleware that posts no notice."""
    return DiscordLogging(startup_notice=False, webhook_url=discord.webhook_url)


def pay(order: int, token: str) -> None:
    raise ValueError(f"no money for {order}, {token}")


def test_a_message_that_fails_for_good_is_one_card(
    discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging
) -> None:
    """Dramatiq logs an error for each try; the card comes with the last one, and has the arguments by name."""
    broker.add_middleware(quiet)
    process(broker, (add(broker, pay, max_retries=2), (7, "kQ7zT2")))
    ((text, fields),) = cards(discord)
    assert text == "Actor pay failed"
    assert fields.pop("message_id")
    assert fields == {"actor": "pay", "arguments": "{'order': 7, 'token': '***'}", "retries": "2", "queue": "default"}


def test_the_place_of_the_middleware_does_not_matter(
    discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging
) -> None:
    """The middleware that decides on retries may come before or after it."""
    broker.add_middleware(quiet, before=Retries)
    process(broker, (add(broker, pay, max_retries=1), (7, "x")))
    assert [text for text, _ in cards(discord)] == ["Actor pay failed"]


def test_without_retries_each_failure_is_a_card(
    discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging
) -> None:
    """A broker without the middleware for retries takes a failed message as done."""
    broker.middleware = [each for each in broker.middleware if not isinstance(each, Retries)]
    broker.add_middleware(quiet)
    process(broker, (add(broker, pay), (7, "x")))
    assert [text for text, _ in cards(discord)] == ["Actor pay failed"]


def test_a_failure_that_is_tried_again_with_success_makes_no_card(
    discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging
) -> None:
    """Nor does an exception that the actor may raise."""
    tries = iter([True, False])

    def flaky() -> None:
        if next(tries):
            raise ValueError

    def expected() -> None:
        raise LookupError

    broker.add_middleware(quiet)
    process(broker, (add(broker, flaky), ()), (add(broker, expected, throws=(LookupError,)), ()))
    assert cards(discord) == []


def test_records_of_an_actor_show_its_message(discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging) -> None:
    """An exception that the actor logs and raises is one card; records after the actor show nothing of it."""

    def note() -> None:
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            logging.getLogger("shop").exception("The actor has logged it")
            raise

    class After(dramatiq.Middleware):
        def after_ack(self, *_: Any) -> None:
            logging.getLogger("shop").error("after the actor")

    def speak() -> None:
        logging.getLogger("shop").error("from the actor")

    broker.add_middleware(quiet)
    broker.add_middleware(After())
    process(broker, (add(broker, note, max_retries=0), ()), (add(broker, speak), ()))
    # The worker takes messages of equal priority in any order.
    assert sorted((text, sorted(fields)) for text, fields in cards(discord)) == [
        ("The actor has logged it", ["actor", "message_id", "queue"]),
        ("after the actor", []),
        ("from the actor", ["actor", "message_id"]),
    ]


def test_an_unknown_actor_is_one_card(discord: LocalDiscord, broker: StubBroker, quiet: DiscordLogging) -> None:
    """Dramatiq's own record tells of it."""
    broker.add_middleware(quiet)
    actor = add(broker, pay)
    actor.send(7, "x")
    del broker.actors["pay"]
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
    worker.start()
    broker.join("default", timeout=20_000, fail_fast=False)
    worker.stop()
    ((text, fields),) = cards(discord)
    assert text.startswith("Received message for undefined actor 'pay'")
    assert fields == {}


def test_the_start_of_a_worker_is_posted(discord: LocalDiscord, broker: StubBroker) -> None:
    """The notice has the number of threads."""
    broker.add_middleware(DiscordLogging(webhook_url=discord.webhook_url))
    process(broker)
    ((text, fields),) = cards(discord)
    assert text == "Dramatiq worker started"
    assert fields["threads"] == "1"


def test_a_configured_handler_is_used(discord: LocalDiscord, broker: StubBroker) -> None:
    """The middleware adds no second one."""
    handler = DiscordHandler(discord.webhook_url, logging.ERROR)
    logging.root.addHandler(handler)
    broker.add_middleware(DiscordLogging(startup_notice=False))
    process(broker, (add(broker, pay, max_retries=0), (7, "x")))
    assert [each for each in logging.root.handlers if isinstance(each, DiscordHandler)] == [handler]
    assert len(cards(discord)) == 1
