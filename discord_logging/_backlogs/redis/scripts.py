"""This module has the scripts that Redis runs. Each of them is one transaction on the records of one webhook."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script.

    Attributes:
        source: Its text.
        digest: The name by which Redis knows it, once it has run.
    """

    source: str
    digest: str


@functools.cache
def find_script(name: str) -> Script:
    """Return a script by its name. Its text begins with what others have, too."""
    folder = files("discord_logging") / "_backlogs" / "redis" / "lua"
    parts = ("identity", name) if name == "glance" else ("identity", "common", name)
    source = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
