"""The role of this process as a worker of an application server."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import traceback

from discord_logging._delivery.signals import flush_on_signals

_SERVERS = frozenset({"uvicorn", "hypercorn", "granian"})
"""The packages of the servers whose workers are children of `multiprocessing`."""


def worker_number() -> int:
    """Return the number of this worker, counted from 1 over its server's life, or 0 if the process is not a worker."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return int(uwsgi.worker_id())
    # A worker loads or runs the application from the code of its server, which is on the stack; a server that preloads
    # the application has no worker on the stack.
    for caller, _ in traceback.walk_stack(inspect.currentframe()):
        module = caller.f_globals.get("__name__", "")
        if module.startswith("gunicorn.workers."):
            # `age` counts the workers that the server has made.
            return int(getattr(caller.f_locals.get("self"), "age", 0))
    return _child_number() if server_package() else 0


def server_package() -> str:
    """Return the name of the package of the ASGI server that calls this code, or an empty text."""
    frames = traceback.walk_stack(inspect.currentframe())
    packages = (str(caller.f_globals.get("__name__")).partition(".")[0] for caller, _ in frames)
    return next(filter(_SERVERS.__contains__, packages), "")


def _child_number() -> int:
    """Return the number of this child of `multiprocessing`, counted over its parent's life, or 0 if it is not one."""
    process = sys.modules.get("multiprocessing.process")
    # The name has the number too, but granian sets another name.
    identity: tuple[int, ...] = getattr(process and process.current_process(), "_identity", ())
    return identity[-1] if identity else 0


def flush_at_sigterm(*, server: str = "") -> None:
    """Deliver before `SIGTERM` ends the process, unless a server handles the signal and exits the interpreter.

    Args:
        server: The package of a server that handles the signal, but lets it end the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    present = signal.getsignal(signal.SIGTERM)
    if present is signal.SIG_DFL or (server and getattr(present, "__module__", "").startswith(f"{server}.")):
        flush_on_signals(signal.SIGTERM)
