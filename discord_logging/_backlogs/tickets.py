"""This module hands out numbers to any thread, and also to a signal handler that has interrupted one."""

from __future__ import annotations

import operator
import sys


class Tickets:
    """Numbers from 1, each of which is handed out once.

    Attributes:
        take: Returns the next number. Takes no lock, since an iterator over a range gives each number once.
    """

    def __init__(self) -> None:
        self._left = iter(range(1, sys.maxsize))
        self.take = self._left.__next__

    @property
    def taken(self) -> int:
        """How many numbers were handed out, which is also the last one; 0 before the first."""
        return sys.maxsize - 1 - operator.length_hint(self._left)
