"""This module knows the unit of work in which a record is logged: a request, a task or a command.

An integration enters the work before it calls the program's code. A context variable carries it, so that each thread
and each asyncio task has its own. Records of the work show its values, and each of its exceptions is told once.
"""

from __future__ import annotations

import contextlib
import os
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_next_number = count(1).__next__


class Work:
    """A unit of work. Its values are read when a record is logged, since a request may be routed after its beginning.

    A value that differs each time, such as an id, is a `UniqueText`: it does not keep repeats apart.

    Args:
        labels: Returns the few values that every record of the work shows.
        details: Returns the values that a record with an exception shows beside the labels.

    Attributes:
        outer: The work within which this one was entered, or `None`.
        key: Numbers that no other work has, in this process or in one that an exception comes from.
    """

    __slots__ = ("_details", "_labels", "key", "outer")

    def __init__(
        self, labels: Callable[[], Mapping[str, object]], details: Callable[[], Mapping[str, object]] = dict
    ) -> None:
        self.key = os.getpid(), _next_number()
        self.outer: Work | None = None
        self._labels = labels
        self._details = details

    def values(self, *, has_exception: bool) -> dict[str, object]:
        """Return the values for a record, by name. Never raises an `Exception`."""
        values = {**(self.outer.values(has_exception=False) if self.outer else {}), **_read(self._labels)}
        return {**values, **_read(self._details)} if has_exception else values


def _read(function: Callable[[], Mapping[str, object]]) -> dict[str, object]:
    try:
        return dict(function())
    except Exception as error:  # noqa: BLE001 - an override may raise anything, and so may a hostile request
        return {"details": f"cannot be shown: {type(error).__name__}"}


_current: ContextVar[Work | None] = ContextVar("discord_logging_work", default=None)
current_work = _current.get
"""Returns the work that the caller's thread or asyncio task is in, or `None`."""


@contextlib.contextmanager
def enter_work(work: Work) -> Iterator[Work]:
    """Make `work` the current one in the `with` block.

    An exception that passes from one work to the work around it is told once, and records show both.
    """
    outer = _current.get()
    if outer is not None and outer is not work:
        work.outer, work.key = outer, outer.key
    token = _current.set(work)
    try:
        yield work
    finally:
        # A generator may be closed in another context than that in which it began.
        with contextlib.suppress(ValueError):
            _current.reset(token)
