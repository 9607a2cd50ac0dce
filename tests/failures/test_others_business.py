"""The handler respects the program's memory, its other handlers, its clock, and the password in the URL."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from tests.failures.conftest import Run

pytestmark = pytest.mark.once

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
REFUSED = f"http://127.0.0.1:9/api/webhooks/123456789012345678/{TOKEN}"

# 22: late formatting, pinned memory


def test_list_that_is_cleared_after_the_call(run: Run, discord: LocalDiscord) -> None:
    """A record shows the values at the time of the call, whatever happens to them while it waits.

    A handler that queues the record itself shows an empty list.
    """
    discord.fail_next(Fault.rate_limited(0.5))
    done = run(
        """
        class Order:
            state = "new"
            def __str__(self): return self.state
        items, order, error = [1, 2], Order(), ValueError(["cause"])
        log.error("%s", items)
        log.error(items)
        log.error("order %s", order, extra={"order": order, "items": items})
        log.error("error", exc_info=error)
        items.clear()
        order.state = "old"
        error.args[0].clear()
        error.__cause__ = KeyError("later")
        handler.flush(5)
        """
    )
    assert done.code == 0
    cards = [embed for message in discord.messages for embed in message.embeds]
    lines = [line for card in cards for line in card["description"].split("\n")]
    assert [line for line in lines if "1, 2" in line] == [r"\[1, 2]", r"\[1, 2]"]
    assert "order new" in lines
    assert [(field["name"], field["value"]) for field in cards[2]["fields"]] == [
        ("order", "new"),
        ("items", r"\[1, 2]"),
    ]
    assert "ValueError: ['cause']" in lines
    assert not any("later" in line for line in lines)


_CRASHES = """
import gc, weakref
if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

class Big(bytearray):
    pass

alive = {}

def big(name):
    thing = Big(1_000_000)
    alive[name] = weakref.ref(thing)
    return thing

def crash(name, cause=None):
    in_the_frame = big(name)
    raise ValueError(name) from cause

def catch(name, cause=None):
    try:
        crash(name, cause)
    except ValueError as error:
        return error

def crash_in_context():
    try:
        crash("context")
    except ValueError:
        in_the_frame = big("handler of the context")
        raise KeyError("second")

def log_all():
    log.error("message %s", big("argument"), extra={"thing": big("extra")})
    log.error("frame", exc_info=catch("frame"))
    log.error("cause", exc_info=catch("effect", catch("cause")))
    log.error("group", exc_info=ExceptionGroup("group", [catch("member"), ExceptionGroup("in", [catch("deep")])]))
    log.error("args", exc_info=ValueError(big("args of the exception")))
    noted = catch("noted")
    noted.thing = big("attribute of the exception")
    log.error("attribute", exc_info=noted, stack_info=True)
    try:
        crash_in_context()
    except KeyError:
        log.exception("context")

log_all()
gc.collect()
print([name for name, each in alive.items() if each() is not None], len(alive), handler.health()["pending"])
handler.close(timeout=0)
"""


@pytest.mark.parametrize("formatter", ["", "handler.setFormatter(logging.Formatter('%(asctime)s %(message)s'))\n"])
def test_no_frame_is_pinned(run: Run, formatter: str) -> None:
    """All that a record refers to is freed while it waits: arguments, frames, causes, group members.

    A handler that queues the record itself keeps every frame and its locals.
    """
    done = run(formatter + _CRASHES, url=REFUSED)
    assert done.out == "[] 12 7\n"


_OTHERS = """
import io, json

class Noting(logging.Handler):
    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append(dict(record.__dict__))

class Own(logging.Formatter):
    def formatException(self, exc_info):
        return f"own words about {exc_info[1]!r}"

def stream(formatter):
    other = logging.StreamHandler(io.StringIO())
    other.setFormatter(formatter)
    return other

def log_some():
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("order %s of %s", 17, ["a"], stack_info=False, extra={"user": {"id": 1}})
    log.warning("plain")
    log.error("mapping %(a)s", {"a": 1})
