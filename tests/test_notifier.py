"""`DiscordNotifier` against the local Discord over a real socket."""

from __future__ import annotations

import gc
import logging
import logging.config
import os
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
    """A text is the content of a message, as somebody would write it."""

    def test_a_text_is_content(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Markdown counts, secrets are masked, and nobody is notified."""
        assert notifier.send_plaintext("**Deployed** by @everyone <@123456789012345678>, password=hunter2 ")
        (message,) = posted(notifier, discord)
        assert message.content == "**Deployed** by @everyone <@123456789012345678>, password=***"
        assert (message.embeds, message.files, message.pings) == ([], [], [])

    def test_texts_at_once_share_a_message(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """They stand in the content, line by line, as long as no card comes between them."""
        for number in range(3):
            assert notifier.send_plaintext(f"line {number}")
        notifier.send_embed(title="card")
        notifier.send_plaintext("below it")
        (message,) = posted(notifier, discord)
        assert message.content == "line 0\nline 1\nline 2"
        assert [embed.get("title", embed.get("description")) for embed in message.embeds] == ["card", "below it"]

    def test_equal_texts_are_no_repeats(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Each was meant."""
        for _ in range(3):
            notifier.send_plaintext("again")
        assert [message.content for message in posted(notifier, discord)] == ["again\nagain\nagain"]

    def test_a_long_text_is_split(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Into several messages, in order, with nothing lost; a secret where it is cut is masked all the same."""
        words = [f"word{number}" for number in range(900)]
        words[245:247] = ["password:", "hunter2"]
        assert notifier.send_plaintext(" ".join(words))
        messages = posted(notifier, discord)
        assert [message.files for message in messages] == [[]] * len(messages)
        assert 1 < len(messages) <= 5
        words[246] = "***"
        assert " ".join(message.content for message in messages).split() == words

    def test_a_very_long_text_is_attached(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Its beginning is the content, and a file has all of it."""
        text = "```py\n" + "print('tea')\n" * 2000 + "```"
        assert notifier.send_plaintext(text)
        (message,) = posted(notifier, discord)
        (file,) = message.files
        assert text in file.text
        assert message.content.startswith("```py\nprint('tea')\n")
        assert message.content.endswith("\n```…")
        assert 1900 < len(message.content) <= 2000

    def test_a_text_that_waited_says_so(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """One that may stand there already is an embed, whose footer has room for that."""
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
    def test_what_is_no_text_is_refused(self, text: Any, error: type[Exception]) -> None:
        """Also where the notifier is disabled, so that it is found in time."""
        with pytest.raises(error, match=r"^text must"):
            DiscordNotifier().send_plaintext(text)


class TestEmbed:
    """Everything an embed has."""

    def test_all_parts_are_shown(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """As they were given, with Markdown."""
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
        """But the colour of INFO."""
        assert notifier.send_embed(**part)
        embed = card(notifier, discord)
        assert embed.keys() == {"type", "color", *part}
        assert embed["color"] == 0x3498DB

    def test_what_has_no_room_is_attached(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The card keeps every limit, and a file has all texts whole."""
        long = "tea " * 3000
        many = {f"field {number}": f"value {number} " * 200 for number in range(30)}
        assert notifier.send_embed(title=long, description=long, fields=many, author=long, footer=long)
        (message,) = posted(notifier, discord)
        (file,) = message.files
        assert file.text.count("tea") == 4 * 3000
        assert all(value.strip() in file.text for value in many.values())
        assert message.embeds[0]["author"]["name"].endswith("…")

    def test_secrets_are_masked(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """In every part."""
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

    def test_embeds_with_one_address_stay_apart(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Discord shows but the first of those in one message."""
        for number in range(3):
            notifier.send_embed(title=f"order {number}", url="https://example.org/orders" + "?2" * (number == 1))
        titles = [[embed["title"] for embed in message.embeds] for message in posted(notifier, discord)]
        assert titles == [["order 0", "order 1"], ["order 2"]]

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
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
    def test_a_wrong_argument_is_named(self, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
        """In an error that shows no token."""
        with pytest.raises(error, match=words) as raised:
            DiscordNotifier().send_embed(**arguments)
        assert TOKEN not in str(raised.value)


class TestDiagnostic:
    """A card as a log record has it."""

    @pytest.mark.parametrize(
        ("level", "title", "color"),
        [
            ("info", "ℹ️ INFO · shop", 0x3498DB),  # noqa: RUF001 - the emoji
            ("WARN", "⚠️ WARNING · shop", 0xF1C40F),
            (40, "❌ ERROR · shop", 0xED4245),
            ("Critical", "🚨 CRITICAL · shop", 0x9B1C31),
        ],
    )
    def test_icon_and_colour_go_by_level(
        self, notifier: DiscordNotifier, discord: LocalDiscord, level: int | str, title: str, color: int
    ) -> None:
        """A level's name in any case, or number."""
        assert notifier.send_diagnostic(level, message="disk_full at 100 %")
        embed = card(notifier, discord)
        assert (embed["title"], embed["color"]) == (title, color)
        assert embed["description"] == "disk\\_full at 100 %"

    def test_fields_and_time(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Names that log records use themselves are no trouble, and secrets are masked by name."""
        values = {"name": "Ann", "message": "hi", "args": 1, "password": "hunter2"}
        assert notifier.send_diagnostic("ERROR", "mail", "down", fields=values, timestamp="2026-01-31T12:00:00+00:00")
        embed = card(notifier, discord)
        assert embed["title"] == "❌ ERROR · mail"
        assert embed["timestamp"] == "2026-01-31T12:00:00.000+00:00"
        assert fields(embed) == {"name": "Ann", "message": "hi", "args": "1", "password": "\\*\\*\\*"}

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"level": "LOUD"}, ValueError, "level must be a level"),
            ({"service": 7}, TypeError, "service must be a str"),
            ({"fields": 7}, ValueError, "fields must be"),
            ({"timestamp": 7}, ValueError, "timestamp must be"),
        ],
    )
    def test_a_wrong_argument_is_named(self, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
        """By its name."""
        with pytest.raises(error, match=words):
            DiscordNotifier().send_diagnostic(**arguments)


class TestLife:
    """Start-up and shutdown."""

    def test_a_start_tells_where(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Host, process, Python and what was given."""
        assert notifier.send_startup(message="version 1.2", fields={"environment": "test"})
        embed = card(notifier, discord)
        assert (embed["title"], embed["description"]) == ("🟢 shop started", "version 1.2")
        shown = fields(embed)
        assert shown["host"].replace("\\", "") == socket.gethostname()
        assert (shown["service"], shown["pid"], shown["environment"]) == ("shop", str(os.getpid()), "test")
        assert sys.version.split()[0] in shown["Python"].replace("\\", "")

    def test_without_a_service(self, discord: LocalDiscord) -> None:
        """The title does without; a stop looks alike."""
        notifier = DiscordNotifier(discord.webhook_url)
        assert notifier.send_startup()
        assert notifier.send_shutdown()
        (message,) = posted(notifier, discord)
        assert [embed["title"] for embed in message.embeds] == ["🟢 Started", "⏹️ Stopped"]
        assert "service" not in fields(message.embeds[0])


class TestError:
    """An exception with its traceback."""

    def test_it_has_the_card_of_a_record(self, discord: LocalDiscord) -> None:
        """That of the handler's own formatter, with the place where it was raised, and the context."""

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
        assert embed["title"] == "ERROR in test_it_has_the_card_of_a_record"
        assert embed["description"].startswith("ValueError: invalid literal")
        assert 'int("tea")' in embed["description"]
        assert fields(embed) == {"order\\_id": "4711", "args": "\\[1, 2]"}

    def test_one_that_was_never_raised(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """It has no place; without a text its name says all."""
        assert notifier.send_error(KeyboardInterrupt())
        embed = card(notifier, discord)
        assert embed["title"] == "❌ ERROR · shop"
        assert embed["description"].startswith("KeyboardInterrupt\n```py\n")
        assert "-#" not in embed["description"]

    def test_what_is_no_exception_is_refused(self) -> None:
        """By its name."""
        with pytest.raises(TypeError, match="exc must be an exception, not str"):
            DiscordNotifier().send_error("no")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValueError, match="context must be"):
            DiscordNotifier().send_error(ValueError(), 7)  # type: ignore[arg-type]  # likewise


class TestRateLimits:
    """What is known of limits, and warnings about one."""

    def test_a_warning_tells_the_limit_and_the_channels(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """The limit that was exceeded, and how Discord's are doing."""
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

    def test_it_needs_no_argument(self, discord: LocalDiscord) -> None:
        """Then the state of Discord's limits is what it tells."""
        notifier = DiscordNotifier(discord.webhook_url)
        assert notifier.send_rate_limit_warning(window=1.5)
        embed = card(notifier, discord)
        assert (embed["title"], embed["description"]) == ("🚦 Rate limit", "A rate limit was exceeded")
        assert fields(embed)["limit"] == "? in 1.5 s"
        notifier.close()

    def test_a_window_is_a_number_of_seconds(self) -> None:
        """Else it is named."""
        with pytest.raises(ValueError, match="window must be a number of seconds"):
            DiscordNotifier().send_rate_limit_warning(window="minute")  # type: ignore[arg-type]  # on purpose

    def test_the_state_is_that_of_the_handler(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Health, limits and their reset."""
        notifier.send_plaintext("hello")
        assert len(posted(notifier, discord)) == 1
        health = notifier.health()
        assert (health["status"], health["accepted"], health["delivered"]) == ("ok", 1, 1)
        assert notifier.get_rate_limit_info()["channel"]["remaining"] == 29
        notifier.reset_rate_limits()
        assert notifier.get_rate_limit_info()["channel"]["remaining"] == 30


class TestHandler:
    """Whose queue the notices take."""

    def test_a_shared_handler_holds_no_notice_back(self, discord: LocalDiscord) -> None:
        """Neither its level nor its filters do; closing the notifier leaves it open."""
        handler = DiscordHandler(discord.webhook_url, "ERROR")
        handler.addFilter(lambda record: "tea" in record.getMessage())
        notifier = DiscordNotifier(handler=handler, service="shop")
        assert notifier.handler is handler
        assert notifier.send_startup()
        notifier.close()
        assert not notifier.send_plaintext("too late")
        assert notifier.health()["status"] == "closed"
        assert (handler.health()["status"], len(discord.messages)) == ("ok", 1)
        handler.close()
        assert handler.closed
        assert not DiscordNotifier(handler=handler).send_plaintext("too late")

    @pytest.mark.parametrize("arguments", [{"handler": logging.NullHandler()}, {"webhook_url": URL}, {"max_lag": 1}])
    def test_a_handler_stands_for_all_settings(self, arguments: dict[str, Any]) -> None:
        """Both, or another kind of handler, are refused."""
        with pytest.raises(TypeError, match="handler must be a DiscordHandler"):
            DiscordNotifier(**{"handler": DiscordHandler(), **arguments})

    def test_settings_are_checked_at_once(self) -> None:
        """Not when the first notice is sent."""
        with pytest.raises(InvalidWebhookURLError):
            DiscordNotifier("https://discord.com/no-webhook")
        with pytest.raises(InvalidSettingError, match="max_lag"):
            DiscordNotifier(max_lag="soon")
        with pytest.raises(TypeError, match="service must be a str"):
            DiscordNotifier(service=7)  # type: ignore[arg-type]  # on purpose

    def test_without_a_url_it_is_disabled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is accepted, and health says why."""
        notifier = DiscordNotifier(service="shop")
        assert notifier.send_plaintext("x" * 3000) is False
        assert notifier.send_rate_limit_warning() is False
        assert notifier.send_error(ValueError()) is False
        assert (notifier.health()["status"], notifier.flush()) == ("disabled", True)
        monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL)
        assert DiscordNotifier().send_embed(title="T") is False

    def test_the_environment_is_read_at_first_use(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not when it is made."""
        notifier = DiscordNotifier()
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        assert notifier.send_plaintext("hello")
        assert [message.content for message in posted(notifier, discord)] == ["hello"]

    def test_a_wrong_environment_does_not_raise_in_a_notice(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is said once, and raised where it is asked for."""
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
        """However many ask first."""
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

    def test_dict_config_does_not_end_it(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """It closes every handler that there is; the notifier makes itself another one."""
        before = notifier.handler
        assert notifier.send_plaintext("before")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        assert before.closed
        assert notifier.send_plaintext("after")
        assert [message.content for message in posted(notifier, discord)] == ["before", "after"]
        assert notifier.handler is not before

    def test_at_exit_there_is_no_other_handler(
        self, notifier: DiscordNotifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would never be flushed."""
        notifier.handler.close()
        monkeypatch.setattr("discord_logging._delivery.exit_time._waited", 0.0)
        assert not notifier.send_plaintext("too late")

    def test_a_closed_notifier_takes_nothing(self, notifier: DiscordNotifier, discord: LocalDiscord) -> None:
        """Also one that was never used."""
        assert notifier.send_plaintext("hello")
        notifier.close()
        notifier.close()
        assert len(discord.messages) == 1
        assert not notifier.send_plaintext("too late")
        assert notifier.handler.closed
        unused = DiscordNotifier()
        unused.close()
        assert not unused.send_plaintext("too late")
        assert unused.health()["status"] == "closed"

    def test_it_shows_no_token(self, notifier: DiscordNotifier) -> None:
        """Its repr tells the service."""
        assert repr(notifier) == "<DiscordNotifier 'shop'>"
        assert repr(DiscordNotifier()) == "<DiscordNotifier 'notifier'>"

    def test_on_the_listeners_thread_nothing_is_accepted(self, discord: LocalDiscord) -> None:
        """A notice about a notice would never end."""
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

    def test_what_cannot_be_read_is_counted(
        self, notifier: DiscordNotifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Not raised."""

        def fail(*_: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("discord_logging._handler.freeze", fail)
        assert not notifier.send_plaintext("hello")
        assert notifier.health()["dropped_by_reason"] == {"unreadable": 1}
        capsys.readouterr()

    def test_a_flood_of_notices_is_folded(self, discord: LocalDiscord) -> None:
        """Nothing is left out of what they say."""
        notifier = DiscordNotifier(discord.webhook_url, max_lag=0)
        for number in range(300):
            notifier.send_embed(title=f"order {number}", fields={"item": f"tea {number}"}, url="https://example.org/o")
        messages = posted(notifier, discord)
        assert len(messages) < 10
        said = str([(message.embeds, [file.text for file in message.files]) for message in messages])
        assert all(f"order {number}" in said and f"tea {number}" in said for number in range(300))
        notifier.close()


_SCRIPT = """
import os, sys, threading
from discord_logging import DiscordNotifier, discord_notifier
"""


class TestProcess:
    """The ready one, in a process of its own."""

    @pytest.fixture
    def run(self, discord: LocalDiscord) -> Callable[[str], str]:
        """Return what runs a program to its end and gives what it printed."""

        def run_script(script: str) -> str:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", _SCRIPT + textwrap.dedent(script)],
                env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
                capture_output=True,
                text=True,
                timeout=40,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            return done.stdout

        return run_script

    def test_what_waits_is_delivered_at_exit(self, discord: LocalDiscord, run: Callable[[str], str]) -> None:
        """Without a word of the program's; the import alone starts no thread and reads no URL."""
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
    def test_a_forked_child_has_its_own(self, discord: LocalDiscord, run: Callable[[str], str]) -> None:
        """What the parent sent is the parent's, and both are delivered once."""
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
