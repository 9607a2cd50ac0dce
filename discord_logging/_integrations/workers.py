"""The role of this process as a worker of an application server."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import traceback

from discord_logging._delivery.signals import flush_on_signals


def worker_number() -> int:
    """Return the number of this worker, counted from 1 over its server's life, or 0 if the process is not a worker."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return int(uwsgi.worker_id())
    # A gunicorn worker loads the application from its own methods, which are on the stack; a server that preloads the
    # application has no worker on the stack. `age` counts the workers that the server has made.
    for caller, _ in traceback.walk_stack(inspect.currentframe()):
        if caller.f_globals.get("__name__", "").startswith("gunicorn.workers."):
            return int(getattr(caller.f_locals.get("self"), "age", 0))
    return 0


def flush_at_sigterm() -> None:
    """Deliver before `SIGTERM` ends the process, unless a server handles the signal and exits the interpreter."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        flush_on_signals(signal.SIGTERM)
