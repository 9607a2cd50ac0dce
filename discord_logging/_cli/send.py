"""`discord-logging send` posts one message, with files, and reports whether it arrived."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._cards.attachments import safe_name
from discord_logging._cards.embeds import EmbedFormatter, as_field
from discord_logging._delivery.delivery import Delivery
from discord_logging._delivery.registry import rate_limiter
from discord_logging._discord import lengths
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.types import File
from discord_logging._exceptions import InvalidSettingError
from discord_logging._process import clock
from discord_logging._records.attachment import mask_content
from discord_logging._records.freeze import freeze
from discord_logging._records.parse import DEFAULT_MASKER, parse_username
from discord_logging._records.settings import CardSettings, nearest_level
from discord_logging._text.markdown import plain
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from discord_logging._discord.types import EmbedField, Message
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._records.record import FrozenRecord

_MAX_FILE_BYTES = 10_000_000
"""The largest file, in bytes. Discord takes 10 MiB (https://docs.discord.com/developers/reference#uploading-files)."""
_MAX_TEXT_BYTES = 5_000_000


def run_send(options: argparse.Namespace, url: WebhookURL) -> int:
    """Send the message and return the exit code: 0 if it was delivered, 1 if not."""
    files = read_files(options.file)
    text = _read_text(options)
    # A card of terminal codes or control characters alone would be blank.
    if not (clean(text + options.title).strip() or options.field or files):
        raise InvalidSettingError("There is nothing to send: give a text, --title, --field or --file.")
    failure = deliver(
        url,
        text,
        level=options.level,
        title=options.title,
        fields=read_fields(options.field),
        username=parse_username(options.username),
        files=files,
        patience=options.wait,
    )
    if failure:
        sys.stderr.write(f"discord-logging: the message was not delivered: {failure}\n")
    return 1 if failure else 0


def deliver(
    url: WebhookURL,
    text: str,
    *,
    level: int = logging.INFO,
    title: str = "",
    fields: Mapping[str, str] | None = None,
    username: str | None = None,
    files: Sequence[File] = (),
    patience: float = 60.0,
) -> str:
    """Post a card and return "", or the reason why it could not be delivered.

    The card is delivered like a log record, with its rate limits and retries, but on this thread, which is blocked.

    Args:
        url: The URL of the webhook.
        text: The text of the card.
        level: The level of the card.
        title: The title of the card; `""` takes the title of the level.
        fields: The fields of the card.
        username: The name to post under; `None` takes the name of the webhook.
        files: The files to attach.
        patience: The longest time to try, in seconds.
    """
    settings = CardSettings(_Card(title), username=username, thread_id=url.thread_id, context=fields or {})
    backlog = MemoryBacklog(max_records=1)
    record = logging.LogRecord("send", level, "", 0, text, (), None)
    record.threadName = None
    backlog.put(freeze(record, settings))
    sender = _FileSender(url, files)
    sender.timeout = min(sender.timeout, patience)
    delivery = Delivery(url, backlog, sender, rate_limiter)
    delivery.is_last = True
    deadline = clock.monotonic() + patience
    try:
        while backlog.pending:
            delay = delivery.step()
            if backlog.pending and clock.monotonic() + delay >= deadline:
                break
            clock.sleep(delay)
    finally:
        sender.close()
    return "" if backlog.delivered else delivery.last_trouble or "the rate limit lasts longer than the allowed wait"


class _Card(EmbedFormatter):
    """A card with a given title, and without the process id of the command, which is of no interest."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = clean(title).strip()

    def title(self, record: FrozenRecord) -> str:
        emoji = nearest_level(record.settings.emojis, record.levelno)
        return f"{emoji} {plain(self._title or record.levelname, lengths.TITLE - 10, keep_links=False)}"

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        return [as_field(name, value) for name, value in record.settings.context.items()]

    def footer(self, _: FrozenRecord) -> str:
        return socket.gethostname()


class _FileSender(WebhookSender):
    """Attaches files to every message."""

    def __init__(self, url: WebhookURL, files: Sequence[File]) -> None:
        super().__init__(url)
        self._files = tuple(files)

    def post(self, message: Message) -> Response:
        return super().post(message._replace(files=message.files + self._files))


def read_fields(arguments: Sequence[str]) -> dict[str, str]:
    """Return the fields that arguments of the form `name=value` stand for.

    Raises:
        InvalidSettingError: An argument has another form, or there are more fields than a card has room for.
    """
    if len(arguments) > lengths.FIELDS:
        raise InvalidSettingError(f"A card has at most {lengths.FIELDS} fields, not {len(arguments)}.")
    pairs = [argument.partition("=") for argument in arguments]
    for name, equals, _ in pairs:
        if not (equals and name.strip()):
            raise InvalidSettingError(f"--field must be NAME=VALUE such as version=1.2, not {name + equals!r}.")
    return {name.strip(): value for name, _, value in pairs}


def read_files(paths: Sequence[str]) -> list[File]:
    """Return the files at `paths`.

    Raises:
        InvalidSettingError: A file cannot be read or is too large, or there are too many files.
    """
    if len(paths) > lengths.ATTACHMENTS:
        raise InvalidSettingError(f"A message has at most {lengths.ATTACHMENTS} files, not {len(paths)}.")
    files = [File(safe_name(path, DEFAULT_MASKER), mask_content(_read_file(path), DEFAULT_MASKER)) for path in paths]
    if (size := sum(len(file.content) for file in files)) > lengths.ATTACHMENTS_BYTES:
        raise InvalidSettingError(
            f"The files of a message must have at most {lengths.ATTACHMENTS_BYTES:,} bytes in total, not {size:,}."
        )
    return files


def _read_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidSettingError(f"--file {path}: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > _MAX_FILE_BYTES:
        raise InvalidSettingError(f"--file {path} has more than the {_MAX_FILE_BYTES:,} bytes that Discord takes.")
    return content


def _read_text(options: argparse.Namespace) -> str:
    arguments: list[str] = options.text
    if arguments and arguments != ["-"]:
        return " ".join(arguments)
    # A title, a field or a file is enough for a message, so standard input is not read.
    if not arguments and (options.title or options.field or options.file):
        return ""
    if not arguments and sys.stdin.isatty():
        raise InvalidSettingError("There is nothing to send: give a text, or - to read standard input.")
    content = sys.stdin.buffer.read(_MAX_TEXT_BYTES + 1)
    if len(content) > _MAX_TEXT_BYTES:
        raise InvalidSettingError(f"The text has more than {_MAX_TEXT_BYTES:,} bytes: attach it with --file instead.")
    return content.decode(errors="backslashreplace").rstrip("\n")
