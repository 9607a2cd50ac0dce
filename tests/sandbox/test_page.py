"""The page that shows the channel: what it serves, and how guarded."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord


def test_the_page_needs_nothing_from_elsewhere(discord: LocalDiscord, http: requests.Session) -> None:
    """Style and script are its own files, nothing is inline, and the policy allows no more."""
    page = http.get(discord.url)
    policy = page.headers["Content-Security-Policy"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r'(?:href|src)="([^"]+)"', page.text) == ["data:,", "/static/page.css", "/static/page.js"]
    assert not re.search(r"<style|style=|<script>|\son\w+=", page.text)


def test_style_and_script_are_served(discord: LocalDiscord, http: requests.Session) -> None:
    """With their types, and nothing beside them; the script never builds from posted markup."""
    style, script = (http.get(f"{discord.url}/static/page.{kind}") for kind in ("css", "js"))
    assert style.headers["Content-Type"].startswith("text/css")
    assert "javascript" in script.headers["Content-Type"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.text)
    assert http.get(f"{discord.url}/static/__init__.py").status_code == 404


def test_messages_are_given_from_a_revision_on(unlimited: LocalDiscord, http: requests.Session) -> None:
    """First all, then what is new, edited or gone, with the counts."""
    http.post(unlimited.webhook_url, json={"content": "a"})
    http.post(unlimited.webhook_url, json={})
    first = http.get(f"{unlimited.url}/messages").json()
    assert [message["content"] for message in first["messages"]] == ["a"]
    assert first["counts"] == {"messages": 1, "requests": 2, "rate_limited": 0, "refused": 1, "forgotten": 0}
    http.post(unlimited.webhook_url, json={"content": "b"})
    second = http.get(f"{unlimited.url}/messages", params={"after": first["revision"]}).json()
    assert [message["content"] for message in second["messages"]] == ["b"]
    assert len(second["ids"]) == 2
    edit = f"{unlimited.webhook_url}/messages/{first['ids'][0]}"
    http.patch(edit, json={"content": "c"})
    third = http.get(f"{unlimited.url}/messages", params={"after": second["revision"]}).json()
    assert [(message["content"], message["edited"]) for message in third["messages"]] == [("c", True)]
    assert third["ids"] == second["ids"]
    http.delete(edit)
    fourth = http.get(f"{unlimited.url}/messages", params={"after": third["revision"]}).json()
    assert (fourth["messages"], fourth["ids"]) == ([], second["ids"][1:])
    unlimited.clear()
    assert http.get(f"{unlimited.url}/messages", params={"after": "x"}).json()["ids"] == []


def test_the_page_never_learns_the_token(discord: LocalDiscord, http: requests.Session) -> None:
    """Neither the page nor its data holds it."""
    http.post(discord.webhook_url, json={"content": "a"})
    token = discord.webhook_url.rpartition("/")[2]
    assert token not in http.get(discord.url).text + http.get(f"{discord.url}/messages").text


def test_files_are_downloads(discord: LocalDiscord, http: requests.Session) -> None:
    """Whatever was posted, a browser saves it and does not run it; pictures keep their type."""
    files = {"files[0]": ("a.html", b"<script>", "text/html"), "files[1]": ("b.png", b"png", "image/png")}
    payload = {"payload_json": json.dumps({"content": "x"})}
    http.post(discord.webhook_url, files=files, data=payload)
    shown = http.get(f"{discord.url}/messages").json()["messages"][0]["files"]
    page, picture = (http.get(discord.url + file["url"]) for file in shown)
    assert (page.content, page.headers["Content-Type"]) == (b"<script>", "application/octet-stream")
    assert page.headers["Content-Disposition"] == 'attachment; filename="a.html"'
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert picture.headers["Content-Type"] == "image/png"
    assert http.get(f"{discord.url}/attachments/{discord.messages[0].id}/2/x").status_code == 404
    assert http.get(f"{discord.url}/attachments/1/0/x").status_code == 404
