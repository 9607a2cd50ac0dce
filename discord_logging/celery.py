"""The Celery extension: each failed task becomes one card with its name, id and arguments.

The module needs the extra `celery`: `pip install 'discord-log-handler[celery]'`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from discord_logging._discord.webhook_url import hide_urls
from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.handlers import (
    IntegrationHandler,
    LastResort,
    ensure_handler,
    mark_told,
    post_start,
    report,
)
from discord_logging._integrations.request_fields import given, mask_values, unique
from discord_logging._integrations.task_queues import bind, flush_before_exit, leave_out, name_arguments
from discord_logging._records.exceptions import origin
from discord_logging._records.parse import parse_switch
from discord_logging._records.reports import is_noted
from discord_logging._records.values import to_text
from discord_logging._records.work import Work, enter_work

try:
    import celery.app.log
    from billiard import current_process
    from celery import signals
    from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded
    from celery.utils.imports import symbol_by_name
    from celery.utils.saferepr import saferepr
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.celery needs Celery: pip install 'discord-log-handler[celery]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery, Task

__all__ = ["DiscordLogging"]

_UID = "discord_logging"
_HIJACKED = ("", "celery", "celery.task", "celery.redirected")
"""The loggers whose handlers a worker removes (`worker_hijack_root_logger`)."""
_REQUEST_LOGGER = "celery.worker.request"
_settings: dict[str, Any] = {}
"""The settings of the handler that the extension makes."""
_entered: weakref.WeakKeyDictionary[Any, contextlib.ExitStack] = weakref.WeakKeyDictionary()
"""The works of the tasks that run now, by their requests."""


class DiscordLogging:
    """Posts the errors of the tasks of a Celery application to a Discord channel.

    The extension does this in workers, in `celery beat`, and for tasks that are called eagerly:

    - A failed task becomes one card: name, id, arguments, retries, queue and worker, with secrets masked, and the place
      where the exception was raised. This holds as well for a worker process that was killed, and for a time limit.
      Retries make no card, but the failure of the last one does. `Ignore`, `Reject` and exceptions in the task's
      `throws` make no card.
    - Records of all loggers are posted as well, from the level of the handler on. Those that are logged in a task show
      its name and id. Each exception of a task is told once, whoever logs it.
    - One notice is posted when a worker or beat is ready, whatever its number of processes is.
    - Waiting records are delivered when a process of the pool ends, and when the worker ends.

    If the root logger already has a `DiscordHandler`, for example from `logging.config.dictConfig`, the extension uses
    it and keeps it when a worker removes the handlers of the root logger (`worker_hijack_root_logger`). Otherwise the
    extension makes a handler with `settings` when Celery sets logging up, or when a task is called eagerly; a program
    that only sends tasks has none. Without a URL there or in the environment, nothing is posted.

    Args:
        app: The application.
        startup_notice: Whether a notice is posted at the start.
        **settings: Settings of `DiscordHandler`. `level` is `ERROR` by default.

    Raises:
        InvalidSettingError: `startup_notice` is neither true nor false. Another wrong setting, or a malformed webhook
            URL, ends the worker at its start; in a task that is called eagerly, Celery logs the error.
    """

    def __init__(self, app: Celery, *, startup_notice: bool | str | None = True, **settings: Any) -> None:
        has_notice = parse_switch("startup_notice", startup_notice, default=True)
        _settings.update(hide_urls(settings))
        _keep_handlers(app)
        signals.task_prerun.connect(_enter, dispatch_uid=_UID)
        signals.task_postrun.connect(_leave, dispatch_uid=_UID)
        signals.task_failure.connect(_report, dispatch_uid=_UID)
        signals.task_internal_error.connect(_report_internal, dispatch_uid=_UID)
        signals.worker_process_shutdown.connect(_flush, dispatch_uid=_UID)
        if has_notice:
            signals.worker_ready.connect(_post_worker, dispatch_uid=_UID)
            signals.beat_init.connect(_post_beat, dispatch_uid=_UID)


class _Logging(celery.app.log.Logging):  # type: ignore[misc]  # Celery has no types
    """Sets logging up as Celery does, and keeps our handlers."""

    def setup_logging_subsystem(self, *args: Any, **kwargs: Any) -> Any:
        """Set logging up once in a process."""
        root, tasks, is_first = logging.getLogger(), logging.getLogger("celery.task"), not self.already_setup
        loggers = [logging.getLogger(name) for name in _HIJACKED]
        kept = {each: [*filter(_is_ours, each.handlers)] for each in loggers}
        for handler in list(root.handlers):
            # Celery writes nothing to the console if the root logger has a handler.
            if isinstance(handler, (IntegrationHandler, LastResort)):
                root.removeHandler(handler)
        try:
            return super().setup_logging_subsystem(*args, **kwargs)
        finally:
            for logger, handlers in kept.items():
                if not any(map(_is_ours, logger.handlers)):
                    # The formatter of another handler would add the id of the task to a record as its own value.
                    logger.handlers[:0] = handlers
            if is_first:
                ensure_handler(root, **_settings)
            # The loggers of tasks do not propagate to the root logger.
            if not any(discord_handlers(tasks)):
                tasks.handlers[:0] = discord_handlers(root)
            leave_out(_handlers(), _REQUEST_LOGGER, "Hard time limit")


def _keep_handlers(app: Celery) -> None:
    """Let `app` set logging up with our class, or with one that adds ours to the program's own."""
    base = symbol_by_name(app.log_cls)
    if not issubclass(base, _Logging):
        # A spawned worker process imports the class by its name.
        app.log_cls = _Logging if base is celery.app.log.Logging else type(base.__name__, (_Logging, base), {})
        vars(app).pop("log", None)


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler, DiscordHandler)


