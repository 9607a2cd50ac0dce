"""Files beside the card of a record, from the logging call to the channel of a local Discord."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import pickle
import queue
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import Attachment, DiscordHandler, DiscordNotifier, EmbedFormatter
from discord_logging._cards.compose import compose
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00"
    b"\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture
def handler(discord: LocalDiscord) -> Iterator[DiscordHandler]:
    handler = DiscordHandler(discord.webhook_url, retry_delays=[0.01])
    yield handler
    handler.close()


@pytest.fixture
def logger(handler: DiscordHandler) -> logging.Logger:
    logger = logging.getLogger("shop.files")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    return logger


def files_of(discord: LocalDiscord) -> dict[str, bytes]:
    return {file.filename: file.data for message in discord.messages for file in message.files}


def test_a_picture_and_a_report_arrive(
    discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger, tmp_path: Path
) -> None:
    """The picture is in the card, the text is masked, and the file is read when the message is made."""
    path = tmp_path / "report.csv"
    logger.error("Report", extra={"chart": Attachment(PNG, "chart.png"), "report": Attachment(path)})
    path.write_text("password=hunter2\n")
    assert handler.flush(30)
    (message,) = discord.messages
    (card,) = message.embeds
    assert "chart.png" in str(card["image"]["url"])
    assert files_of(discord) == {"chart.png": PNG, "report.csv": b"password=***\n"}
    counts = handler.health()
    assert (counts["accepted"], counts["delivered"], counts["dropped"]) == (1, 1, 0)


def test_no_file_costs_the_record(
    discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger, tmp_path: Path
) -> None:
    """One card arrives, which says of each file why it is left out."""
    os.mkfifo(tmp_path / "pipe")
    wrong: Any = [None, 5, object()]
    values = [tmp_path / "missing", tmp_path, tmp_path / "pipe", "/dev/zero", "a\0b", "", b"\x00" * 8_000_000, *wrong]
    logger.error("Report", extra={"files": [Attachment(value, "x" * 300) for value in values[:5]]})
    logger.error("Report", extra={"files": [Attachment(value, "\u202ea\n") for value in values[5:]]})
    assert handler.flush(30)
    cards = [card for message in discord.messages for card in message.embeds]
    assert [card["footer"]["text"].rpartition(" · ")[2] for card in cards] == ["5 attachments left out"] * 2
    assert files_of(discord) == {}


@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_file_is_left_out(
    discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger, status: int, refusals: int
) -> None:
    """The card comes without the file; if it is refused too, the text of the record comes."""
    discord.fail_next(Fault(status=status), times=refusals)
    logger.error("Report", extra={"report": Attachment(b"x", "report.csv")})
    assert handler.flush(30)
    (message,) = discord.messages
    assert files_of(discord) == {}
    if refusals == 1:
        assert "report.csv is left out: Discord has refused it" in str(message.embeds[0]["fields"])
    else:
        assert message.content == "(1 attachment left out) ERROR shop.files: Report"
    logger.error("Next", extra={"report": Attachment(b"y", "report.csv")})
    assert handler.flush(30)
    assert files_of(discord) == {"report.csv": b"y"}


def test_neighbours_of_a_refused_file_keep_theirs(
    discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
) -> None:
    """The search for the record ends at the one whose message was refused alone."""
    discord.fail_next(Fault(status=413), times=2)
    for number in range(2):
        logger.error("Report %d", number, extra={"report": Attachment(b"x", f"{number}.csv")})
    assert handler.flush(30)
    assert files_of(discord) == {"1.csv": b"x"}
    assert handler.health()["delivered"] == 2


def test_repeats_with_equal_files_are_counted_and_others_stay_apart(
    discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
) -> None:
    """The first of equal ones shows its file."""
    for content in (b"1", b"1", b"1", b"2"):
        logger.error("Report", extra={"report": Attachment(content, "report.csv")})
    assert handler.flush(30)
    assert sorted(files_of(discord).values()) == [b"1", b"2"]
    cards = [card for message in discord.messages for card in message.embeds]
    assert sum("×3" in card["description"] for card in cards) == 1  # noqa: RUF001 - the sign for times


def test_kept_bytes_count_in_the_queue(discord: LocalDiscord) -> None:
    """A file for which the queue has no room costs neither the record nor its other values."""
    handler = DiscordHandler(discord.webhook_url, queue_bytes=50_000)
    record = logging.makeLogRecord({"msg": "Report", "levelno": 40, "levelname": "ERROR", "order": 4711})
    record.__dict__["files"] = [Attachment(b"x" * 60_000, "large.txt"), Attachment(b"y", "small.txt")]
    handler.handle(record)
    assert handler.flush(30)
    (card,) = (card for message in discord.messages for card in message.embeds)
    shown = str(card["fields"])
    assert "large.txt is left out: the queue has no room for it" in shown
    assert "4711" in shown
    assert files_of(discord) == {"small.txt": b"y"}
    handler.close()


def test_bytes_have_as_much_room_as_paths(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """The bound of the text of a record held for its attachments, too, so that two large ones were never posted."""
    contents = {f"{number}.bin": bytes([number, 0]) * 3_500_000 for number in range(2)}
    record = logging.makeLogRecord({"msg": "Report", "levelno": 40, "levelname": "ERROR"})
    record.__dict__["files"] = [Attachment(content, name) for name, content in contents.items()]
    handler.handle(record)
    assert handler.flush(30)
    assert files_of(discord) == contents


def test_other_handlers_in_front_keep_the_file(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """A standard `QueueHandler` copies the record, and a queue between processes pickles it."""
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("shop.queued")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    logger.error("Report", extra={"report": Attachment(b"x", "report.csv")})
    handler.handle(pickle.loads(pickle.dumps(waiting.get())))  # noqa: S301 - ours
    assert handler.flush(30)
    assert files_of(discord) == {"report.csv": b"x"}


def test_other_formatters_show_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    """They show no content."""
    stream = logging.StreamHandler()
    stream.setFormatter(logging.Formatter("%(message)s %(report)s"))
    record = logging.makeLogRecord({"msg": "Report", "report": Attachment(b"hunter2", "report.csv")})
    stream.handle(record)
    assert capsys.readouterr().err == "Report <Attachment 'report.csv', 7 bytes>\n"


def test_a_notice_brings_a_file(discord: LocalDiscord) -> None:
    """A field of a notice may be an attachment."""
    notifier = DiscordNotifier(discord.webhook_url)
    assert notifier.send_diagnostic("warning", message="Report", fields={"report": Attachment(b"x", "report.csv")})
    assert notifier.flush(30)
    assert files_of(discord) == {"report.csv": b"x"}
    notifier.close()


def test_plain_data_keeps_the_file() -> None:
    """Another process posts it, without the secrets in it."""
    settings = CardSettings(EmbedFormatter())
    record = logging.makeLogRecord({"msg": "Report", "report": [Attachment(b"password=hunter2", "report.csv")]})
    data = json.loads(to_json(FrozenRecord(freeze(record, settings)), {}))
    assert "hunter2" not in str(data)
    message, *_ = compose([from_data(data, settings)])
    assert [(file.filename, file.content) for file in message.files] == [("report.csv", b"password=***")]
