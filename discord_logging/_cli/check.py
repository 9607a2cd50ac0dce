"""`discord-logging check`: what Discord says about the webhook, and what is wrong, in words."""

from __future__ import annotations

import os
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
from discord_logging._process import clock
from discord_logging._records.settings import parse_enabled
from discord_logging._text.markdown import shorten
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    import argparse

    from discord_logging._discord.webhook_url import WebhookURL

_KINDS = {1: "an incoming webhook", 2: "a channel follower, which nothing can be posted to", 3: "an application's"}
_INCOMING = 1
_CLOCK_TOLERANCE = 120.0
_CERTIFICATE_TIMES = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_GRACE = 2.0


def run_check(options: argparse.Namespace, url: WebhookURL) -> int:
    """Print what is to be said about the webhook and return the exit code: 0 it can be posted to, 1 it cannot."""
    if not parse_enabled(os.environ.get("DISCORD_NOTIFICATIONS_ENABLED") or True, name="DISCORD_NOTIFICATIONS_ENABLED"):
        _say("note", "DISCORD_NOTIFICATIONS_ENABLED switches handlers off here: they post nothing.")
    if proxy := _find_proxy(url):
        _say("note", f"the connection goes through the proxy {proxy}.")
    answer = _ask(url, options.timeout)
    trouble = answer if isinstance(answer, str) else explain(answer, url)
    if not isinstance(answer, str) and (skew := _clock_skew(answer)):
        _say("note", skew)
    if trouble:
        _say("WRONG", trouble)
        return 1
    assert isinstance(answer, Response)  # noqa: S101 - text is trouble
    _say("ok", _describe(answer.body))
    if options.post and (trouble := deliver(url, "It works.", title="Test of the webhook", patience=options.timeout)):
        _say("WRONG", f"a test card could not be posted: {trouble}.")
        return 1
    if options.post:
        _say("ok", "a test card was posted.")
    return 0


def _say(what: str, text: str) -> None:
    sys.stdout.write(f"{what}: {text}\n")


def _ask(url: WebhookURL, timeout: float) -> Response | str:
    """Return what Discord answers, or why it does not, within `timeout` seconds and a little."""
    found: list[Response | str] = []

    def ask() -> None:
        sender = WebhookSender(url, timeout=timeout)
        try:
            found.append(sender.get())
        except TransportError as error:
            found.append(explain_failure(error, url))
        finally:
            sender.close()

    # The resolver knows no time-out: it is left behind.
    thread = threading.Thread(target=ask, name="discord-logging-check", daemon=True)
    thread.start()
    thread.join(timeout + _GRACE)
    return found[0] if found else f"no answer within {timeout:g} s, most likely from the name server (DNS)."


def explain(answer: Response, url: WebhookURL) -> str:
    """Return what is wrong if Discord answers this when asked for the webhook, or nothing."""
    limiter = DiscordRateLimiter()
    hit = limiter.update(url.key, answer.status, answer.headers, answer.body, clock.monotonic(), host=url.host)
    if hit and hit.scope == "edge":
        return (
            f"blocked: the network in front of Discord (Cloudflare) refuses this machine's address ({answer.reason}). "
            f"Too much was sent from it, perhaps by others. "
            f"Wait for {_span(hit.retry_after)} or longer, and send nothing meanwhile."
        )
    if hit:
        return f"rate limited (scope {hit.scope}): too much is sent. It passes in {_span(hit.retry_after)}."
    if _is_webhook(answer):
        return "" if answer.body.get("type", _INCOMING) in (_INCOMING, 3) else f"the webhook is {_KINDS[2]}."
    return f"{_WORDS.get(answer.status) or _explain_status(answer)} ({answer.reason})"


_WORDS = {
    401: "wrong token: there is such a webhook, but the last part of the URL is not its token. Copy the URL anew.",
    404: "gone: there is no such webhook. It was deleted, or the URL is another's. Make one in the channel's settings.",
    403: "forbidden: a proxy or firewall between here and Discord refuses the request, or Discord itself does.",
    407: "the proxy wants a user name and password: HTTPS_PROXY=http://user:password@host:port.",
}


def _explain_status(answer: Response) -> str:
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's trouble of the server
        return "Discord is in trouble. Try again later; https://discordstatus.com tells more."
    return "the answer is not Discord's: a proxy, a firewall or a login page of the network is in between."


def _is_webhook(answer: Response) -> bool:
    body = answer.body
    return answer.status == 200 and isinstance(body, dict) and "id" in body and "channel_id" in body  # noqa: PLR2004 - HTTP's OK


def _describe(body: dict[str, Any]) -> str:
    kind = _KINDS.get(body.get("type", _INCOMING), "of an unknown kind")
    owner = f", owned by application {_word(body['application_id'])}" if body.get("application_id") else ""
    return (
        f"webhook {_word(body.get('name'))!r} ({_word(body['id'])}) in channel {_word(body['channel_id'])} "
        f"of server {_word(body.get('guild_id'))}: {kind}{owner}."
    )


def _word(value: object) -> str:
    return shorten(clean(str(value)).replace("\n", " "), 100)


def explain_failure(error: TransportError, url: WebhookURL) -> str:
    """Return why there was no answer."""
    import requests  # noqa: PLC0415 - 110 ms

    causes = list(walk_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause)
    texts = [str(cause) for cause in causes]
    if any("Tunnel connection failed: 407" in text for text in texts):
        return _WORDS[407]
    if any("CA certificate bundle" in text for text in texts):
        return "TLS: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file that is not there."
    words = {
        requests.exceptions.ProxyError: f"the proxy {_find_proxy(url)} cannot be used.",
        ssl.SSLError: "TLS: the connection cannot be made secure. What answers may not be Discord.",
        socket.gaierror: f"DNS: the name {url.host} is not found. Is there a network, and a name server?",
        ConnectionRefusedError: f"nothing listens at {url.host}: the connection is refused.",
        TimeoutError: f"no answer from {url.host} in time: no network, or a firewall that drops what is sent.",
    }
    kind = next((kind for kind in words if any(isinstance(cause, kind) for cause in causes)), None)
    return f"{words[kind] if kind else f'the connection to {url.host} fails.'} ({error})"


def _explain_certificate(error: Any) -> str:
    text = f"TLS: the certificate is not accepted ({error.verify_message})."
    if error.verify_code in _CERTIFICATE_TIMES:
        return f"{text} Is this machine's clock right? It says {time.strftime('%Y-%m-%d %H:%M')}."
    return f"{text} A proxy that reads along needs its own certificate in REQUESTS_CA_BUNDLE."


def _clock_skew(answer: Response) -> str:
    """Return words about this machine's clock if it differs from that of the answer, or nothing."""
    try:
        skew = time.time() - parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (OSError, OverflowError, TypeError, ValueError):
        return ""
    if abs(skew) <= _CLOCK_TOLERANCE:
        return ""
    return (
        f"this machine's clock is {_span(abs(skew))} {'fast' if skew > 0 else 'slow'}: "
        "cards show wrong times, and TLS may fail. Set it, best by NTP."
    )


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s"


def _find_proxy(url: WebhookURL) -> str:
    """Return the proxy that is used, without its password, or nothing."""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - 110 ms

    proxy = select_proxy(url.base, get_environ_proxies(url.base))
    if not proxy:
        return ""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
