"""Tests of posting to a webhook: accepted requests, responses, and the messages in the channel."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    import requests


def code_of(answer: requests.Response) -> tuple[int, int]:
    """Return the status and Discord's code."""
    return answer.status_code, answer.json()["code"]


def test_without_wait_the_answer_is_empty(discord: LocalDiscord, http: requests.Session) -> None:
    """A saved message is answered with 204, and with the headers of the bucket and of the API."""
    answer = http.post(discord.webhook_url, json={"content": "  hello  "})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Via"] == "1.1 google"
    (message,) = discord.messages
    assert (message.content, message.username, message.edited) == ("hello", "Local Discord", None)


@pytest.mark.parametrize("wait", ["true", "True", "1"])
def test_with_wait_the_answer_is_the_message(discord: LocalDiscord, http: requests.Session, wait: str) -> None:
    """The response has the data that a client needs to edit the message and to link to it."""
    payload = {
        "content": "hi <@1> <@&2> @here",
        "username": " a  b ",
        "avatar_url": "https://example.org/a.png",
        "allowed_mentions": {"parse": ["users", "roles", "everyone"]},
    }
    answer = http.post(discord.webhook_url, params={"wait": wait}, json={**payload, "tts": False, "flags": 4096})
    (message,) = discord.messages
    body = answer.json()
    assert answer.status_code == 200
    assert (body["id"], body["channel_id"], body["webhook_id"]) == (message.id, message.channel_id, message.webhook_id)
    assert (body["type"], body["flags"], body["edited_timestamp"]) == (0, 4096, None)
    assert body["author"]["username"] == message.username == "a b"
    assert (body["mention_roles"], body["mention_everyone"]) == (["2"], True)


def test_files_come_as_multipart_and_force_wait(discord: LocalDiscord, http: requests.Session) -> None:
    """File names are sanitised and kept as titles, metadata is applied, and the content is unchanged."""
    data = b"\r\n\x00\xff--\r\n\r\nend\r\n"
    payload = {
        "attachments": [{"id": 0, "filename": "ä b[1].txt", "description": "what"}],
        "embeds": [{"image": {"url": "attachment://pic.png"}}],
    }
    files: dict[str, Any] = {
        "payload_json": (None, json.dumps(payload), "application/json"),
        "files[0]": ("x.txt", data, "text/plain; charset=utf-8"),
        "files[1]": ("_pic.png", b"png", None),
    }
    answer = http.post(discord.webhook_url, files=files)
    assert answer.status_code == 200
    first, second = discord.messages[0].files
    assert (first.filename, first.title, first.description) == ("a_b1.txt", "ä b[1].txt", "what")
    assert (first.data, first.content_type) == (data, "text/plain; charset=utf-8")
    assert (second.filename, second.text) == ("pic.png", "png")
    (shown,) = answer.json()["attachments"]
    assert (shown["id"], shown["size"]) == (first.id, len(data))
    assert http.get(shown["url"]).content == data
    assert [file.title for file in discord.requests[0].files] == ["x.txt", "_pic.png"]


def test_files_may_have_any_number(discord: LocalDiscord, http: requests.Session) -> None:
    """The metadata of ``files[17]`` has that id, whatever the other numbers are."""
    payload = {"attachments": [{"id": "17", "description": "words"}]}
    parts: dict[str, Any] = {
        "payload_json": (None, json.dumps(payload)),
        "files[17]": ("a.txt", b"x"),
        "files[3]": ("b.txt", b"y"),
    }
    assert http.post(discord.webhook_url, files=parts).status_code == 200
    assert [(file.filename, file.description) for file in discord.messages[0].files] == [
        ("a.txt", "words"),
        ("b.txt", None),
    ]


def test_escaped_brackets_break_an_upload(discord: LocalDiscord, http: requests.Session) -> None:
    """A part named ``files%5B0%5D`` is not a file, so the message is empty."""
    answer = http.post(discord.webhook_url, files={"files%5B0%5D": ("a.txt", b"x")})
    assert code_of(answer) == (400, 50006)


