"""Tests that responses to messages of every shape are as Discord describes them.

The session of the fixture `http` checks those of all other tests against the same description.
"""

from __future__ import annotations

import copy
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging.sandbox import LocalDiscord
from discord_logging.sandbox._body import Body
from discord_logging.sandbox._models import File
from discord_logging.sandbox._webhooks import Call
from tests.sandbox._schema import check

if TYPE_CHECKING:
    from discord_logging.sandbox._rate_limits import Limit
    from discord_logging.sandbox._webhooks import Webhooks

pytestmark = pytest.mark.once

_PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
_FILES = [
    File("a.png", "image/png", _PNG, "a.png", None, "0"),
    File("b.txt", "text/plain", b"x", "b.txt", None, "1"),
    File("c", "application/octet-stream", b"", "c", None, "2"),
]

_texts = st.text(max_size=12) | st.sampled_from(["<@1> <@!2> <@&3> @everyone @here", "<@007>", "   "])
_flags = st.none() | st.booleans()
_pages = st.just("https://example.org/a.png")
_urls = st.sampled_from([f"attachment://{file.filename}" for file in _FILES]) | _pages
_times = st.sampled_from(["2026-01-01T00:00", "2026-01-01T00:00:00.1234567+0130", "2026-01-01T00:00:00Z"])


