"""Tests of existing messages: reading, editing, deleting, and pings."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import LocalDiscord
from discord_logging.sandbox._mentions import mentions

if TYPE_CHECKING:
    import requests


def post(local: LocalDiscord, http: requests.Session, payload: dict[str, Any], **settings: Any) -> str:
    """Post a message and return its URL."""
    answer = http.post(local.webhook_url, params={"wait": "true", "with_components": "1"}, json=payload, **settings)
    assert answer.ok, answer.text
    return f"{local.webhook_url}/messages/{answer.json()['id']}"


def test_a_message_can_be_read_edited_and_deleted(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An edit keeps absent keys and sets `edited`, and a deleted message is unknown."""
    url = post(unlimited, http, {"content": "a", "embeds": [{"title": "t"}], "flags": 4096})
    assert http.get(url).json()["content"] == "a"
    edited = http.patch(url, json={"content": "b"})
    (message,) = unlimited.messages
    assert (message.content, message.embeds, message.flags) == ("b", [{"type": "rich", "title": "t"}], 4096)
    assert message.edited is not None
    assert edited.json()["edited_timestamp"] == message.edited.isoformat()
    http.patch(url, json={"content": None, "flags": 0})
    assert (unlimited.messages[0].content, unlimited.messages[0].flags) == ("", 4096)
    assert http.put(url).status_code == 405
    assert http.delete(url).status_code == 204
    assert unlimited.messages == []
    assert http.get(url).json() == {"message": "Unknown Message", "code": 10008}


