"""This module marks the threads of this package. Our handlers ignore all records that are logged there.

The idents of the threads are not suitable: gevent may change the ident of a running thread.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    import logging

is_own_thread: ContextVar[bool] = ContextVar("is_own_thread", default=False)
own_handlers: WeakSet[logging.Handler] = WeakSet()
"""Our handlers."""
