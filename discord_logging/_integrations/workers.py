"""The process as a worker of an application server."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import traceback

from discord_logging._delivery.signals import flush_on_signals


def worker_number() -> int:
    """Return which worker this process is, counted from 1 over its server's life; 0 if it is no worker."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return int(uwsgi.worker_id())
    # A worker of gunicorn that loads the application does so below its own methods; the server that preloads it has
    # none there. `age` is how many workers had been made.
    for caller, _ in traceback.walk_stack(inspect.currentframe()):
        if caller.f_globals.get("__name__", "").startswith("gunicorn.workers."):
            return int(getattr(caller.f_locals.get("self"), "age", 0))
    return 0


def flush_at_sigterm() -> None:
    """Deliver before `SIGTERM` ends the process, unless a server handles it, which lets the interpreter exit."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        flush_on_signals(signal.SIGTERM)