def test_an_edit_is_checked_like_a_message(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Limits apply, an empty result and bad JSON are errors, and a refused edit changes nothing."""
    url = post(unlimited, http, {"content": "a"})
    assert http.patch(url, json={"content": "x" * 2001}).json()["code"] == 50035
    assert http.patch(url, json={"embeds": [{"title": "x" * 257}]}).json()["code"] == 50035
    assert http.patch(url, json={"embeds": [{"title": "t"}] * 11}).json()["code"] == 50035
    assert http.patch(url, json={"content": ""}).json()["code"] == 50006
    assert http.patch(url, data="{", headers={"Content-Type": "application/json"}).json()["code"] == 50109
    assert [message.content for message in unlimited.messages] == ["a"]


def test_an_edit_that_is_no_object_is_refused(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An empty list is refused as any other list is."""
    url = post(unlimited, http, {"content": "a"})
    bodies: list[Any] = [[], [1], False, {}]
    assert [http.patch(url, json=body).status_code for body in bodies] == [400, 400, 400, 200]


def test_an_edit_adds_files_and_keeps_those_listed(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Without `attachments` all files stay, with it the listed ones; more than ten are refused."""
    answer = http.post(unlimited.webhook_url, files=[(f"files[{n}]", (f"{n}.png", b"x")) for n in range(9)])
    url = f"{unlimited.webhook_url}/messages/{answer.json()['id']}"
    http.patch(url, files={"files[0]": ("new.txt", b"y")})
    assert len(unlimited.messages[0].files) == 10
    assert http.patch(url, files={"files[0]": ("more.txt", b"y")}).json()["code"] == 30015
    first = unlimited.messages[0].files[0]
    embed = {"image": {"url": f"attachment://{first.filename}"}}
    http.patch(url, json={"attachments": [{"id": first.id}], "embeds": [embed]})
    assert [file.filename for file in unlimited.messages[0].files] == ["0.png"]
    assert http.patch(url, json={"attachments": [{"id": "7"}]}).json()["code"] == 50146


def test_an_edit_replaces_files_in_one_request(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The list names files to keep by their id and new ones by the number of their part, and drops the others."""
    uploads = [(f"files[{n}]", (f"{n}.txt", str(n).encode())) for n in range(3)]
    posted = http.post(unlimited.webhook_url, files=uploads).json()
    url = f"{unlimited.webhook_url}/messages/{posted['id']}"
    kept = {"id": posted["attachments"][1]["id"]}
    new = {"id": "7", "filename": "named.txt", "description": "words"}
    payload = {"payload_json": json.dumps({"attachments": [kept, new]})}
    answer = http.patch(url, data=payload, files={"files[7]": ("new.txt", b"7"), "files[9]": ("9.txt", b"9")}).json()
    assert [file["filename"] for file in answer["attachments"]] == ["1.txt", "named.txt", "9.txt"]
    assert answer["attachments"][0]["id"] == kept["id"]
    (message,) = unlimited.messages
    assert [(file.text, file.description) for file in message.files] == [("1", None), ("7", "words"), ("9", None)]
    assert http.patch(url, json={"attachments": [], "content": "none"}).json()["attachments"] == []


def test_an_edit_replaces_embeds_and_keeps_what_it_leaves_out(http: requests.Session) -> None:
    """Each key of an edit replaces the whole value, and an edit of nothing is an edit, too."""
    layout = [{"type": 1, "components": [{"type": 2, "style": 5, "label": "a", "url": "https://example.com"}]}]
    with LocalDiscord(clock=count(1_800_000_000).__next__) as local:
        url = post(local, http, {"content": "a", "embeds": [{"title": "t"}, {"title": "u"}], "components": layout})
        posted = http.get(url).json()
        changed = http.patch(url, json={"embeds": [{"description": "d"}]}).json()
        unchanged = http.patch(url, json={}).json()
    assert changed["embeds"] == [{"type": "rich", "description": "d"}]
    assert posted["edited_timestamp"] is None
    assert posted["timestamp"] < changed["edited_timestamp"] < unchanged["edited_timestamp"]
    assert unchanged == {**posted, "embeds": changed["embeds"], "edited_timestamp": unchanged["edited_timestamp"]}


def test_a_message_in_a_thread_is_edited_with_the_thread(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An edit reaches the message through its thread alone."""
    thread = unlimited.add_thread(unlimited.webhook_url)
    http.post(unlimited.webhook_url, params={"thread_id": thread}, json={"content": "x"})
    url = f"{unlimited.webhook_url}/messages/{unlimited.messages[0].id}"
    assert http.patch(url, json={"content": "y"}).json()["code"] == 10008
    assert http.patch(url, params={"thread_id": thread}, json={"content": "y"}).json()["channel_id"] == thread
    assert http.patch(url, params={"thread_id": "x"}, json={"content": "z"}).json()["code"] == 50035
    assert unlimited.messages[0].content == "y"


def test_a_message_in_a_thread_is_found_with_the_thread(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The message is unknown without its `thread_id`, and to another webhook."""
    thread = unlimited.add_thread(unlimited.webhook_url)
    params = {"thread_id": thread}
    http.post(unlimited.webhook_url, params=params, json={"content": "x"})
    tail = f"/messages/{unlimited.messages[0].id}"
    assert http.get(unlimited.webhook_url + tail).status_code == 404
    assert http.get(unlimited.webhook_url + tail, params=params).status_code == 200
    neighbour = unlimited.add_webhook(channel_id=unlimited.messages[0].channel_id)
    assert http.get(neighbour + tail).status_code == 404


def test_what_is_gone_cannot_be_edited(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The code says whether the message, its thread or its webhook does not exist."""
    url = post(unlimited, http, {"content": "a"})
    http.delete(url)

    def edit(**params: str) -> tuple[int, int]:
        answer = http.patch(url, params=params, json={"content": "b"})
        return answer.status_code, answer.json()["code"]

    assert edit() == edit(thread_id=unlimited.add_thread()) == (404, 10008)
    assert edit(thread_id="1") == (404, 10003)
    http.delete(unlimited.webhook_url)
    assert edit() == (404, 10015)


def test_an_edit_highlights_by_its_own_allowed_mentions(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The `allowed_mentions` of the first message do not apply to its edits, and an edit notifies nobody."""
    url = post(unlimited, http, {"content": "<@7> <@&8>", "allowed_mentions": {"parse": []}})
    assert (unlimited.messages[0].pings, unlimited.messages[0].mentions) == ([], [])
    edited = http.patch(url, json={"embeds": []}).json()
    assert ([user["id"] for user in edited["mentions"]], edited["mention_roles"]) == (["7"], [])
    edited = http.patch(url, json={"allowed_mentions": {"parse": ["roles"]}}).json()
    assert (edited["mentions"], edited["mention_roles"]) == ([], ["8"])
    assert (unlimited.messages[0].pings, unlimited.messages[0].mentions) == ([], ["<@&8>"])


def test_an_edit_takes_no_ping_back(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A message that has notified somebody still says so when it is edited."""
    url = post(unlimited, http, {"content": "@here <@7>", "allowed_mentions": {"parse": ["everyone"]}})
    assert http.patch(url, json={"content": "over"}).json()["mention_everyone"] is False
    assert (unlimited.messages[0].pings, unlimited.messages[0].mentions) == (["@here"], [])


def test_suppressed_embeds_come_back(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The flag hides the message's own embeds, also through other edits, until an edit unsets it."""
    url = post(unlimited, http, {"content": "x", "embeds": [{"title": "t"}], "flags": 4})
    assert unlimited.messages[0].embeds == []
    http.patch(url, json={"content": "y"})
    assert (unlimited.messages[0].embeds, unlimited.messages[0].flags) == ([], 4)
    shown = http.patch(url, json={"flags": 0}).json()
    assert (shown["embeds"], shown["flags"]) == ([{"type": "rich", "title": "t"}], 0)
    hidden = http.patch(url, json={"flags": 4}).json()
    assert (hidden["embeds"], hidden["flags"]) == ([], 4)
    assert http.patch(url, json={"embeds": [{"title": "u"}]}).json()["embeds"] == []
    assert http.patch(url, json={"flags": 0}).json()["embeds"] == [{"type": "rich", "title": "u"}]


def test_an_edit_reads_no_names(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The name, the picture and the thread of a message cannot be edited, so that their keys mean nothing."""
    url = post(unlimited, http, {"content": "a", "username": "Ann"})
    ignored = {"username": "discord", "avatar_url": 1, "thread_name": [], "applied_tags": "x", "tts": 3}
    assert http.patch(url, json={"content": "b", **ignored}).json()["author"]["username"] == "Ann"
    assert http.patch(url, json={"flags": 4096 | 1 << 6}).json()["flags"] == 0


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ({"content": "a"}, "content"),
        ({"embeds": [{"title": "t"}]}, "embeds"),
        ({"embeds": [{"title": "t"}], "flags": 4}, "embeds"),
    ],
)
def test_a_switch_to_components_needs_an_empty_message(
    unlimited: LocalDiscord, http: requests.Session, before: dict[str, Any], key: str
) -> None:
    """Setting the flag is refused while the message has content or embeds, unless the same edit removes them."""
    url = post(unlimited, http, before)
    switch = {"flags": 32768, "components": [{"type": 10, "content": "new"}]}
    refused = http.patch(url, params={"with_components": "1"}, json=switch)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [key])
    assert http.patch(url, params={"with_components": "1"}, json={**switch, key: None}).status_code == 200
    (message,) = unlimited.messages
    assert (message.content, message.embeds, message.flags) == ("", [], 32768)


def test_an_edit_describes_and_blurs_files(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A kept file keeps what the edit does not name; a name that begins with SPOILER_ blurs a file from the start."""
    uploads = [("files[0]", ("SPOILER_a.png", b"a")), ("files[1]", ("b.png", b"b"))]
    posted = http.post(unlimited.webhook_url, files=uploads)
    url = f"{unlimited.webhook_url}/messages/{posted.json()['id']}"
    first, second = (file["id"] for file in posted.json()["attachments"])
    assert [file["flags"] for file in posted.json()["attachments"]] == [8, 0]
    described = {"id": second, "description": "words", "is_spoiler": True}
    http.patch(url, json={"attachments": [{"id": first}, described]})
    assert [(file.description, file.spoiler) for file in unlimited.messages[0].files] == [(None, True), ("words", True)]
    http.patch(url, json={"attachments": [{"id": second, "description": None}]})
    assert [(file.description, file.spoiler) for file in unlimited.messages[0].files] == [(None, True)]
    wrong = http.patch(url, json={"attachments": [{"id": second, "is_spoiler": "perhaps"}]})
    assert list(wrong.json()["errors"]["attachments"]["0"]) == ["is_spoiler"]


def test_components_are_stored_and_ping(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The flag stays through edits, and mentions in components ping."""
    text = {"type": 10, "content": "<@7>"}
    url = post(unlimited, http, {"flags": 32768, "components": [text]})
    assert (unlimited.messages[0].components, unlimited.messages[0].pings) == ([text], ["<@7>"])
    assert http.patch(url, json={"content": "x"}).json()["code"] == 50035
    http.patch(url, json={"components": []})
    assert unlimited.messages[0].components == [text]
    http.patch(url, params={"with_components": "1"}, json={"components": [text, text], "flags": 0})
    assert (len(unlimited.messages[0].components), unlimited.messages[0].flags) == (2, 32768)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, ["<@1>", "<@2>"]),
        ({"parse": []}, []),
        ({}, []),
        ({"parse": ["users"]}, ["<@1>", "<@2>"]),
        ({"parse": ["roles"]}, ["<@&3>"]),
        ({"parse": ["everyone"]}, ["@everyone", "@here"]),
        ({"users": ["2"], "roles": ["4"]}, ["<@2>"]),
        ({"roles": ["3"], "parse": None}, ["<@&3>"]),
    ],
)
def test_mentions_ping_as_allowed(allowed: dict[str, Any] | None, expected: list[str]) -> None:
    """Each mention pings once; without `allowed_mentions` those of users ping."""
    assert mentions("@everyone <@1> <@!2> <@&3> <@1> @here <#5>", allowed) == expected