def test_forms_are_accepted(discord: LocalDiscord, http: requests.Session) -> None:
    """Urlencoded and multipart forms may have fields or a payload_json."""
    http.post(discord.webhook_url, data={"content": "a+b ü", "tts": "true"})
    http.post(discord.webhook_url, data={"payload_json": '{"content": "p"}'})
    http.post(discord.webhook_url, files={"content": (None, "m"), "username": (None, "n")})
    assert [message.content for message in discord.messages] == ["a+b ü", "p", "m"]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (None, b"{}", 50035),
        ("text/plain", b"{}", 50035),
        ("application/json", b"{", 50109),
        ("application/json", b'{"content": NaN}', 50109),
        ("application/json", b'{"content": "\xff"}', 50109),
        ("application/json", b"[" * 100_000, 50109),
        ("application/json", b"[]", 50035),
        ("application/json", b"null", 50006),
        ("multipart/form-data", b"x", 0),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nno end", 0),
    ],
)
def test_unreadable_bodies_are_refused(
    discord: LocalDiscord, http: requests.Session, content_type: str | None, body: bytes, expected: int
) -> None:
    """Each kind of unreadable body has its own error code."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert code_of(http.post(discord.webhook_url, data=body, headers=headers)) == (400, expected)
    assert discord.requests[0].status == 400


@pytest.mark.parametrize(
    "payload",
    [{}, {"content": " \n\x00 "}, {"embeds": [{}]}, {"embeds": [{"title": "  ", "color": 1}]}, {"components": [{}]}],
)
def test_empty_messages_are_refused(discord: LocalDiscord, http: requests.Session, payload: dict[str, Any]) -> None:
    """A message is empty if nothing is left after trimming."""
    assert code_of(http.post(discord.webhook_url, json=payload)) == (400, 50006)


def test_a_lone_surrogate_is_an_internal_error(discord: LocalDiscord, http: requests.Session) -> None:
    """The response is a 500 and not a refusal."""
    assert http.post(discord.webhook_url, json={"content": "\ud800"}).status_code == 500


def test_large_files_and_requests_are_refused(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The API refuses files over 10 MiB and more than ten files, and the edge refuses requests over 25 MiB."""
    url = unlimited.webhook_url
    limit = 10 * 1024 * 1024
    assert http.post(url, files={"files[0]": ("a", bytes(limit))}).ok
    assert code_of(http.post(url, files={"files[0]": ("a", bytes(limit + 1))})) == (413, 40005)
    edge = http.post(url, data=bytes(26 * 1024 * 1024), headers={"Content-Type": "application/json"})
    assert (edge.status_code, edge.headers.get("Via")) == (413, None)
    eleven = [(f"files[{number % 10}]", ("a.txt", b"x")) for number in range(11)]
    assert code_of(http.post(url, files=eleven)) == (400, 30015)


def test_unknown_webhooks_and_wrong_tokens_have_different_errors(discord: LocalDiscord, http: requests.Session) -> None:
    """The responses are 404 with 10015 and 401 with 50027, both with the headers of a bucket."""
    unknown = http.post(f"{discord.url}/api/v10/webhooks/1/{'x' * 68}", json={"content": "x"})
    wrong = http.post(discord.webhook_url[:-1] + "!", json={"content": "x"})
    assert code_of(unknown) == (404, 10015)
    assert code_of(wrong) == (401, 50027)
    assert "X-RateLimit-Limit" in unknown.headers
    assert discord.messages == []


def test_a_webhook_can_be_read_and_deleted(discord: LocalDiscord, http: requests.Session) -> None:
    """GET returns the webhook, DELETE deletes it, and other methods are not allowed."""
    webhook = http.get(discord.webhook_url).json()
    assert (webhook["type"], webhook["application_id"]) == (1, None)
    assert discord.webhook_url.endswith(f"{webhook['id']}/{webhook['token']}")
    assert http.put(discord.webhook_url).status_code == 405
    assert http.patch(discord.webhook_url, json={"name": " My  shop "}).json()["name"] == "My shop"
    assert http.patch(discord.webhook_url, json={"name": "Clyde"}).json()["errors"].keys() == {"name"}
    assert http.patch(discord.webhook_url, json={}).json()["name"] == "My shop"
    assert http.delete(discord.webhook_url).status_code == 204
    assert code_of(http.post(discord.webhook_url, json={"content": "x"})) == (404, 10015)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/api/v10/nothing", (404, 0)), ("/api/v5/webhooks/1/x", (400, 50041)), ("/api/v11/webhooks/1/x", (400, 50041))],
)
def test_unknown_paths_are_refused(
    discord: LocalDiscord, http: requests.Session, path: str, expected: tuple[int, int]
) -> None:
    """Unknown routes and versions have Discord's errors."""
    assert code_of(http.post(discord.url + path, json={})) == expected


