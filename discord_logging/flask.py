"""The Flask extension: unhandled exceptions with their request, a start-up notice, and a health page.

The module needs the extra `flask`: `pip install 'discord-log-handler[flask]'`.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
import os
import re
import weakref
from importlib import metadata
from typing import TYPE_CHECKING, Any

from discord_logging._discord.webhook_url import hide, hide_urls
from discord_logging._exceptions import InvalidSettingError, InvalidWebhookURLError, suggest
from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.handlers import IntegrationHandler, add_handler, post_start, report
from discord_logging._integrations.request_fields import cut, first_values, given, mask_values, request_labels, unique
from discord_logging._integrations.workers import flush_at_sigterm, worker_number
from discord_logging._process.diagnostics import warn
from discord_logging._records.parse import parse_switch
from discord_logging._records.settings import without_blanks
from discord_logging._records.work import Work, enter_work

try:
    import click
    from flask import Blueprint, current_app, got_request_exception, has_app_context, has_request_context, request
    from flask.cli import ScriptInfo
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.flask needs Flask: pip install 'discord-log-handler[flask]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flask import Flask, Request, Response

__all__ = ["DiscordLogging"]

_NAME = "discord_logging"
_PREFIX = "DISCORD_"
_HANDLER_SETTINGS = frozenset(inspect.signature(DiscordHandler).parameters) - {"unknown"}
_OWN_SETTINGS = {"startup_notice": True, "client_address": False}
"""The settings of the extension itself that are true or false, and their defaults."""
_ALIASES = {"notifications_enabled": "enabled"}
"""The names of settings by other names, which those settings have as environment variables."""
_FOREIGN_KEYS = re.compile(
    r"DISCORD_(LOCAL_ONLY|CLIENT_(ID|SECRET)|REDIRECT_URI|BOT_|USERS_CACHE_|PROXY|PUBLIC_KEY|SCOPE|OAUTH_).*"
)
"""The keys of Flask-Discord, Flask-Discord-Interactions and Flask-Dance, and a variable of the environment alone."""
_STATUS = "discord_logging.status"
"""The key of a request's environment with the status of the response to an unhandled exception."""
_HEALTH = {
    "ok": "ok",
    "disabled": "ok",
    "closed": "ok",
    "limited": "degraded",
    "retrying": "degraded",
    "blocked": "degraded",
}