"""


@pytest.mark.parametrize("formatter", ["None", "logging.Formatter('%(asctime)s %(message)s')"])
def test_record_is_untouched(run: Run, formatter: str) -> None:
    """Handlers before and after ours get the same record, with the same objects in it.

    When our formatter is given the record itself and no copy, the handler behind misses the exception.
    """
    done = run(
        _OTHERS
        + textwrap.dedent(
            f"""
            handler.setFormatter({formatter})
            before, after = Noting(), Noting()
            log.handlers[:] = [before, handler, after]
            log_some()
            same = [list(one) == list(two) and all(one[name] is two[name] for name in one)
                    for one, two in zip(before.seen, after.seen)]
            print(same, [each["exc_text"] for each in after.seen], after.seen[0]["args"], after.seen[0]["msg"])
            """
        )
    )
    assert done.out == "[True, True, True] [None, None, None] (17, ['a']) order %s of %s\n"


@pytest.mark.parametrize("formatter", ["None", "logging.Formatter('%(asctime)s %(message)s')"])
def test_other_handlers_format_as_ever(run: Run, discord: LocalDiscord, formatter: str) -> None:
    """A formatter with its own text for exceptions shows it, also behind ours, and the card shows its own.

    After the standard `QueueHandler` it has not: the record holds the standard traceback by then.
    """
    done = run(
        _OTHERS
        + textwrap.dedent(
            f"""
            log.removeHandler(handler)
            handler = discord_logging.DiscordHandler(repeat_window=0, max_lag=60)
            handler.setFormatter({formatter})
            first, second = stream(Own("%(message)s|%(user)s", defaults={{"user": ""}})), stream(Own("%(message)s"))
            for handlers in [first, handler], [handler, second]:
                log.handlers[:] = handlers
                log_some()
            print(json.dumps([each.stream.getvalue() for each in (first, second)]))
            """
        )
    )
    first, second = json.loads(done.out)
    assert first.splitlines() == [
        "order 17 of ['a']|{'id': 1}",
        "own words about ValueError('no')",
        "plain|",
        "mapping 1|",
    ]
    assert second.splitlines() == ["order 17 of ['a']", "own words about ValueError('no')", "plain", "mapping 1"]
    cards = [embed["description"] for message in discord.messages for embed in message.embeds]
    assert ["Traceback (most recent call last)" in card for card in cards] == [True, False, False] * 2
    assert not any("own words" in card for card in cards)


# 23: the wall clock jumps

_CLOCK = """
def jump(by):
    # Set the wall clock, as an administrator or NTP would.
    wall, wall_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: wall() + by, lambda: wall_ns() + int(by * 1e9)

def freeze(_):
    from freezegun import freeze_time
    freeze_time("2001-01-01").start()

def wait_until(condition):
    deadline = monotonic() + 10
    while not condition():
        assert monotonic() < deadline
        pause(0.005)

from time import monotonic, sleep as pause
# freezegun replaces what it finds in modules, but not what stands elsewhere.
monotonic = (lambda clock: lambda: clock())(monotonic)

def remake(**settings):
    global handler
    log.removeHandler(handler)
    handler.close()
    handler = discord_logging.DiscordHandler(**settings)
    log.addHandler(handler)
