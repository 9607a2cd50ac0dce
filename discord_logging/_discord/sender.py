"""The network seam: one request, and the response to it."""

from __future__ import annotations

import json
import logging
import mimetypes
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from discord_logging._discord.local_only import LocalOnlyError
from discord_logging._discord.rate_limit_headers import read_retry_after
from discord_logging._discord.untraced import untraced
from discord_logging._discord.webhook_url import WebhookToken, WebhookURL, hide
from discord_logging._exceptions import TransportError, walk_causes
from discord_logging._process import clock
from discord_logging._text.sanitize import mask_own_tokens, mask_token
from discord_logging._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from discord_logging._discord.types import Message


_MAX_RESPONSE_BYTES = 262_144
"""The most bytes that are read of the body of a response."""
_BYTES_PER_SECOND = 500_000
"""The speed of the slowest connection that a file can go through."""
_USER_AGENT = f"DiscordBot (https://discord-log-handler.readthedocs.io, {__version__})"
"""The user agent, in the form that https://docs.discord.com/developers/reference#user-agent asks for."""
_MAX_IDLE = 60.0
"""The seconds after which a connection is not used again. A network may have forgotten it by then without a word, and
a request that gets no response may have been saved."""
_ID = re.compile("[0-9]{1,20}")
_URL_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
"""The loggers whose records hold the path of a request."""


