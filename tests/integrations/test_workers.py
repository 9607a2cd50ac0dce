"""Tests of the number of a worker."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from discord_logging._integrations.workers import worker_number


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
