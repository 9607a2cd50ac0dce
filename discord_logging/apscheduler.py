"""The APScheduler extension: each failed job becomes one card with its name, id and arguments.

The module needs the extra `apscheduler`: `pip install 'discord-log-handler[apscheduler]'`.
"""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._discord.webhook_url import hide_urls
from discord_logging._handler import discord_handlers
from discord_logging._integrations.handlers import ensure_handler, report
from discord_logging._integrations.request_fields import given, unique
from discord_logging._integrations.task_queues import leave_out, name_arguments
from discord_logging._records.values import to_text
from discord_logging._records.work import Work, enter_work

try:
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_SCHEDULER_STARTED
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.apscheduler needs APScheduler 3: pip install 'discord-log-handler[apscheduler]'",
        name=_error.name,
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apscheduler.events import JobExecutionEvent
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler

__all__ = ["DiscordLogging"]

_LOGGER = "apscheduler.executors"


class DiscordLogging:
    """Posts the errors of the jobs of a scheduler to a Discord channel: `DiscordLogging(scheduler)`.

    The extension does this:

    - A failed job becomes one card: name, id, arguments and trigger, with secrets masked, and the place where the
      exception was raised.
    - Records of all loggers are posted as well, from the level of the handler on. Those that are logged in a job show
      its name and id, unless the job runs in another process. Each exception of a job is told once, whoever logs it.

    If the root logger already has a `DiscordHandler` when the scheduler starts, the extension uses it. Otherwise it
    makes a handler with `settings`. Without a URL there or in the environment, nothing is posted.

    Args:
        scheduler: A scheduler of APScheduler 3.
        **settings: Settings of `DiscordHandler`. `level` is `ERROR` by default. APScheduler logs errors in them when
            the scheduler starts.
    """

    def __init__(self, scheduler: BaseScheduler, **settings: Any) -> None:
        self._scheduler = scheduler
        self._settings = hide_urls(settings)
        if scheduler.running:
            self._set_up()
        scheduler.add_listener(self._set_up, EVENT_SCHEDULER_STARTED)
        scheduler.add_listener(self._report, EVENT_JOB_ERROR)

    def _set_up(self, _: object = None) -> None:
        if not any(discord_handlers(logging.getLogger(_LOGGER))):
            ensure_handler(logging.getLogger(), **self._settings)
        leave_out(discord_handlers(logging.getLogger(_LOGGER)), _LOGGER, "raised an exception")
        _watch_jobs()

    def _report(self, event: JobExecutionEvent) -> None:
        """Report the failure of a job that ran in another process."""
        if hasattr(event, "is_reported"):
            return
        job = self._scheduler.get_job(event.job_id, event.jobstore)
        labels = {"job_id": unique(event.job_id)}
        work = _make_work(job) if job else Work(lambda: labels)
        what, error = f"Job {job.name}" if job else "A job", event.exception
        text = f"Traceback (most recent call last):\n{event.traceback}{type(error).__name__}: {to_text(error)}"
        with enter_work(Work(lambda: work.values(has_exception=True))):
            logging.getLogger(_LOGGER).error("%s failed\n%s", what, text)


def _watch_jobs() -> None:
    """Let the executors run jobs with our functions, in which records show the job."""
    # Each module of an executor has its own reference to the functions.
    for module in [each for name, each in sys.modules.items() if name.startswith("apscheduler.executors.")]:
        for name, watch in (("run_job", _watched), ("run_coroutine_job", _watched_coroutine)):
            run = getattr(module, name, None)
            if run is not None and not hasattr(run, "__wrapped__"):
                setattr(module, name, watch(run))


# A pool of processes finds the function by its name, so there is one; a spawned process runs the original.
@functools.cache
def _watched(run_job: Any) -> Any:
    @functools.wraps(run_job)
    def watched(job: Job, *args: Any) -> Any:
        with enter_work(_make_work(job)):
            return _report_all(job, run_job(job, *args))

    return watched


@functools.cache
def _watched_coroutine(run_job: Any) -> Any:
    @functools.wraps(run_job)
    async def watched(job: Job, *args: Any) -> Any:
        with enter_work(_make_work(job)):
            return _report_all(job, await run_job(job, *args))

    return watched


def _report_all(job: Job, events: Iterable[JobExecutionEvent]) -> Iterable[JobExecutionEvent]:
    for event in events:
        if event.code == EVENT_JOB_ERROR:
            event.is_reported = True
            handlers = discord_handlers(logging.getLogger(_LOGGER))
            report(list(handlers), _LOGGER, event.exception, "Job %s failed", job.name)
    return events


def _make_work(job: Job) -> Work:
    labels = given({"job": job.name, "job_id": unique(job.id)})

    def details() -> dict[str, object]:
        arguments = name_arguments(job.func, job.args, job.kwargs)
        return {**arguments, "trigger": to_text(job.trigger)}

    return Work(lambda: labels, details)
