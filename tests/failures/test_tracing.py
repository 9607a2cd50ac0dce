"""Tools that trace the program's requests see none of ours, with the real libraries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord
    from tests.failures.conftest import Run

pytestmark = pytest.mark.once

_OPENTELEMETRY = """
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
for Instrumentor in (RequestsInstrumentor, URLLib3Instrumentor):
    Instrumentor().instrument()

def begin():
    return trace.get_tracer("app").start_as_current_span("checkout")

def recorded():
    return [span.to_json() for span in exporter.get_finished_spans()]
"""
_SENTRY = """
import sentry_sdk

kept = []

def keep(event, hint):
    kept.append(repr(event))

sentry_sdk.init(
    "http://key@127.0.0.1:9/1", traces_sample_rate=1.0, release="shop@1", environment="test",
    before_send=keep, before_send_transaction=keep, before_breadcrumb=lambda crumb, hint: kept.append(repr(crumb)),
)

def begin():
    return sentry_sdk.start_transaction(name="checkout")

def recorded():
    return kept
"""
_PRELUDE = """
import json, logging, os, sys, requests
import discord_logging
url = os.environ["DISCORD_WEBHOOK_URL"]
"""
_PROGRAM = """
handler = discord_logging.DiscordHandler(url)
log = logging.getLogger("app")
log.addHandler(handler)
page = url.partition("/api")[0]
with begin():
    log.error("from the listener's thread")
    assert handler.flush(20)
    sender = discord_logging.WebhookSender(url)
    sender.post(discord_logging.Message({"content": "from the program's thread"}))
    sender.get()
    requests.get(page + "?its=own", timeout=20)
with begin():
    # The session is traced again, also after a request that failed.
    try:
        discord_logging.WebhookSender("http://127.0.0.1:9/api/webhooks/1/" + "t" * 30).get()
    except discord_logging.TransportError:
        pass
    requests.get(page + "?its=second", timeout=20)
print(json.dumps(recorded()))
"""


@pytest.mark.measured
@pytest.mark.parametrize("tool", [_OPENTELEMETRY, _SENTRY], ids=["OpenTelemetry", "Sentry"])
def test_our_requests_are_no_part_of_a_trace(run: Run, discord: LocalDiscord, tool: str) -> None:
    """No span and no breadcrumb holds the token, no header goes to Discord, and the program's requests are traced.

    Without the suppression, the address of each post is in the program's own spans.
    """
    done = run(tool + _PROGRAM, prelude=_PRELUDE)
    assert (done.code, done.err) == (0, "")
    recorded = json.loads(done.out)
    token = discord.webhook_url.rpartition("/")[2]
    assert not [each for each in recorded if token[:10] in each or "webhooks" in each]
    for own in ("its=own", "its=second"):
        assert [each for each in recorded if own in each]
    names = {name.lower() for request in discord.requests for name in request.headers}
    assert len(discord.requests) == 3
    assert names.isdisjoint({"traceparent", "tracestate", "sentry-trace", "baggage"})


def test_the_settings_of_sentry_stay(run: Run) -> None:
    """Our own scope changes none of the program's scopes, clients and attributes."""
    done = run(
        _SENTRY
        + """
scope = sentry_sdk.get_global_scope()
if hasattr(scope, "set_attribute"):
    scope.set_attribute("sentry.environment", "set by the program")

def state():
    return repr([sentry_sdk.get_client(), sentry_sdk.get_current_scope(), getattr(scope, "_attributes", None)])

before = state()
discord_logging.WebhookSender(url).get()
assert state() == before
        """,
        prelude=_PRELUDE,
    )
    assert (done.code, done.err) == (0, "")


def test_no_tool_is_imported(run: Run) -> None:
    """A program that does not trace pays nothing, though the tools are installed."""
    done = run(
        """
        discord_logging.WebhookSender(url).get()
        print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "sentry_sdk")])
        """,
        prelude=_PRELUDE,
    )
    assert (done.code, done.out, done.err) == (0, "[]\n", "")
