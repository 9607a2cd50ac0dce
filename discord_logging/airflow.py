"""The plugin for Airflow 3: each failed task becomes one card with its DAG, id and run.

A file in Airflow's folder `plugins` switches it on: `from discord_logging.airflow import DiscordLogging`.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from discord_logging._handler import discord_handlers
from discord_logging._integrations.handlers import ensure_handler, report
from discord_logging._integrations.request_fields import given, unique
from discord_logging._integrations.task_queues import flush_before_exit
from discord_logging._records.values import to_text
from discord_logging._records.work import Work, enter_work

try:
    from airflow.listeners import hookimpl
    from airflow.plugins_manager import AirflowPlugin
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.airflow needs Airflow 3: pip install apache-airflow", name=_error.name
    ) from _error

__all__ = ["DiscordLogging"]

_LOGGER = "airflow.task"


class _Listener:
    """Airflow calls this in the process that runs a task."""

    def __init__(self) -> None:
        self._work = contextlib.ExitStack()

    @hookimpl  # type: ignore[untyped-decorator]  # Airflow is not installed where types are checked
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Let records that are logged in the task show it."""
        ensure_handler(logging.getLogger())
        self._work.enter_context(enter_work(_make_work(task_instance)))

    @hookimpl  # type: ignore[untyped-decorator]  # as above
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """Report the failure, unless the task is tried again."""
        if task_instance.state == "up_for_retry":
            return
        handlers = list(discord_handlers(logging.getLogger()))
        name = f"{task_instance.dag_id}.{task_instance.task_id}"
        if isinstance(error, BaseException):
            report(handlers, _LOGGER, error, "Task %s failed", name)
        else:
            logging.getLogger(_LOGGER).error("Task %s failed: %s", name, to_text(error))

    @hookimpl  # type: ignore[untyped-decorator]  # as above
    def before_stopping(self) -> None:
        """Deliver what waits: Airflow ends the process of a task without the exit hooks of the program."""
        self._work.close()
        flush_before_exit()


def _make_work(task: Any) -> Work:
    labels = given({"dag": task.dag_id, "task": task.task_id, "run_id": unique(task.run_id)})

    def details() -> dict[str, object]:
        index = task.map_index
        fields = {
            "map_index": None if index is None or index < 0 else str(index),
            "try_number": task.try_number,
            "operator": type(task.task).__name__,
        }
        return given(fields)

    return Work(lambda: labels, details)


DiscordLogging: Any = type(
    "DiscordLogging", (AirflowPlugin,), {"name": "discord_logging", "listeners": [_Listener()], "__doc__": __doc__}
)
"""The plugin.

It does this in the processes that run tasks:

- A failed task becomes one card: DAG, task, run, try and operator, and the place where the exception was raised. A
  failure after which the task is tried again makes no card.
- Records of `logging` are posted as well, from `ERROR` on. Those that are logged in a task show its DAG, id and run.
- Waiting records are delivered before the process of a task ends.

If the root logger has a `DiscordHandler` when the task begins, the plugin uses it. Otherwise it makes a handler with
the level `ERROR` and the URL from `DISCORD_WEBHOOK_URL`. Without a URL, nothing is posted.
"""
