"""Tests of `DiscordNotifier` with the local Discord over a real socket."""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import platform
import socket
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import (
    DiscordHandler,
    DiscordNotifier,
    EmbedFormatter,
    FrozenRecord,
    InvalidSettingError,
    InvalidWebhookURLError,
)
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import Embed, Message

pytestmark = pytest.mark.usefixtures("burst_until_flush")

TOKEN = "pR7sT1-wXyZ3_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789AbCdEfGhIjKlMnOpQrS"
URL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"
PICTURE = "https://example.org/shop.png"


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def notifier(discord: LocalDiscord) -> Iterator[DiscordNotifier]:
    notifier = DiscordNotifier(discord.webhook_url, service="shop")
    yield notifier
    notifier.close()


def posted(notifier: DiscordNotifier, discord: LocalDiscord) -> list[Message]:
    assert notifier.flush()
    assert [request.status for request in discord.requests if request.status not in (200, 204)] == []
    return list(discord.messages)


def card(notifier: DiscordNotifier, discord: LocalDiscord) -> Embed:
    """Return the one card in the channel."""
    (message,) = posted(notifier, discord)
    (embed,) = message.embeds
    assert not message.content
    return embed


def fields(embed: Embed) -> dict[str, str]:
    return {field["name"]: field["value"] for field in embed["fields"]}


