"""The webhook API itself, which answers calls without a network."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from . import _answers
from ._answers import Answer, Refusal, invalid_form
from ._components import text_of
from ._fields import Fields
from ._github import github_payload
from ._history import history
from ._media import used_ids
from ._mentions import mentions
from ._models import Message, Thread, snowflake
from ._polls import open_poll
from ._serializers import message_json, webhook_json
from ._slack import slack_payload
from ._validation import SUPPRESS_EMBEDS, Form, check_count, validate, webhook_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._body import Body
    from ._models import File, Webhook
    from ._rate_limits import RateLimits
    from ._state import State

PATH = re.compile(
    r"/api(?:/v(?P<version>\d{1,9}))?/webhooks/(?P<id>[^/]+)/(?P<token>[^/]+)"
    r"(?:/messages/(?P<message_id>[^/]+)|/(?P<service>slack|github))?/?",
    re.ASCII,
)

_UNKNOWN_WEBHOOK = 10015
_VERSIONS = range(6, 11)
_FIRST_MODERN_VERSION = 8
_BLOCKED_AGENTS = re.compile(r"Python-urllib/|Mozilla/")
_OLD = timedelta(hours=1)
"""The age from which on a message has a limit of its own for edits."""


@dataclass(frozen=True)
class Call:
    """A request to the API; `now` is a monotonic time in seconds."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    github_event: str
    body: Body
    base_url: str
    now: float

    @property
    def executes(self) -> bool:
        """Whether the call posts a message."""
        match = PATH.fullmatch(self.path)
        return self.method == "POST" and match is not None and match["message_id"] is None


