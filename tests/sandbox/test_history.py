"""Tests of the earlier versions of edited messages."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    import pytest
    import requests


def test_a_message_has_its_earlier_versions(http: requests.Session) -> None:
    """Each is the message as it was, with its time, its files and the payload that made it, the oldest first."""
    with LocalDiscord(clock=count(1_800_000_000).__next__) as local:
        answer = http.post(local.webhook_url, data={"content": "a"}, files={"files[0]": ("a.txt", b"file")})
        (posted,) = local.messages
        url = f"{local.webhook_url}/messages/{answer.json()['id']}"
        http.patch(url, json={"content": "b", "attachments": []})
        (edited,) = local.messages
        http.patch(url, json={"content": "x" * 2001})
        http.patch(url, json={"embeds": [{"title": "t"}]})
    assert (posted.versions, posted.edits) == ([], 0)
    assert (edited.versions, edited.edits) == ([posted], 1)
    (message,) = local.messages
    assert (message.content, message.files, message.edits) == ("b", [], 2)
    first, second = message.versions
    assert (first.content, first.edited, first.files[0].text) == ("a", None, "file")
    assert (second.content, second.edited, second.payload["content"]) == ("b", edited.edited, "b")
    assert second.versions == []


def test_the_first_and_the_latest_versions_are_kept(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The number of the edits before a version tells which ones are missing."""
    http.post(unlimited.webhook_url, json={"content": "0"})
    url = f"{unlimited.webhook_url}/messages/{unlimited.messages[0].id}"
    for number in range(1, 24):
        http.patch(url, json={"content": str(number)})
    (message,) = unlimited.messages
    assert (message.content, message.edits) == ("23", 23)
    assert [version.edits for version in message.versions] == [0, *range(3, 23)]
    assert [int(version.content) for version in message.versions] == [0, *range(3, 23)]


def test_large_versions_are_removed_early(
    unlimited: LocalDiscord, http: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file counts once in all versions that have it, and the first version is only removed if it is large itself."""
    monkeypatch.setattr("discord_logging.sandbox._history._MAX_BYTES", 250_000)
    answer = http.post(unlimited.webhook_url, data={"content": "a"}, files={"files[0]": ("a", bytes(100_000))})
    url = f"{unlimited.webhook_url}/messages/{answer.json()['id']}"

    def edits_before_versions() -> list[int]:
        (message,) = unlimited.messages
        return [version.edits for version in message.versions]

    for _ in range(4):
        http.patch(url, json={})
    assert edits_before_versions() == [0, 1, 2, 3]
    for size in (100_000, 200_000, 300_000):
        http.patch(url, data={"payload_json": '{"attachments": []}'}, files={"files[0]": ("b", bytes(size))})
    http.patch(url, json={})
    assert edits_before_versions() == [0]
    monkeypatch.setattr("discord_logging.sandbox._history._MAX_BYTES", 90_000)
    http.patch(url, json={})
    assert edits_before_versions() == []


def test_versions_count_in_the_memory(http: requests.Session) -> None:
    """An edited message with large versions makes other messages leave, and a removed one frees all its memory."""
    with LocalDiscord(max_bytes=3_000_000, webhook_limit=None, channel_limit=None) as local:
        for text in "ab":
            http.post(local.webhook_url, data={"content": text}, files={"files[0]": ("a", bytes(1_000_000))})
        url = f"{local.webhook_url}/messages/{local.messages[1].id}"
        for _ in range(20):
            http.patch(url, json={})
        assert [message.content for message in local.messages] == ["a", "b"]
        for _ in range(2):
            http.patch(url, data={"payload_json": '{"attachments": []}'}, files={"files[0]": ("b", bytes(1_000_000))})
        assert [message.content for message in local.messages] == ["b"]
        http.delete(url)
        assert local._state._message_bytes == 0


def test_an_edit_does_not_bring_a_removed_message_back(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The channel may be cleared while an edit is read."""
    http.post(unlimited.webhook_url, json={"content": "a"})
    (message,) = unlimited.messages
    unlimited.clear()
    unlimited._state.edit(message)
    assert unlimited.messages == []
