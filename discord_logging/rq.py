"""RQ workers that report each failed job as one card, with its name, id and arguments.

The module needs the extra `rq`: `pip install 'discord-log-handler[rq]'`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from typing import TYPE_CHECKING, Any

from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.handlers import ensure_handler, post_start, report
from discord_logging._integrations.request_fields import given, unique
from discord_logging._integrations.task_queues import flush_before_exit, leave_out, name_arguments
from discord_logging._records.work import Work, enter_work

try:
    import rq.worker
    from rq.version import VERSION
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.rq needs RQ: pip install 'discord-log-handler[rq]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Callable

    from rq.job import Job
    from rq.queue import Queue

__all__ = ["DiscordLogging", "SimpleWorker", "SpawnWorker", "Worker"]

_LOGGER = "rq.worker"
_LOGGERS = (_LOGGER, "rq.job")
"""The loggers that RQ sets up, so that their records do not reach the root logger."""


class DiscordLogging(rq.worker.BaseWorker):
    """Posts the errors of jobs to a Discord channel, as a base of worker classes.

    `Worker`, `SimpleWorker` and `SpawnWorker` are RQ's workers with this base; for a worker class of your own, put it
    first: `class MyWorker(DiscordLogging, rq.Worker)`. A worker does this:

    - A failed job becomes one card: name, id, arguments, queue and worker, with secrets masked, and the place where the
      exception was raised. This holds as well if the process of the job was killed. A failure after which the job is
      tried again makes no card.
    - Records of all loggers are posted as well, from the level of the handler on. Those that are logged in a job show
      its name and id. Each exception of a job is told once, whoever logs it.
    - One notice is posted at the start, except with `--burst` and by the workers of a pool.
    - Waiting records are delivered before RQ ends the process of a job, within the `flush_timeout` of the handler.

    If the root logger already has a `DiscordHandler`, the worker uses it. Otherwise it makes a handler with the level
    `ERROR` and the URL from `DISCORD_WEBHOOK_URL`. Without a URL, nothing is posted.

    Attributes:
        startup_notice: Whether a notice is posted at the start.
    """

    startup_notice: bool = True

    def work(self, burst: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Perform jobs, as the base class does."""
        self.startup_notice = self.startup_notice and not burst and multiprocessing.parent_process() is None
        return bool(super().work(burst, *args, **kwargs))

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Start, as the base class does, and post the notice."""
        # RQ writes nothing to the console if the root logger has a handler, so ours comes later.
        super().bootstrap(*args, **kwargs)
        _set_up()
        if self.startup_notice:
            fields = {"worker": self.name, "queues": ", ".join(self.queue_names()), "rq": VERSION}
            post_start(_handlers(), _LOGGER, "RQ worker", fields)

    def perform_job(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> bool:
        """Perform a job, as the base class does, and deliver what waits if the process ends with the job."""
        _set_up()  # the process may have been spawned for the job
        try:
            with enter_work(self._make_work(job)):
                return bool(super().perform_job(job, queue, *args, **kwargs))
        finally:
            if self.is_horse:
                flush_before_exit()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Report the exception of a job, unless the job is tried again, and handle it as the base class does."""
        if not job.retries_left:
            report(_handlers(), _LOGGER, exc_info[1], "Job %s failed", _read_name(job))
        super().handle_exception(job, *exc_info)

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        """Report that the process of a job has ended without a word, and handle it as the base class does."""
        work = self._make_work(job)
        if not job.retries_left:
            text = "Job %s failed: its process ended unexpectedly with the exit code %s"
            code = None if ret_val is None else os.waitstatus_to_exitcode(ret_val)
            with enter_work(Work(lambda: work.values(has_exception=True))):
                logging.getLogger(_LOGGER).error(text, _read_name(job), code, stacklevel=2)
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]  # as RQ has it

    def _make_work(self, job: Job) -> Work:
        labels = given({"job": _read_name(job), "job_id": unique(job.id)})

        def details() -> dict[str, object]:
            fields = {"retries": job.number_of_retries, "queue": job.origin, "worker": unique(self.name)}
            arguments = name_arguments(_read(lambda: job.func), _read(lambda: job.args), _read(lambda: job.kwargs))
            return {**arguments, **given(fields)}

        return Work(lambda: labels, details)


class Worker(DiscordLogging, rq.worker.Worker):
    """The worker that forks a process for each job: `rq worker --worker-class discord_logging.rq.Worker`."""


class SimpleWorker(DiscordLogging, rq.worker.SimpleWorker):
    """The worker that performs jobs in its own process."""


class SpawnWorker(DiscordLogging, rq.worker.SpawnWorker):
    """The worker that spawns a process for each job."""


def _set_up() -> None:
    root = logging.getLogger()
    found = ensure_handler(root)
    for logger in map(logging.getLogger, _LOGGERS):
        if not any(discord_handlers(logger)):
            logger.handlers.extend(found)
    leave_out(_handlers(), _LOGGER, "exception raised while executing")


def _handlers() -> list[DiscordHandler]:
    """Return the handlers of RQ and of the root logger, which the module of a job may have configured."""
    found = dict.fromkeys([*discord_handlers(logging.getLogger(_LOGGER)), *discord_handlers(logging.getLogger())])
    return [each for each in found if not each.closed] or list(found)


def _read_name(job: Job) -> str:
    return _read(lambda: job.func_name) or str(job.id)


def _read(get: Callable[[], Any]) -> Any:
    """Return an attribute of a job, or `None`: a job that cannot be deserialized or imported has none."""
    try:
        return get()
    except Exception:  # noqa: BLE001 - a serializer and a module may raise anything
        return None