class Webhooks:
    """Answers calls as Discord does.

    Args:
        state: The webhooks and messages.
        limits: The rate limits.
        clock: The time that messages are dated by, in seconds since the epoch.
        count_edits: Whether the limit of a channel counts edits, too.
    """

    def __init__(self, state: State, limits: RateLimits, clock: Callable[[], float], *, count_edits: bool) -> None:
        self._state = state
        self.limits = limits
        self._clock = clock
        self._count_edits = count_edits

    def reads_body(self, call: Call) -> bool:
        """Return whether the body of a call matters. Only a caller that has a token may have its body read."""
        match = PATH.fullmatch(call.path)
        known = match is not None and self._state.knows_token(match["id"], match["token"])
        return known and not _BLOCKED_AGENTS.match(call.user_agent)

    def respond(self, call: Call) -> Answer:
        """Answer a call."""
        if _BLOCKED_AGENTS.match(call.user_agent):
            return _answers.edge_text(403, "error code: 1010")
        if self.limits.banned(call.now):
            return _answers.edge_ban()
        match = PATH.fullmatch(call.path)
        if match is None:
            return self._from_the_api(_answers.general(404))
        version = int(match["version"] or 6)
        if version not in _VERSIONS:
            return self._from_the_api(Refusal(400, 50041, "Invalid API version provided").answer)
        answer = self._from_the_api(self._within_limits(call, match))
        if _is_invalid(answer):
            self.limits.count_invalid(call.now)
        return answer if version >= _FIRST_MODERN_VERSION else _answers.as_v6(answer)

    @staticmethod
    def _from_the_api(answer: Answer) -> Answer:
        return replace(answer, headers={**_answers.VIA, **answer.headers})

    def _within_limits(self, call: Call, match: re.Match[str]) -> Answer:
        fields = Fields()
        for name, value in (("webhook_id", match["id"]), ("message_id", match["message_id"])):
            fields.snowflake(value, (name,))
        if fields.errors:
            return invalid_form(fields.errors).answer
        webhook = self._state.webhook(match["id"])
        in_bucket = call.executes or match["message_id"] is not None
        counts = call.executes or (in_bucket and call.method == "PATCH" and self._count_edits)
        known = webhook is not None and webhook.token == match["token"]
        channel_id = webhook.channel_id if webhook and known and counts else None
        verdict = self.limits.take(match["id"] if in_bucket else None, channel_id, call.now)
        answer = verdict.answer()
        if answer is None:
            try:
                answer = self._dispatch(call, match, webhook)
            except Refusal as refusal:
                answer = refusal.answer
            except sqlite3.Error as error:  # a message that cannot be saved is not accepted
                answer = Answer(500, {"message": f"500: Internal Server Error: not saved: {error}", "code": 0})
        return replace(answer, headers={**verdict.headers(time.time()), **answer.headers})

    def _dispatch(self, call: Call, match: re.Match[str], webhook: Webhook | None) -> Answer:
        if webhook is None:
            raise Refusal(404, _UNKNOWN_WEBHOOK, "Unknown Webhook")
        if match["token"] != webhook.token:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if match["message_id"]:
            return self._on_message(call, webhook, match["message_id"])
        if match["service"]:
            return self._serve(call, webhook, match["service"])
        return self._on_webhook(call, webhook)

    def _on_webhook(self, call: Call, webhook: Webhook) -> Answer:
        if call.method == "POST":
            return self._execute(call, webhook)
        if call.method == "GET":
            return Answer(200, webhook_json(webhook))
        if call.method == "PATCH":
            renamed = replace(webhook, name=webhook_name(_payload(call)) or webhook.name)
            self._state.put_webhook(renamed)
            return Answer(200, webhook_json(renamed))
        if call.method == "DELETE":
            self._state.delete_webhook(webhook)
            return Answer(204)
        return _answers.general(405)

    def _on_message(self, call: Call, webhook: Webhook, message_id: str) -> Answer:
        message, thread_id = self._state.message(message_id), _Query(call.query).thread_id
        channel_id = self._thread(webhook, thread_id).id if thread_id else webhook.channel_id
        if message is None or (message.webhook_id, message.channel_id) != (webhook.id, channel_id):
            raise Refusal(404, 10008, "Unknown Message")
        if call.method == "GET":
            return Answer(200, message_json(message, call.base_url))
        if call.method == "PATCH":
            return self._edit(call, message)
        if call.method == "DELETE":
            self._state.delete(message)
            return Answer(204)
        return _answers.general(405)

    def _execute(self, call: Call, webhook: Webhook) -> Answer:
        query = _Query(call.query)
        form = validate(_payload(call), call.body.files, with_components=query.with_components)
        posted = self._post(call, webhook, query.thread_id, form)
        if query.wait or posted.files:
            return Answer(200, message_json(posted, call.base_url))
        return Answer(204)

    def _serve(self, call: Call, webhook: Webhook, service: str) -> Answer:
        """Post a message in Slack's form or about an event of GitHub. Slack's clients expect the text ``ok``."""
        if call.method != "POST":
            return _answers.general(405)
        thread_id = _Query(call.query).thread_id
        if webhook.forum and thread_id is None:
            raise Refusal(400, 220004, "Webhook services cannot be used in forum channels")
        body = _payload(call)
        payload = slack_payload(body) if service == "slack" else github_payload(call.github_event, body)
        if payload is not None:
            self._post(call, webhook, thread_id, validate(payload, [], with_components=False))
        return Answer(200, "ok") if service == "slack" else Answer(204)

    def _post(self, call: Call, webhook: Webhook, thread_id: str | None, form: Form) -> Message:
        now = self._now()
        message = Message(
            id=snowflake(),
            channel_id=webhook.channel_id,
            webhook_id=webhook.id,
            content=form.content,
            username=form.username or webhook.name,
            avatar_url=form.avatar_url,
            embeds=form.embeds,
            components=form.components,
            files=_stored(form.files),
            flags=form.flags,
            timestamp=now,
            edited=None,
            pings=[],
            payload=call.body.payload or {},
            poll=open_poll(form.poll, now) if form.poll else None,
            size=call.body.size_without_files,
            tts=form.tts,
        )
        settled = _settled(message, form)
        channel_id = self._destination(webhook, thread_id, form, message.id)
        posted = replace(settled, channel_id=channel_id, pings=settled.mentions)
        self._state.post(posted)
        return posted

    def _destination(self, webhook: Webhook, thread_id: str | None, form: Form, message_id: str) -> str:
        """Return the channel to post to, and open the thread that the form names, which has its first message's id."""
        if not webhook.forum:
            if form.thread_name is not None:
                raise Refusal(400, 220003, "Webhooks can only create threads in forum channels")
        elif thread_id is None and form.thread_name is None:
            raise Refusal(400, 220001, "Webhooks posted to forum channels must have a thread_name or thread_id")
        elif thread_id is not None and form.thread_name is not None:
            raise Refusal(400, 220002, "Webhooks posted to forum channels cannot have both a thread_name and thread_id")
        elif thread_id is None:
            if webhook.requires_tags and not form.applied_tags:
                raise Refusal(400, 40067, "A tag is required to create a forum post in this channel")
            self._state.put_thread(Thread(message_id, webhook.channel_id, locked=False, name=form.thread_name))
            return message_id
        if thread_id is None:
            return webhook.channel_id
        if self._thread(webhook, thread_id).locked:
            raise Refusal(400, 160005, "Thread is locked")
        return thread_id

    def _thread(self, webhook: Webhook, thread_id: str) -> Thread:
        thread = self._state.thread(thread_id)
        if thread is None or thread.channel_id != webhook.channel_id:
            raise Refusal(404, 10003, "Unknown Channel")
        return thread

    def _edit(self, call: Call, message: Message) -> Answer:
        if self._now() - message.timestamp > _OLD:
            limited = self.limits.take_old_edit(message.channel_id, call.now)
            if limited is not None:
                return limited
        query = _Query(call.query)
        form = validate(_payload(call), call.body.files, with_components=query.with_components, existing=message)
        payload = call.body.payload or {}
        new = _stored(form.files)
        kept = {file.id: file for file in (*form.kept_files, *new)}
        edited = replace(
            message,
            content=form.content if "content" in payload else message.content,
            embeds=form.embeds if "embeds" in payload else message.embeds + message.suppressed_embeds,
            components=form.components if "components" in payload and query.with_components else message.components,
            flags=form.flags,
            files=[*(kept.get(file.id, file) for file in message.files), *new],
            edited=self._now(),
            payload=payload,
            size=call.body.size_without_files,
            edits=message.edits + 1,
            versions=history(message),
        )
        # Answers do not list the files that embeds and components show, so no client can list them to keep them.
        used = used_ids(edited)
        files = [file for file in edited.files if file.id in used or file.id in kept]
        check_count(files)
        settled = _settled(replace(edited, files=files), form)
        self._state.edit(settled)
        return Answer(200, message_json(settled, call.base_url))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), timezone.utc)


