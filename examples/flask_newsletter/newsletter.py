"""A newsletter that people subscribe to by e-mail, and that tells a Discord channel about it.

Try it without a channel (`pip install 'discord-log-handler[flask,sandbox]'`):

    discord-logging sandbox                             # prints a webhook URL and the address of the page to look at
    export DISCORD_WEBHOOK_URL=http://127.0.0.1:...     # in another terminal
    flask --app examples/flask_newsletter/newsletter run
    curl -d email=ann@example.com http://127.0.0.1:5000/subscribe
    curl http://127.0.0.1:5000/health

Without MAIL_HOST (`host:port`) it prints the mails. For more than a try it wants a database.
"""

from __future__ import annotations

import logging
import logging.config
import os
import secrets
import smtplib
import time
from collections import defaultdict, deque
from email.message import EmailMessage
from typing import Any

from flask import Blueprint, Flask, current_app, request, url_for

from discord_logging.flask import DiscordLogging

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        # Its URL is in the environment: DISCORD_WEBHOOK_URL.
        "discord": {"class": "discord_logging.DiscordHandler", "level": "INFO", "context": {"service": "newsletter"}},
    },
    "loggers": {"newsletter": {"handlers": ["discord"], "level": "INFO"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
REQUESTS, SECONDS = 3, 60.0

logger = logging.getLogger("newsletter")
pages = Blueprint("pages", __name__)


class Subscribers:
    """Who wants the newsletter, in memory."""

    def __init__(self) -> None:
        self.confirmed: set[str] = set()
        self.waiting: dict[str, str] = {}
        self._asked: defaultdict[str | None, deque[float]] = defaultdict(deque)

    def is_too_often(self, client: str | None) -> bool:
        """Count a request of `client`, unless there were too many in the last minute."""
        asked, now = self._asked[client], time.monotonic()
        while asked and asked[0] < now - SECONDS:
            asked.popleft()
        if len(asked) >= REQUESTS:
            return True
        asked.append(now)
        return False


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Make the application. Logging comes first, so that the extension finds the handler."""
    logging.config.dictConfig(LOGGING)
    app = Flask("newsletter")
    app.config["MAIL_HOST"] = os.environ.get("MAIL_HOST")
    app.config.update(config or {})
    app.extensions["subscribers"] = Subscribers()
    app.register_blueprint(pages)
    DiscordLogging(app)
    return app


@pages.post("/subscribe")
def subscribe() -> tuple[dict[str, str], int]:
    """Ask the owner of an address whether it is meant."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    email = request.form.get("email", "").strip()
    if subscribers.is_too_often(request.remote_addr):
        logger.warning("Too many subscriptions from one address", extra={"limit": f"{REQUESTS} in {SECONDS:g} s"})
        return {"error": "Please wait a minute."}, 429
    if "@" not in email or not email.isprintable():
        return {"error": "This is no e-mail address."}, 400
    key = secrets.token_urlsafe()
    link = url_for("pages.confirm", key=key, _external=True)
    try:
        send_mail(email, "Please confirm", f"Confirm that you want the newsletter: {link}")
    except OSError:
        logger.exception("The confirmation could not be mailed", extra={"subscriber": hide(email)})
        return {"error": "We cannot send mail now. Please try again later."}, 503
    subscribers.waiting[key] = email
    logger.info("New subscriber", extra={"subscriber": hide(email), "waiting": len(subscribers.waiting)})
    return {"status": "We have sent you a mail."}, 202


@pages.get("/confirm/<key>")
def confirm(key: str) -> tuple[dict[str, str], int]:
    """Take in who followed the link."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    email = subscribers.waiting.pop(key, None)
    if email is None:
        return {"error": "This link is not valid any more."}, 404
    subscribers.confirmed.add(email)
    logger.info("Subscription confirmed", extra={"subscriber": hide(email), "total": len(subscribers.confirmed)})
    return {"status": "Welcome!"}, 200


@pages.get("/statistics")
def statistics() -> dict[str, float]:
    """Show how many confirm. Nobody handles that there may be none, so the channel hears of it."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    total = len(subscribers.confirmed) + len(subscribers.waiting)
    return {"confirmed": len(subscribers.confirmed) / total}


def send_mail(to: str, subject: str, text: str) -> None:
    """Send a mail, or print it.

    Raises:
        OSError: It could not be sent; errors of `smtplib` are such, too.
    """
    if not current_app.config["MAIL_HOST"]:
        print(f"To: {to}\nSubject: {subject}\n\n{text}", flush=True)
        return
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "newsletter@example.com", to, subject
    message.set_content(text)
    with smtplib.SMTP(current_app.config["MAIL_HOST"], timeout=10) as server:
        server.send_message(message)


def hide(email: str) -> str:
    """Return `email` as a channel may show it."""
    name, _, host = email.rpartition("@")
    return f"{name[:1]}…@{host}"
