"""`discord-logging check` asks Discord about the webhook and explains what is wrong."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from discord_logging._cli.send import deliver
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._exceptions import TransportError, walk_causes
from discord_logging._handler import is_enabled_in_environment
from discord_logging._process import clock
from discord_logging._text.markdown import shorten
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    import argparse

    from discord_logging._discord.webhook_url import WebhookURL

_TYPES = {
    1: "an incoming webhook",
    2: "a channel follower, which accepts no messages",
    3: "a webhook of an application",
}
_INCOMING, _FOLLOWER = 1, 2
_CLOCK_TOLERANCE = 120.0
_CERTIFICATE_TIME_ERRORS = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_GRACE = 2.0
_STATUS_PROBLEMS = {
    401: "wrong token: the webhook exists, but the last part of the URL is not its token. Copy the URL again.",
    404: "gone: the webhook does not exist. It was deleted, or the URL is wrong. Create one in the channel's settings.",
    403: "forbidden: a proxy, a firewall or Discord itself refuses the request.",
    407: "the proxy needs a user name and a password: set HTTPS_PROXY=http://user:password@host:port.",
}


def run_check(options: argparse.Namespace, url: WebhookURL) -> int:
    """Check the webhook, print the findings and return the exit code: 0 if messages can be posted, 1 if they cannot."""
    if not is_enabled_in_environment():
        _print("note", "DISCORD_NOTIFICATIONS_ENABLED is false here: handlers post nothing.")
    if proxy := _find_proxy(url):
        _print("note", f"the connection goes through the proxy {proxy}.")
    response = _request(url, options.timeout)
    problem = response if isinstance(response, str) else explain(response, url)
    if not isinstance(response, str) and (skew := _explain_clock_skew(response)):
        _print("note", skew)
    if problem:
        _print("WRONG", problem)
        return 1
    assert isinstance(response, Response)  # noqa: S101 - a str is a problem
    _print("ok", _describe(response.body))
    if options.post and (problem := deliver(url, "It works.", title="Test of the webhook", patience=options.timeout)):
        _print("WRONG", f"a test card could not be posted: {problem}.")
        return 1
    if options.post:
        _print("ok", "a test card was posted.")
    return 0


def _print(label: str, text: str) -> None:
    # The terminal may lack characters of the webhook's name.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{label}: {text}\n".encode(encoding, "backslashreplace").decode(encoding))


def _request(url: WebhookURL, timeout: float) -> Response | str:
    """Return Discord's response, or a sentence that says why it sent no response.

    The call blocks for `timeout` seconds and a short grace at most.
    """
    results: list[Response | str] = []

    def request() -> None:
        sender = WebhookSender(url, timeout=timeout)
        try:
            results.append(sender.get())
        except TransportError as error:
            results.append(explain_failure(error, url))
        finally:
            sender.close()

    # The DNS resolver has no time-out, so its thread is left running.
    thread = threading.Thread(target=request, name="discord-logging-check", daemon=True)
    thread.start()
    thread.join(timeout + _GRACE)
    return results[0] if results else f"no response within {timeout:g} s, most likely from the name server (DNS)."


def explain(response: Response, url: WebhookURL) -> str:
    """Return what `response` to a request for the webhook shows to be wrong, or ""."""
    limiter = DiscordRateLimiter()
    hit = limiter.update(url.key, response.status, response.headers, response.body, clock.monotonic(), host=url.host)
    if hit and hit.scope == "edge":
        return (
            f"blocked: Cloudflare, in front of Discord, refuses this machine's IP address ({response.reason}). "
            f"Too many requests came from the address, perhaps from other programs. "
            f"Send nothing for {_span(hit.retry_after)} or longer."
        )
    if hit:
        return f"rate limited (scope {hit.scope}): too many requests. Try again in {_span(hit.retry_after)}."
    if _is_webhook(response):
        return f"the webhook is {_TYPES[_FOLLOWER]}." if response.body.get("type") == _FOLLOWER else ""
    return f"{_STATUS_PROBLEMS.get(response.status) or _explain_status(response)} ({response.reason})"


def _explain_status(response: Response) -> str:
    if response.status >= 500:  # noqa: PLR2004 - HTTP's class of server errors
        return "Discord has a server error. Try again later; https://discordstatus.com shows its state."
    return "the response does not come from Discord, but from a proxy, a firewall or a login page of the network."


def _is_webhook(response: Response) -> bool:
    body = response.body
    return response.status == 200 and isinstance(body, dict) and "id" in body and "channel_id" in body  # noqa: PLR2004 - HTTP's OK


def _describe(body: dict[str, Any]) -> str:
    number = body.get("type", _INCOMING)
    type_ = _TYPES.get(number if isinstance(number, int) else 0, "a webhook of an unknown type")
    owner = f", owned by application {_one_line(body['application_id'])}" if body.get("application_id") else ""
    return (
        f"webhook {_one_line(body.get('name'))!r} ({_one_line(body['id'])}) in channel {_one_line(body['channel_id'])} "
        f"of server {_one_line(body.get('guild_id'))}: {type_}{owner}."
    )


def _one_line(value: object) -> str:
    return shorten(clean(str(value)).replace("\n", " "), 100)


def explain_failure(error: TransportError, url: WebhookURL) -> str:
    """Return a sentence on why there was no response."""
    import requests  # noqa: PLC0415 - 110 ms

    causes = list(walk_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause)
    texts = [str(cause) for cause in causes]
    if any("Tunnel connection failed: 407" in text for text in texts):
        return _STATUS_PROBLEMS[407]
    if any("CA certificate bundle" in text for text in texts):
        return "TLS: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file that does not exist."
    problems = {
        requests.exceptions.ProxyError: f"the proxy {_find_proxy(url)} cannot be used.",
        ssl.SSLError: "TLS: the handshake failed. The server may not be Discord.",
        socket.gaierror: f"DNS: the name {url.host} was not found. Check the network and the name server.",
        ConnectionRefusedError: f"nothing listens at {url.host}: the connection was refused.",
        TimeoutError: f"no response from {url.host} in time: the network is down, or a firewall drops the packets.",
    }
    kind = next((kind for kind in problems if any(isinstance(cause, kind) for cause in causes)), None)
    return f"{problems[kind] if kind else f'the connection to {url.host} failed.'} ({error})"


def _explain_certificate(error: Any) -> str:
    text = f"TLS: the certificate is not accepted ({error.verify_message})."
    if error.verify_code in _CERTIFICATE_TIME_ERRORS:
        return f"{text} Check this machine's clock, which shows {time.strftime('%Y-%m-%d %H:%M')}."
    return f"{text} If a proxy inspects the connection, add its certificate to REQUESTS_CA_BUNDLE."


def _explain_clock_skew(response: Response) -> str:
    """Return a sentence on this machine's clock if it differs from the date of `response`, or ""."""
    try:
        skew = time.time() - parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (OSError, OverflowError, TypeError, ValueError):
        return ""
    if abs(skew) <= _CLOCK_TOLERANCE:
        return ""
    return (
        f"this machine's clock is {_span(abs(skew))} {'fast' if skew > 0 else 'slow'}: "
        "cards show wrong times, and TLS may fail. Set the clock, for example with NTP."
    )


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s"


def _find_proxy(url: WebhookURL) -> str:
    """Return the proxy of the connection without its password, or "" for a direct connection."""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - 110 ms

    proxy = select_proxy(url.base, get_environ_proxies(url.base))
    if not proxy:
        return ""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
