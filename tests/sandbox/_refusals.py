"""Helpers that read the responses with which the local Discord refuses a payload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox._answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal_of(read: Callable[[], object]) -> dict[str, Any]:
    """Return the body of the response with which a function refuses its payload."""
    with pytest.raises(Refusal) as refusal:
        read()
    body: dict[str, Any] = refusal.value.answer.body
    return body


def codes_at(tree: Any, path: str) -> list[str]:
    """Return the codes at a path of an error tree, and check that the tree has no error elsewhere."""
    for key in filter(None, path.split(".")):
        assert list(tree) == [key], json.dumps(tree)
        tree = tree[key]
    return [error["code"] for error in tree["_errors"]]
