"""A webhook URL is parsed in every form that people paste, and malformed ones are refused."""

from __future__ import annotations

import copy
import pickle
import traceback
from pprint import pformat
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import DiscordLoggingError, InvalidWebhookURLError
from discord_logging._discord.webhook_url import HiddenText, WebhookURL, hide_urls
from discord_logging._text import sanitize
from discord_logging._text.sanitize import mask_token

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
ID = "111111111111111111"
RIGHT = f"https://discord.com/api/v10/webhooks/{ID}/{TOKEN}"


@pytest.mark.parametrize(
    "host", ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com", "DISCORD.com"]
)
@pytest.mark.parametrize("version", ["", "v6/", "v9/", "v10/"])
@pytest.mark.parametrize("tail", ["", "/", "/slack", "/github", "?wait=true", "/?a=b#c"])
def test_every_form_at_discord_becomes_one(host: str, version: str, tail: str) -> None:
    """Without a version, Discord would serve API v6, and discordapp.com has no v10."""
    url = WebhookURL.parse(f" https://{host}/api/{version}webhooks/{ID}/{TOKEN}{tail}\n")
    assert url.execute_url == RIGHT
    assert (url.id, url.token, url.host, url.thread_id) == (ID, TOKEN, "discord.com", None)


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("https://proxy.example/api/v9/webhooks/1/t", "https://proxy.example/api/v9/webhooks/1/t"),
        ("https://Proxy.example/api/webhooks/1/t", "https://proxy.example/api/v10/webhooks/1/t"),
        ("https://proxy.example:8443/d/X/api/webhooks/1/t", "https://proxy.example:8443/d/X/api/v10/webhooks/1/t"),
        ("http://localhost:8080/api/webhooks/1/t", "http://localhost:8080/api/v10/webhooks/1/t"),
        ("http://discord.localhost/api/webhooks/1/t", "http://discord.localhost/api/v10/webhooks/1/t"),
        ("http://127.0.0.1:9/api/webhooks/1/t", "http://127.0.0.1:9/api/v10/webhooks/1/t"),
        ("http://[::1]:9/api/webhooks/1/t", "http://[::1]:9/api/v10/webhooks/1/t"),
        ("http://[::1]/api/webhooks/1/t", "http://[::1]/api/v10/webhooks/1/t"),
        ("https://bücher.example:/api/webhooks/1/t", "https://bücher.example/api/v10/webhooks/1/t"),
    ],
)
def test_other_hosts_are_kept(pasted: str, kept: str) -> None:
    """The host may be a proxy, a compatible server or the local Discord; without a version it gets v10 too."""
    assert WebhookURL.parse(pasted).execute_url == kept


@pytest.mark.parametrize(
    ("query", "thread_id"),
    [
        ("thread_id=123", "123"),
        ("wait=true&thread_id=123", "123"),
        ("thread_id=&thread_id=x&thread_id=5", "5"),
        ("thread_id=", None),
        ("thread_id=abc", None),
        ("thread_id=²", None),
        ("thread_id=%D9%A3", None),
        ("thread_id=1%0A", None),
        ("thread_id=" + "1" * 21, None),
    ],
)
def test_a_valid_thread_of_the_query_is_kept(query: str, thread_id: str | None) -> None:
    """An id that Discord cannot know is dropped, because every message would be refused for it."""
    assert WebhookURL.parse(f"{RIGHT}?{query}").thread_id == thread_id


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "must be a str, not NoneType"),
        (RIGHT.encode(), "must be a str, not bytes"),
        ("", "does not begin with https://"),
        (TOKEN, "does not begin with https://"),
        (RIGHT.removeprefix("https:"), "does not begin with https://"),
        (RIGHT.removeprefix("https://"), "does not begin with https://"),
        (RIGHT.replace("https", "ftp"), "does not begin with https://"),
        (f"https:///api/webhooks/{ID}/{TOKEN}", "does not begin with https:// and a host"),
        (RIGHT.replace("discord.com", "exa mple"), "does not begin with https:// and a host"),
        (RIGHT.replace("discord.com", "%A"), "does not begin with https:// and a host"),
        (f"https://[{TOKEN}/api/webhooks/{ID}/{TOKEN}", "is not a URL"),
        (RIGHT.replace("discord.com", f"discord.com:{TOKEN}"), "is not a URL"),
        (RIGHT.replace("https", "http"), "uses plain http"),
        (f"http://proxy.example/api/webhooks/{ID}/{TOKEN}", "uses plain http"),
        (f"http://localhost.example/api/webhooks/{ID}/{TOKEN}", "uses plain http"),
        (f"http://8.8.8.8/api/webhooks/{ID}/{TOKEN}", "uses plain http"),
        (RIGHT.replace("discord.com", f"{TOKEN}@discord.com"), "holds a user name"),
        (RIGHT.replace("discord.com", "discord.com@evil.example"), "holds a user name"),
        ("https://discord.com", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/{ID}", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/{TOKEN}/{ID}", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN}/messages/1", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN} ", None),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN}%20", "has no /api/webhooks/"),
        (f"https://discord.com/channels/{ID}/{TOKEN}", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/1234/{TOKEN}", "has an id that is not 17 to 20 digits"),
        (f"https://discord.com/api/webhooks/{'٣' * 18}/{TOKEN}", "has no /api/webhooks/"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN[:59]}", "has a token that is too short"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN[:60]}", None),
    ],
)
def test_the_error_for_a_malformed_url_shows_no_part_of_it(url: object, problem: str | None) -> None:
    """The error shows the right form, and may be logged anywhere."""
    if problem is None:
        assert WebhookURL.parse(url).id == ID
        return
    with pytest.raises(InvalidWebhookURLError) as caught:
        WebhookURL.parse(url)
    assert problem in str(caught.value)
    assert "expected https://discord.com/api/webhooks/<id>/<token>" in str(caught.value)
    assert ID not in str(caught.value)
    assert TOKEN[:8] not in repr(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DiscordLoggingError)