def _is_invalid(answer: Answer) -> bool:
    """Return whether Discord counts the request as invalid.

    Repeated requests to a webhook that does not exist lead to a temporary restriction, too
    (https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans).
    """
    if answer.status == HTTPStatus.NOT_FOUND:
        return bool(answer.body["code"] == _UNKNOWN_WEBHOOK)
    return answer.status in (401, 403, 429) and answer.headers.get("X-RateLimit-Scope") != "shared"


def _payload(call: Call) -> Any:
    if call.body.refusal:
        raise call.body.refusal
    return call.body.payload


def _stored(files: list[File]) -> list[File]:
    return [replace(file, id=snowflake()) for file in files]


def _settled(message: Message, form: Form) -> Message:
    """Return the message with its mentions and without embeds that it hides, and refuse an empty message."""
    if not (message.content or message.embeds or message.components or message.files or message.poll):
        raise Refusal(400, 50006, "Cannot send an empty message")
    text = "\n".join([message.content, *text_of(message.components)])
    shown, hidden = ([], message.embeds) if message.flags & SUPPRESS_EMBEDS else (message.embeds, [])
    return replace(message, embeds=shown, suppressed_embeds=hidden, mentions=mentions(text, form.allowed_mentions))


class _Query:
    """The validated query of a call."""

    def __init__(self, query: Mapping[str, str]) -> None:
        fields = Fields()
        self.wait = fields.boolean(query.get("wait"), ("wait",))
        self.with_components = fields.boolean(query.get("with_components"), ("with_components",))
        self.thread_id = fields.snowflake(query.get("thread_id"), ("thread_id",))
        if fields.errors:
            raise invalid_form(fields.errors)