class Response(NamedTuple):
    """Discord's response to a request.

    Attributes:
        status: The HTTP status.
        headers: The headers, which are found by their names in any case.
        body: The parsed JSON, or `None` if the body was not JSON.
    """

    status: int
    headers: Mapping[str, str]
    body: Any

    def __repr__(self) -> str:
        # The headers and the body are the server's, which may repeat the address of the request.
        return f"<{type(self).__name__} {self.reason}>"

    @property
    def code(self) -> int | None:
        """Discord's own error code, or `None`."""
        code = self._content.get("code")
        return code if type(code) is int else None

    @property
    def channel_id(self) -> str | None:
        """The channel or thread that the message was posted to, or `None`."""
        return self._find_id("channel_id")

    @property
    def message_id(self) -> str | None:
        """The id of the message that was posted, or `None`."""
        return self._find_id("id")

    @property
    def attachment_ids(self) -> list[str]:
        """The ids of the files of the message, in their order."""
        files = self._content.get("attachments")
        ids = [each.get("id") for each in files if isinstance(each, dict)] if isinstance(files, list) else []
        return [each for each in ids if is_id(each)]

    @property
    def guild_id(self) -> str | None:
        """The server of the webhook that was asked for, or `None`."""
        return self._find_id("guild_id")

    def _find_id(self, key: str) -> str | None:
        found = self._content.get(key)
        return found if is_id(found) else None

    @property
    def errors(self) -> Mapping[str, Any]:
        """The errors that Discord found in a message, by its keys."""
        errors = self._content.get("errors")
        return errors if isinstance(errors, dict) else {}

    @property
    def retry_after(self) -> float | None:
        """The seconds that the server asks to wait before the next request, or `None`."""
        return read_retry_after(self.headers)

    @property
    def _content(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def reason(self) -> str:
        """The response in words, without the token."""
        message = self._content.get("message")
        words = [f"HTTP {self.status}", *(message.split() if isinstance(message, str) else ())]
        words += [f"(code {self.code})"] if self.code else []
        words += [f"in {', '.join(self.errors)}"] if self.errors else []
        return mask_token(" ".join(words))[:300]


class WebhookSender:
    """Posts messages to one webhook. No other code touches the network.

    The constructor imports `requests`, but opens no connection. The import does not wait for the first message, because
    it asks for the lock of `logging` many times, and `logging.config.dictConfig` holds that lock while it waits for our
    flush. Also, a child that is forked during an import waits for ever when it imports the same module.

    Args:
        url: The webhook. A `str` is parsed as `DiscordHandler` parses it.
        timeout: Seconds for a whole request: connection, message and response. A file gets more, by its size.

    Raises:
        InvalidWebhookURLError: `url` is a `str` that is malformed.
    """

    def __init__(self, url: WebhookURL | str, *, timeout: float = 10.0) -> None:
        # This imports requests, which takes 110 ms that `import discord_logging` does not take.
        from discord_logging._discord.deadline_http import BoundedSession, DeadlineAdapter  # noqa: PLC0415

        url = hide(url)
        self._url = url if isinstance(url, WebhookURL) else WebhookURL.parse(url)
        WebhookToken(self._url.token)
        self.timeout = timeout
        self._make_session = BoundedSession
        self._adapter = DeadlineAdapter()
        self._session: requests.Session | None = None
        self._used_at = _now()
        for name in _URL_LOGGERS:
            logging.getLogger(name).addFilter(_hide_tokens)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, '_url', 'without a URL')}>"

    def post(self, message: Message) -> Response:
        """Post `message` and return the response, whatever its status is. Blocks.

        Raises:
            TransportError: There was no response. The text holds no part of the URL.
            TypeError, ValueError, RecursionError: The message cannot be encoded as JSON.
        """
        return self._send("POST", message, "", wait="true")

    def edit(self, message_id: str, message: Message) -> Response:
        """Edit a message that this webhook has posted, and return the response, whatever its status is. Blocks.

        Keys that the payload lacks stay as they are, and so do the files unless it has `attachments`, which names those
        that stay (https://docs.discord.com/developers/resources/webhook#edit-webhook-message).

        Args:
            message_id: The id of the message.
            message: The changes, with the thread that the message is in.

        Raises:
            TransportError: There was no response. The text holds no part of the URL.
            TypeError, ValueError, RecursionError: The message cannot be encoded as JSON.
        """
        return self._send("PATCH", message, f"/messages/{message_id}")

    def _send(self, method: str, message: Message, path: str, **params: str) -> Response:
        body, content_type = _encode(message)
        # The texts are masked already, but a file may hold a token, and the settings of a message too.
        body = mask_own_tokens(body.decode("latin-1")).encode("latin-1")
        if message.thread_id:
            params["thread_id"] = message.thread_id
        return self._exchange(method, path, params=params, data=body, headers={"Content-Type": content_type})

    def get(self) -> Response:
        """Ask for the webhook itself and return the response, whatever its status is. Blocks.

        https://docs.discord.com/developers/resources/webhook#get-webhook-with-token describes its body.

        Raises:
            TransportError: There was no response. The text holds no part of the URL.
        """
        return self._exchange("GET")

    def _exchange(self, method: str, path: str = "", *, data: bytes = b"", **parts: Any) -> Response:
        session = self._open_session()
        self._adapter.begin(self.timeout + len(data) / _BYTES_PER_SECOND)
        try:
            with (
                untraced(),
                session.request(
                    method,
                    f"{self._url.execute_url}{path}",
                    data=data,
                    timeout=self.timeout,
                    allow_redirects=False,
                    stream=True,
                    **parts,
                ) as response,
            ):
                return Response(response.status_code, response.headers, _read_json(response))
        except LocalOnlyError:
            raise
        except BaseException as error:  # requests lets exceptions of sockets, proxies and resolvers through
            for cause in walk_causes(error):
                cause.__traceback__ = None  # its frames hold the URL
            if not isinstance(error, Exception):
                raise error from None
            if self._adapter.status is not None:
                # The headers are malformed, or never end. The status decides alone, so that nothing is sent twice.
                return Response(self._adapter.status, {}, None)
            raise TransportError(_describe(error), maybe_saved=self._adapter.has_sent) from None

    def close(self) -> None:
        """Close the connection. The next `post` opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent process after a fork."""
        self._session = None
        self._adapter = type(self._adapter)()

    def _open_session(self) -> requests.Session:
        now = _now()
        if any(each - used > _MAX_IDLE for each, used in zip(now, self._used_at, strict=True)):
            self.close()
        self._used_at = now
        if self._session is None:
            self._session = self._make_session()
            # With anything but None here, requests sends no password from ~/.netrc.
            self._session.auth = _add_nothing
            self._session.mount("https://", self._adapter)
            self._session.mount("http://", self._adapter)
            self._session.headers.update(
                # Without compression, the bytes that we read bound the size of a response.
                {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
            )
        return self._session


def _now() -> tuple[float, float]:
    """Return the time on both clocks. The monotonic one may stand still while a platform freezes the process."""
    return clock.monotonic(), time.time()


def is_id(value: object) -> TypeGuard[str]:
    """Return whether a value is the id of something, a number of 64 bits, so that it may become part of an address."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _encode(message: Message) -> tuple[bytes, str]:
    """Return the body of a request, and its type.

    Files take the form of https://docs.discord.com/developers/reference#uploading-files.
    """
    if not message.files:
        return json.dumps(message.payload).encode(), "application/json"
    from urllib3.filepost import encode_multipart_formdata  # noqa: PLC0415 - requests has imported it by now

    attachments: list[Any] = [*message.payload.get("attachments", ())]
    attachments += [{"id": number, "filename": file.filename} for number, file in enumerate(message.files)]
    payload = json.dumps({**message.payload, "attachments": attachments})
    fields: list[Any] = [("payload_json", (None, payload, "application/json"))]
    fields += [
        (f"files[{number}]", (file.filename, file.content, _content_type(file.filename)))
        for number, file in enumerate(message.files)
    ]
    return encode_multipart_formdata(fields)


def _content_type(filename: str) -> str:
    if filename.endswith(".txt"):
        return "text/plain; charset=utf-8"
    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


def _hide_tokens(record: logging.LogRecord) -> bool:
    """Hide the tokens in a record of `urllib3`. If there was one, the error is kept as text, for its frames hold it."""
    if isinstance(record.args, tuple):
        masked = tuple(_mask_argument(each) for each in record.args)
        if record.exc_info and masked != record.args:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, mask_token(text)
        record.args = masked
    return True


def _mask_argument(value: object) -> object:
    if not isinstance(value, (str, Exception)):
        return value
    masked = mask_token(str(value))
    return value if masked == str(value) else masked


def _add_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read_json(response: requests.Response) -> Any:
    try:
        text = response.raw.read(_MAX_RESPONSE_BYTES, decode_content=True)
        return json.loads(text)
    except Exception:  # noqa: BLE001 - the status has arrived, and nothing after it may make us send again
        return None


def _describe(error: BaseException) -> str:
    """Return the innermost cause of `error` in words. The outer causes hold the URL."""
    words = ""
    for cause in walk_causes(error):
        words = getattr(cause, "strerror", None) or words
    return mask_token(f"{type(error).__name__}: {words}" if words else type(error).__name__)
