"""The webhook URL: a password that is read once, put into one form and never shown."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from discord_logging._exceptions import InvalidWebhookURLError

_DISCORD_HOST = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")
_PATH = re.compile(
    r"(?P<prefix>/.*?)?/api/(?P<version>v\d+/)?webhooks/(?P<id>\d{1,20})/(?P<token>[A-Za-z0-9._-]+)(?:/(?:slack|github))?/?",
    re.ASCII,
)
_HOST = re.compile(r"[\w.:-]+")
_ID = re.compile(r"\d{1,20}", re.ASCII)
_DISCORD_ID = re.compile(r"\d{17,20}", re.ASCII)
_DISCORD_TOKEN_LENGTH = 60
_EXPECTED = "expected https://discord.com/api/webhooks/<id>/<token>, as copied from the channel's settings in Discord"


class WebhookURL(NamedTuple):
    """A webhook URL, taken apart.

    Its `str` and `repr` hide the token; `execute_url` is the only way to the whole.

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
    def parse(cls, url: object, *, allow_http: bool = False) -> WebhookURL:
        """Read a webhook URL in any form that people paste.

        At Discord's own hosts (with and without a version, `discordapp.com`, `ptb.`, `canary.`) the URL becomes
        `https://discord.com/api/v10/...`: a path without a version means the long deprecated API v6
        (https://docs.discord.com/developers/reference#api-versioning), and `discordapp.com` has no v10.
        Other hosts are kept, and get v10 where the path has no version.

        Args:
            url: The URL.
            allow_http: Whether plain http is accepted for a host that is not loopback.

        Raises:
            InvalidWebhookURLError: The URL is malformed. The text shows no part of it.
        """
        if not isinstance(url, str):
            raise InvalidWebhookURLError(f"The webhook URL must be a str, not {type(url).__name__}; {_EXPECTED}.")
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InvalidWebhookURLError(f"The webhook URL is no URL; {_EXPECTED}.") from None
        path = _PATH.fullmatch(parts.path)
        if problem := _find_problem(parts.scheme, host, path, parts.username, allow_http=allow_http):
            raise InvalidWebhookURLError(f"The webhook URL {problem}; {_EXPECTED}.")
        assert path  # noqa: S101 - _find_problem has refused a path that does not match
        thread_id = next((value for value in parse_qs(parts.query).get("thread_id", []) if _ID.fullmatch(value)), None)
        if _DISCORD_HOST.fullmatch(host):
            return cls("https://discord.com/api/v10/webhooks", path["id"], path["token"], "discord.com", thread_id)
        host = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        base = f"{parts.scheme}://{host}{path['prefix'] or ''}/api/{path['version'] or 'v10/'}webhooks"
        return cls(base, path["id"], path["token"], host, thread_id)

    @property
    def execute_url(self) -> str:
        """The whole URL, token included, to post to."""
        return f"{self.base}/{self.id}/{self.token}"

    @property
    def key(self) -> str:
        """Names the webhook without its token."""
        return f"{self.host}/{self.id}"

    def __repr__(self) -> str:
        return f"{self.base}/{self.id}/***"


def _find_problem(
    scheme: str, host: str, path: re.Match[str] | None, username: str | None, *, allow_http: bool
) -> str | None:
    is_discord = _DISCORD_HOST.fullmatch(host) is not None
    problems = {
        "does not begin with https:// and a host": scheme not in ("http", "https") or not _HOST.fullmatch(host),
        "uses plain http, which is for loopback hosts alone unless allow_http=True": (
            scheme == "http" and not allow_http and not _is_loopback(host)
        ),
        "holds a user name": username is not None,
        "has no /api/webhooks/<id>/<token> path": path is None,
        "has an id that is not 17 to 20 digits": is_discord and path and not _DISCORD_ID.fullmatch(path["id"]),
        "has a token that is too short": is_discord and path and len(path["token"]) < _DISCORD_TOKEN_LENGTH,
    }
    return next((words for words, applies in problems.items() if applies), None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
