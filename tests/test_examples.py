"""The examples and the code of the README run as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from discord_logging import DiscordHandler
from discord_logging._cli.main import _build_parser
from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

TOP = Path(__file__).parent.parent
EXAMPLES = sorted(TOP.glob("examples/*.py"))
README = (TOP / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "DISCORD_WEBHOOK_URL": url},
        capture_output=True,
        text=True,
        cwd=TOP,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_posts(example: Path) -> None:
    """An example needs only a webhook."""
    with LocalDiscord() as discord:
        done = run(str(example), url=discord.webhook_url)
        assert (done.returncode, bool(discord.messages)) == (0, True), done.stderr


@pytest.mark.parametrize("name", ["hosts", "sandbox"])
def test_a_container_runs_a_sandbox_that_others_reach(name: str) -> None:
    """The command takes the options, and the container has a name for its URL and the port of the page."""
    services = yaml.safe_load((TOP / "examples" / name / "compose.yaml").read_text(encoding="utf-8"))["services"]
    service = services["discord"]
    options = re.findall(r"sandbox (--host \S+ --keep \S+)", service["command"][-1])[0].split()
    parsed = _build_parser().parse_args(["sandbox", *options])
    assert (parsed.host, parsed.keep) == ("0.0.0.0", "/channel/channel.db")  # noqa: S104 - inside the container
    assert service["ports"][0].endswith(f":{parsed.port}")
    assert service["hostname"]


def test_settings_example_applies_its_filters() -> None:
    """The channel has neither records for the console only, nor health checks, nor audit records, nor the key."""
    with LocalDiscord() as discord:
        done = run("examples/dictconfig_settings.py", url=discord.webhook_url)
        embeds = [embed for message in discord.messages for embed in message.embeds]
    assert [embed["description"].partition("\n")[0] for embed in embeds] == [
        "Stock of tea is low",
        "Order 4711 has no price",
    ]
    assert "masked on the card" not in str(embeds)
    assert [done.stderr.count(text) for text in ("Order 4711 received", "GET /health", "from a new device")] == [1] * 3


def test_worker_example_reports_each_failure_once() -> None:
    """Two jobs and a thread fail, and the worker runs to the end."""
    with LocalDiscord() as discord:
        done = run("examples/worker.py", url=discord.webhook_url)
        shown = [embed["description"].partition("\n")[0] for message in discord.messages for embed in message.embeds]
    assert sorted(shown) == [
        "A job failed",
        "A job failed",
        "The worker has nothing left to do",
        "Uncaught exception in thread disk watch",
    ]
    assert "Sending a mail to cleo@example.com" in done.stderr


def test_burst_example_needs_no_webhook() -> None:
    """The example starts a local Discord, and shows the rate limit."""
    done = run("examples/burst.py", url="")
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    match = re.fullmatch(
        r" 6000 of 6000 records in (\d+) requests, (?:ok|limited); limit: \d of 5 requests left, wait .*", last
    )
    assert match, done.stdout
    assert int(match[1]) < 10


def test_gallery_takes_all_pictures(tmp_path: Path) -> None:
    """The gallery has exactly the pictures that the README shows."""
    if not (os.environ.get("REQUIRE_BROWSER") or shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    done = run("examples/gallery/take_pictures.py", str(tmp_path), url="")
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.findall(r"examples/gallery/(\w+\.png)", README)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(shown)


def test_readme_code_runs_and_posts() -> None:
    """The README's blocks run one after the other, as printed."""
    with LocalDiscord() as discord:
        done = run("-c", "\n".join(CODE), url=discord.webhook_url)
        titles = [embed.get("title") for message in discord.messages for embed in message.embeds]
    assert done.returncode == 0, done.stderr
    assert titles.count("❌ ZeroDivisionError: division by zero · ERROR · root") == 2
    assert "Order 4711" in titles
    assert "**Deployed** to production" in str(discord.messages)


def test_readme_test_passes(tmp_path: Path) -> None:
    """The test in the README is a complete file, and uses the fixture of the package."""
    (block,) = (block for block in CODE if "local_discord" in block)
    (tmp_path / "test_shop.py").write_text(block, encoding="utf-8")
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), url="")
    assert "1 passed" in done.stdout, done.stdout


def test_readme_names_every_setting() -> None:
    """The table of settings is complete."""
    settings = {"webhook_url", "level", *(DiscordHandler.__init__.__kwdefaults__ or {})}
    table = README.partition("## Settings")[2]
    assert {name for name in settings if f"`{name}`" not in table} == set()