"""

JUMPS = pytest.mark.parametrize("jump", ["jump(3600)", "jump(-3600)", "freeze(0)"])


def spans(discord: LocalDiscord) -> list[float]:
    """Return the seconds from each response to the next request."""
    requests = discord.requests
    return [later.time - (earlier.finished or 0) for earlier, later in itertools.pairwise(requests)]


@JUMPS
def test_clock_jumps_in_a_rate_limit(run: Run, discord: LocalDiscord, texts: Any, jump: str) -> None:
    """The wait for a limit is neither shorter nor longer.

    On the wall clock the next request leaves at once after a jump ahead, and not in time after one back.
    """
    discord.fail_next(Fault.rate_limited(0.8))
    done = run(
        _CLOCK
        + textwrap.dedent(
            f"""
            log.error("first")
            wait_until(lambda: handler.health()["rate_limited"])
            {jump}
            log.error("second")
            print(handler.flush(8))
            """
        )
    )
    assert (done.out, texts()) == ("True\n", ["first", "second"])
    (waited, *_) = spans(discord)
    assert 0.8 <= waited < 4


@JUMPS
def test_clock_jumps_in_a_retry(run: Run, discord: LocalDiscord, texts: Any, jump: str) -> None:
    """A failed message is tried again after the delay that is set.

    On the wall clock the next try is made at once after a jump ahead, and not in time after one back.
    """
    discord.fail_next(Fault(status=502))
    done = run(
        _CLOCK
        + textwrap.dedent(
            f"""
            remake(retry_delays=[0.6])
            log.error("first")
            wait_until(lambda: handler.health()["status"] == "retrying")
            {jump}
            log.error("second")
            print(handler.flush(8))
            """
        )
    )
    assert (done.out, texts()) == ("True\n", ["first", "second"])
    (waited, *_) = spans(discord)
    assert 0.6 <= waited < 4


def test_clock_jumps_and_a_card_tells_its_age(run: Run, discord: LocalDiscord) -> None:
    """A record that was delayed by two seconds says so, and does not report an hour.

    On the wall clock the card reports 3,600 seconds.
    """
    discord.fail_next(Fault.rate_limited(2.0))
    run(
        _CLOCK
        + textwrap.dedent(
            """
            log.error("first")
            wait_until(lambda: handler.health()["rate_limited"])
            jump(3600)
            handler.flush(8)
            """
        )
    )
    (message,) = discord.messages
    delay = re.search(r"delayed (\d+) s", message.embeds[0]["footer"]["text"])
    assert delay
    assert 2 <= int(delay[1]) < 10


@JUMPS
def test_clock_jumps_in_a_repeat_window(run: Run, discord: LocalDiscord, jump: str) -> None:
    """Repeats are held for the window, and reported after it.

    On the wall clock they are reported at once after a jump ahead, and not in time after one back.
    """
    done = run(
        _CLOCK
        + textwrap.dedent(
            f"""
            remake(repeat_window=3)
            def log_same():
                log.error("same")
            # The window begins when the record is logged, and its request may arrive late.
            print(monotonic())
            log_same()
            wait_until(lambda: handler.health()["delivered"] == 1)
            log_same()
            {jump}
            log_same()
            log.error("other")
            wait_until(lambda: handler.health()["delivered"] == 4)
            """
        )
    )
    assert (done.code, done.err) == (0, "")
    *_, repeats = discord.requests
    described = [[embed["description"].split("\n")[0] for embed in each.embeds] for each in discord.messages]
    assert described == [["same"], ["other"], ["same"]]
    assert 3 <= repeats.time - float(done.out) < 9
    assert "×2, first" in discord.messages[-1].embeds[0]["description"]  # noqa: RUF001 - the sign for times


@JUMPS
@pytest.mark.parametrize("url", ["", REFUSED], ids=["silent", "refused"])
def test_clock_jumps_in_a_flush(run: Run, discord: LocalDiscord, jump: str, url: str) -> None:
    """`flush`, `close` and the exit keep their time-outs, and do not take an hour.

    On the wall clock, and on `time.monotonic` itself, which freezegun stops, `flush` never returns.
    """
    discord.fail_next(Fault.stall(20), times=9)
    done = run(
        _CLOCK
        + textwrap.dedent(
            f"""
            remake(flush_timeout=0.2, retry_delays=[0.1], max_retry_delay=1)
            def jump_later():
                wait_until(lambda: handler.health()["requests"])
                {jump}
            log.error("hello")
            jumper = threading.Thread(target=jump_later)
            jumper.start()
            began = monotonic()
            handler.flush(0.6)
            print(monotonic() - began)
            jumper.join()
            began = monotonic()
            handler.flush()
            handler.close(0.2)
            print(monotonic() - began)
            """
        ),
        url=url,
    )
    assert done.code == 0
    first, second = map(float, done.out.split())
    assert max(first, second) < 15
    assert "1 of 1 records were not delivered" in done.err


def test_clock_jumps_in_a_request(run: Run, discord: LocalDiscord) -> None:
    """The time-out bounds the whole of a response that comes byte by byte.

    On the wall clock the program is still waiting when its own deadline comes.
    """
    discord.fail_next(Fault.dripping(0.2), times=9)
    done = run(
        _CLOCK
        + textwrap.dedent(
            """
            remake(timeout=0.6, flush_timeout=0)
            log.error("hello")
            wait_until(lambda: handler.health()["requests"])
            began = monotonic()
            jump(-3600)
            wait_until(lambda: handler.health()["last_error"])
            print(monotonic() - began)
            """
        )
    )
    assert float(done.out) < 10


# 25: the token leaks


def shows(output: str, token: str = TOKEN) -> bool:
    """Tell whether any ten characters of `token` are in `output`, encoded or broken into parts."""
    joined = re.sub(r"[\s'\"\\,|*]", "", unquote(output))
    return any(token[start : start + 10] in text for text in (output, joined) for start in range(len(token) - 9))


def test_the_search_finds_a_token() -> None:
    """The token is found whole, in part, percent-encoded and broken into lines, and nowhere else."""
    encoded = "".join(f"%{ord(each):02x}" for each in TOKEN)
    assert all(map(shows, [TOKEN, f"a{TOKEN[20:30]}b", encoded, f"{TOKEN[:15]}\\\n  {TOKEN[15:]}"]))
    assert not shows(REFUSED.replace(TOKEN, "***") + "kQ7zT2-vL pQrStUvW")


_TELLTALE = """
import logging, os, sys, threading, time, traceback, warnings
import discord_logging
from discord_logging import DiscordHandler, WebhookSender

