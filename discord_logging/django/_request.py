"""This module watches requests: what cards show of them, and which of their exceptions nobody has logged."""

from __future__ import annotations

import copy
import functools
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.http import FileResponse, HttpRequest, QueryDict, StreamingHttpResponse
from django.utils.datastructures import MultiValueDict
from django.views.debug import get_exception_reporter_class, get_exception_reporter_filter

from discord_logging._integrations.handlers import mark_told, report
from discord_logging._integrations.request_fields import cut, find_id, first_values, given, mask_values, unique
from discord_logging._records.attachment import Attachment
from discord_logging._records.values import UniqueText, UnquotedText, asks_database, freeze_value, value_line
from discord_logging._records.work import Work, current_work, enter_work
from discord_logging.django._handlers import REQUEST_LOGGER, find_handlers
from discord_logging.django._settings import is_on

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from types import FrameType

    Method = Callable[..., Any]

_ADDRESS_HEADERS = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fly-client-ip",
        "forwarded",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded-for",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)
"""The headers in which proxies tell the client's address."""
_MAX_HEADERS = 50


class RequestWork(Work):
    """A request as a unit of work.

    Attributes:
        request: The request.
        exceptions: The exceptions that Django was about to answer with status 500.
    """

    __slots__ = ("exceptions", "request")

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(lambda: _read(request, _LABELS), lambda: _read(request, _DETAILS))
        self.request = request
        self.exceptions: list[BaseException] = []

    def end(self, escaped: Exception | None = None) -> None:
        """Report the exceptions that Django has not logged. Never raises an `Exception`.

        Django logs an exception after the handler of errors has responded. If that handler fails, it is called again
        for each middleware, and the last exception leaves Django; the first of them has what happened.
        """
        told, self.exceptions = self.exceptions, []
        handlers = find_handlers()
        if escaped is not None:
            told = [*told, escaped][1:2] or [escaped]
        for error in told:
            report(handlers, REQUEST_LOGGER, error, "Internal Server Error: %s", _path(self.request))
        if escaped is not None:
            mark_told(handlers, escaped)


