"""Our requests are no part of the program's traces: the tools that record requests leave ours out.

Such a tool would record the address of each request, which holds the token, and send the program's trace ids to
Discord. A tool is asked for silence only if the program has imported it; nothing is imported here.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Switch tracing off for the requests of this thread. Raises no exception of a tool."""
    with contextlib.ExitStack() as stack:
        for suppress in (_suppress_opentelemetry, _suppress_sentry):
            # The tool may be half imported, or of a version that we do not know.
            with contextlib.suppress(Exception):
                switch = suppress()
                switch.__enter__()
                stack.callback(_leave, switch)
        yield


def _leave(switch: contextlib.AbstractContextManager[object]) -> None:
    with contextlib.suppress(Exception):
        switch.__exit__(None, None, None)


def _suppress_opentelemetry() -> contextlib.AbstractContextManager[object]:
    """https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/base/instrumentor.html."""
    suppress = _find("opentelemetry.instrumentation.utils", "suppress_instrumentation")
    return suppress() if suppress else contextlib.nullcontext()


def _suppress_sentry() -> contextlib.AbstractContextManager[object]:
    """Return a scope whose client has no integrations, so that no integration records a request.

    A scope without an active client would get the program's own. https://getsentry.github.io/sentry-python/apidocs.html
    documents scopes and clients.
    """
    if use_scope := _find("sentry_sdk.scope", "use_scope"):
        scope = _find("sentry_sdk.scope", "Scope")()
        client = _find("sentry_sdk.client", "NonRecordingClient")()
        client.is_active = lambda: True
        # `set_client` would also set attributes of the program's global scope.
        scope.client = client
        silence: contextlib.AbstractContextManager[object] = use_scope(scope)
        return silence
    hub = _find("sentry_sdk.hub", "Hub")  # up to version 1
    return hub() if hub else contextlib.nullcontext()


def _find(module: str, name: str) -> Any:
    """Return an attribute of a module that is imported, or `None`."""
    return getattr(sys.modules.get(module), name, None)
