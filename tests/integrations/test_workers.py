"""The process knows which worker of its server it is."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from discord_logging._integrations.workers import worker_number


@pytest.mark.parametrize("age", [1, 2, 17])
def test_gunicorn_tells_it_below_the_methods_of_a_worker(age: int) -> None:
    """The age of a worker is how many workers had been made."""
    namespace: dict[str, Any] = {"__name__": "gunicorn.workers.base"}
    exec("def load_wsgi(self, load): return load()", namespace)  # noqa: S102 - a method in a module of that name
    assert namespace["load_wsgi"](types.SimpleNamespace(age=age), worker_number) == age


@pytest.mark.parametrize("number", [0, 1, 2])
def test_uwsgi_tells_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that all workers are forked from is 0."""
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(worker_id=lambda: number))
    assert worker_number() == number


def test_elsewhere_it_is_no_worker() -> None:
    """A script is 0."""
    assert worker_number() == 0
