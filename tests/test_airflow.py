"""Tests of the plugin for Airflow, with stand-ins for the two names that it imports from Airflow."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import cards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord


class AirflowPlugin:
    """The base of plugins."""


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, discord: LocalDiscord) -> Iterator[Any]:
    """Yield the listener of the plugin, in the process of a task."""
    listeners, plugins = types.ModuleType("airflow.listeners"), types.ModuleType("airflow.plugins_manager")
    vars(listeners)["hookimpl"] = lambda function: function
    vars(plugins)["AirflowPlugin"] = AirflowPlugin
    for module in (types.ModuleType("airflow"), listeners, plugins):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
    plugin = importlib.import_module("discord_logging.airflow").DiscordLogging
    assert issubclass(plugin, AirflowPlugin)
    yield plugin.listeners[0]
    plugin.listeners[0].before_stopping()
    del sys.modules["discord_logging.airflow"]


def make_task(**values: Any) -> Any:
    facts = {
        "dag_id": "shop",
        "task_id": "pay",
        "run_id": "manual__1",
        "map_index": -1,
        "try_number": 2,
        "state": "failed",
    }
    return types.SimpleNamespace(**{**facts, "task": object(), **values})


def test_a_failed_task_is_one_card(discord: LocalDiscord, listener: Any) -> None:
    """Records of the task show it, and what waits is delivered when the task has ended."""
    task = make_task()
    listener.on_task_instance_running(task)
    logging.getLogger("shop").error("from the task")
    listener.on_task_instance_failed(task, ValueError("no money"))
    listener.before_stopping()
    assert len(discord.messages) > 0
    assert cards(discord) == [
        ("from the task", {"dag": "shop", "task": "pay", "run_id": "manual__1"}),
        (
            "Task shop.pay failed",
            {"dag": "shop", "task": "pay", "run_id": "manual__1", "try_number": "2", "operator": "object"},
        ),
    ]


def test_a_failure_that_is_tried_again_makes_no_card(discord: LocalDiscord, listener: Any) -> None:
    """Airflow calls the same function for it."""
    task = make_task(state="up_for_retry", map_index=3)
    listener.on_task_instance_running(task)
    listener.on_task_instance_failed(task, ValueError("no money"))
    assert cards(discord) == []


def test_an_error_may_be_a_text(discord: LocalDiscord, listener: Any) -> None:
    """Such as that of a task that was marked as failed."""
    listener.on_task_instance_running(make_task())
    listener.on_task_instance_failed(make_task(), "marked by hand")
    assert [text for text, _ in cards(discord)] == ["Task shop.pay failed: marked by hand"]


@pytest.mark.measured
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("airflow", "needs Airflow 3: pip install apache-airflow"),
        ("apscheduler", "needs APScheduler 3: pip install 'discord-log-handler[apscheduler]'"),
        ("celery", "needs Celery: pip install 'discord-log-handler[celery]'"),
        ("dramatiq", "needs Dramatiq: pip install 'discord-log-handler[dramatiq]'"),
        ("rq", "needs RQ: pip install 'discord-log-handler[rq]'"),
    ],
)
@pytest.mark.once
def test_a_missing_extra_is_named(name: str, words: str) -> None:
    """A finder that finds nothing stands for a library that is not installed."""
    code = f"""
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
import discord_logging.{name}
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert f"ImportError: discord_logging.{name} {words}" in process.stderr