@pytest.mark.parametrize("host", ["proxy.example", "10.0.0.1:8080"])
def test_plain_http_must_be_allowed(host: str) -> None:
    """A proxy inside a cluster may have no certificate."""
    url = WebhookURL.parse(f"http://{host}/api/webhooks/{ID}/{TOKEN}", allow_http=True)
    assert url.execute_url == f"http://{host}/api/v10/webhooks/{ID}/{TOKEN}"
    assert WebhookURL.parse(RIGHT.replace("https", "http"), allow_http=True).execute_url == RIGHT


@pytest.mark.parametrize(
    ("word", "allow_http", "is_accepted"),
    [
        ("true", None, True),
        (" YES\n", None, True),
        ("", None, False),
        ("false", None, False),
        ("ture", None, False),
        ("true", False, False),
        ("false", True, True),
    ],
)
def test_the_environment_may_allow_plain_http(
    word: str, allow_http: bool | None, *, is_accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument goes before the variable, a misspelt word allows nothing, and the error names both."""
    monkeypatch.setenv("DISCORD_ALLOW_HTTP", word)
    url = f"http://sandbox:8065/api/webhooks/{ID}/{TOKEN}"
    if is_accepted:
        assert WebhookURL.parse(url, allow_http=allow_http).host == "sandbox:8065"
        return
    with pytest.raises(InvalidWebhookURLError, match="unless allow_http=True or DISCORD_ALLOW_HTTP=true in the env"):
        WebhookURL.parse(url, allow_http=allow_http)


def test_a_url_never_shows_its_token() -> None:
    """Its text, its repr, log lines and its key all hide the token."""
    url = WebhookURL.parse(RIGHT)
    shown = [str(url), repr(url), f"{url}", "%s %r" % (url, url), str([url]), url.key]  # noqa: UP031 - as logging does
    shown += [repr(url._asdict()), repr(list(url)), pformat(tuple(url)), repr(copy.deepcopy(url)[:]), repr(url.token)]
    assert not [each for each in shown if TOKEN[:8] in each]
    assert str(url) == f"https://discord.com/api/v10/webhooks/{ID}/***"
    assert url.key == f"discord.com/{ID}"


def test_the_token_of_an_accepted_url_is_masked_from_then_on() -> None:
    """The process knows the tokens of its webhooks, and masks them without their URLs, too."""
    assert TOKEN in mask_token(f"token={TOKEN}")
    with pytest.raises(InvalidWebhookURLError):
        WebhookURL.parse(f"http://proxy.example/api/webhooks/{ID}/{TOKEN}")
    assert TOKEN in mask_token(f"token={TOKEN}")
    WebhookURL.parse(RIGHT)
    assert mask_token(f"token={TOKEN}") == "token=***"


@pytest.mark.parametrize(
    "url",
    [
        RIGHT.replace("webhooks", "hooks"),
        RIGHT.replace("https", "http"),
        RIGHT.replace("discord.com", f"discord.com:{TOKEN}"),
        f"{RIGHT}/messages",
    ],
)
def test_the_frames_of_the_error_show_no_part_of_the_url(url: str) -> None:
    """Tools that report errors show the locals of frames.

    Without the hidden text, the argument of `parse` shows the token; with the frames of its helpers, their locals do.
    """
    url = HiddenText(url)  # this frame is in the traceback, too
    with pytest.raises(InvalidWebhookURLError) as caught:
        WebhookURL.parse(url)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "'***'" in "".join(report.format())
    assert TOKEN[:8] not in "".join(report.format())
    assert report.__context__ is None


def test_settings_hide_a_url_under_any_name() -> None:
    """The other settings stay readable in an error."""
    settings = hide_urls({"webhook_url": TOKEN, "url": RIGHT, "username": "shop", "timeout": 5})
    assert repr(settings) == "{'webhook_url': '***', 'url': '***', 'username': 'shop', 'timeout': 5}"
    assert settings["url"] == RIGHT
    assert repr(hide_urls({"backlog": "redis://:hunter2@shop.example"})) == "{'backlog': '***'}"


def test_the_key_tells_ports_apart() -> None:
    """Two servers on one machine are two webhooks."""
    keys = {WebhookURL.parse(f"http://localhost:{port}/api/webhooks/1/t").key for port in (8001, 8002)}
    assert keys == {"localhost:8001/1", "localhost:8002/1"}


def test_a_url_survives_pickling() -> None:
    """A program may pass a URL to a process pool, where the token is masked as well."""
    url = WebhookURL.parse(RIGHT)
    pickled = pickle.dumps(url)
    sanitize._own_tokens.clear()
    copied = pickle.loads(pickled)  # noqa: S301 - our own
    assert copied == url
    assert TOKEN not in repr([*copied])
    assert mask_token(TOKEN) == "***"


@given(st.text() | st.text().map(RIGHT.__add__) | st.text().map(lambda text: RIGHT.replace("discord.com", text)))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No other error is raised; an accepted URL is https or loopback, and parses to the same URL again."""
    try:
        url = WebhookURL.parse(text)
    except InvalidWebhookURLError as error:
        assert TOKEN[:8] not in str(error)  # noqa: PT017 - most texts are refused, a few are not
        return
    parts = urlsplit(url.execute_url)
    assert parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
    assert WebhookURL.parse(url.execute_url)._replace(thread_id=url.thread_id) == url