class DiscordLogging:
    """Posts the errors of a Flask application to a Discord channel.

    The extension does this for each application:

    - An unhandled exception becomes one card with its request: method, path, endpoint, status, request id, user agent,
      query and form; secrets are masked. This holds in debug mode and under test, and for teardown functions and the
      body of a streaming response, whose exceptions Flask does not log. Errors that the application answers on purpose
      (`abort(500)`, an error handler for the exception) make no card.
    - Records of all loggers are posted as well, from `DISCORD_LEVEL` on. Those that are logged during a request show
      its method, path and id, and the whole request if they have an exception. Each exception of a request is told
      once, whoever logs it. The console output does not change. A logger's own level applies first: that of
      `app.logger` is `WARNING`, and `DEBUG` in debug mode.
    - One notice is posted at the start, however many workers or reloads follow. Commands other than `flask run` and
      tests post no notice.
    - A health page at `/health` shows JSON with the status of the application and with the counters, the queue and the
      rate limits of the process that responds. The HTTP status is 200, or 503 when records cannot be delivered any
      more; see `is_healthy`.

    If `app.logger` or a logger above it already has a `DiscordHandler`, for example from `logging.config.dictConfig`,
    the extension uses that handler and adds none; so configure logging before `init_app`. Otherwise the extension makes
    a handler from `app.config`: the key of each setting of `DiscordHandler` is `DISCORD_` and its name in upper case,
    such as `DISCORD_WEBHOOK_URL` or `DISCORD_USERNAME`. Without a URL in `app.config` or the environment, nothing is
    posted.

    Waiting records are delivered when the process ends, also by a `SIGTERM` for which the process has no handler.

    Args:
        app: The application; `None` leaves it to `init_app`, which may be called for several applications.
        health_path: The path of the health page; `None` or `""` for no health page. The key `DISCORD_HEALTH_PATH` in
            `app.config` takes precedence, as `DISCORD_STARTUP_NOTICE` and `DISCORD_CLIENT_ADDRESS` do below. For every
            other key and setting, `None` and a blank text mean that it is not given, as for `DiscordHandler`.
        startup_notice: Whether a notice is posted at the start.
        client_address: Whether cards show the client's address.
        **settings: Settings of `DiscordHandler` for which `app.config` has no key. `level` is `ERROR` by default.

    Raises:
        InvalidSettingError: A key in `app.config` or a setting is unknown or has a wrong value; the text names it.
        InvalidWebhookURLError: The webhook URL is malformed.
        RuntimeError: The application has a `DiscordLogging` already.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        health_path: str | None = "/health",
        startup_notice: bool | str | None = True,
        client_address: bool | str | None = False,
        **settings: Any,
    ) -> None:
        own = {"startup_notice": startup_notice, "client_address": client_address}
        settings = without_blanks(hide_urls(settings))
        self._defaults = {
            "level": "ERROR",
            **_OWN_SETTINGS,
            **without_blanks(own),
            **settings,
            "health_path": health_path,
        }
        self._given = frozenset(settings)
        self._handlers: weakref.WeakKeyDictionary[Flask, DiscordHandler] = weakref.WeakKeyDictionary()
        self._shows_address: weakref.WeakKeyDictionary[Flask, bool] = weakref.WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`. Does not block. The class describes the effects and the errors."""
        if _NAME in app.extensions:
            raise RuntimeError("This application has a DiscordLogging already: pass it to DiscordLogging only once.")
        config = _read_config(app)
        settings = {**self._defaults, **config}
        path = settings.pop("health_path")
        _check_path(app, path)
        notice, address = (
            parse_switch(f"{_PREFIX}{name.upper()}", settings.pop(name), default=default)
            for name, default in _OWN_SETTINGS.items()
        )
        handler = self._find_handler(app, config) or _share_or_make(app, settings, config)
        self._handlers[app] = handler
        self._shows_address[app] = address
        app.extensions[_NAME] = self
        got_request_exception.connect(self._report, app)
        app.after_request(self._watch_stream)
        app.wsgi_app = self._watch_request(app, app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents
        for name in ("do_teardown_request", "do_teardown_appcontext"):
            setattr(app, name, self._watch_teardown(app, getattr(app, name)))
        if path:
            blueprint = Blueprint(_NAME, __name__)
            blueprint.add_url_rule(path, "health", self._answer_health)
            app.register_blueprint(blueprint)
        flush_at_sigterm()
        if notice and not app.testing and self.is_start():
            self._post_start(app, handler)

    def handler(self, app: Flask | None = None) -> DiscordHandler:
        """Return the handler of `app`; `None` stands for the current application.

        If `dictConfig` has replaced the handler since `init_app`, the result is the handler that logging now has, or
        the same one, which is added again.
        """
        app = app or _current()
        handler = self._handlers[app]
        if handler.closed:
            self._handlers[app] = handler = next(_configured_handlers(app.logger), handler)
            if isinstance(handler, _AppHandler) and handler not in logging.root.handlers:
                add_handler(logging.root, handler)
        return handler

    # To override

    def request_fields(self, request: Request) -> Mapping[str, object]:
        """Return the fields of the card for a request with an unhandled exception.

        The handler masks values whose name is that of a secret, and shortens long values. An override may add fields,
        but must not read the body, which the client may still be sending.
        """
        # The form is shown only if the application has parsed it. Parsing it here could wait for the client, and would
        # leave no body for later code.
        form = vars(request).get("form")
        fields = {
            **_request_labels(),
            "endpoint": request.endpoint,
            "status": request.environ.get(_STATUS),
            "user_agent": unique(request.headers.get("User-Agent")),
            "query": first_values(request.args.lists()),
            "form": first_values(form.lists()) if form else None,
            "client_address": unique(request.remote_addr) if self._shows_address[_current()] else None,
        }
        return given(fields)

    def is_start(self) -> bool:
        """Return whether this process posts the start-up notice.

        The result is False in the child of the development server's reloader, in commands of Flask other than `run`,
        and in all workers but the first (of gunicorn without `--preload`, of uWSGI with `lazy-apps`).
        """
        if os.environ.get("WERKZEUG_RUN_MAIN"):
            return False
        command = click.get_current_context(silent=True)
        if command is not None and command.find_object(ScriptInfo) is not None and command.info_name != "run":
            return False
        return worker_number() <= 1

    def is_healthy(self, health: Mapping[str, Any]) -> bool:
        """Return whether the health page answers 200 rather than 503.

        By default the result is False only if the handler has stopped for good, so that alarms do not arrive any more
        (`stopped`: the webhook was deleted, or its token is wrong). A temporary problem, such as a rate limit
        or an outage of Discord, and a disabled handler are healthy. If a 503 would take the application out of service,
        override this method to return `True`.

        Args:
            health: The result of `DiscordHandler.health()`.
        """
        return health["status"] in _HEALTH

    # On the thread of the request

    def _answer_health(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        app = _current()
        health = self.handler(app).health()
        body = {
            "status": _HEALTH.get(health["status"], "unhealthy"),
            "application": app.name,
            "process": os.getpid(),
            "discord": health,
        }
        return body, 200 if self.is_healthy(health) else 503, {"Cache-Control": "no-store"}

    def _report(self, app: Flask, exception: BaseException, status: int = 500, **_: object) -> None:
        """Report the unhandled `exception`. Flask logs it as well, but not in all modes."""
        place = "in the teardown of the application context"
        if has_request_context():
            place = f"on {_path(request)} [{cut(request.method)}]"
            request.environ[_STATUS] = status
        report([self.handler(app)], app.logger.name, exception, "Exception %s", place)

    def _watch_request(self, app: Flask, wsgi_app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Let records that are logged during a request show it."""

        @functools.wraps(wsgi_app)
        def watched(environ: Any, start_response: Any) -> Iterable[bytes]:
            self.handler(app)  # logging may have been configured again
            with enter_work(Work(_request_labels, self._read_request)):
                return wsgi_app(environ, start_response)

        return watched

    def _watch_stream(self, response: Response) -> Response:
        """Report exceptions from the body of a streaming response, which Flask sends after the end of the request."""
        if response.is_streamed and not response.direct_passthrough:
            body, context, app = response.response, contextvars.copy_context(), _current()
            status = response.status_code
            response.response = _watched(body, lambda error: context.run(self._report, app, error, status))
            if hasattr(body, "close"):
                response.call_on_close(body.close)
        return response

    def _watch_teardown(self, app: Flask, teardown: Callable[..., None]) -> Callable[..., None]:
        """Report exceptions from teardown functions, which Flask passes on to the server without logging them."""

        @functools.wraps(teardown)
        def watched(*args: Any, **kwargs: Any) -> None:
            try:
                teardown(*args, **kwargs)
            except Exception as error:
                self._report(app, error)
                raise

        return watched

    def _read_request(self) -> Mapping[str, object]:
        return self.request_fields(request) if has_request_context() else {}

    def _post_start(self, app: Flask, handler: DiscordHandler) -> None:
        fields = {
            "flask": metadata.version("flask"),
            "server": os.environ.get("SERVER_SOFTWARE"),
            "debug": app.debug,
        }
        post_start([handler], app.logger.name, app.name, fields)

    def _find_handler(self, app: Flask, config: Mapping[str, object]) -> DiscordHandler | None:
        """Return the handler that logging already has, if this module did not make it."""
        # Access `app.logger` before a handler is added: Flask adds no console output if it finds a handler.
        for handler in _configured_handlers(app.logger):
            unused = (set(config) | self._given) - {"webhook_url", "health_path", *_OWN_SETTINGS}
            if unused:
                keys = ", ".join(f"{_PREFIX}{name.upper()}" for name in sorted(unused))
                warn("%s is ignored: logging already has a DiscordHandler with its own settings", keys)
            return handler
        return None


class _AppHandler(IntegrationHandler):
    """The handler of all applications that have the same settings."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.settings = settings
        self.apps: weakref.WeakSet[Flask] = weakref.WeakSet()

    def filter(self, record: logging.LogRecord) -> Any:
        return self._is_mine(record) and super().filter(record)

    def _is_mine(self, record: logging.LogRecord) -> bool:
        """Return whether this handler, of those of all applications, takes a record.

        A record belongs to the application in whose context it is logged, or else to the one whose name its logger has,
        or else to the first one.
        """
        if self.closed and any(_configured_handlers(logging.getLogger(record.name))):
            return False
        ours = _app_handlers()
        app = _current() if has_app_context() else None
        takers = [each for each in ours if app in each.apps] or [
            *(each for each in ours if any(_is_below(record.name, app.logger.name) for app in each.apps)),
            *ours,
        ]
        return self not in ours or self is takers[0]


def _app_handlers() -> list[_AppHandler]:
    return [each for each in logging.root.handlers if isinstance(each, _AppHandler)]


def _is_below(name: str, logger: str) -> bool:
    return name == logger or name.startswith(f"{logger}.")


def _share_or_make(app: Flask, settings: dict[str, Any], config: Mapping[str, object]) -> DiscordHandler:
    """Return the handler with `settings`, so that a second call of a factory adds none."""
    settings.setdefault("webhook_url", hide(os.environ.get("DISCORD_WEBHOOK_URL")))
    for each in _app_handlers():
        if each.settings == settings:
            each.apps.add(app)
            return each
        if not each.apps:
            logging.root.removeHandler(each)
            each.close(timeout=0)
    try:
        handler = _AppHandler(**settings)
    except InvalidWebhookURLError as error:
        raise InvalidWebhookURLError(f"{_PREFIX}WEBHOOK_URL: {error}") from None
    except InvalidSettingError as error:
        raise InvalidSettingError(_name_keys(str(error), config)) from None
    handler.apps.add(app)
    add_handler(logging.root, handler)
    return handler


def _read_config(app: Flask) -> dict[str, Any]:
    """Return the settings in `app.config` by name. An empty one is not given, except that of the health page.

    Raises:
        InvalidSettingError: A key is unknown.
    """
    known = ["health_path", *_OWN_SETTINGS, *sorted(_HANDLER_SETTINGS)]
    found = {}
    # The locals of this frame must show neither `app.config` nor a value, which may be the webhook URL.
    for key in app.config:
        if not key.startswith(_PREFIX) or _FOREIGN_KEYS.fullmatch(key):
            continue
        name = key.removeprefix(_PREFIX).lower()
        name = _ALIASES.get(name, name)
        if name not in known:
            keys = [f"{_PREFIX}{each.upper()}" for each in known]
            hint = suggest(key.upper(), keys)
            raise InvalidSettingError(f"Unknown key {key!r} in app.config.{hint} The keys are {', '.join(keys)}.")
        given = hide_urls({name: app.config[key]})
        found.update(given if name == "health_path" else without_blanks(given))
    return found


def _name_keys(text: str, config: Mapping[str, object]) -> str:
    """Return the text of an error, preceded by the key of the setting if the setting is from `app.config`."""
    name = re.match(r"\w+", text)
    return f"{_PREFIX}{name[0].upper()}: {text}" if name and name[0] in config else text


def _check_path(app: Flask, path: object) -> None:
    if not path:
        return
    key = f"{_PREFIX}HEALTH_PATH"
    if not isinstance(path, str) or not path.startswith("/") or "<" in path:
        raise InvalidSettingError(f"{key} must be a path such as '/health', or None for no page, not {path!r}.")
    if any(rule.rule == path for rule in app.url_map.iter_rules()):
        raise InvalidSettingError(
            f"{key}: the application has a page at {path!r} already. Set another path, or None for no page."
        )


def _configured_handlers(logger: logging.Logger) -> Iterator[DiscordHandler]:
    """Return the handlers that take the records of `logger` and that this module did not make."""
    return (each for each in discord_handlers(logger) if not isinstance(each, _AppHandler))


def _watched(body: Iterable[Any], report: Callable[[Exception], object]) -> Iterator[Any]:
    try:
        for part in body:  # noqa: UP028 - `yield from` would close the body, which the response closes
            yield part
    except Exception as error:
        report(error)
        raise


def _current() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - as Flask documents


def _request_labels() -> dict[str, object]:
    if not has_request_context():
        return {}
    return request_labels(request.method, _path(request), request.headers.get)


def _path(request: Request) -> str:
    return mask_values(request.path, request.view_args or {})
