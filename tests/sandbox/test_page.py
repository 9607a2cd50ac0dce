"""Tests of the page that shows the channel, and of its protection."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import sandbox
from discord_logging.sandbox import Fault, LocalDiscord
from discord_logging.sandbox._rate_limits import RateLimits

if TYPE_CHECKING:
    import requests

pytestmark = pytest.mark.once

_STATIC = Path(sandbox.__file__).parent / "static"


def _news(http: requests.Session, discord: LocalDiscord, after: int = 0, seen: float = 0) -> Any:
    return http.get(f"{discord.url}/messages", params={"after": after, "seen": seen}).json()


def _inject(http: requests.Session, discord: LocalDiscord, kind: str, **options: Any) -> int:
    return http.post(f"{discord.url}/trouble", json={"kind": kind, **options}).status_code


def test_the_page_loads_nothing_from_other_servers(discord: LocalDiscord, http: requests.Session) -> None:
    """Styles and scripts are the server's own files, nothing is inline, and the policy allows nothing else."""
    page = http.get(discord.url)
    policy = page.headers["Content-Security-Policy"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert all(
        url == "data:," or url.startswith("/static/") for url in re.findall(r'(?:href|src)="([^"]+)"', page.text)
    )
    assert not re.search(r"<style|style=|<script>|\son\w+=", page.text)


def test_every_file_of_the_page_is_served(discord: LocalDiscord, http: requests.Session) -> None:
    """Each file has its type, and other files are not served."""
    for file in _STATIC.rglob("*.*s"):
        served = http.get(f"{discord.url}/static/{file.relative_to(_STATIC).as_posix()}")
        assert served.content == file.read_bytes()
        assert {".css": "text/css", ".js": "javascript"}[file.suffix] in served.headers["Content-Type"]
    for name in ("__init__.py", "index.html", "..%2f_page.py", "nothing.js", "vendor/emoji.LICENSE.txt"):
        assert http.get(f"{discord.url}/static/{name}").status_code == 404


def test_no_script_builds_elements_from_markup() -> None:
    """Posted text only ever becomes text nodes."""
    for file in _STATIC.glob("*.js"):
        assert not re.search(r"(?:inn|out)erHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text("utf-8"))


def test_vendored_files_have_their_licence_beside_them() -> None:
    """Each script of another project names its version and its licence."""
    for file in (_STATIC / "vendor").glob("*.js"):
        licence = file.with_name(f"{file.name.partition('.')[0]}.LICENSE.txt").read_text("utf-8")
        assert "Copyright" in licence
        assert re.search(r"(?s)\d+\.\d+\.\d+.*(?:MIT|BSD-3-Clause)", file.read_text("utf-8")[:400])


def test_messages_are_returned_since_a_revision(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The first response has all messages, and later ones have new, edited and removed messages, with the counts."""
    http.post(unlimited.webhook_url, json={"content": "a"})
    http.post(unlimited.webhook_url, json={})
    first = _news(http, unlimited)
    assert [message["content"] for message in first["messages"]] == ["a"]
    assert first["counts"].items() >= {"messages": 1, "requests": 2, "rate_limited": 0, "refused": 1}.items()
    assert (first["gauges"], first["more"]) == (
        [{"name": "invalid requests", "limit": 10000, "used": 0, "reset_after": 0}],
        False,
    )
    http.post(unlimited.webhook_url, json={"content": "b"})
    second = _news(http, unlimited, first["revision"])
    assert [message["content"] for message in second["messages"]] == ["b"]
    assert second["ids"] is None
    a, b = (message.id for message in unlimited.messages)
    http.patch(f"{unlimited.webhook_url}/messages/{a}", json={"content": "c"})
    third = _news(http, unlimited, second["revision"])
    assert [(message["id"], message["content"]) for message in third["messages"]] == [(a, "c")]
    assert third["messages"][0]["edited"] > third["messages"][0]["timestamp"]
    http.delete(f"{unlimited.webhook_url}/messages/{a}")
    fourth = _news(http, unlimited, third["revision"])
    assert (fourth["messages"], fourth["ids"]) == ([], [b])
    unlimited.clear()
    assert _news(http, unlimited, fourth["revision"])["ids"] == []
    assert http.get(f"{unlimited.url}/messages", params={"after": "x", "seen": "-1"}).json()["ids"] == []


def test_many_messages_come_in_batches(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Each response has a batch in the order of the changes, and says that there are more."""
    for number in range(260):
        http.post(unlimited.webhook_url, json={"content": str(number)})
    first = _news(http, unlimited)
    second = _news(http, unlimited, first["revision"])
    shown = [message["content"] for news in (first, second) for message in news["messages"]]
    assert (len(first["messages"]), first["more"], second["more"]) == (250, True, False)
    assert shown == [str(number) for number in range(260)]


def test_removed_messages_leave_the_page(http: requests.Session) -> None:
    """The response has the ids of the remaining messages."""
    with LocalDiscord(max_messages=2) as discord:
        http.post(discord.webhook_url, json={"content": "a"})
        revision = _news(http, discord)["revision"]
        for text in ("b", "c"):
            http.post(discord.webhook_url, json={"content": text})
        news = _news(http, discord, revision)
        assert [message["content"] for message in news["messages"]] == ["b", "c"]
        assert news["ids"] == [message.id for message in discord.messages]


def test_earlier_versions_are_returned(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The newest version comes first, with its files, and a message that does not exist has none."""
    post = http.post(unlimited.webhook_url, data={"content": "a"}, files={"files[0]": ("a.txt", b"old")}).json()
    url = f"{unlimited.webhook_url}/messages/{post['id']}"
    assert _news(http, unlimited)["messages"][0]["edits"] == 0
    http.patch(url, json={"content": "b"})
    http.patch(url, json={"content": "c", "attachments": []})
    assert _news(http, unlimited)["messages"][0]["edits"] == 2
    newer, older = http.get(f"{unlimited.url}/messages/{post['id']}/versions").json()
    assert [(each["content"], each["edits"]) for each in (newer, older)] == [("b", 1), ("a", 0)]
    assert (older["edited"], newer["edited"] >= newer["timestamp"]) == (None, True)
    assert http.get(unlimited.url + older["files"][0]["url"]).content == b"old"
    assert http.get(f"{unlimited.url}/messages/1/versions").json() == []


def test_an_edit_pings_nobody_on_the_page(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Mentions that an edit adds do not ring, and those that notified somebody do, as long as they are shown."""
    post = http.post(unlimited.webhook_url, params={"wait": "1"}, json={"content": "<@7>"}).json()
    url = f"{unlimited.webhook_url}/messages/{post['id']}"
    shown = []
    for content in ("<@7> <@8>", "<@8>"):
        http.patch(url, json={"content": content})
        shown.append(_news(http, unlimited)["messages"][0]["pings"])
    assert shown == [["<@7>"], []]


def test_threads_have_their_name_and_channel(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The page can list threads below their forum, also after an edit of the first message, or without its webhook."""
    forum = unlimited.add_webhook(forum=True)
    first = http.post(forum, params={"wait": "1"}, json={"content": "a", "thread_name": " Import "}).json()
    url, query = f"{forum}/messages/{first['id']}", {"thread_id": first["channel_id"]}
    assert http.patch(url, params=query, json={"content": "edited"}).status_code == 200
    http.post(f"{unlimited.webhook_url}/slack", json={"text": "b", "thread_name": {"not": "a name"}})
    post, plain = (message["channel"] for message in _news(http, unlimited)["messages"])
    assert (post["thread_name"], post["forum"], post["parent"] == post["id"]) == ("Import", True, False)
    http.delete(forum)
    assert _news(http, unlimited)["messages"][0]["channel"]["parent"] == post["parent"]
    assert (plain["thread_name"], plain["forum"], plain["parent"] == plain["id"]) == (None, False, True)


def test_the_page_knows_the_webhook_until_something_is_posted(discord: LocalDiscord, http: requests.Session) -> None:
    """Then neither the page nor its data has the token, not even in refused requests."""
    assert _news(http, discord)["webhook_url"] == discord.webhook_url
    http.post(discord.webhook_url, json={"content": "a"})
    http.post(discord.webhook_url, json={})
    token = discord.webhook_url.rpartition("/")[2]
    assert token not in http.get(discord.url).text + http.get(f"{discord.url}/messages").text


def test_files_are_downloads(discord: LocalDiscord, http: requests.Session) -> None:
    """A browser saves posted files instead of executing them, and pictures keep their type."""
    files = {"files[0]": ("a.html", b"<script>", "text/html"), "files[1]": ("b.png", b"png", "image/png")}
    payload = {"payload_json": json.dumps({"content": "x"})}
    http.post(discord.webhook_url, files=files, data=payload)
    shown = _news(http, discord)["messages"][0]["files"]
    page, picture = (http.get(discord.url + file["url"]) for file in shown)
    assert [(file["preview"], file["picture"]) for file in shown] == [("<script>", False), (None, True)]
    assert (page.content, page.headers["Content-Type"]) == (b"<script>", "application/octet-stream")
    assert page.headers["Content-Disposition"] == 'attachment; filename="a.html"'
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert picture.headers["Content-Type"] == "image/png"
    assert http.get(f"{discord.url}/attachments/{discord.messages[0].id}/2/x").status_code == 404
    assert http.get(f"{discord.url}/attachments/1/0/x").status_code == 404


def test_the_first_six_lines_of_a_text_are_its_preview(discord: LocalDiscord, http: requests.Session) -> None:
    """Long lines are cut, and a character is never cut in two."""
    lines = "\n".join("é" * 100 for _ in range(9))
    files = {"files[0]": ("a.txt", lines.encode(), "text/plain"), "files[1]": ("b.txt", b"x" * 9000, "text/plain")}
    http.post(discord.webhook_url, files=files)
    short, long = (file["preview"] for file in _news(http, discord)["messages"][0]["files"])
    assert (short, long) == (lines[:605], "x" * 4000)


def test_limits_are_shown_as_they_fill(discord: LocalDiscord, http: requests.Session) -> None:
    """The data has the bucket, the hidden limit of the channel, the global limit and that of invalid requests."""
    for _ in range(2):
        http.post(discord.webhook_url, json={"content": "a"})
    gauges = _news(http, discord)["gauges"]
    assert [(gauge["name"].partition(" …")[0], gauge["limit"], gauge["used"]) for gauge in gauges[:2]] == [
        ("webhook", 5, 2),
        ("channel", 30, 2),
    ]
    assert 0 < gauges[1]["reset_after"] <= 60
    assert [gauge["name"] for gauge in gauges[2:]] == ["global", "invalid requests"]


def test_a_sliding_limit_empties_slot_by_slot() -> None:
    """Reading a limit takes nothing from it."""
    limits = RateLimits(webhook=(5, 5.0), channel=None, everybody=None, invalid=None, sliding=True)
    for _ in range(3):
        limits.take("1234", "1", 10.0)
    assert [(level.used, level.reset_after) for now in (10.0, 11.5, 20.0) for level in limits.levels(now)] == [
        (3, 3.0),
        (2, 1.5),
        (0, 0.0),
    ]


def test_refused_requests_are_reported_once(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The data has refused and lost requests with Discord's error and the payload, but no accepted requests."""
    http.post(unlimited.webhook_url, json={"content": "a"})
    http.post(unlimited.webhook_url, json={"content": "x" * 2001})
    http.post(unlimited.webhook_url, data=b"{", headers={"Content-Type": "application/json"})
    first = _news(http, unlimited)
    long, broken = first["refused"]
    assert (long["status"], json.loads(long["answer"])["code"]) == (400, 50035)
    assert json.loads(long["payload"]) == {"content": "x" * 2001}
    assert long["path"].endswith("/***")
    assert 0 <= long["ago"] < 60
    assert (json.loads(broken["answer"])["code"], broken["payload"]) == (50109, None)
    unlimited.fail_next(Fault(status=500))
    http.post(unlimited.webhook_url, json={"content": "b"})
    second = _news(http, unlimited, seen=first["seen"])
    assert [request["status"] for request in second["refused"]] == [500]
    assert _news(http, unlimited, seen=second["seen"])["refused"] == []


def test_traffic_is_reported_once(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The data has the numbers of accepted, limited and refused requests, with their seconds."""
    unlimited.fail_next(Fault.rate_limited(1))
    began = int(time.time())
    for content in ("limited", "accepted", "accepted", ""):
        http.post(unlimited.webhook_url, json={"content": content})
    first = _news(http, unlimited)
    assert all(began <= second <= time.time() for second, _, _ in first["traffic"])
    assert sorted(kind for _, kind, count in first["traffic"] for _ in range(count)) == [
        *("accepted", "accepted", "limited", "refused")
    ]
    assert _news(http, unlimited, seen=first["seen"])["traffic"] == []


def test_only_the_beginning_of_a_large_request_is_reported(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The page asks again and again, and large payloads must not keep the server busy each time."""
    http.post(unlimited.webhook_url, json={"content": "", "components": list(range(40_000))})
    http.post(unlimited.webhook_url, json={"content": "x" * 1_000_000})
    many, long = (request["payload"] for request in _news(http, unlimited)["refused"])
    assert (len(many), len(long)) == (20_000, 20_000)
    assert many.startswith('{"content": "", "components": [0, 1, 2, ')
    assert long.startswith('{"content": "xxx')


@pytest.mark.parametrize(
    ("kind", "status"), [("rate_limited", 429), ("channel_limited", 429), ("server_error", 500), ("edge_block", 429)]
)
def test_faults_meet_the_next_posts(unlimited: LocalDiscord, http: requests.Session, kind: str, status: int) -> None:
    """The requested number of posts meet the fault."""
    assert _inject(http, unlimited, kind, times=2) == 204
    assert _news(http, unlimited)["trouble"] == {"waiting": 2, "deleted": 0}
    assert [http.post(unlimited.webhook_url, json={"content": "a"}).status_code for _ in range(3)] == [status] * 2 + [
        204
    ]


def test_a_restore_ends_all_faults(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Deleted webhooks answer 404 until they are restored, and queued faults are removed."""
    for kind in ("delete_webhook", "drop", "slow"):
        assert _inject(http, unlimited, kind) == 204
    news = _news(http, unlimited)
    assert (news["trouble"], news["webhook_url"]) == ({"waiting": 2, "deleted": 1}, None)
    assert http.get(unlimited.webhook_url).json()["code"] == 10015
    assert _inject(http, unlimited, "restore") == 204
    assert _news(http, unlimited)["trouble"] == {"waiting": 0, "deleted": 0}
    assert http.post(unlimited.webhook_url, json={"content": "a"}).status_code == 204


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 1000,
        b"[" * 100_000,
        b'{"kind": "drop"}' + b" " * 2000,
        b'{"kind": "fire"}',
        b'{"kind": "drop", "times": 0}',
        b'{"kind": "drop", "times": 1e999}',
        b'{"kind": "drop", "times": null}',
    ],
)
def test_unknown_faults_are_refused(unlimited: LocalDiscord, http: requests.Session, command: bytes) -> None:
    """The response lists the known faults."""
    answer = http.post(f"{unlimited.url}/trouble", data=command)
    assert (answer.status_code, "rate_limited" in answer.text) == (400, True)
    assert _news(http, unlimited)["trouble"]["waiting"] == 0


def test_other_pages_cannot_inject_faults(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The server refuses a page with another origin."""
    url, command = f"{unlimited.url}/trouble", {"kind": "drop"}
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        assert http.post(url, json=command, headers={"Origin": origin}).status_code == 403
    assert http.post(url, json=command, headers={"Origin": unlimited.url}).status_code == 204