class TestPlainText:
    """A text becomes the content of a message."""

    def test_a_text_becomes_content(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Markdown is kept, secrets are masked, and nobody is notified."""
        assert notifier.send_plaintext("**Deployed** by @everyone <@123456789012345678>, password=hunter2 ")
        (message,) = posted(notifier, discord)
        assert message.content == "**Deployed** by @everyone <@123456789012345678>, password=***"
        assert (message.embeds, message.files, message.pings) == ([], [], [])

    def test_texts_at_once_share_a_message(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Texts are lines of one content, as long as no card comes between them."""
        for number in range(3):
            assert notifier.send_plaintext(f"line {number}")
        notifier.send_embed(title="card")
        notifier.send_plaintext("below it")
        (message,) = posted(notifier, discord)
        assert message.content == "line 0\nline 1\nline 2"
        assert [embed.get("title", embed.get("description")) for embed in message.embeds] == ["card", "below it"]

    def test_equal_texts_are_not_repeats(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Each text is shown."""
        for _ in range(3):
            notifier.send_plaintext("again")
        assert [message.content for message in posted(notifier, discord)] == ["again\nagain\nagain"]

    def test_a_long_text_is_split(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The text becomes several messages in order, without a loss, and a secret at the cut is masked."""
        words = [f"word{number}" for number in range(900)]
        words[245:247] = ["password:", "hunter2"]
        assert notifier.send_plaintext(" ".join(words))
        messages = posted(notifier, discord)
        assert [message.files for message in messages] == [[]] * len(messages)
        assert 1 < len(messages) <= 5
        words[246] = "***"
        assert " ".join(message.content for message in messages).split() == words

    def test_a_very_long_text_is_attached(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The beginning becomes the content, and a file has the whole text."""
        text = "```py\n" + "print('tea')\n" * 2000 + "```"
        assert notifier.send_plaintext(text)
        (message,) = posted(notifier, discord)
        (file,) = message.files
        assert text in file.text
        assert message.content.startswith("```py\nprint('tea')\n")
        assert message.content.endswith("\n```…")
        assert 1900 < len(message.content) <= 2000

    def test_a_text_that_may_be_a_duplicate_says_so(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """A text that Discord may have saved already is posted as an embed, whose footer says so."""
        discord.fail_next(Fault(status=500))
        notifier.reset_rate_limits()
        assert notifier.send_plaintext("hello")
        assert notifier.flush(20)
        (message,) = discord.messages
        assert [embed["footer"]["text"] for embed in message.embeds if embed["description"] == "hello"] != []
        assert "may be a repeat" in message.embeds[0]["footer"]["text"]

    @pytest.mark.parametrize(
        ("text", "error"), [(7, TypeError), (None, TypeError), ("", ValueError), (" \n\x00", ValueError)]
    )
    def test_a_wrong_text_is_refused(self, text: Any, error: type[Exception]) -> None:
        """A disabled notifier raises the error as well, so that it is found early."""
        with pytest.raises(error, match=r"^text must"):
            DiscordNotifier().send_plaintext(text)


class TestEmbed:
    """`send_embed` supports every part of an embed."""

    def test_all_parts_are_shown(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The parts are shown as given, with Markdown."""
        assert notifier.send_embed(
            title="Order",
            description="**4711** paid",
            color="#00ff00",
            fields=[("item", "*tea*"), ("count", 2, False), {"name": "to", "value": ["Ann", "Bob"], "inline": False}],
            author={"name": "Shop", "url": "https://example.org", "icon_url": PICTURE},
            footer={"text": "v1", "icon_url": PICTURE},
            url="https://example.org/4711",
            image=PICTURE,
            thumbnail={"url": PICTURE},
            timestamp="2026-01-31T12:00:00Z",
        )
        assert card(notifier, discord) == {
            "type": "rich",
            "title": "Order",
            "description": "**4711** paid",
            "color": 0x00FF00,
            "fields": [
                {"name": "item", "value": "*tea*", "inline": True},
                {"name": "count", "value": "2", "inline": False},
                {"name": "to", "value": "['Ann', 'Bob']", "inline": False},
            ],
            "author": {"name": "Shop", "url": "https://example.org", "icon_url": PICTURE},
            "footer": {"text": "v1", "icon_url": PICTURE},
            "url": "https://example.org/4711",
            "image": {"url": PICTURE},
            "thumbnail": {"url": PICTURE},
            "timestamp": "2026-01-31T12:00:00.000+00:00",
        }

    @pytest.mark.parametrize("part", [{"title": "T"}, {"description": "D"}, {"image": PICTURE}, {"author": "A"}])
    def test_nothing_else_is_shown(
        self, notifier: DiscordNotifier, discord: LocalDiscord, part: dict[str, Any]
    ) -> None:
        """The card has only the given parts, and the colour of the level INFO."""
        assert notifier.send_embed(**part)
        embed = card(notifier, discord)
        assert embed.keys() == {"type", "color", *part}
        assert embed["color"] == 0x3498DB

    def test_text_that_does_not_fit_is_attached(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The card keeps every limit, and a file has all texts in full."""
        long = "tea " * 3000
        many = {f"field {number}": f"value {number} " * 200 for number in range(30)}
        assert notifier.send_embed(title=long, description=long, fields=many, author=long, footer=long)
        (message,) = posted(notifier, discord)
        (file,) = message.files
        assert file.text.count("tea") == 4 * 3000
        assert all(value.strip() in file.text for value in many.values())
        assert message.embeds[0]["author"]["name"].endswith("…")

    def test_secrets_are_masked(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Every part is masked."""
        secret = "https://ann:hunter2@example.org/a.png"
        assert notifier.send_embed(
            title=f"t {secret}",
            description=f"d {secret}",
            fields={"password": "hunter2", "see": secret},
            author={"name": secret, "url": secret, "icon_url": secret},
            footer={"text": secret, "icon_url": secret},
            url=secret,
            image=secret,
            thumbnail=secret,
        )
        assert "hunter2" not in str(posted(notifier, discord)[0].payload)

    def test_embeds_with_the_same_url_are_not_merged(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Discord shows only the first of several embeds with the same URL in a message."""
        for number in range(3):
            notifier.send_embed(title=f"order {number}", url="https://example.org/orders" + "?2" * (number == 1))
        titles = [[embed["title"] for embed in message.embeds] for message in posted(notifier, discord)]
        assert titles == [["order 0", "order 1"], ["order 2"]]

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({}, ValueError, "needs one of title, description, fields, author, footer, image, thumbnail"),
            ({"title": " ", "color": 1}, ValueError, "needs one of title"),
            ({"title": 7}, TypeError, "title must be a str"),
            ({"title": "T", "color": "red"}, ValueError, "color must be 0xRRGGBB"),
            ({"title": "T", "url": "example.org"}, ValueError, "url must be a http"),
            ({"title": "T", "url": URL}, ValueError, "url must be a http"),
            ({"title": "T", "timestamp": "noon"}, ValueError, "timestamp must be"),
            ({"title": "T", "fields": "a=1"}, ValueError, "fields must be"),
            ({"title": "T", "image": "a.png"}, ValueError, "image.url must be"),
        ],
    )
    def test_a_wrong_argument_is_named(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        """The error shows no token."""
        with pytest.raises(error, match=message) as raised:
            DiscordNotifier().send_embed(**arguments)
        assert TOKEN not in str(raised.value)


class TestDiagnostic:
    """`send_diagnostic` posts a card like that of a log record."""

    @pytest.mark.parametrize(
        ("level", "title", "color"),
        [
            ("info", "ℹ️ INFO · shop", 0x3498DB),  # noqa: RUF001 - the emoji
            ("WARN", "⚠️ WARNING · shop", 0xF1C40F),
            (40, "❌ ERROR · shop", 0xED4245),
            ("Critical", "🚨 CRITICAL · shop", 0x9B1C31),
        ],
    )
    def test_icon_and_colour_depend_on_the_level(
        self, notifier: DiscordNotifier, discord: LocalDiscord, level: int | str, title: str, color: int
    ) -> None:
        """The level may be a name in any case, or a number."""
        assert notifier.send_diagnostic(level, message="disk_full at 100 %")
        embed = card(notifier, discord)
        assert (embed["title"], embed["color"]) == (title, color)
        assert embed["description"] == "disk\\_full at 100 %"

    def test_fields_and_time_are_shown(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Fields may have the names of attributes of a log record, and secrets are masked by name."""
        values = {"name": "Ann", "message": "hi", "args": 1, "password": "hunter2"}
        assert notifier.send_diagnostic("ERROR", "mail", "down", fields=values, timestamp="2026-01-31T12:00:00+00:00")
        embed = card(notifier, discord)
        assert embed["title"] == "❌ ERROR · mail"
        assert embed["timestamp"] == "2026-01-31T12:00:00.000+00:00"
        assert fields(embed) == {"name": "Ann", "message": "hi", "args": "1", "password": "\\*\\*\\*"}

    def test_a_field_is_shown_whatever_it_says(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Of a log record, a value that repeats the message or belongs to a framework would be left out."""
        assert notifier.send_diagnostic("ERROR", "celery", "down", fields={"state": "down", "data": 1, "a\x00": 2})
        assert fields(card(notifier, discord)) == {"state": "down", "data": "1", "a": "2"}

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"level": "LOUD"}, ValueError, "level must be a level"),
            ({"service": 7}, TypeError, "service must be a str"),
            ({"fields": 7}, ValueError, "fields must be"),
            ({"timestamp": 7}, ValueError, "timestamp must be"),
        ],
    )
    def test_a_wrong_argument_is_named(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        """The error has the name of the argument."""
        with pytest.raises(error, match=message):
            DiscordNotifier().send_diagnostic(**arguments)


class TestLife:
    """Notices about start-up and shutdown have the same layout."""

    def test_a_start_notice_shows_the_process(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The card has the host, the process, the Python version and the given fields."""
        assert notifier.send_startup(message="version 1.2", fields={"environment": "test"})
        embed = card(notifier, discord)
        assert (embed["title"], embed["description"]) == ("🟢 shop started", "version 1.2")
        shown = fields(embed)
        assert shown["host"].replace("\\", "") == socket.gethostname()
        assert (shown["service"], shown["pid"], shown["environment"]) == ("shop", str(os.getpid()), "test")
        python = f"{platform.python_implementation()} {platform.python_version()}"
        assert shown["Python"].replace("\\", "") == python

    def test_a_service_is_optional(self, discord: LocalDiscord) -> None:
        """The title then has no service, at the start and at the stop."""
        notifier = DiscordNotifier(discord.webhook_url)
        assert notifier.send_startup()
        assert notifier.send_shutdown()
        (message,) = posted(notifier, discord)
        assert [embed["title"] for embed in message.embeds] == ["🟢 Started", "⏹️ Stopped"]
        assert "service" not in fields(message.embeds[0])

    def test_a_service_is_shown_as_it_is_named(self, discord: LocalDiscord) -> None:
        """A Python package run as a program is called `__main__`, which Discord would underline."""
        notifier = DiscordNotifier(discord.webhook_url, service="__main__")
        assert notifier.send_startup()
        assert notifier.send_rate_limit_warning()
        (message,) = posted(notifier, discord)
        titles = [embed["title"] for embed in message.embeds]
        assert titles == [r"🟢 \_\_main\_\_ started", r"🚦 Rate limit · \_\_main\_\_"]


class TestError:
    """`send_error` posts an exception with its traceback."""

    def test_an_error_has_the_card_of_a_record(self, discord: LocalDiscord) -> None:
        """The handler's own formatter makes the card, with the location of the exception and the context."""

        class Cards(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                return f"{record.levelname} in {record.funcName}"

        handler = DiscordHandler(discord.webhook_url, fields=[])
        handler.setFormatter(Cards())
        notifier = DiscordNotifier(handler=handler)
        with pytest.raises(ValueError, match="tea") as raised:
            int("tea")
        assert notifier.send_error(raised.value, {"order_id": 4711, "args": [1, 2]})
        embed = card(notifier, discord)
        assert embed["title"] == "ERROR in test_an_error_has_the_card_of_a_record"
        assert "\nValueError: invalid literal" in embed["description"]
        assert 'int("tea")' in embed["description"]
        assert fields(embed) == {"order\\_id": "4711", "args": "\\[1, 2]"}

    def test_an_exception_that_was_never_raised_is_posted(
        self, notifier: DiscordNotifier, discord: LocalDiscord
    ) -> None:
        """The card has no location; the class name replaces an empty text."""
        assert notifier.send_error(KeyboardInterrupt())
        embed = card(notifier, discord)
        assert embed["title"] == "❌ KeyboardInterrupt · ERROR · shop"
        assert embed["description"].startswith("```py\nKeyboardInterrupt\n")
        assert "-#" not in embed["description"]

    def test_a_wrong_exception_is_refused(self) -> None:
        """The error names the argument."""
        with pytest.raises(TypeError, match="exc must be an exception, not str"):
            DiscordNotifier().send_error("no")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValueError, match="context must be"):
            DiscordNotifier().send_error(ValueError(), 7)  # type: ignore[arg-type]  # likewise


class TestRateLimits:
    """`send_rate_limit_warning` and the other methods show the state of the limits."""

    def test_a_warning_shows_the_limit_and_the_channels(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The card has the limit that was exceeded, and the state of Discord's limits."""
        assert notifier.send_rate_limit_warning("Too many subscriptions", limit=5, window=60, fields={"from": "ann"})
        embed = card(notifier, discord)
        assert (embed["title"], embed["description"]) == ("🚦 Rate limit · shop", "Too many subscriptions")
        assert embed["color"] == 0xF1C40F
        assert fields(embed) == {
            "limit": "5 in 60 s",
            "from": "ann",
            "Discord: channel": "30 of 30 left, no wait",
            "Discord: all of Discord": "no wait",
        }

    def test_a_warning_needs_no_argument(self, discord: LocalDiscord) -> None:
        """The card then has only the state of Discord's limits."""
        notifier = DiscordNotifier(discord.webhook_url)
        assert notifier.send_rate_limit_warning(window=1.5)
        embed = card(notifier, discord)
        assert (embed["title"], embed["description"]) == ("🚦 Rate limit", "A rate limit was exceeded")
        assert fields(embed)["limit"] == "? in 1.5 s"
        notifier.close()

    def test_a_window_is_a_number_of_seconds(self) -> None:
        """The error for another type names the argument."""
        with pytest.raises(ValueError, match="window must be a number of seconds"):
            DiscordNotifier().send_rate_limit_warning(window="minute")  # type: ignore[arg-type]  # on purpose

    def test_the_state_is_that_of_the_handler(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Health, limits and their reset are those of the handler."""
        notifier.send_plaintext("hello")
        assert len(posted(notifier, discord)) == 1
        health = notifier.health()
        assert (health["status"], health["accepted"], health["delivered"]) == ("ok", 1, 1)
        assert notifier.get_rate_limit_info()["channel"]["remaining"] == 29
        notifier.reset_rate_limits()
        assert notifier.get_rate_limit_info()["channel"]["remaining"] == 30


class TestHandler:
    """A notifier uses one handler."""

    def test_a_shared_handler_holds_no_notice_back(self, discord: LocalDiscord) -> None:
        """Its level and filters do not apply to notices, and closing the notifier leaves the handler open."""
        handler = DiscordHandler(discord.webhook_url, "ERROR")
        handler.addFilter(lambda record: "tea" in record.getMessage())
        notifier = DiscordNotifier(handler=handler, service="shop")
        assert notifier.handler is handler
        assert notifier.send_startup()
        notifier.close()
        assert (notifier.health()["status"], len(discord.messages)) == ("ok", 1)
        handler.close()
        assert handler.closed
        assert DiscordNotifier(handler=handler).send_plaintext("hello")
        assert handler.flush(20)
        assert len(discord.messages) == 2

    @pytest.mark.parametrize("arguments", [{"handler": logging.NullHandler()}, {"webhook_url": URL}, {"max_lag": 1}])
    def test_a_handler_cannot_be_combined_with_settings(self, arguments: dict[str, Any]) -> None:
        """A handler with settings, and another kind of handler, are refused."""
        with pytest.raises(TypeError, match="handler must be a DiscordHandler"):
            DiscordNotifier(**{"handler": DiscordHandler(), **arguments})

    def test_settings_are_checked_at_once(self) -> None:
        """The constructor raises the error."""
        with pytest.raises(InvalidWebhookURLError):
            DiscordNotifier("https://discord.com/no-webhook")
        with pytest.raises(InvalidSettingError, match="max_lag"):
            DiscordNotifier(max_lag="soon")
        with pytest.raises(TypeError, match="service must be a str"):
            DiscordNotifier(service=7)  # type: ignore[arg-type]  # on purpose

    def test_a_notifier_without_a_url_is_disabled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No notice is accepted, and health gives the reason."""
        notifier = DiscordNotifier(service="shop")
        assert notifier.send_plaintext("x" * 3000) is False
        assert notifier.send_rate_limit_warning() is False
        assert notifier.send_error(ValueError()) is False
        assert (notifier.health()["status"], notifier.flush()) == ("disabled", True)
        monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL)
        assert DiscordNotifier().send_embed(title="T") is False

    def test_the_environment_is_read_at_first_use(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """The constructor does not read the environment."""
        notifier = DiscordNotifier()
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        assert notifier.send_plaintext("hello")
        assert [message.content for message in posted(notifier, discord)] == ["hello"]

    def test_a_wrong_environment_does_not_raise_in_a_notice(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The user is warned once, and `handler` raises the error."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"https://discord.com/{TOKEN}")
        notifier = DiscordNotifier()
        assert not notifier.send_plaintext("hello")
        assert not notifier.send_rate_limit_warning()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "DiscordNotifier is disabled" in caplog.text
        assert TOKEN not in caplog.text
        with pytest.raises(InvalidWebhookURLError):
            notifier.health()
        notifier.close()

    def test_threads_get_one_handler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All threads get the same handler, even if they ask at the same time."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL)
        notifier = DiscordNotifier()
        barrier = threading.Barrier(8)
        found = []

        def ask() -> None:
            barrier.wait(10)
            found.append(notifier.handler)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(found) == 8
        assert set(found) == {notifier.handler}
        gc.collect()
        assert list(notifier.handler._listener.attached) == [notifier.handler]  # type: ignore[union-attr]  # it has one

    def test_the_notifier_survives_dict_config(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """`dictConfig` closes every handler, and the next notice opens that of the notifier again."""
        before = notifier.handler
        assert notifier.send_plaintext("before")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        assert before.closed
        assert notifier.send_plaintext("after")
        assert [message.content for message in posted(notifier, discord)] == ["before", "after"]
        assert notifier.handler is before

    def test_no_handler_is_opened_again_at_exit(
        self, notifier: DiscordNotifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would never be flushed."""
        notifier.handler.close()
        monkeypatch.setattr("discord_logging._delivery.exit_time._waited", 0.0)
        assert not notifier.send_plaintext("too late")

    def test_a_notice_opens_a_closed_notifier_again(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """A notifier that was never used can be closed too."""
        assert notifier.send_plaintext("hello")
        notifier.close()
        notifier.close()
        assert (notifier.health()["status"], len(discord.messages)) == ("closed", 1)
        assert notifier.send_plaintext("again")
        assert notifier.health()["status"] == "ok"
        assert [message.content for message in posted(notifier, discord)] == ["hello", "again"]
        unused = DiscordNotifier()
        unused.close()
        assert unused.health()["status"] == "disabled"

    def test_the_repr_has_no_token(self, notifier: DiscordNotifier) -> None:
        """The repr has the service."""
        assert repr(notifier) == "<DiscordNotifier 'shop'>"
        assert repr(DiscordNotifier()) == "<DiscordNotifier 'notifier'>"
        assert repr(object.__new__(DiscordNotifier)) == "<DiscordNotifier 'notifier'>"

    def test_attributes_have_no_token(self) -> None:
        """The notifier keeps its URL, because it may have to make another handler."""
        assert TOKEN[:8] not in repr(vars(DiscordNotifier(URL)))

    @pytest.mark.parametrize(
        "settings",
        [
            {"webhook_url": URL.replace("webhooks", "hooks")},
            {"webhook_url": URL, "timeout": -1},
            {"webhook_url": URL, "service": 5},
            {"webhook_url": URL, "handler": object()},
            {"url": URL},
        ],
    )
    def test_frames_of_a_wrong_setting_have_no_token(
        self, settings: dict[str, Any], shown_locals: Callable[[BaseException], str]
    ) -> None:
        """Tools that report errors show the locals of frames, also those of the arguments."""
        with pytest.raises((ValueError, TypeError)) as caught:
            DiscordNotifier(**settings)
        assert TOKEN[:8] not in shown_locals(caught.value)

    def test_on_the_listeners_thread_nothing_is_accepted(self, discord: LocalDiscord) -> None:
        """A notice about the delivery of a notice would cause another one."""
        answers: list[bool] = []

        class Echo(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                answers.append(echoing.send_plaintext("again"))
                return super().title(record)

        handler = DiscordHandler(discord.webhook_url)
        handler.setFormatter(Echo())
        echoing = DiscordNotifier(handler=handler)
        assert echoing.send_error(ValueError("once"))
        assert len(posted(echoing, discord)) == 1
        assert answers == [False]
        handler.close()

    def test_an_unreadable_value_is_counted(
        self, notifier: DiscordNotifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The method does not raise an error."""

        def fail(*_: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("discord_logging._handler.freeze", fail)
        assert not notifier.send_plaintext("hello")
        assert notifier.health()["dropped_by_reason"] == {"unreadable": 1}
        capsys.readouterr()

    def test_a_flood_of_notices_is_folded(self, discord: LocalDiscord) -> None:
        """All texts are kept."""
        notifier = DiscordNotifier(discord.webhook_url, max_lag=0)
        for number in range(300):
            notifier.send_embed(title=f"order {number}", fields={"item": f"tea {number}"}, url="https://example.org/o")
        messages = posted(notifier, discord)
        assert len(messages) < 10
        text = str([(message.embeds, [file.text for file in message.files]) for message in messages])
        assert all(f"order {number}" in text and f"tea {number}" in text for number in range(300))
        notifier.close()


_SCRIPT = """
import os, sys, threading
from discord_logging import DiscordNotifier, discord_notifier
"""


class TestProcess:
    """`discord_notifier` works in a separate process."""

    @pytest.fixture
    def run(self, discord: LocalDiscord) -> Callable[[str], str]:
        """Return a function that runs a program to its end and returns its output."""

        def run_script(script: str) -> str:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", _SCRIPT + textwrap.dedent(script)],
                env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            return done.stdout

        return run_script

    def test_waiting_notices_are_delivered_at_exit(self, discord: LocalDiscord, run: Callable[[str], str]) -> None:
        """The program need not flush, and the import alone starts no thread and reads no URL."""
        out = run(
            """
            print(threading.active_count(), discord_notifier._made)
            print(discord_notifier.send_startup("shop"), discord_notifier.send_plaintext("bye"))
            """
        )
        assert out.split("\n") == ["1 {}", "True True", ""]
        (message,) = discord.messages
        assert [embed.get("title", embed.get("description")) for embed in message.embeds] == ["🟢 shop started", "bye"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
    def test_a_forked_child_has_its_own_queue(self, discord: LocalDiscord, run: Callable[[str], str]) -> None:
        """The notices of the parent and of the child are delivered once each."""
        run(
            """
            discord_notifier.send_plaintext("parent")
            pid = os.fork()
            if not pid:
                discord_notifier.send_plaintext("child")
                os._exit(0 if discord_notifier.flush(10) else 1)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """
        )
        assert sorted(message.content for message in discord.messages) == ["child", "parent"]