def _handlers() -> list[DiscordHandler]:
    return list(discord_handlers(logging.getLogger(_REQUEST_LOGGER)))


def _enter(task: Task, task_id: str, args: Any, kwargs: Any, **_: Any) -> None:
    if not _handlers():
        # The task is called eagerly.
        ensure_handler(logging.getLogger(), **_settings)
    request = task.request_stack.top
    stack = _entered[request] = contextlib.ExitStack()
    stack.enter_context(enter_work(_make_work(task, task_id, args, kwargs, request)))


def _leave(task: Task, **_: Any) -> None:
    if stack := _entered.pop(task.request_stack.top, None):
        stack.close()


def _make_work(task: Task, task_id: str, args: Any, kwargs: Any, request: Any) -> Work:
    labels = given({"task": task.name, "task_id": unique(task_id)})

    def details() -> Mapping[str, object]:
        delivery = getattr(request, "delivery_info", None) or {}
        fields = {
            "retries": getattr(request, "retries", None),
            "queue": delivery.get("routing_key"),
            "worker": unique(getattr(request, "hostname", None)),
        }
        return {**_arguments(task, args, kwargs, request), **given(fields)}

    return Work(lambda: labels, details)


def _arguments(task: Task, args: Any, kwargs: Any, request: Any) -> dict[str, object]:
    """Return the arguments by name, unless the caller hides them with `argsrepr` or `kwargsrepr`."""
    shown = {"args": getattr(request, "argsrepr", None), "kwargs": getattr(request, "kwargsrepr", None)}
    sizes = task.app.amqp
    # A tuple of the caller arrives as a list.
    own = {saferepr(kind(args), sizes.argsrepr_maxsize) for kind in (tuple, list)}
    own |= {saferepr(kwargs, sizes.kwargsrepr_maxsize), None}
    if set(shown.values()) <= own:
        return name_arguments(task.run, args, kwargs)
    # A value may have become another one on its way, so that the text differs although it is not the caller's.
    named = bind(task.run, args or (), kwargs or {}) or {}
    return {name: mask_values(text, named) for name, text in shown.items() if text and text not in ("()", "[]", "{}")}


def _report(sender: Task, task_id: str, exception: BaseException, **facts: Any) -> None:
    """Report a failure, in the process that runs the task, or in the main process if that process is gone."""
    if isinstance(exception, (Ignore, Reject, Retry, *(sender.throws or ()))) or _is_second(exception):
        return
    request = sender.request_stack.top
    is_running = request in _entered
    # An exception that cannot be pickled was replaced by another one.
    raised = (sys.exc_info()[1] if is_running else None) or exception
    if is_noted(exception) and not is_running:
        return
    with contextlib.ExitStack() as stack:
        if not is_running:
            args, kwargs = facts.get("args") or (), facts.get("kwargs") or {}
            stack.enter_context(enter_work(_make_work(sender, task_id, args, kwargs, request)))
        handlers = _handlers()
        report(handlers, sender.__module__, raised, "Task %s failed", sender.name)
        # Celery logs one of these next.
        for each in (exception, getattr(facts.get("einfo"), "exception", None)):
            if each is not None and each is not raised:
                mark_told(handlers, each)


def _report_internal(request: Any, **facts: Any) -> None:
    """Report an error that was raised outside of the task, such as one of the result backend."""
    # The caller of an eager task gets the exception.
    if not (request and request.get("is_eager")):
        _report(**facts)


def _is_second(exception: BaseException) -> bool:
    """Tell whether Celery sends the signal a second time for a task that a hard time limit has ended."""
    return isinstance(exception, TimeLimitExceeded) and origin(exception.__traceback__)[2] == "on_timeout"


def _flush(**_: Any) -> None:
    flush_before_exit()


def _post_worker(sender: Any, **_: Any) -> None:
    pool = type(sender.pool).__module__.rpartition(".")[2]
    fields = {
        "worker": sender.hostname,
        "pool": f"{pool}, {sender.pool.limit}",
        "queues": ", ".join(sender.app.amqp.queues.consume_from),
    }
    _post_start(sender.app, "worker", fields)


def _post_beat(sender: Any, **_: Any) -> None:
    # A worker with `--beat` runs it in a process or thread of its own.
    if current_process().name == "MainProcess" and threading.current_thread() is threading.main_thread():
        _post_start(sender.app, "beat", {})


def _post_start(app: Celery, role: str, fields: Mapping[str, object]) -> None:
    name = to_text(app.main or "Celery")
    post_start(_handlers(), name, f"{name} {role}", {**fields, "celery": celery.__version__})
