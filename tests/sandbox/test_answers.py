"""Tests of the objects in the API's responses."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox._media import content_type
from discord_logging.sandbox._models import File

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

_PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x02\0\0\0CRC "


def posted(http: requests.Session, url: str, payload: dict[str, Any], *files: tuple[str, bytes]) -> Any:
    """Post a message with files, and return Discord's object for it."""
    parts: list[Any] = [("payload_json", (None, json.dumps(payload), "application/json"))]
    parts += [(f"files[{number}]", file) for number, file in enumerate(files)]
    answer = http.post(url, params={"wait": "true", "with_components": "true"}, files=parts)
    assert answer.ok, answer.text
    return answer.json()


def test_mentions_are_whole_users(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Clients such as hikari, disnake and interactions.py read every key of a mentioned user."""
    payload = {"content": "<@7> <@!8> <@&9> <@007>", "allowed_mentions": {"parse": ["users", "roles"]}}
    message = posted(http, unlimited.webhook_url, payload)
    assert message["mentions"][0] == {
        "id": "7",
        "username": "user7",
        "avatar": None,
        "discriminator": "0",
        "public_flags": 0,
        "flags": 0,
        "global_name": None,
        "primary_guild": None,
    }
    assert [user["id"] for user in message["mentions"]] == ["7", "8"]
    assert message["mention_roles"] == ["9"]


def test_the_author_is_the_webhook(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The author is a bot with the webhook's id, and its picture is a hash, since Discord keeps a copy of it."""
    picture = "https://example.org/a.png"
    first, second = (
        posted(http, unlimited.webhook_url, {"content": "x", "username": name, "avatar_url": url})["author"]
        for name, url in (("Robot", picture), (None, None))
    )
    assert (first["id"], first["username"], first["bot"]) == (unlimited.messages[0].webhook_id, "Robot", True)
    assert first.keys() == second.keys() > {"discriminator", "public_flags", "flags", "global_name", "primary_guild"}
    assert re.fullmatch("[0-9a-f]{32}", first["avatar"])
    assert second["avatar"] is None
    assert unlimited.messages[0].avatar_url == picture


def test_all_webhooks_are_in_one_guild(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The id of the guild is none of a webhook's or a channel's."""
    webhooks = [http.get(url).json() for url in (unlimited.webhook_url, unlimited.add_webhook())]
    (guild_id,) = {webhook["guild_id"] for webhook in webhooks}
    assert guild_id not in {webhook[key] for webhook in webhooks for key in ("id", "channel_id")}


def test_attachments_are_described_by_their_content(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A picture has a size, and the type of a file is not the one that the client has told."""
    files = [("a.bin", _PNG), ("b.txt", b"text")]
    picture, text = posted(http, unlimited.webhook_url, {}, *files)["attachments"]
    assert (picture["content_type"], picture["width"], picture["height"]) == ("image/png", 640, 480)
    assert (text["content_type"], text["size"], text["proxy_url"]) == ("text/plain; charset=utf-8", 4, text["url"])
    assert not {"width", "height", "description"} & text.keys()
    assert [http.get(each["url"]).content for each in (picture, text)] == [_PNG, b"text"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run.log", "text/plain; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.pdf", "application/pdf"),
        ("broken.png", "image/png"),
        ("run.log.gz", "application/gzip"),
        ("a.unknown", None),
        ("unknown", None),
    ],
)
def test_the_name_of_other_files_tells_their_type(name: str, expected: str | None) -> None:
    """The types are the same on each machine, and an unknown type is not told."""
    assert content_type(File(name, "made/up", b"x", name, None, "1")) == expected


def test_files_of_embeds_are_no_attachments(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The embed has the file's address and size instead of ``attachment://``; pictures on the web have no size."""
    web = "https://example.org/b.png"
    embed = {
        "author": {"name": "A", "icon_url": "attachment://a.png"},
        "image": {"url": "attachment://a.png"},
        "thumbnail": {"url": web},
    }
    files = [("a.png", _PNG), ("c.png", _PNG)]
    message = posted(http, unlimited.webhook_url, {"embeds": [embed]}, *files)
    (shown,) = message["embeds"]
    url = shown["image"]["url"]
    assert http.get(url).content == _PNG
    size = {"width": 640, "height": 480}
    assert shown["image"] == {"url": url, "proxy_url": url, "content_type": "image/png", **size}
    assert shown["author"] == {"name": "A", "icon_url": url, "proxy_icon_url": url}
    assert shown["thumbnail"] == {"url": web, "proxy_url": web}
    assert [file["filename"] for file in message["attachments"]] == ["c.png"]
    assert unlimited.messages[0].embeds == [{"type": "rich", **embed}]


def test_files_of_embeds_stay_through_edits(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A client cannot list them as attachments to keep; the file of an embed that is removed is an attachment again."""
    message = posted(
        http,
        unlimited.webhook_url,
        {"embeds": [{"image": {"url": "attachment://a.png"}}]},
        ("a.png", _PNG),
        ("b.txt", b"x"),
    )
    url = f"{unlimited.webhook_url}/messages/{message['id']}"
    edited = http.patch(url, json={"content": "edited", "attachments": []}).json()
    assert (edited["embeds"], edited["attachments"]) == (message["embeds"], [])
    assert [file.filename for file in unlimited.messages[0].files] == ["a.png"]
    edited = http.patch(url, json={"embeds": []}).json()
    assert [file["filename"] for file in edited["attachments"]] == ["a.png"]
    assert http.patch(url, json={"attachments": []}).json()["attachments"] == []


def test_an_edit_replaces_the_picture_of_an_embed(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A new file with the old one's name takes its place; the old one goes if the edit does not list it."""
    embed = {"image": {"url": "attachment://a.png"}}
    before = posted(http, unlimited.webhook_url, {"embeds": [embed]}, ("a.png", b"old"))
    change = json.dumps({"embeds": [embed], "attachments": [{"id": 0}]})
    after = http.patch(
        f"{unlimited.webhook_url}/messages/{before['id']}",
        files=[("payload_json", (None, change)), ("files[0]", ("a.png", b"new"))],
    ).json()
    assert after["attachments"] == []
    assert http.get(after["embeds"][0]["image"]["url"]).content == b"new"
    assert [file.text for file in unlimited.messages[0].files] == ["new"]


def test_an_embed_can_be_sent_back(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An edit may name a picture by the address in the response, also on hosts without a dot."""
    url = unlimited.webhook_url.replace("127.0.0.1", "localhost")
    message = posted(http, url, {"embeds": [{"image": {"url": "attachment://a.png"}}]}, ("a.png", _PNG))
    image = message["embeds"][0]["image"]
    assert image["url"].startswith("http://localhost:")
    edited = http.patch(f"{url}/messages/{message['id']}", json={"embeds": [{"title": "T", "image": image}]}).json()
    assert (edited["embeds"][0]["title"], edited["embeds"][0]["image"]["url"]) == ("T", image["url"])


def test_parts_of_an_embed_that_show_nothing_are_left_out(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An icon or an address without a name does not appear."""
    part = {"icon_url": "https://example.org/a.png"}
    embed = {"title": "T", "author": {"name": "", **part}, "footer": {"text": " ", **part}}
    assert posted(http, unlimited.webhook_url, {"embeds": [embed]})["embeds"] == [{"type": "rich", "title": "T"}]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2026-01-02T03:04:05.1+0530", "2026-01-02T03:04:05.100000+05:30"),
        ("2026-01-02T03:04", "2026-01-02T03:04:00+00:00"),
    ],
)
def test_times_are_returned_in_one_form(
    unlimited: LocalDiscord, http: requests.Session, sent: str, expected: str
) -> None:
    """Clients on Python 3.10 read neither ``Z`` nor a fraction of seven digits."""
    (embed,) = posted(http, unlimited.webhook_url, {"embeds": [{"title": "T", "timestamp": sent}]})["embeds"]
    assert embed["timestamp"] == expected


def test_components_have_ids_and_defaults(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Each component without an id gets a free one, in order, and keys that were left out have their default."""
    button = {"type": 2, "style": 5, "label": "L", "url": "https://example.org"}
    layout = {
        "flags": 32768,
        "components": [
            {"type": 10, "content": "a", "id": 2},
            {"type": 17, "components": [{"type": 14}, {"type": 1, "components": [button]}]},
            {"type": 9, "components": [{"type": 10, "content": "b"}], "accessory": button},
        ],
    }
    separator = {"type": 14, "id": 3, "spacing": 1, "divider": True}
    row = {"type": 1, "id": 4, "components": [{**button, "id": 5, "disabled": False}]}
    section = {
        "type": 9,
        "id": 6,
        "components": [{"type": 10, "id": 7, "content": "b"}],
        "accessory": {**button, "id": 8, "disabled": False},
    }
    assert posted(http, unlimited.webhook_url, layout)["components"] == [
        {"type": 10, "id": 2, "content": "a"},
        {"type": 17, "id": 1, "accent_color": None, "spoiler": False, "components": [separator, row]},
        section,
    ]
    assert unlimited.messages[0].components == layout["components"]


def test_media_of_components_have_addresses_and_sizes(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Files become addresses, and are no attachments; a file component has the name and the size in bytes."""
    web = "https://example.org/b.png"
    items = [{"media": {"url": "attachment://a.png"}, "spoiler": True}, {"media": {"url": web}, "description": "d"}]
    layout = {
        "flags": 32768,
        "components": [{"type": 12, "items": items}, {"type": 13, "file": {"url": "attachment://b.txt"}}],
    }
    message = posted(http, unlimited.webhook_url, layout, ("a.png", _PNG), ("b.txt", b"text"))
    gallery, file = message["components"]
    (first, second) = gallery["items"]
    assert (first["spoiler"], first["description"], second["spoiler"], second["description"]) == (
        True,
        None,
        False,
        "d",
    )
    assert (first["media"]["width"], first["media"]["height"]) == (640, 480)
    assert first["media"]["attachment_id"] == unlimited.messages[0].files[0].id
    assert (second["media"]["url"], second["media"]["proxy_url"], "width" in second["media"]) == (web, web, False)
    assert (file["name"], file["size"], file["spoiler"]) == ("b.txt", 4, False)
    assert http.get(file["file"]["url"]).content == b"text"
    assert message["attachments"] == []


def test_a_message_is_read_aloud_if_it_says_so(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The key `tts` is returned as it was sent, also after an edit."""
    spoken, silent = (posted(http, unlimited.webhook_url, {"content": "x", "tts": tts}) for tts in (True, None))
    assert (spoken["tts"], silent["tts"]) == (True, False)
    edited = http.patch(f"{unlimited.webhook_url}/messages/{spoken['id']}", json={"content": "y"}).json()
    assert (edited["tts"], unlimited.messages[0].tts) == (True, True)


def test_the_first_message_of_a_post_has_the_id_of_its_thread(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Clients find the first message of a forum post by it; later messages have ids of their own."""
    forum = unlimited.add_webhook(forum=True)
    first = posted(http, forum, {"content": "x", "thread_name": "T"})
    assert first["id"] == first["channel_id"]
    second = http.post(forum, params={"wait": "1", "thread_id": first["id"]}, json={"content": "y"}).json()
    assert second["channel_id"] == first["id"] != second["id"]
    assert http.get(f"{forum}/messages/{first['id']}", params={"thread_id": first["id"]}).json() == first
