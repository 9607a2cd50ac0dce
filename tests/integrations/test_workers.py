"""Tests of the number of a worker, and of its end by a signal."""

from __future__ import annotations

import functools
import multiprocessing
import signal
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._integrations.workers import flush_at_sigterm, server_package, worker_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _restored_signal() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)


def call_from(module: str, function: Callable[[], Any]) -> Any:
    """Return what a function returns to a caller in a module."""
    namespace: dict[str, Any] = {"__name__": module}
    exec("def call(function): return function()", namespace)  # noqa: S102 - a caller in a module of that name
    return namespace["call"](function)


@pytest.mark.parametrize("age", [1, 2, 17])
def test_the_worker_of_gunicorn_is_found_on_the_stack(age: int) -> None:
    """The age of a worker is its number."""
    namespace: dict[str, Any] = {"__name__": "gunicorn.workers.base"}
    exec("def load_wsgi(self, load): return load()", namespace)  # noqa: S102 - a method in a module of that name
    assert namespace["load_wsgi"](types.SimpleNamespace(age=age), worker_number) == age


@pytest.mark.parametrize("number", [0, 1, 2])
def test_uwsgi_knows_the_worker(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that forks the workers has the number 0."""
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(worker_id=lambda: number))
    assert worker_number() == number


def test_other_processes_are_not_workers() -> None:
    """A script has the number 0."""
    assert worker_number() == 0


@pytest.mark.parametrize(("identity", "number"), [((), 0), ((2,), 2), ((1, 3), 3)])
@pytest.mark.parametrize("module", ["uvicorn._subprocess", "hypercorn.run", "granian.server.mp", "__main__"])
def test_a_server_numbers_its_children(
    module: str, identity: tuple[int, ...], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are those of `multiprocessing`, which other programs use for other children."""
    monkeypatch.setattr(multiprocessing.process.current_process(), "_identity", identity)
    server = module.partition(".")[0]
    assert call_from(module, server_package) == ("" if server == "__main__" else server)
    assert call_from(module, worker_number) == (0 if server == "__main__" else number)


def test_sigterm_delivers_unless_a_server_handles_it() -> None:
    """The handler of a server is kept; only that of a server that ends by the signal all the same is wrapped."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    flush_at_sigterm()
    assert isinstance(signal.getsignal(signal.SIGTERM), functools.partial)

    def handle(*_: object) -> None:
        pass

    handle.__module__ = "uvicorn.server"
    signal.signal(signal.SIGTERM, handle)
    flush_at_sigterm()
    flush_at_sigterm(server="hypercorn")
    assert signal.getsignal(signal.SIGTERM) is handle
    thread = threading.Thread(target=flush_at_sigterm, kwargs={"server": "uvicorn"})
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is handle
    flush_at_sigterm(server="uvicorn")
    assert isinstance(signal.getsignal(signal.SIGTERM), functools.partial)
