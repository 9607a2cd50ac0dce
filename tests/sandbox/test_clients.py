"""Clients of others work with the local Discord, unmodified but for the host.

Each runs in an environment of its own, since some have the same import name.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.once, pytest.mark.clients]

PROGRAMS = Path(__file__).parent / "clients"
SCOPES: tuple[Literal["user", "shared", "global"], ...] = ("user", "shared", "global")
WAIT = 0.05
POSTED = {
    "content": "Hello <@80351110224678912>",
    "author": "Robot",
    "mentions": ["user80351110224678912"],
    "embeds": ["Title"],
    "files": {"log.txt": 5},
    "edited": False,
}
UNDERSTOOD = {
    "execute": POSTED,
    "get": POSTED,
    "edit": {**POSTED, "content": "Bye <@80351110224678912>", "edited": True},
    "delete": 10008,
    "components": [["Docs", "https://example.org/"]],
    "layout": ["words", "https://example.org/plot.png"],
    "poll": ["Ship it?", "Yes", "No"],
    "forum": {"opened": True, "replied": True},
    "webhook": "Local Discord",
}
"""The values that a client reads in the responses, by the step of its program."""
ALL = ("execute", "get", "edit", "delete", "components", "layout", "poll", "forum")


class Client(NamedTuple):
    """A library for Python: the packages to install, the program with its first argument, and the steps it can take."""

    packages: str
    program: str
    steps: tuple[str, ...] = ALL


PYTHON = {
    "discord.py": Client("discord.py", "with_discord_py.py discord:Webhook"),
    "SyncWebhook of discord.py": Client("discord.py requests", "with_discord_py.py discord:SyncWebhook"),
    "py-cord": Client("py-cord", "with_discord_py.py discord:Webhook", (*ALL[:6], "forum")),
    "disnake": Client("disnake", "with_discord_py.py disnake:Webhook"),
    "nextcord": Client("nextcord setuptools<81", "with_discord_py.py nextcord:Webhook", ALL[:4]),
    "hikari": Client("hikari", "with_hikari.py", ALL[:7]),
    "interactions.py": Client("discord-py-interactions", "with_interactions.py", (*ALL[:4], "poll", "forum")),
    "discord-webhook": Client("discord-webhook", "with_discord_webhook.py", ("execute", "edit", "delete", "forum")),
    "dhooks": Client("dhooks", "with_dhooks.py", ("webhook",)),
    "apprise": Client("apprise", "with_apprise.py", ()),
}
READERS = [name for name, client in PYTHON.items() if "execute" in client.steps]
NODE = {"discord.js": "with_discord_js.mjs", "@discordjs/rest": "with_discordjs_rest.mjs"}


@pytest.fixture
def local() -> Iterator[LocalDiscord]:
    """A local Discord that answers the first three messages with a 429, each of another scope."""
    with LocalDiscord(webhook_limit=(5, 0.3)) as local:
        for scope in SCOPES:
            local.fail_next(Fault.rate_limited(WAIT, scope))
            local.fail_next(Fault())
        yield local
        assert [message.content for message in local.messages[:3]] == list(SCOPES)


@pytest.mark.parametrize("name", READERS)
def test_a_python_client_reads_what_it_has_posted(name: str, local: LocalDiscord) -> None:
    """A client understands each response, and waits for as long as a 429 says before it posts again."""
    assert run_python(PYTHON[name], local) == {step: UNDERSTOOD[step] for step in PYTHON[name].steps}
    assert has_waited(local)


@pytest.mark.parametrize("name", ["discord.py", "SyncWebhook of discord.py"])
def test_discord_py_obeys_the_headers_of_the_bucket(name: str, local: LocalDiscord) -> None:
    """A client that counts by the headers, in one queue for a webhook, meets no 429 but the faults."""
    run_python(PYTHON[name], local)
    assert [request.status for request in local.requests].count(429) == len(SCOPES)


@pytest.mark.parametrize("name", [name for name in PYTHON if name not in READERS])
def test_a_client_that_reads_no_messages_posts_them(name: str, local: LocalDiscord) -> None:
    """Text, embed and file of such a client are in the channel."""
    assert run_python(PYTHON[name], local) == {step: UNDERSTOOD[step] for step in PYTHON[name].steps}
    lines = {line for message in local.messages[3:] for line in message.text.splitlines()}
    assert {message.username for message in local.messages[3:]} == {"Robot"}
    assert lines >= {"Title", "words", "log.txt"}


@pytest.fixture(scope="module")
def node_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the programs, whose packages Node.js finds beside them."""
    folder = shutil.copytree(PROGRAMS, tmp_path_factory.mktemp("node") / "clients")
    install = ["npm", "install", "--silent", "--prefix", str(folder), *NODE]
    subprocess.run(install, check=True)
    return folder


@pytest.mark.parametrize("name", NODE)
def test_a_node_client_reads_what_it_has_posted(name: str, local: LocalDiscord, node_programs: Path) -> None:
    """A client understands each response, and waits for as long as a 429 says before it posts again."""
    assert run(["node", str(node_programs / NODE[name])], local) == {step: UNDERSTOOD[step] for step in ALL}
    assert has_waited(local)


def has_waited(local: LocalDiscord) -> bool:
    """Return whether the client has waited after the faults, with a tenth for a timer that ends too early.

    The scope ``user`` is left out, since hikari tries again at once if the bucket is new to it.
    """
    waits = [after.time - refused.time for refused, after in pairwise(local.requests) if refused.status == 429]
    return min(waits[1 : len(SCOPES)]) >= WAIT * 0.9


def run_python(client: Client, local: LocalDiscord) -> dict[str, Any]:
    packages = [f"--with={package}" for package in client.packages.split()]
    program, *arguments = client.program.split()
    isolated = ["uv", "run", "--quiet", "--isolated", "--no-project", f"--python={sys.executable}", *packages, "python"]
    return run([*isolated, str(PROGRAMS / program), *arguments], local)


def run(command: list[str], local: LocalDiscord) -> dict[str, Any]:
    """Return the report of a program."""
    urls = local.webhook_url, local.add_webhook(forum=True)
    done = subprocess.run([*command, *urls], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report
