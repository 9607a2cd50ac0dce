"""How a test waits for messages. The error lists the messages and the refused requests that have come instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ._fields import shorten
from ._models import is_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._models import Message
    from ._state import State

    Wanted = int | str | Callable[[Message], object]

_MAX_LISTED = 5
"""The largest number of messages, and of refused requests, that an error lists."""
_MAX_LISTED_CHARACTERS = 300


def wait_for(state: State, wanted: Wanted, timeout: float) -> list[Message] | Message:
    """Return the messages when there are `wanted`, or the message that is wanted; see `LocalDiscord.wait_for`."""
    if not isinstance(wanted, (int, str)) and not callable(wanted):
        raise TypeError(f"wanted must be a number, a text or a function of a message, not {wanted!r}")
    deadline = time.monotonic() + timeout
    while True:
        revision, messages = state.revision(), state.messages()
        if isinstance(wanted, int):
            if state.counts()["messages"] >= wanted:
                return messages
        else:
            for message in messages:
                if wanted in message.text if isinstance(wanted, str) else wanted(message):
                    return message
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{_missed(state, wanted)} after {timeout:g} s; {_list_arrivals(state, messages)}")
        state.wait_for_change(revision, left)


def _missed(state: State, wanted: Wanted) -> str:
    if isinstance(wanted, int):
        return f"{state.counts()['messages']} of {wanted} messages have arrived"
    return f"no message has the text {wanted!r}" if isinstance(wanted, str) else "the function accepts no message"


def _list_arrivals(state: State, messages: list[Message]) -> str:
    """Return a list of the newest messages and the newest refused requests."""
    forgotten = state.counts()["forgotten"]
    removed = f", {forgotten} older ones were removed" if forgotten else ""
    lines = [f"messages in the channels: {len(messages)}{removed}"]
    lines += [f"  {message.username}: {_quote(message.text)}" for message in messages[-_MAX_LISTED:]]
    refused = [request for request in state.requests() if is_refused(request)]
    for request in refused[-_MAX_LISTED:]:
        answer = request.answer.decode("utf-8", "replace")
        lines.append(f"  {request.method} {request.path} was answered {request.status}: {_quote(answer)}")
    return "\n".join(lines)


def _quote(text: str) -> str:
    return repr(shorten(text, _MAX_LISTED_CHARACTERS))