def mask_record(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record of Django about a response such that it does not show a secret in the path of the request."""
    work, args = current_work(), record.args
    if not isinstance(work, RequestWork) or not isinstance(args, tuple):
        return record
    path, masked = work.request.path, _path(work.request)
    escaped = path.encode("unicode_escape").decode("ascii")  # as in `django.utils.log`
    if masked == cut(path) or escaped not in args:
        return record
    copied = copy.copy(record)
    copied.args = tuple(masked if each == escaped else each for each in args)
    vars(copied).pop("request", None)
    return copied


@contextmanager
def _watch(request: HttpRequest) -> Iterator[RequestWork]:
    """Let records of a request show it, and report its exceptions at the end."""
    work = RequestWork(request)
    with enter_work(work):
        try:
            yield work
        except Exception as error:
            work.end(error)
            raise
        work.end()


def watch_response(get_response: Method) -> Method:
    """Return `get_response` of `BaseHandler` such that records of a request show it."""

    @functools.wraps(get_response)
    def watched(self: Any, request: HttpRequest) -> Any:
        with _watch(request) as work:
            response = get_response(self, request)
        return _watch_stream(response, work)

    return watched


def watch_response_async(get_response: Method) -> Method:
    """Return `get_response_async` of `BaseHandler`, likewise."""

    @functools.wraps(get_response)
    async def watched(self: Any, request: HttpRequest) -> Any:
        with _watch(request) as work:
            response = await get_response(self, request)
        return _watch_stream(response, work)

    return watched


def note_exception(**_: object) -> None:
    """Remember the exception that Django has caught; a receiver of `got_request_exception`."""
    work, error = current_work(), sys.exc_info()[1]
    if isinstance(work, RequestWork) and error is not None and all(error is not each for each in work.exceptions):
        work.exceptions.append(error)


def _watch_stream(response: Any, work: RequestWork) -> Any:
    """Report exceptions from the body of a streaming response, which the server sends after the end of the request."""
    # A file has a body that the server may read by itself.
    if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
        watch = _watched_async if response.is_async else _watched
        response.streaming_content = watch(response.streaming_content, work)
    return response


def _watched(body: Any, work: RequestWork) -> Iterator[Any]:
    try:
        yield from body
    except Exception as error:
        with enter_work(work):
            work.end(error)
        raise


async def _watched_async(body: Any, work: RequestWork) -> AsyncIterator[Any]:
    try:
        async for part in body:
            yield part
    except Exception as error:
        with enter_work(work):
            work.end(error)
        raise


def filter_variables(frame: FrameType, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the local variables of a frame as Django's filter shows them, which knows `sensitive_variables`."""
    work = current_work()
    request = work.request if isinstance(work, RequestWork) else None
    ready = {name: _simplify(each) for name, each in variables.items()}
    stand_in = SimpleNamespace(f_code=frame.f_code, f_back=frame.f_back, f_locals=ready)
    return dict(get_exception_reporter_filter(request).get_traceback_frame_variables(request, stand_in))


def _simplify(value: Any) -> Any:
    """Return text for a lazy object, which the filter would load, and for a request, whose path may have a secret."""
    if asks_database(value):
        return _loaded_text(value)
    if issubclass(type(value), HttpRequest):
        return UnquotedText(f"<{type(value).__name__}: {value.method} {_path(value)!r}>")
    return value


def _loaded_text(value: object) -> UnquotedText:
    return UnquotedText(value_line(freeze_value(value)))


def _read(request: HttpRequest, functions: Mapping[str, Callable[[HttpRequest], Any]]) -> dict[str, Any]:
    """Return the values of a request by name. One that cannot be read costs no other."""
    return given({name: _try(function, request) for name, function in functions.items()})


def _try(function: Callable[[HttpRequest], Any], request: HttpRequest) -> Any:
    try:
        return function(request)
    except Exception as error:  # noqa: BLE001 - the request may be hostile, and a filter of the project's own
        return f"cannot be shown: {type(error).__name__}"


def _path(request: HttpRequest) -> str:
    match = request.resolver_match
    return mask_values(request.path, match.kwargs if match else {})


def _request_id(request: HttpRequest) -> UniqueText | None:
    # `request.headers` would take four times as long for the headers that are missing.
    return find_id(lambda name: request.META.get(f"HTTP_{name.upper().replace('-', '_')}"))


def _view(request: HttpRequest) -> str | None:
    match = request.resolver_match
    return match._func_path if match else None  # noqa: SLF001 - the name that Django's own reports have


def _user_id(request: HttpRequest) -> UniqueText | None:
    """Return the id of the user who is loaded already. Asks no database."""
    user = vars(request).get("user")
    if asks_database(user):
        user = object.__getattribute__(user, "__dict__").get("_wrapped")
    with _no_queries():
        found = getattr(user, "pk", None)
    return None if found is None else unique(found)


def _form(request: HttpRequest) -> dict[str, object] | None:
    # The form is shown only if the project has parsed it. Parsing it here could wait for the client.
    if "_post" not in vars(request):
        return None
    form = get_exception_reporter_filter(request).get_post_parameters(request)
    return first_values(form.lists() if hasattr(form, "lists") else ((name, [form[name]]) for name in form))


def _files(request: HttpRequest) -> dict[str, object]:
    files = vars(request).get("_files") or MultiValueDict()
    shown = ((name, [f"{each.name} ({each.size:,} bytes)" for each in found]) for name, found in files.lists())
    return first_values(shown)


def _headers(request: HttpRequest) -> UniqueText:
    """Return the headers as one text, since they differ from client to client."""
    lines = []
    for name, value in get_exception_reporter_filter(request).get_safe_request_meta(request).items():
        header = name.removeprefix("HTTP_").replace("_", "-").title()
        is_header = name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
        is_address = header.lower() in _ADDRESS_HEADERS and not is_on("client_address")
        if is_header and not is_address and header != "Cookie":
            lines.append(f"{header}: {cut(' '.join(str(value).split()))}")
    return UniqueText("\n".join(lines[:_MAX_HEADERS]))


def _client_address(request: HttpRequest) -> UniqueText | None:
    address = request.META.get("REMOTE_ADDR")
    return unique(address) if address and is_on("client_address") else None


def _report(request: HttpRequest) -> Attachment | None:
    """Return Django's own report of the exception, if the project wants it."""
    error = sys.exc_info()[1]
    if error is None or not is_on("report"):
        return None
    reporter_class: Any = get_exception_reporter_class(request)
    with _no_queries():
        reporter = reporter_class(_loaded(request), type(error), error, error.__traceback__, is_email=True)
        return Attachment(reporter.get_traceback_text().encode(errors="replace"), "report.txt")


def _loaded(request: HttpRequest) -> HttpRequest:
    """Return a copy of a request that has nothing to load any more: neither body nor user."""
    copied: HttpRequest = object.__new__(type(request))
    values = vars(copied)
    values.update(vars(request))
    values.setdefault("_post", QueryDict())
    values.setdefault("_files", MultiValueDict())
    if asks_database(values.get("user")):
        values["user"] = _loaded_text(values["user"])
    try:
        copied.GET  # noqa: B018 - a query with too many names cannot be read
    except Exception:  # noqa: BLE001 - as above
        values["GET"] = QueryDict()
    return copied


@contextmanager
def _no_queries() -> Iterator[None]:
    """Let the queries of this thread or task fail at once, such as those for the repr of a value."""
    with ExitStack() as stack:
        with suppress(Exception):  # a database may have wrong settings
            for connection in connections.all():
                for name in ("cursor", "chunked_cursor"):
                    own = vars(connection)
                    restore = partial(setattr, connection, name, own[name]) if name in own else None
                    stack.callback(restore or partial(delattr, connection, name))
                    setattr(connection, name, _refuse)
        yield


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError("no query is made for a report")


_LABELS: Mapping[str, Callable[[HttpRequest], Any]] = {
    "method": lambda request: cut(request.method or ""),
    "path": _path,
    "request_id": _request_id,
}
_DETAILS: Mapping[str, Callable[[HttpRequest], Any]] = {
    "route": lambda request: request.resolver_match and request.resolver_match.route,
    "view": _view,
    "user_id": _user_id,
    "GET": lambda request: first_values(request.GET.lists()),
    "POST": _form,
    "FILES": _files,
    "headers": _headers,
    "client_address": _client_address,
    "report": _report,
}
