"""A secret reaches the channel from no place of a record, of a formatter or of a setting."""

from __future__ import annotations

import json
import logging
import random
import string
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, DiscordNotifier, EmbedFormatter
from discord_logging._cli.main import main
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discord_logging._discord.types import Embed

PASSWORD = "".join(random.Random(19).choices(string.ascii_letters + string.digits, k=24))  # noqa: S311 - it is no secret
SAID = f"password={PASSWORD}"


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Return a Discord without limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


def posted(local: LocalDiscord) -> str:
    """Return everything that was posted, without Markdown's backslashes."""
    texts = [json.dumps(message.payload, ensure_ascii=False) for message in local.messages]
    files = [f"{file.filename}\n{file.data!r}" for message in local.messages for file in message.files]
    return "\n".join((*texts, *files)).replace("\\", "")


def log(local: LocalDiscord, *, formatter: logging.Formatter | None = None, count: int = 1, **attributes: Any) -> str:
    """Post a record with these attributes, and return what was posted."""
    handler = DiscordHandler(local.webhook_url, max_lag=0.01 if count > 1 else 5, repeat_window=0)
    handler.setFormatter(formatter or EmbedFormatter())
    for number in range(count):
        record = logging.makeLogRecord({"msg": f"hello {number}", "levelno": 40, "levelname": "ERROR", **attributes})
        handler.handle(record)
    assert handler.flush(20)
    handler.close()
    return posted(local)


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize(
    "attribute", ["msg", "name", "levelname", "funcName", "threadName", "processName", "taskName", "pathname", "detail"]
)
def test_no_attribute_of_a_record_leaks(discord: LocalDiscord, attribute: str, count: int) -> None:
    """Names are chosen by programs as well: a worker is named by its task. 300 records make a digest with a file."""
    value = f"/srv/{SAID}.py" if attribute == "pathname" else f"x {SAID}"
    attributes: dict[str, Any] = {attribute: value, "lineno": 12}
    shown = log(discord, count=count, **attributes)
    assert "hello" in shown or attribute == "msg"
    assert PASSWORD not in shown


class _Secret(EmbedFormatter):
    """A formatter that adds secrets of its own to every part."""

    def title(self, _: object) -> str:
        return SAID

    def description(self, _: object) -> str:
        return f"**db**\\_{SAID}"

    def fields(self, _: object) -> list[Any]:
        return [{"name": "db\\_password", "value": PASSWORD}, {"name": "config", "value": f"```\n{SAID}\n```"}]

    def footer(self, _: object) -> str:
        return SAID


class _SecretEmbed(EmbedFormatter):
    """A formatter that makes the whole embed itself."""

    def embed(self, _: object) -> Embed:
        return {
            "title": SAID,
            "url": f"https://example.com/?token={PASSWORD}",
            "author": {"name": SAID},
            "footer": {"text": SAID},
            "fields": [{"name": "token", "value": PASSWORD, "inline": True}],
        }


@pytest.mark.parametrize("formatter", [_Secret(), _SecretEmbed(), logging.Formatter(f"%(message)s {SAID}")])
def test_no_formatter_leaks(discord: LocalDiscord, formatter: logging.Formatter) -> None:
    """What an override returns is masked like the record itself."""
    assert PASSWORD not in log(discord, formatter=formatter)


def test_a_card_is_posted_as_the_formatter_made_it_but_for_secrets(discord: LocalDiscord) -> None:
    """The mask is written in Markdown, except in a block of code, so that the channel shows three asterisks."""
    log(discord, formatter=_Secret())
    (embed,) = discord.messages[0].embeds
    assert embed["description"] == r"**db**\_password=\*\*\*"
    assert [field["value"] for field in embed["fields"]] == [r"\*\*\*", "```\npassword=***\n```"]
    assert embed["footer"]["text"] == "password=***"


@pytest.mark.parametrize(
    "send",
    [
        lambda notifier: notifier.send_startup(),
        lambda notifier: notifier.send_diagnostic("error", service=SAID, message=SAID, fields={"password": PASSWORD}),
        lambda notifier: notifier.send_embed(
            title=SAID, description=SAID, author=SAID, footer=SAID, fields={"a": SAID}
        ),
        lambda notifier: notifier.send_embed(title="x", url=f"https://example.com/?token={PASSWORD}"),
        lambda notifier: notifier.send_plaintext(SAID),
        lambda notifier: notifier.send_error(ValueError(SAID), context={"token": PASSWORD}),
    ],
    ids=["startup", "diagnostic", "embed", "url", "plaintext", "error"],
)
def test_no_call_of_the_notifier_leaks(discord: LocalDiscord, send: Callable[[DiscordNotifier], None]) -> None:
    """The name of the service is a text like any other."""
    notifier = DiscordNotifier(discord.webhook_url, service=f"shop {SAID}")
    send(notifier)
    assert notifier.handler.flush(20)
    notifier.handler.close()
    assert discord.messages
    assert PASSWORD not in posted(discord)


def test_the_names_under_which_a_record_is_posted_do_not_leak(discord: LocalDiscord) -> None:
    """A user name and the title of a post may be made from settings of the program."""
    handler = DiscordHandler(discord.add_webhook(forum=True), username=f"bot {SAID}", thread_name=f"alarms {SAID}")
    handler.handle(logging.makeLogRecord({"msg": "hello", "levelno": 40, "levelname": "ERROR"}))
    assert handler.flush(20)
    handler.close()
    assert PASSWORD not in posted(discord)


def test_send_masks_the_names_and_contents_of_text_files(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is no text is sent as it is."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
    (tmp_path / f"token={PASSWORD}.log").write_text(f"x\n{SAID}\n", encoding="utf-8")
    (tmp_path / "a.bin").write_bytes(b"\xff\x00")
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    assert main(["send", "--title", SAID, "--field", SAID, "--file", files[0], "--file", files[1], SAID]) == 0
    assert PASSWORD not in posted(discord)
    assert sorted(file.data for file in discord.messages[0].files) == [b"x\npassword=***\n", b"\xff\x00"]


def test_a_report_on_stderr_does_not_leak(discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that cannot be taken in is reported as in every handler, but masked."""
    handler = DiscordHandler(discord.webhook_url)
    record = logging.makeLogRecord({"msg": SAID, "args": (SAID,)})
    try:
        raise ValueError(SAID)  # noqa: TRY301 - the report shows it
    except ValueError:
        handler.handleError(record)
    handler.close()
    shown = capsys.readouterr().err
    assert "--- Logging error ---" in shown
    assert PASSWORD not in shown
