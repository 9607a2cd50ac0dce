"""`discord-logging incidents` lists the incidents whose live cards the next process of a backlog goes on with."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.incident_data import restore
from discord_logging._backlogs.store import StoreError
from discord_logging._cli.backlog import find_hooks, find_setting, print_line, spell_duration
from discord_logging._delivery.registry import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def run_incidents(options: argparse.Namespace) -> int:
    """List the incidents of all webhooks of a backlog, and return the exit code.

    Raises:
        InvalidSettingError: No backlog is given.
    """
    setting = find_setting(options.backlog)
    try:
        found = [each for hook in find_hooks(setting) for each in _read(setting, hook)]
    except StoreError as error:
        sys.stderr.write(f"discord-logging: {error.reason}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    for each in found:
        _print(each)
    if not found:
        print_line("No incident is known.")
    return 0


def _read(setting: str, hook: str) -> list[dict[str, Any]]:
    """Return the incidents of a webhook as plain data, the most recent last."""
    store = open_store(setting, hook)
    try:
        state: Any = None
        with suppress(ValueError):
            state = json.loads(store.load_state() or b"{}")
    finally:
        store.close()
    incidents = [each for _, each in restore(state.get("incidents") if isinstance(state, dict) else None, 0.0)]
    return [
        {
            "webhook": hook,
            "title": each.last_card.base.get("title", ""),
            "count": each.books.count,
            "first": each.books.first,
            "last": each.books.last,
            "is_quiet": each.last_card.shown.is_quiet,
            "message": each.last_card.message.path,
        }
        for each in incidents
        if each.last_card
    ]


def _print(incident: Mapping[str, Any]) -> None:
    ago = spell_duration(max(time.time() - incident["last"], 0.0))
    span = spell_duration(max(incident["last"] - incident["first"], 0.0))
    end = "quiet for" if incident["is_quiet"] else "last"
    times = f"{incident['count']:,} in {span}, {end} {ago}{'' if incident['is_quiet'] else ' ago'}"
    print_line(f"{incident['title']}: {times}, message {incident['message']} of webhook {incident['webhook']}")
