"""The webhook URL is a password: this module parses it once, puts it into one form and never shows it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

from discord_logging._exceptions import InvalidWebhookURLError
from discord_logging._process.environment import YES
from discord_logging._text.sanitize import register_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

_T = TypeVar("_T")
_DISCORD_HOST = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")
_PATH = re.compile(
    r"(?P<prefix>/.*?)?/api/(?P<version>v\d+/)?webhooks/(?P<id>\d{1,20})/(?P<token>[A-Za-z0-9._-]+)(?:/(?:slack|github))?/?",
    re.ASCII,
)
_HOST = re.compile(r"[\w.:-]+")
_ID = re.compile(r"\d{1,20}", re.ASCII)
_DISCORD_ID = re.compile(r"\d{17,20}", re.ASCII)
_DISCORD_TOKEN_LENGTH = 60
_ALLOW_HTTP = "DISCORD_ALLOW_HTTP"
_EXPECTED = "expected https://discord.com/api/webhooks/<id>/<token>, as copied from the channel's settings in Discord"


class HiddenText(str):
    """A text whose `repr` hides it, as `vars`, containers and the locals of a frame show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class WebhookToken(HiddenText):
    """The token of a webhook of this process, which is masked in every text from now on, also after unpickling."""

    __slots__ = ()

    def __new__(cls, token: str) -> Self:
        """Register `token`."""
        register_token(token)
        return super().__new__(cls, token)


def hide(value: _T) -> _T | HiddenText:
    """Return `value`, as `HiddenText` if it is a `str`."""
    return HiddenText(value) if isinstance(value, str) else value


def hide_urls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with the webhook URL as `HiddenText`, also where it has a wrong name.

    The backlog is hidden, too: a URL with a password may be given for it.
    """
    return {
        name: hide(value)
        if name in ("webhook_url", "backlog") or (isinstance(value, str) and "webhooks" in value)
        else value
        for name, value in settings.items()
    }


class WebhookURL(NamedTuple):
    """A webhook URL in its parts.

    Its `str` and `repr` hide the token; only `execute_url` holds the whole URL.

    Attributes:
        base: Everything before the id, such as `https://discord.com/api/v10/webhooks`.
        id: The webhook's id.
        token: The webhook's token, a password.
        host: The host with its port, in lower case.
        thread_id: The `thread_id` of the URL's query, or `None`.
    """

    base: str
    id: str
    token: str
    host: str
    thread_id: str | None

    @classmethod
    def parse(cls, url: object, *, allow_http: bool | None = None) -> WebhookURL:
        """Parse a webhook URL in any form that people paste.

        At Discord's own hosts (with and without a version, `discordapp.com`, `ptb.`, `canary.`) the URL becomes
        `https://discord.com/api/v10/...`: a path without a version means the long deprecated API v6
        (https://docs.discord.com/developers/reference#api-versioning), and `discordapp.com` has no v10.
        A URL at another host keeps its host, and gets v10 where its path has no version.

        Args:
            url: The URL.
            allow_http: Whether plain http is allowed for a host that is not loopback. `None` takes the environment
                variable `DISCORD_ALLOW_HTTP`, which is false if it is not set.

        Raises:
            InvalidWebhookURLError: The URL is malformed. The text shows no part of it.
        """
        url = hide(url)
        try:
            return cls(*_read(url, allow_http=allow_http))
        except InvalidWebhookURLError as error:
            # A tool may show the locals of the frames that an error has passed, and those of `_read` hold the URL.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error

    @property
    def execute_url(self) -> str:
        """The whole URL to post to, including the token."""
        return f"{self.base}/{self.id}/{self.token}"

    @property
    def key(self) -> str:
        """The name of the webhook without its token."""
        return f"{self.host}/{self.id}"

    def __repr__(self) -> str:
        return f"{self.base}/{self.id}/***"


def _read(url: object, *, allow_http: bool | None) -> WebhookURL:
    if not isinstance(url, str):
        raise _invalid(f"must be a str, not {type(url).__name__}")
    host: str | None = None
    with contextlib.suppress(ValueError):
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    if host is None:
        raise _invalid("is not a URL")
    _check_origin(parts.scheme, host, parts.username, allow_http=allow_http)
    path = _PATH.fullmatch(parts.path)
    if path is None:
        raise _invalid("has no /api/webhooks/<id>/<token> path")
    is_discord = _DISCORD_HOST.fullmatch(host)
    if is_discord and not _DISCORD_ID.fullmatch(path["id"]):
        raise _invalid("has an id that is not 17 to 20 digits")
    if is_discord and len(path["token"]) < _DISCORD_TOKEN_LENGTH:
        raise _invalid("has a token that is too short")
    token = WebhookToken(path["token"])
    thread_id = next((value for value in parse_qs(parts.query).get("thread_id", []) if _ID.fullmatch(value)), None)
    if is_discord:
        return WebhookURL("https://discord.com/api/v10/webhooks", path["id"], token, "discord.com", thread_id)
    host = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    base = f"{parts.scheme}://{host}{path['prefix'] or ''}/api/{path['version'] or 'v10/'}webhooks"
    return WebhookURL(base, path["id"], token, host, thread_id)


def _check_origin(scheme: str, host: str, username: str | None, *, allow_http: bool | None) -> None:
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise _invalid("does not begin with https:// and a host")
    if allow_http is None:
        # A misspelt word allows nothing, and the error below shows a right one.
        allow_http = os.environ.get(_ALLOW_HTTP, "").strip().lower() in YES
    if scheme == "http" and not allow_http and not is_loopback(host):
        words = f"unless allow_http=True or {_ALLOW_HTTP}=true in the environment"
        raise _invalid(f"uses plain http, which is for loopback hosts alone {words}")
    if username is not None:
        raise _invalid("holds a user name")


def _invalid(problem: str) -> InvalidWebhookURLError:
    return InvalidWebhookURLError(f"The webhook URL {problem}; {_EXPECTED}.")


def is_loopback(host: str) -> bool:
    """Tell whether `host`, without a port and brackets, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
