"""This module decides on Django's own records, before a handler takes them."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from discord_logging._records.work import current_work
from discord_logging.django._handlers import REQUEST_LOGGER, bind_tests, find_handlers, is_under_test
from discord_logging.django._request import mask_record

if TYPE_CHECKING:
    from discord_logging._handler import DiscordHandler

_ACCESS_LOGGER = "django.server"
_SERVER_ERROR = 500


class DjangoFilter(logging.Filter):
    """Leaves out records of responses that say less than another record.

    If the handler of an error such as 404 fails, Django logs the response with status 500 without the exception, which
    is reported at the end of the request. The development server logs such responses after Django.
    """

    def __init__(self, handler: DiscordHandler) -> None:
        super().__init__()
        self._handler = weakref.ref(handler)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the handler takes `record`. In place of a record with a secret, it gets a copy without."""
        if is_under_test():
            bind_tests()
        handler = self._handler()
        if handler is None or not record.name.startswith("django."):
            return True
        if getattr(record, "status_code", 0) >= _SERVER_ERROR and _is_told(record, handler):
            return False
        masked = mask_record(record)
        if masked is not record:
            handler.handle(masked)
        return masked is record


def _is_told(record: logging.LogRecord, handler: DiscordHandler) -> bool:
    if record.name == REQUEST_LOGGER:
        return not record.exc_info and bool(getattr(current_work(), "exceptions", None))
    # The records of the development server about other things have no arguments.
    return record.name == _ACCESS_LOGGER and bool(record.args) and handler in find_handlers()