@pytest.mark.parametrize("agent", ["Python-urllib/3.11", "Mozilla/5.0 (X11)"])
def test_the_edge_blocks_some_user_agents(discord: LocalDiscord, http: requests.Session, agent: str) -> None:
    """Blocked user agents get a text from the edge, and no response from the API."""
    answer = http.post(discord.webhook_url, json={"content": "x"}, headers={"User-Agent": agent})
    assert (answer.status_code, answer.text) == (403, "error code: 1010")
    assert not {"Via", "X-RateLimit-Limit"} & set(answer.headers)


def test_without_a_version_the_answers_are_those_of_v6(http: requests.Session) -> None:
    """Times are in milliseconds, and errors are lists instead of a tree."""
    with LocalDiscord(webhook_limit=(5, 60.0)) as local:
        url = local.webhook_url.replace("/v10", "")
        long = {"embeds": [{"title": "x" * 257}], "username": "discord", "allowed_mentions": {"parse": ["x"]}}
        answer = http.post(url, json=long)
        assert answer.json() == {
            "embeds": ["0"],
            "username": ['Username cannot contain "discord"'],
            "allowed_mentions": ["parse"],
        }
        assert "_errors" in http.post(url, json=[]).json()
        assert http.post(url, json={}).json()["code"] == 50006
        assert http.get(url).status_code == 200
        assert http.post(url, json={"content": "x"}).status_code == 204
        assert http.post(url, json={"content": "x"}).status_code == 204
        limited = http.post(url, json={"content": "x"})
        assert 50_000 < limited.json()["retry_after"] == int(limited.headers["Retry-After"]) <= 60_000


def test_a_bad_query_is_refused(discord: LocalDiscord, http: requests.Session) -> None:
    """The server checks booleans and ids in the query."""
    answer = http.post(discord.webhook_url, params={"wait": "maybe", "thread_id": "x"}, json={"content": "x"})
    assert set(answer.json()["errors"]) == {"wait", "thread_id"}


def test_threads_must_belong_to_the_channel(discord: LocalDiscord, http: requests.Session) -> None:
    """A message can be posted to an open thread, and an unknown thread is an unknown channel."""
    thread = discord.add_thread()
    answer = http.post(discord.webhook_url, params={"wait": "1", "thread_id": thread}, json={"content": "x"})
    assert answer.json()["channel_id"] == discord.messages[0].channel_id == thread
    assert code_of(http.post(discord.webhook_url, params={"thread_id": "1"}, json={"content": "x"})) == (404, 10003)
    locked = discord.add_thread(locked=True)
    assert code_of(http.post(discord.webhook_url, params={"thread_id": locked}, json={"content": "x"})) == (400, 160005)
    with pytest.raises(ValueError, match="not a webhook"):
        discord.add_thread("http://elsewhere/api/webhooks/1/x")


def test_forums_need_a_thread(discord: LocalDiscord, http: requests.Session) -> None:
    """A forum needs a thread name or id but not both, and tags if required; other channels refuse a thread name."""
    forum = discord.add_webhook(forum=True, requires_tags=True)
    post = {"content": "x", "thread_name": "t", "applied_tags": ["1"]}
    opened = http.post(forum, params={"wait": "true"}, json=post)
    thread = opened.json()["channel_id"]
    assert http.post(forum, params={"thread_id": thread}, json={"content": "y"}).status_code == 204
    assert [message.channel_id for message in discord.messages] == [thread, thread]
    assert code_of(http.post(forum, json={"content": "x"})) == (400, 220001)
    assert code_of(http.post(forum, params={"thread_id": thread}, json=post)) == (400, 220002)
    assert code_of(http.post(forum, json={**post, "applied_tags": []})) == (400, 40067)
    assert code_of(http.post(discord.webhook_url, json=post)) == (400, 220003)


def test_connections_are_kept_alive(unlimited: LocalDiscord) -> None:
    """Several messages use one connection."""
    connection = http.client.HTTPConnection(urlsplit(unlimited.url).netloc)
    for _ in range(3):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", urlsplit(unlimited.webhook_url).path, b'{"content": "x"}', headers)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.will_close) == (204, False)
    connection.close()
