"""The earlier versions of an edited message: the first and the latest are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._models import File, Message

_MAX_LATEST = 20
_MAX_BYTES = 25 * 1024 * 1024
"""The largest size of the earlier versions, in bytes."""


def history(message: Message) -> list[Message]:
    """Return the versions that the message will have after an edit, the oldest first."""
    versions = [*message.versions, replace(message, versions=[])]
    del versions[1:-_MAX_LATEST]
    while _size(versions) > _MAX_BYTES:
        del versions[min(1, len(versions) - 1)]
    return versions


def memory(message: Message) -> int:
    """Return the approximate memory of a message with its files and versions, in bytes."""
    return _size([*message.versions, message])


def all_files(message: Message) -> list[File]:
    """Return the files of a message and its versions, each once."""
    return list({file.id: file for version in (message, *message.versions) for file in version.files}.values())


def _size(versions: list[Message]) -> int:
    files = {file.id: len(file.data) for version in versions for file in version.files}
    return sum(version.size for version in versions) + sum(files.values())