class Everything(logging.Formatter):
    def format(self, record):
        return f"{super().format(record)} {record.msg!r} {record.args!r} {record.__dict__}"

warnings.simplefilter("always")
logging.captureWarnings(True)
to_stdout = logging.StreamHandler(sys.stdout)
to_stdout.setFormatter(Everything("%(message)s"))
logging.basicConfig(level="DEBUG", handlers=[to_stdout, logging.StreamHandler(sys.stderr)])
handler = DiscordHandler(flush_timeout=0.2, timeout=0.5, retry_delays=[0.1], max_retry_delay=1)
log = logging.getLogger("app")

def show(value):
    print(repr(value), str(value), f"{value}", "%s" % (value,))

def tell_all():
    for value in (handler, handler.formatter, handler.health(), handler.get_rate_limit_info(), log.handlers):
        show(value)
    show(handler._listener)
    show(handler._listener.url)
    show(logging.getLogger().handlers)
    for thread in threading.enumerate():
        show(thread)

def post():
    sender = WebhookSender(handler._listener.url, timeout=0.5)
    show(sender)
    try:
        answer = sender.post(discord_logging._discord.types.Message({"content": "hello"}))
        show(answer.status)
        show(answer.reason)
    except discord_logging.TransportError as error:
        show(error)
        show(error.args)
        traceback.print_exc()
        log.exception("no answer")
    sender.close()
"""
_LOG = """
logging.getLogger().addHandler(handler)
log.error("hello")
deadline = time.monotonic() + 30
while not (handler.health()["delivered"] or handler.health()["last_error"]) and time.monotonic() < deadline:
    time.sleep(0.01)
