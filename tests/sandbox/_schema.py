"""A check of the API's responses against the description in `discord_schema.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

if TYPE_CHECKING:
    import requests

SCHEMA = json.loads(Path(__file__).with_name("discord_schema.json").read_text("utf-8"))
_VALIDATORS = {
    name: Draft202012Validator({**answer, "$defs": SCHEMA["$defs"]}) for name, answer in SCHEMA["answers"].items()
}


def check(method: str, path: str, status: int, body: Any) -> None:
    """Fail if the JSON of a response is not as Discord describes it."""
    name = f"{method} {'message' if '/messages/' in path else 'webhook'}"
    if status >= 400:
        name = "429" if status == 429 else "error"
    error = best_match(_VALIDATORS[name].iter_errors(body))
    assert error is None, f"{name}, {error.json_path}: {error.message}"


def check_response(response: requests.Response, **_: Any) -> None:
    """Check a response of the API; the edge in front of it, whose responses have no `Via`, answers in other forms."""
    path = urlsplit(response.url).path
    is_json = response.headers.get("Content-Type") == "application/json"
    if path.startswith("/api/v10/") and is_json and "Via" in response.headers:
        check(str(response.request.method), path, response.status_code, response.json())
