"""Tests of a channel that is kept in a file."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
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
    """Messages, files, polls, edits, deletions, threads and the webhook with its token and name are restored."""
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
        poll = {"question": {"text": "Why?"}, "answers": [{"poll_media": {"text": "Because"}}]}
        post = {"content": "post", "thread_name": "n", "poll": poll}
        thread = http.post(forum, params={"wait": "1"}, json=post).json()["channel_id"]
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


def test_versions_survive_a_restart(path: Path, http: requests.Session) -> None:
    """Earlier versions have their files again, and a file of several versions is saved once."""
    with kept(path) as before:
        files = {f"files[{name}]": (f"{name}.txt", name.encode()) for name in "ab"}
        answer = http.post(before.webhook_url, data={"content": "1"}, files=files).json()
        url = f"{before.webhook_url}/messages/{answer['id']}"
        stays = {"id": answer["attachments"][1]["id"], "description": "words"}
        edits: list[dict[str, Any]] = [{"content": "2"}, {"attachments": [stays]}, {"attachments": []}]
        for payload in edits:
            assert http.patch(url, json=payload).ok
        messages = before.messages
    assert change_file(path, "SELECT count(*) FROM files") == (2,)
    with kept(path) as after:
        assert after.messages == messages
        (message,) = messages
        shown = [[(file.text, file.description) for file in version.files] for version in message.versions]
        assert shown == [[("a", None), ("b", None)]] * 2 + [[("b", "words")]]
        assert message.files == []


def test_an_edit_saves_no_file_of_a_removed_message(path: Path, http: requests.Session) -> None:
    """The channel may be cleared while an edit is read."""
    with kept(path) as local:
        http.post(local.webhook_url, data={"content": "a"}, files={"files[0]": ("a.txt", b"a")})
        (message,) = local.messages
        local.clear()
        local._state.edit(message)
        assert local.messages == []
    assert change_file(path, "SELECT count(*) FROM files") == (0,)


def test_a_channel_from_before_versions_is_read(path: Path, http: requests.Session) -> None:
    """An older sandbox saved messages without versions, without mentions, and without the list of their files."""
    with kept(path) as before:
        files = {"files[0]": ("a.txt", b"a")}
        http.post(before.webhook_url, data={"content": "<@7>"}, files=files)
    change_file(path, "UPDATE messages SET body = json_remove(body, '$.versions', '$.edits', '$.mentions', '$.files')")
    with kept(path) as after:
        assert after.messages == before.messages


def test_accepted_messages_survive_a_kill(path: Path) -> None:
    """A message is in the file before it is answered, however the process ends."""
    program = """