def _some(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


_pictures = st.fixed_dictionaries({"url": _urls}, optional={"description": _texts})
_embeds = _some(
    title=_texts,
    description=_texts,
    url=_pages,
    timestamp=_times,
    color=st.integers(0, 0xFFFFFF),
    author=st.fixed_dictionaries({"name": _texts}, optional={"url": _pages, "icon_url": _urls}),
    footer=st.fixed_dictionaries({"text": _texts}, optional={"icon_url": _urls}),
    image=_pictures,
    thumbnail=_pictures,
    fields=st.lists(st.fixed_dictionaries({"name": _texts, "value": _texts}, optional={"inline": _flags}), max_size=2),
)


def _component(kind: int, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    ids = st.none() | st.integers(0, 9)
    return st.fixed_dictionaries({"type": st.just(kind), **parts}, optional={"id": ids, "spoiler": _flags})


def _children(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, min_size=1, max_size=2)


_file = st.fixed_dictionaries({"url": st.just("attachment://b.txt")})
_media = st.fixed_dictionaries({"url": _urls})
_shown = st.fixed_dictionaries({"media": _media}, optional={"description": _texts, "spoiler": _flags})
_emoji = st.sampled_from([None, {"name": "\N{FIRE}"}, {"id": None, "name": "\N{FIRE}"}, {"id": "100000000000000001"}])
_buttons = _component(2, style=st.just(5), label=_texts, url=_pages, disabled=_flags, emoji=_emoji)
_rows = _component(1, components=_children(_buttons))
_notes = _component(10, content=st.text(min_size=1, max_size=12))
_thumbnails = _component(11, media=_media, description=st.none() | _texts)
_parts = (
    _rows
    | _notes
    | _component(9, components=_children(_notes), accessory=_buttons | _thumbnails)
    | _component(12, items=_children(_shown))
    | _component(13, file=_file)
    | _component(14, spacing=st.sampled_from([None, 1, 2]), divider=_flags)
)
_containers = _component(17, components=_children(_parts), accent_color=st.none() | st.integers(0, 0xFFFFFF))
_poll_media = st.fixed_dictionaries({"text": st.text(min_size=1, max_size=12)}, optional={"emoji": _emoji})
_polls = st.fixed_dictionaries(
    {"question": _poll_media, "answers": _children(st.fixed_dictionaries({"poll_media": _poll_media}))},
    optional={"duration": st.integers(1, 768), "allow_multiselect": _flags},
)
_messages = _some(
    content=_texts,
    username=st.text(min_size=1, max_size=80),
    avatar_url=_pages,
    tts=_flags,
    flags=st.sampled_from([0, 4, 4096]),
    allowed_mentions=_some(parse=st.lists(st.sampled_from(["users", "roles", "everyone"]), max_size=3, unique=True)),
    embeds=st.lists(_embeds, max_size=2),
    components=st.lists(_rows, max_size=1),
    poll=_polls,
)
_layouts = st.fixed_dictionaries({"flags": st.just(32768), "components": st.lists(_parts | _containers, max_size=3)})
_payloads = _messages | _layouts


def _webhooks(webhook_limit: Limit | None = None) -> tuple[Webhooks, str, str]:
    """Return an API, which needs no server to answer, and the paths of a webhook of a text channel and of a forum."""
    local = LocalDiscord(webhook_limit=webhook_limit, channel_limit=None, global_limit=None)
    made = [local._state.add_webhook(None, forum=forum, requires_tags=False) for forum in (False, True)]
    text, forum = (f"/api/v10/webhooks/{webhook.id}/{webhook.token}" for webhook in made)
    return local._webhooks, text, forum


def _answer(webhooks: Webhooks, method: str, path: str, body: Body, **query: str) -> tuple[int, Any]:
    """Return the status and the JSON of a response, which is checked."""
    query = {"wait": "1", "with_components": "1", **query}
    answer = webhooks.respond(Call(method, path, query, "", "", body, "http://localhost:1", 0.0))
    if answer.body:
        check(method, path, answer.status, answer.body)
    return answer.status, answer.body


@given(_payloads, _payloads, st.booleans(), st.booleans())
def test_every_shape_of_message_has_a_valid_response(
    payload: dict[str, Any], change: dict[str, Any], has_files: bool, in_forum: bool
) -> None:
    """The responses to posting, reading and editing are valid, also if a message or an edit is refused."""
    webhooks, *paths = _webhooks()
    posted = {**payload, "thread_name": "x"} if in_forum else payload
    status, message = _answer(webhooks, "POST", paths[in_forum], Body(posted, _FILES if has_files else []))
    if status == 200:
        path, thread = f"{paths[in_forum]}/messages/{message['id']}", {"thread_id": message["id"]} if in_forum else {}
        assert _answer(webhooks, "GET", path, Body(), **thread) == (200, message)
        _answer(webhooks, "PATCH", path, Body(change, _FILES[:1]), **thread)


def test_every_endpoint_has_valid_responses() -> None:
    """Webhooks are read and renamed, and refusals of every kind have Discord's form."""
    webhooks, path, _ = _webhooks(webhook_limit=(5, 60.0))
    calls = [
        ("GET", path, 200),
        ("PATCH", path, 200),
        ("PUT", path, 405),
        ("GET", f"{path}/messages/1", 404),
        ("PATCH", f"{path}/messages/1", 404),
        ("DELETE", f"{path}/messages/1", 404),
        ("GET", "/api/v10/webhooks/x/y", 400),
        ("GET", "/api/v10/webhooks/1/y", 404),
        ("GET", f"{path}x", 401),
        ("POST", "/api/v10/elsewhere", 404),
        ("POST", path, 400),
    ]
    for method, target, status in calls:
        assert _answer(webhooks, method, target, Body({"name": "Shop"}))[0] == status, (method, target)
    assert [_answer(webhooks, "POST", path, Body())[0] for _ in range(6)][-1] == 429


def test_the_check_misses_nothing_that_is_required() -> None:
    """A message without one of its keys, or with a mention or media as they were before, is not valid."""
    webhooks, path, _ = _webhooks()
    image = {"embeds": [{"image": {"url": "attachment://a.png"}}], "content": "<@1>"}
    _, message = _answer(webhooks, "POST", path, Body(image, _FILES))
    for key in message.keys() - {"webhook_id"}:
        with pytest.raises(AssertionError, match="required property"):
            check("POST", path, 200, {name: value for name, value in message.items() if name != key})
    for change in ({"mentions": [{"id": "1"}]}, {"embeds": image["embeds"]}, {"components": [{"type": 14}]}):
        with pytest.raises(AssertionError):
            check("POST", path, 200, {**copy.deepcopy(message), **change})
