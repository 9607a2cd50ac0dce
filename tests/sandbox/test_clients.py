"""Other Discord clients work with the local Discord, for which only their host is changed."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import requests

from discord_logging.sandbox import Fault, LocalDiscord

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # discord.py imports a module that leaves with Python 3.13
    import discord as discord_py
    from discord_webhook import DiscordEmbed, DiscordWebhook  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once


class TestDiscordWebhook:
    """The package `discord-webhook` works with the local Discord."""

    def test_posts_edits_and_deletes(self, unlimited: LocalDiscord) -> None:
        """A message with an embed and a file is stored as sent, through an edit, until it is deleted."""
        embed = DiscordEmbed(title="Title", description="words", color="03b2f8")
        embed.set_author(name="Ann", url="https://example.org")
        embed.set_footer(text="foot")
        embed.set_timestamp(1_786_015_861)
        embed.add_embed_field(name="n", value="v", inline=False)
        webhook = DiscordWebhook(
            unlimited.webhook_url, content="hello", username="Robot", allowed_mentions={"parse": []}
        )
        webhook.add_embed(embed)
        webhook.add_file(b"x,y\n", "table.csv")
        assert webhook.execute().status_code == 200
        (message,) = unlimited.messages
        assert (message.content, message.username, message.files[0].text) == ("hello", "Robot", "x,y\n")
        assert message.files[0].filename == "table.csv"
        assert message.embeds[0]["fields"] == [{"name": "n", "value": "v", "inline": False}]
        webhook.set_content("bye")
        assert webhook.edit().status_code == 200
        assert unlimited.messages[0].content == "bye"
        assert [file.filename for file in unlimited.messages[0].files] == ["table.csv"]
        assert webhook.delete().status_code == 204
        assert unlimited.messages == []

    def test_recovers_from_429(self, caplog: pytest.LogCaptureFixture) -> None:
        """The client waits for as long as the response says, and the message arrives."""
        with LocalDiscord(webhook_limit=(1, 0.3), channel_limit=None) as local:
            for text in "abc":
                DiscordWebhook(local.webhook_url, content=text, rate_limit_retry=True).execute()
            assert [message.content for message in local.messages] == ["a", "b", "c"]
            assert [request.status for request in local.requests].count(429) >= 1
        assert "rate limited" in caplog.text

    def test_reads_the_error(self, unlimited: LocalDiscord) -> None:
        """The client returns the body of a refusal."""
        answer = DiscordWebhook(unlimited.webhook_url, content="x" * 2001).execute()
        assert answer.json()["errors"]["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


class TestSyncWebhook:
    """discord.py's `SyncWebhook` works with the local Discord."""

    @pytest.fixture
    def connect(self, http: requests.Session, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return a way to connect to a local Discord."""

        def connect(local: LocalDiscord) -> discord_py.SyncWebhook:
            monkeypatch.setattr("discord.http.Route.BASE", f"{local.url}/api/v10")
            path = local.webhook_url.removeprefix(local.url).replace("/v10", "")
            return discord_py.SyncWebhook.from_url(f"https://discord.com{path}", session=http)

        return connect

    def test_posts_reads_edits_and_deletes(self, unlimited: LocalDiscord, connect: Any) -> None:
        """Embeds, files, attachments and mentions are the same when they are read back."""
        webhook = connect(unlimited)
        embed = discord_py.Embed(title="Title", description="words", colour=0x03B2F8).set_image(
            url="attachment://a.png"
        )
        embed.add_field(name="n", value="v")
        files = [
            discord_py.File(io.BytesIO(b"png"), "a.png", description="alt"),
            discord_py.File(io.BytesIO(b"t"), "b.txt"),
        ]
        sent = webhook.send(
            "hi @everyone", embed=embed, files=files, wait=True, allowed_mentions=discord_py.AllowedMentions.none()
        )
        (message,) = unlimited.messages
        assert (str(sent.id), sent.content, message.pings) == (message.id, "hi @everyone", [])
        assert [(file.filename, file.description, file.text) for file in message.files] == [
            ("a.png", "alt", "png"),
            ("b.txt", None, "t"),
        ]
        assert webhook.fetch_message(sent.id).embeds[0].title == "Title"
        edited = sent.edit(content="bye", attachments=[*sent.attachments, discord_py.File(io.BytesIO(b"c"), "c.txt")])
        assert [attachment.filename for attachment in edited.attachments] == ["b.txt", "c.txt"]
        assert unlimited.messages[0].edited is not None
        sent.delete()
        assert unlimited.messages == []
        with pytest.raises(discord_py.NotFound) as error:
            webhook.fetch_message(sent.id)
        assert error.value.code == 10008

    def test_reads_renames_and_deletes_the_webhook(self, unlimited: LocalDiscord, connect: Any) -> None:
        """Messages have the webhook's name by default."""
        webhook = connect(unlimited)
        assert webhook.fetch().name == "Local Discord"
        assert webhook.edit(name=" Shop  alarm ", prefer_auth=False).name == "Shop alarm"
        webhook.send("x")
        assert unlimited.messages[0].username == "Shop alarm"
        with pytest.raises(discord_py.HTTPException, match="Username cannot contain"):
            webhook.edit(name="Discord", prefer_auth=False)
        webhook.delete(prefer_auth=False)
        with pytest.raises(discord_py.NotFound) as error:
            webhook.send("x")
        assert error.value.code == 10015

    def test_posts_to_threads_and_forums(self, unlimited: LocalDiscord, connect: Any) -> None:
        """A thread is found by its id, a text channel opens no thread by name, and component layouts arrive."""
        webhook = connect(unlimited)
        thread = unlimited.add_thread()
        webhook.send("x", thread=discord_py.Object(int(thread)))
        assert unlimited.messages[0].channel_id == thread
        with pytest.raises(discord_py.HTTPException) as error:
            webhook.send("x", thread_name="t")
        assert error.value.code == 220003

    def test_recovers_from_429_and_5xx(self, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
        """The client obeys the bucket's headers and the wait of a 429, and tries again after a 502."""
        caplog.set_level(logging.WARNING)
        with LocalDiscord(webhook_limit=(2, 0.2), channel_limit=None) as local:
            webhook = connect(local)
            for number in range(5):
                webhook.send(str(number))
            assert {request.status for request in local.requests} == {204}
            local.fail_next(Fault.rate_limited(0.1))
            local.fail_next(Fault.rate_limited(0.1, "shared"))
            local.fail_next(Fault(status=502))
            webhook.send("last")
            assert [message.content for message in local.messages] == ["0", "1", "2", "3", "4", "last"]
        assert "is rate limited. Retrying in 0.10 seconds" in caplog.text

    def test_recognises_a_block_by_the_edge(self, unlimited: LocalDiscord, connect: Any) -> None:
        """The client does not repeat a request that the edge has refused."""
        unlimited.fail_next(Fault.edge_block())
        with pytest.raises(discord_py.HTTPException):
            connect(unlimited).send("x")
        assert len(unlimited.requests) == 1