tell_all()
post()
handler.close()
tell_all()
"""
_UNREACHABLE = """
import socket
def refuse(*args, **kwargs): raise {error}
{name} = refuse
"""
_AT_DISCORD = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"
_NO_HOST = _UNREACHABLE.format(
    name="socket.getaddrinfo", error="socket.gaierror(-2, f'Name or service not known: {args}')"
)
_NO_NETWORK = _UNREACHABLE.format(name="socket.socket.connect", error="OSError(101, 'Network is unreachable')")


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        (REFUSED, ""),
        (REFUSED.replace("http:", "https:"), ""),
        (_AT_DISCORD, _NO_HOST),
        (_AT_DISCORD.replace("api/", "api/v10/"), _NO_NETWORK.replace("socket.socket.connect", "socket.getaddrinfo")),
        (REFUSED, _NO_NETWORK),
        (REFUSED, "os.environ['http_proxy'] = 'http://user:pass@127.0.0.1:9'"),
        (_AT_DISCORD, "os.environ['https_proxy'] = 'http://127.0.0.1:9'"),
        (_AT_DISCORD, "os.environ['https_proxy'] = 'socks5://127.0.0.1:9'"),
        (_AT_DISCORD, "os.environ['https_proxy'] = 'no proxy at all'"),
    ],
    ids=["refused", "TLS refused", "DNS", "no route", "unreachable", "proxy", "tunnel", "SOCKS", "no proxy"],
)
def test_token_and_no_connection(run: Run, url: str, trouble: str) -> None:
    """Without a connection, no report contains the token.

    The text of the exceptions of `requests` holds it.
    """
    done = run(trouble + _LOG, url=url, prelude=_TELLTALE)
    assert "123456789012345678" in done.out
    assert "TransportError" in done.err
    assert "records were not delivered" in done.err
    assert not shows(done.out + done.err)


@pytest.mark.parametrize(
    "trouble", ["handler = handler", "os.environ['https_proxy'] = address"], ids=["no TLS there", "proxy refuses"]
)
def test_token_and_tls(run: Run, discord: LocalDiscord, trouble: str) -> None:
    """The server speaks no TLS, or the proxy opens no tunnel."""
    url = f"{discord.url.replace('http:', 'https:')}/api/webhooks/123456789012345678/{TOKEN}"
    done = run(f"address = {discord.url!r}\n{trouble}{_LOG}", url=url, prelude=_TELLTALE)
    assert "TransportError" in done.err
    assert not shows(done.out + done.err)


def _faults(url: str) -> dict[str, Fault]:
    """Return responses that contain the URL wherever a server may put it."""
    raw = url.encode()
    headers = {"Location": url, "X-RateLimit-Bucket": url, "Retry-After": url, "Content-Type": url, "Via": url}
    body = {"message": f"no {url}", "code": 0, "errors": {url: url}, "retry_after": url}
    return {
        "deleted": Fault.webhook_deleted(),
        "wrong token": Fault(status=401, body=body),
        "redirect": Fault(status=302, headers=headers, body=url),
        "redirect without end": Fault(status=307, headers={"Location": url, "Refresh": f"0; {url}"}),
        "refused": Fault(status=400, body=body, headers=headers),
        "limited": Fault(status=429, body=body, headers=headers),
        "limited at the edge": Fault(status=429, body=url, headers={"Retry-After": url}),
        "broken": Fault(status=500, body=url, headers=headers),
        "not HTTP": Fault(raw=raw + b"\r\n\r\n"),
        "odd status": Fault(raw=b"HTTP/1.1 999 " + raw + b"\r\n\r\n"),
        "odd header": Fault(raw=b"HTTP/1.1 200 OK\r\n" + raw + b"\r\nContent-Length: 0\r\n\r\n"),
        "odd length": Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: " + raw + b"\r\n\r\n"),
        "odd chunks": Fault(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw + b"\r\n"),
        "closed": Fault.dropped(),
        "reset": Fault.dropped(reset=True),
        "silent": Fault.stall(10),
    }


@pytest.mark.parametrize("echo", ["url", "token"])
@pytest.mark.parametrize("name", _faults(""))
def test_token_and_odd_answers(run: Run, discord: LocalDiscord, name: str, echo: str) -> None:
    """A response that repeats the URL or the token, in any of its parts, is not passed on.

    Without the mask, the text of Discord's response shows it; without the filter on its loggers, `urllib3` does.
    """
    url = f"{discord.url}/api/webhooks/{discord.webhook_url.split('/')[-2]}/{TOKEN}"
    discord.fail_next(_faults(url if echo == "url" else TOKEN)[name], times=50)
    done = run(_LOG, url=url, prelude=_TELLTALE)
    assert done.code == 0
    assert discord.requests
    assert not shows(done.out + done.err)
    assert not any(shows(json.dumps(message.payload)) for message in discord.messages)


def test_token_and_success(run: Run, discord: LocalDiscord) -> None:
    """`urllib3` logs the path of each request that went well.

    Without the filter on its loggers, that path shows the token.
    """
    done = run(_LOG, prelude=_TELLTALE)
    token = discord.webhook_url.rsplit("/", 1)[1]
    assert "/***" in done.out
    assert "200" in done.out
    assert discord.messages
    assert not shows(done.out + done.err, token)


_SHOWN = """
from urllib.parse import quote

