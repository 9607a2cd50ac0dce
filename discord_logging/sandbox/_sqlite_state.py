"""The local Discord's state in an SQLite file, so that the channel survives a restart."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import warnings
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ._history import all_files
from ._models import File, Message, Thread, Webhook
from ._state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Row = TypeVar("_Row", Webhook, Thread, File, Message)

_APPLICATION = 0x44697363  # "Disc"
_LOCK_TIMEOUT = 0.5
_SIDECARS = ("-wal", "-shm", "-journal")
"""SQLite adds these endings to the name of a file for the files beside it, which hold parts of it."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "str | None": (str, type(None)),
    "int": int,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "datetime": datetime,
    "Poll | None": (dict, type(None)),
    "datetime | None": (datetime, type(None)),
}
"""The types of the objects that are kept, by the names of the types of their attributes."""
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
        path: The file. If others can read it, they lose the right to, with a warning. A row that cannot be read is left
            out, with a warning.

    Raises:
        ValueError: The file is another kind of file.
        OSError: The file cannot be read or written, or another process uses it.
    """

    def __init__(self, max_count: int, max_bytes: int, path: str | Path) -> None:
        super().__init__(max_count, max_bytes)
        # SQLite follows a link too, and puts its other files beside the file that the link leads to.
        self._path = Path(path).resolve()
        self._file: sqlite3.Connection | None = None
        try:
            with _named_errors(self._path):
                self._load()
        except BaseException:
            self.close()
            raise

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
            updated = db.execute("UPDATE messages SET body = ? WHERE id = ?", (_message_body(message), message.id))
            if updated.rowcount:
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
            rows: Iterator[tuple[Any, Any]] = db.execute("SELECT id, body FROM webhooks ORDER BY rowid")
            for webhook in self._readable("webhook", rows, lambda _, body: _checked(Webhook(**body))):
                super().put_webhook(webhook)
            rows = db.execute("SELECT id, body FROM threads ORDER BY rowid")
            for thread in self._readable("thread", rows, lambda _, body: _checked(Thread(**body))):
                super().put_thread(thread)
            # Too many messages are removed from the table, which must not be read at that time.
            rows = iter(db.execute("SELECT id, body FROM messages ORDER BY number").fetchall())
            for message in self._readable("message", rows, self._message):
                self._put(message)

    def _readable(
        self, kind: str, rows: Iterator[tuple[Any, Any]], read: Callable[[str, dict[str, Any]], _Row]
    ) -> Iterator[_Row]:
        """Yield what the rows hold. A row that is damaged stays in the file, and a warning tells of it."""
        for row_id, body in rows:
            name = str(row_id, "utf-8", "replace") if isinstance(row_id, bytes) else str(row_id)
            try:
                row = read(name, json.loads(body))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                reason = f"{type(error).__name__}: {error}"
                warnings.warn(f"{self._path}: {kind} {name} is damaged and left out: {reason}", stacklevel=2)
            else:
                yield row

    def _message(self, message_id: str, body: dict[str, Any]) -> Message:
        query = "SELECT body, data FROM files WHERE message_id = ? ORDER BY rowid"
        found = self._db.execute(query, (message_id,)).fetchall()
        files = [_checked(File(**json.loads(about), data=data)) for about, data in found]
        if "versions" not in body:  # the file was written before messages had versions
            about_files = [_about(file) for file in files]
            body = {**body, "files": about_files, "mentions": body["pings"], "versions": []}
        return _read_message(body, {file.id: file.data for file in files})


def _read_message(body: dict[str, Any], data: dict[str, bytes]) -> Message:
    times = {name: body[name] and datetime.fromisoformat(body[name]) for name in ("timestamp", "edited")}
    files = [_checked(File(**about, data=data[about["id"]])) for about in body["files"]]
    versions = [_read_message(version, data) for version in body["versions"]]
    return _checked(Message(**{**body, **times, "files": files, "versions": versions}))


def _checked(row: _Row) -> _Row:
    """Return the row, whose attributes must have the types of its class.

    Raises:
        TypeError: An attribute has another type.
    """
    for each in fields(row):
        value, type_ = getattr(row, each.name), str(each.type)
        if not isinstance(value, _TYPES[type_.partition("[")[0]]):
            raise TypeError(f"{each.name} must be {type_}, not {type(value).__name__}")
    return row


def _opened(path: Path) -> sqlite3.Connection:
    # The file holds the webhook's token, so nobody else may read it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, check_same_thread=False)
    try:
        with _named_errors(path):
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.text_factory = bytes  # text that is not UTF-8 is an error of its row alone
            _prepare(db, path)
            _make_private(path)
            db.execute("PRAGMA journal_mode = WAL")
            # The data survives the end of the process, without an fsync for each message.
            db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _make_private(path: Path) -> None:
    """Take the rights of others to the file, which is ours by now, and to the files that SQLite has beside it.

    Raises:
        OSError: The file belongs to somebody else, or a link stands in the place of a file beside it.
    """
    if os.name != "posix":
        return
    opened = []
    # None of them is opened here: SQLite's lock would end with the first descriptor that is closed.
    for file in (path, *(Path(f"{path}{suffix}") for suffix in _SIDECARS)):
        try:
            mode = file.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(mode):
            raise OSError(f"{file} is a link, which does not belong there: remove it")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            file.chmod(stat.S_IRUSR | stat.S_IWUSR)
            opened.append(str(file))
    if opened:
        text = f"others could open {' and '.join(opened)}; only you can from now on, but they may know the token"
        warnings.warn(text, stacklevel=2)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables in a new file, and refuse another kind of file."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application == _APPLICATION:
        return
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        raise _not_ours(path)
    db.executescript(f"BEGIN EXCLUSIVE; {_TABLES} PRAGMA application_id = {_APPLICATION}; COMMIT;")


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"{path} cannot be used: {error}; perhaps another sandbox uses it") from None
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error):
            raise OSError(f"{path} is damaged: {error}; name another file") from None
        raise _not_ours(path) from None


def _not_ours(path: Path) -> ValueError:
    return ValueError(f"{path} was not written by a sandbox; name another file, or one that does not exist")


def _insert_files(db: sqlite3.Connection, message: Message) -> None:
    for file in all_files(message):
        db.execute("INSERT INTO files VALUES (?, ?, ?)", (message.id, json.dumps(_about(file)), file.data))


def _message_body(message: Message) -> str:
    return json.dumps(_as_json(message))


def _as_json(message: Message) -> dict[str, Any]:
    return {
        **vars(message),
        "files": [_about(file) for file in message.files],
        "timestamp": message.timestamp.isoformat(),
        "edited": message.edited and message.edited.isoformat(),
        "versions": [_as_json(version) for version in message.versions],
    }


def _about(file: File) -> dict[str, Any]:
    return {name: value for name, value in vars(file).items() if name != "data"}
