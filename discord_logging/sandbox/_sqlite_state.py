"""The local Discord's state in an SQLite file, so that the channel survives a restart."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ._models import File, Message, Thread, Webhook
from ._state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_APPLICATION = 0x44697363  # "Disc"
_LOCK_TIMEOUT = 0.5
_TABLES = """
CREATE TABLE webhooks (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE threads (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE messages (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE files (message_id TEXT NOT NULL, body TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX files_of_message ON files (message_id);
"""


class KeptState(State):
    """A state that is written to a file before each response. Requests and faults are kept in memory only.

    Args:
        max_count: The limit of `State`; a message that is removed from memory is removed from the file.
        max_bytes: The limit of `State`.
        path: The file.

    Raises:
        ValueError: The file is another kind of file.
        OSError: The file cannot be read or written, or another process uses it.
    """

    def __init__(self, max_count: int, max_bytes: int, path: str | Path) -> None:
        super().__init__(max_count, max_bytes)
        self._path = path
        self._file: sqlite3.Connection | None = None
        with _named_errors(path):
            self._load()

    def open(self) -> None:
        """Open the file, and lock it for this process."""
        with self._changed:
            self._db  # noqa: B018 - it opens the file

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        with self._changed:
            if self._file is not None:
                self._file.close()
                self._file = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._file is None:
            self._file = _opened(self._path)
        return self._file

    def clear(self) -> None:
        """Remove messages, also from the file."""
        with self._changed, self._db as db:
            db.execute("DELETE FROM messages")
            db.execute("DELETE FROM files")
            super().clear()

    def put_webhook(self, webhook: Webhook) -> None:
        """Add or replace a webhook."""
        with self._changed, self._db as db:
            db.execute(
                "INSERT INTO webhooks VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (webhook.id, json.dumps(asdict(webhook))),
            )
            super().put_webhook(webhook)

    def delete_webhook(self, webhook: Webhook) -> None:
        """Remove a webhook."""
        with self._changed, self._db as db:
            db.execute("DELETE FROM webhooks WHERE id = ?", (webhook.id,))
            super().delete_webhook(webhook)

    def put_thread(self, thread: Thread) -> None:
        """Add a thread."""
        with self._changed, self._db as db:
            db.execute("INSERT OR REPLACE INTO threads VALUES (?, ?)", (thread.id, json.dumps(asdict(thread))))
            super().put_thread(thread)

    def post(self, message: Message) -> None:
        """Add a message."""
        with self._changed, self._db as db:
            db.execute("INSERT INTO messages (id, body) VALUES (?, ?)", (message.id, _message_body(message)))
            _insert_files(db, message)
            super().post(message)

    def edit(self, message: Message) -> None:
        """Replace a message."""
        with self._changed, self._db as db:
            db.execute("UPDATE messages SET body = ? WHERE id = ?", (_message_body(message), message.id))
            db.execute("DELETE FROM files WHERE message_id = ?", (message.id,))
            _insert_files(db, message)
            super().edit(message)

    def delete(self, message: Message) -> None:
        """Remove a message."""
        with self._changed, self._db:
            super().delete(message)

    def _remove(self, message_id: str) -> None:
        self._db.execute("DELETE FROM messages WHERE id = ?", (message_id,))
        self._db.execute("DELETE FROM files WHERE message_id = ?", (message_id,))
        super()._remove(message_id)

    def _load(self) -> None:
        with self._changed, self._db as db:
            for (body,) in db.execute("SELECT body FROM webhooks ORDER BY rowid"):
                super().put_webhook(Webhook(**json.loads(body)))
            for (body,) in db.execute("SELECT body FROM threads ORDER BY rowid"):
                super().put_thread(Thread(**json.loads(body)))
            for message_id, body in db.execute("SELECT id, body FROM messages ORDER BY number").fetchall():
                files = db.execute("SELECT body, data FROM files WHERE message_id = ? ORDER BY rowid", (message_id,))
                self._put(_message(json.loads(body), [File(**json.loads(about), data=data) for about, data in files]))


def _opened(path: str | Path) -> sqlite3.Connection:
    # The file holds the webhook's token, so nobody else may read it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, check_same_thread=False)
    try:
        with _named_errors(path):
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            # The data survives the end of the process, without an fsync for each message.
            db.execute("PRAGMA synchronous = NORMAL")
            _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str | Path) -> None:
    """Create the tables in a new file, and refuse another kind of file."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application == _APPLICATION:
        return
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        raise _not_ours(path)
    db.executescript(f"BEGIN EXCLUSIVE; {_TABLES} PRAGMA application_id = {_APPLICATION}; COMMIT;")


@contextmanager
def _named_errors(path: str | Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"{path} cannot be used: {error}; perhaps another sandbox uses it") from None
    except sqlite3.DatabaseError:
        raise _not_ours(path) from None


def _not_ours(path: str | Path) -> ValueError:
    return ValueError(f"{path} was not written by a sandbox; name another file, or one that does not exist")


def _insert_files(db: sqlite3.Connection, message: Message) -> None:
    for file in message.files:
        body = asdict(replace(file, data=b""))
        del body["data"]
        db.execute("INSERT INTO files VALUES (?, ?, ?)", (message.id, json.dumps(body), file.data))


def _message_body(message: Message) -> str:
    edited = message.edited and message.edited.isoformat()
    body = {**vars(message), "files": [], "timestamp": message.timestamp.isoformat(), "edited": edited}
    return json.dumps(body)


def _message(body: dict[str, Any], files: list[File]) -> Message:
    edited = body["edited"] and datetime.fromisoformat(body["edited"])
    return Message(**{**body, "files": files, "timestamp": datetime.fromisoformat(body["timestamp"]), "edited": edited})
