"""Events of GitHub (https://docs.discord.com/developers/resources/webhook#execute-githubcompatible-webhook).

The keys that an event must have are those of `GithubWebhook` in Discord's OpenAPI description. The titles and colours
follow public examples, since Discord does not document them. Only pushes, issues, pull requests, releases and stars are
posted; Discord posts more kinds of events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._answers import invalid_form
from ._fields import Fields

if TYPE_CHECKING:
    from ._fields import Path

_MAX_TEXT, _MAX_ITEMS, _MAX_TITLE, _MAX_DESCRIPTION = 152_133, 1521, 256, 500
_MAX_COMMITS, _MAX_SUMMARY, _HASH = 5, 50, 7
_BLUE, _RED, _ORANGE, _GREEN = 0x7289DA, 0xFC2929, 0xEB6420, 0x009800
_BRANCH = "refs/heads/"


def github_payload(event: str, body: Any) -> dict[str, Any] | None:
    """Return the payload of a message about an event, or `None` for an event that is not posted.

    Args:
        event: The name of the event, from the header ``X-GitHub-Event``.
        body: The JSON of the event.

    Raises:
        Refusal: The body is invalid. The refusal has Discord's response.
    """
    fields = Fields()
    whole = _Part(fields, body, ())
    sender = whole.part("sender")
    author = {"name": sender.text("login"), "url": sender.url("html_url"), "icon_url": sender.url("avatar_url")}
    embed = _EVENTS[event](whole) if event in _EVENTS and not fields.errors else None
    if fields.errors:
        raise invalid_form(fields.errors)
    if embed is None:
        return None
    return {"username": "GitHub", "embeds": [{**embed, "title": embed["title"][:_MAX_TITLE], "author": author}]}


class _Part:
    """An object in the body of an event, whose keys are read with Discord's errors."""

    def __init__(self, fields: Fields, value: Any, path: Path) -> None:
        self._fields, self._path = fields, path
        self._present = fields.present(value, path)
        self._source = fields.model(value, path)

    def has(self, key: str) -> bool:
        """Return whether the key has a value."""
        return self._source.get(key) is not None

    def part(self, key: str) -> _Part:
        """Read an object."""
        return _Part(self._fields, self._source.get(key), (*self._path, key))

    def parts(self, key: str) -> list[_Part]:
        """Read a list of objects."""
        path = (*self._path, key)
        items = self._fields.items(self._source.get(key), path, _MAX_ITEMS)
        return [_Part(self._fields, item, (*path, index)) for index, item in enumerate(items)]

    def text(self, key: str, *, required: bool = True) -> str:
        """Read a text."""
        value, path = self._source.get(key), (*self._path, key)
        return self._fields.text(value, path, _MAX_TEXT, required=required and self._present) or ""

    def url(self, key: str) -> str | None:
        """Read a URL."""
        return self._fields.url(self._source.get(key), (*self._path, key), required=self._present)

    def flag(self, key: str) -> bool:
        """Read a boolean."""
        return self._fields.boolean(self._source.get(key), (*self._path, key))


def _push(event: _Part) -> dict[str, Any] | None:
    """Return an embed about commits that were pushed to a branch. A branch that was deleted has no commit."""
    ref, commits, forced = event.text("ref", required=False), event.parts("commits"), event.flag("forced")
    if not ref.startswith(_BRANCH) or not event.has("head_commit") or not (commits or forced):
        return None
    repository, branch = event.part("repository").text("name"), ref.removeprefix(_BRANCH)
    head = event.part("head_commit")
    if forced:
        return {
            "title": f"[{repository}] Branch {branch} was force-pushed to `{head.text('id')[:_HASH]}`",
            "description": f"[Compare changes]({event.url('compare')})",
            "color": _RED,
        }
    return {
        "title": f"[{repository}:{branch}] {len(commits)} new commit{'s' if len(commits) > 1 else ''}",
        "url": head.url("url"),
        "description": "\n".join(_line(commit) for commit in commits[:_MAX_COMMITS]),
        "color": _BLUE,
    }


def _line(commit: _Part) -> str:
    author = commit.part("author")
    summary = commit.text("message").partition("\n")[0]
    if len(summary) > _MAX_SUMMARY:
        summary = summary[: _MAX_SUMMARY - 3] + "..."
    name = author.text("username", required=False) or author.text("name")
    return f"[`{commit.text('id')[:_HASH]}`]({commit.url('url')}) {summary} - {name}"


def _issues(event: _Part) -> dict[str, Any] | None:
    return _numbered(event, "issue", "Issue", _ORANGE)


def _pull_request(event: _Part) -> dict[str, Any] | None:
    return _numbered(event, "pull_request", "Pull request", _GREEN)


def _numbered(event: _Part, key: str, kind: str, color: int) -> dict[str, Any] | None:
    """Return an embed about an issue or a pull request that was opened, closed or opened again."""
    action, subject = event.text("action", required=False), event.part(key)
    if action not in ("opened", "closed", "reopened"):
        return None
    repository = event.part("repository").text("full_name")
    title = f"[{repository}] {kind} {action}: #{subject.text('number')} {subject.text('title')}"
    found = {"title": title, "url": subject.url("html_url")}
    if action != "opened":
        return found
    return {**found, "description": subject.text("body", required=False)[:_MAX_DESCRIPTION], "color": color}


def _release(event: _Part) -> dict[str, Any] | None:
    if event.text("action", required=False) != "published":
        return None
    release, repository = event.part("release"), event.part("repository").text("full_name")
    title = f"[{repository}] New release published: {release.text('tag_name')}"
    return {"title": title, "url": release.url("html_url")}


def _star(event: _Part) -> dict[str, Any] | None:
    """Return an embed about a new star, for which GitHub has the events `star` and `watch`."""
    if event.text("action", required=False) not in ("created", "started"):
        return None
    repository = event.part("repository")
    return {"title": f"[{repository.text('full_name')}] New star added", "url": repository.url("html_url")}


_EVENTS = {
    "push": _push,
    "issues": _issues,
    "pull_request": _pull_request,
    "release": _release,
    "star": _star,
    "watch": _star,
}
