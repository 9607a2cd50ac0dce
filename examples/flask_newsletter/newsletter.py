"""A newsletter with subscriptions by e-mail, which reports to a Discord channel.

Try it without a channel (`pip install 'discord-log-handler[flask,sandbox]'`):

    discord-logging sandbox                             # prints a webhook URL and the address of the page
    export DISCORD_WEBHOOK_URL=http://127.0.0.1:...     # in another terminal
    flask --app examples/flask_newsletter/newsletter run
    curl -d email=ann@example.com http://127.0.0.1:5000/subscribe
    curl http://127.0.0.1:5000/health

Without MAIL_HOST (`host:port`) the application prints the mails. A real newsletter needs a database.
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
        # The webhook URL is in the environment variable DISCORD_WEBHOOK_URL.
        "discord": {"class": "discord_logging.DiscordHandler", "level": "INFO", "context": {"service": "newsletter"}},
    },
    "loggers": {"newsletter": {"handlers": ["discord"], "level": "INFO"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
REQUESTS, SECONDS = 3, 60.0

logger = logging.getLogger("newsletter")
pages = Blueprint("pages", __name__)


class Subscribers:
    """The subscribers of the newsletter, in memory."""

    def __init__(self) -> None:
        self.confirmed: set[str] = set()
        self.waiting: dict[str, str] = {}
        self._asked: defaultdict[str | None, deque[float]] = defaultdict(deque)

    def is_too_often(self, client: str | None) -> bool:
        """Return whether `client` has sent too many requests in the last minute; otherwise count this one."""
        asked, now = self._asked[client], time.monotonic()
        while asked and asked[0] < now - SECONDS:
            asked.popleft()
        if len(asked) >= REQUESTS:
            return True
        asked.append(now)
        return False


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Make the application. Logging is configured first, so that the extension finds the handler."""
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
    """Ask the owner of an address to confirm the subscription."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    email = request.form.get("email", "").strip()
    if subscribers.is_too_often(request.remote_addr):
        logger.warning("Too many subscriptions from one address", extra={"limit": f"{REQUESTS} in {SECONDS:g} s"})
        return {"error": "Please wait a minute."}, 429
    if "@" not in email or not email.isprintable():
        return {"error": "This is not an e-mail address."}, 400
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
    """Add the subscriber who followed the link."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    email = subscribers.waiting.pop(key, None)
    if email is None:
        return {"error": "This link is not valid any more."}, 404
    subscribers.confirmed.add(email)
    logger.info("Subscription confirmed", extra={"subscriber": hide(email), "total": len(subscribers.confirmed)})
    return {"status": "Welcome!"}, 200


@pages.get("/statistics")
def statistics() -> dict[str, float]:
    """Show the share of confirmed addresses. Without any address this raises an error, which the channel shows."""
    subscribers: Subscribers = current_app.extensions["subscribers"]
    total = len(subscribers.confirmed) + len(subscribers.waiting)
    return {"confirmed": len(subscribers.confirmed) / total}


def send_mail(to: str, subject: str, text: str) -> None:
    """Send a mail, or print it.

    Raises:
        OSError: The mail could not be sent. Errors of `smtplib` are subclasses of it.
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
    """Return `email` with most of its name hidden."""
    name, _, host = email.rpartition("@")
    return f"{name[:1]}…@{host}"
