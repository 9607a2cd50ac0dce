"""Tests of a channel that is kept in a file."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from pathlib import Path

    import requests

pytestmark = pytest.mark.once


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "channel.sqlite"


def kept(path: Path, **settings: object) -> LocalDiscord:
    """Return a local Discord without limits that keeps its channel."""
    off = {"webhook_limit": None, "channel_limit": None, "global_limit": None}
    return LocalDiscord(keep=path, **{**off, **settings})  # type: ignore[arg-type]  # a test sets what it needs


def test_the_channel_survives_a_restart(path: Path, http: requests.Session) -> None:
    """Messages, files, edits, deletions, threads and the webhook with its token and name are restored."""
    with kept(path) as before:
        url = before.webhook_url
        forum = before.add_webhook(forum=True)
        gone = before.add_webhook()
        for text in ("stays", "is edited", "is deleted"):
            files = {"files[0]": (f"{text}.txt", f"file: {text}".encode())}
            http.post(url, data={"content": text, "username": "Robot"}, files=files)
        edited, deleted = (f"{url}/messages/{message.id}" for message in before.messages[1:])
        http.patch(edited, json={"embeds": [{"title": "t"}]})
        http.delete(deleted)
        http.patch(url, json={"name": "Shop"})
        http.delete(gone)
        thread = http.post(forum, params={"wait": "1"}, json={"content": "post", "thread_name": "n"}).json()[
            "channel_id"
        ]
        messages = before.messages
    port = int(url.split("/")[2].rpartition(":")[2])
    with kept(path, port=port) as after:
        assert after.webhook_url == url
        assert after.messages == messages
        assert [message.content for message in messages] == ["stays", "is edited", "post"]
        assert messages[1].edited is not None
        assert http.get(url).json()["name"] == "Shop"
        assert http.post(gone, json={"content": "x"}).status_code == 404
        assert http.post(forum, params={"thread_id": thread}, json={"content": "more"}).status_code == 204
        http.post(url, json={"content": "today"})
        assert [message.content for message in after.wait_for(2)] == ["stays", "is edited", "post", "more", "today"]


def test_accepted_messages_survive_a_kill(path: Path) -> None:
    """A message is in the file before it is answered, however the process ends."""
    program = """
import os, sys, requests
from discord_logging.sandbox import LocalDiscord
with LocalDiscord(keep=sys.argv[1]) as local:
    requests.post(local.webhook_url, json={"content": "accepted"})
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=30)
    with kept(path) as local:
        assert [message.content for message in local.messages] == ["accepted"]


def test_the_file_holds_no_more_than_the_channel(path: Path, http: requests.Session) -> None:
    """Removed and cleared messages are deleted from the file."""
    with kept(path, max_messages=2) as local:
        for text in "abc":
            http.post(local.webhook_url, data={"content": text}, files={"files[0]": ("a", text.encode())})
        assert [message.content for message in local.messages] == ["b", "c"]
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM files)").fetchone() == (2, 2)
    db.close()
    with kept(path) as local:
        local.clear()
    with kept(path) as local:
        assert local.messages == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_only_the_owner_can_read_the_file(path: Path) -> None:
    """The file holds a token."""
    with kept(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_used_by_one_sandbox_at_a_time(path: Path) -> None:
    """A second sandbox with the same file starts only after the first has stopped."""
    idle = kept(path)
    idle._state.close()
    with kept(path):
        with pytest.raises(OSError, match=r"channel\.sqlite cannot be used: .*locked; perhaps another sandbox"):
            kept(path)
        with pytest.raises(OSError, match="locked"):
            idle.start()
    with idle:
        assert idle.messages == []


def test_another_kind_of_file_is_left_alone(path: Path) -> None:
    """Neither text nor another program's database is changed, and the error says what to do."""
    path.write_text("a diary, longer than the header of a database would be; " * 4)
    with pytest.raises(ValueError, match="was not written by a sandbox; name another file"):
        kept(path)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE accounts (id)")
    db.close()
    with pytest.raises(ValueError, match="was not written by a sandbox"):
        kept(path)
    with pytest.raises(OSError, match="directory"):
        kept(path.parent)


def test_a_message_that_cannot_be_saved_is_not_accepted(path: Path, http: requests.Session) -> None:
    """If the file cannot be written, the response is a 500 with the reason."""
    with kept(path) as local:
        local._state._db.execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]  # as on a full disk
        answer = http.post(local.webhook_url, json={"content": "x"})
        assert answer.status_code == 500
        assert "not saved: attempt to write a readonly database" in answer.json()["message"]
        assert local.messages == []


def test_the_file_is_closed_when_the_port_is_taken(path: Path) -> None:
    """After a failed start another sandbox can use the file."""
    with LocalDiscord() as other:
        port = int(other.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            kept(path, port=port).start()
    with kept(path):
        pass