url = spell(os.environ["DISCORD_WEBHOOK_URL"])
handler.close()
log.removeHandler(handler)
handler = discord_logging.DiscordHandler(channel_limit=None, max_lag=lag, flush_timeout=10, context={"at": url})
log.addHandler(handler)

def post(address):
    raise ConnectionError(f"HTTPSConnectionPool: Max retries exceeded with url: {address}")

def log_url():
    try:
        try:
            post(url)
        except ConnectionError as error:
            raise RuntimeError(url) from error
    except RuntimeError as error:
        error.__notes__ = [f"see {url}"]
        log.exception("could not post to %s", url, extra={"url": url, "parts": [url], url: 1}, stack_info=True)
    log.error("%s", {"url": url, "headers": [("Location", url)]})
    log.warning("markdown [here](%s), <%s>, `%s`, %r, %s?wait=true", url, url, url, url.encode(), url)
    path = url.partition("/api")[2] or url
    log.error('urllib3: "POST /api%s HTTP/1.1" 204 0', path)
    attributes = dict.fromkeys(("name", "levelname", "pathname", "funcName", "threadName", "processName", "exc_text",
                                "stack_info", "msg"), url)
    log.handle(logging.makeLogRecord({"levelno": 40, **attributes}))

def log_long():
    # So that the cut falls on every place within it, with a shorter and a longer lead.
    for length in range(0, 6000, 45):
        log.error("%s %s %s", "x" * length, url, "y" * 6000)
        log.error("long", extra={"x" * (length % 300): "x" * length + url + "y" * 2000})
    for length in range(0, 400, 10):
        log.error("x" * length, exc_info=ValueError(f"{'y' * 5000}{url}{'z' * (3300 + length)}"))
"""


def everything_shown(discord: LocalDiscord) -> str:
    files = [file.text for message in discord.messages for file in message.files]
    payloads = [json.dumps(message.payload, ensure_ascii=False) for message in discord.messages]
    return "\n".join(payloads + files)


@pytest.mark.parametrize("lag", [60, 0], ids=["cards", "digest"])
@pytest.mark.parametrize("log_all", ["log_url", "log_long"])
@pytest.mark.parametrize(
    "spell",
    [
        "str",
        "lambda text: text.rpartition('/')[2]",
        "lambda text: text.rpartition('/')[2].replace('_', chr(92) + '_').replace('-', chr(92) + '-')",
        "lambda text: text.replace('/', chr(92) + '/')",
        "lambda text: quote(quote(text, safe=''), safe='')",
    ],
    ids=["URL", "token", "Markdown", "JSON", "percent-encoded"],
)
def test_token_and_the_channel(run: Run, lag: float, log_all: str, spell: str) -> None:
    """A webhook URL or token in a record is shown without the token, in cards and files, wherever it is cut.

    Without the mask in `clean` it is shown whole.
    """
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as discord:
        script = f"lag, spell = {lag}, {spell}\n{_SHOWN}\n{log_all}()\nprint(handler.flush(60))"
        done = run(script, url=discord.webhook_url)
        shown = everything_shown(discord)
        assert (done.out, done.err) == ("True\n", "")
        assert "***" in shown
        assert spell != "str" or "webhooks/" in shown
        assert not shows(shown, discord.webhook_url.rsplit("/", 1)[1])