import os, sys, requests
from discord_logging.sandbox import LocalDiscord
with LocalDiscord(keep=sys.argv[1]) as local:
    requests.post(local.webhook_url, json={"content": "accepted"})
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=100)
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_others_lose_the_right_to_a_file_that_exists(path: Path, http: requests.Session, suffix: str) -> None:
    """The file may be older, or a copy, and a warning tells that others could read the token."""
    copy = path.with_name("copy")
    with kept(path) as local:
        http.post(local.webhook_url, json={"content": "before"})
        for each in ("", "-wal"):
            shutil.copyfile(f"{path}{each}", f"{copy}{each}")
            Path(f"{copy}{each}").chmod(0o600)
    opened = Path(f"{copy}{suffix}")
    opened.touch()
    opened.chmod(0o644)
    with pytest.warns(UserWarning, match=rf"others could open {re.escape(str(opened))}; only you can from now on"):
        local = kept(copy)
    with local:
        assert [message.content for message in local.messages] == ["before"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_links_are_followed_to_the_file_and_nowhere_else(path: Path) -> None:
    """The target of a link becomes private if it is a channel, and a link beside it is refused with a reason."""
    link = path.with_name("link")
    link.symlink_to(path)
    with kept(link):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert link.is_symlink()
    diary = path.with_name("diary")
    diary.write_text("mine; " * 100)
    diary.chmod(0o644)
    other = path.with_name("other")
    other.symlink_to(diary)
    with pytest.raises(ValueError, match="was not written by a sandbox"):
        kept(other)
    path.with_name(f"{path.name}-journal").symlink_to(path.with_name("elsewhere"))
    with pytest.raises(OSError, match="journal is a link, which does not belong there: remove it"):
        kept(path)
    assert stat.S_IMODE(diary.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("body = substr(body, 1, 40)", "JSONDecodeError: Unterminated string"),
        ("body = CAST(x'7bff7d' AS TEXT)", "UnicodeDecodeError"),
        ("body = '[]'", "TypeError"),
        ("body = json_set(body, '$.content', 5)", "TypeError: content must be str, not int"),
        ("body = json_set(body, '$.timestamp', 'yesterday')", "ValueError: Invalid isoformat string"),
        ("body = json_remove(body, '$.timestamp')", "KeyError: 'timestamp'"),
        ("body = json_remove(body, '$.flags')", "TypeError: .*flags"),
        ("body = json_set(body, '$.shape', 'round')", "TypeError: .*shape"),
        ("body = json_set(body, '$.versions', json('[{}]'))", "KeyError: 'timestamp'"),
        ("body = json_set(body, '$.files', json('[{\"id\": \"1\"}]'))", "KeyError: '1'"),
    ],
)
def test_a_damaged_message_is_left_out_with_a_warning(
    path: Path, http: requests.Session, change: str, reason: str
) -> None:
    """The warning names the message and the reason, the other messages are there, and the row stays in the file."""
    with kept(path) as local:
        for text in "abc":
            http.post(local.webhook_url, json={"content": text})
        damaged = local.messages[1].id
    change_file(path, f"UPDATE messages SET {change} WHERE id = '{damaged}'")  # noqa: S608 - of this test
    with pytest.warns(UserWarning, match=f"message {damaged} is damaged and left out: {reason}"):
        local = kept(path)
    with local:
        assert [message.content for message in local.messages] == ["a", "c"]
        assert http.post(local.webhook_url, json={"content": "d"}).status_code == 204
    assert change_file(path, "SELECT count(*) FROM messages") == (4,)


@pytest.mark.parametrize("table", ["files", "webhooks", "threads"])
def test_other_damaged_rows_are_told_too(path: Path, http: requests.Session, table: str) -> None:
    """A damaged file leaves out its message; a damaged webhook or thread is not there any more."""
    with kept(path) as local:
        local.add_thread()
        http.post(local.webhook_url, data={"content": "a"}, files={"files[0]": ("a.txt", b"a")})
    change_file(path, f"UPDATE {table} SET body = '{{}}'")  # noqa: S608 - the name of a table
    kind = {"files": "message", "webhooks": "webhook", "threads": "thread"}[table]
    with pytest.warns(UserWarning, match=rf"{kind} \d+ is damaged and left out: TypeError"):
        local = kept(path)
    with local:
        assert len(local.messages) == (table != "files")
        assert http.post(local.webhook_url, json={"content": "b"}).status_code == 204


def test_a_file_with_a_torn_page_is_refused(path: Path, http: requests.Session) -> None:
    """The error says that the file is damaged, and does not take it for another program's."""
    with kept(path) as local:
        for _ in range(50):
            http.post(local.webhook_url, json={"content": "x" * 2000})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(OSError, match="is damaged: database disk image is malformed; name another file"):
        kept(path)


def change_file(path: Path, statement: str) -> object:
    """Execute a statement on the file, and return the first row of its result."""
    db = sqlite3.connect(path)
    try:
        with db:
            return db.execute(statement).fetchone()
    finally:
        db.close()


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
        with pytest.raises(OSError, match="in use"):
            kept(path, port=port).start()
    with kept(path):
        pass
