"""This module watches management commands."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from discord_logging._integrations.handlers import report
from discord_logging._records.work import Work, current_work, enter_work
from discord_logging.django._handlers import find_handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Method = Callable[..., Any]

_LOGGER = "django.core.management"
_NO_ARGUMENTS = frozenset(
    {"force_color", "no_color", "pythonpath", "settings", "skip_checks", "stderr", "stdout", "traceback", "verbosity"}
)
"""The options that every command has."""


def find_command() -> str | None:
    """Return the management command that this process runs, or `None`. Works before the command begins."""
    for caller, _ in traceback.walk_stack(inspect.currentframe()):
        if caller.f_globals.get("__name__") == "django.core.management" and caller.f_code.co_name == "execute":
            argv = getattr(caller.f_locals.get("self"), "argv", None) or []
            return argv[1] if len(argv) > 1 else None
    return None


def watch_run(run_from_argv: Method) -> Method:
    """Return `run_from_argv` of `BaseCommand` such that an exception that ends the program is reported."""

    @functools.wraps(run_from_argv)
    def watched(self: BaseCommand, argv: list[str]) -> Any:
        _, name, *arguments = argv
        labels = _without_blanks({"command": name, "arguments": shlex.join(arguments)})
        with enter_work(Work(lambda: labels)):
            try:
                return run_from_argv(self, argv)
            except SystemExit as error:
                # Django shows a CommandError on stderr, and exits.
                if isinstance(error.__context__, CommandError):
                    _report(name, error.__context__)
                raise
            except Exception as error:
                _report(name, error)
                raise

    return watched


def watch_execute(execute: Method) -> Method:
    """Return `execute` of `BaseCommand` such that records of a command show it, if they show no other work."""

    @functools.wraps(execute)
    def watched(self: BaseCommand, *args: Any, **options: Any) -> Any:
        if current_work() is not None:
            return execute(self, *args, **options)
        given = {name: value for name, value in options.items() if name not in _NO_ARGUMENTS}
        labels = _without_blanks({"command": _name(self), "arguments": args or None, "options": _without_blanks(given)})
        with enter_work(Work(lambda: labels)):
            return execute(self, *args, **options)

    return watched


def _report(name: str, error: Exception) -> None:
    is_seen = isinstance(error, CommandError) and sys.stderr is not None and sys.stderr.isatty()
    if not is_seen:
        report(find_handlers(), _LOGGER, error, "Command %s failed", name)


def _name(command: BaseCommand) -> str:
    return type(command).__module__.rpartition(".")[2]


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value is not False and value != ""}
