"""The attachments of records as files of a message."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import Attachment, EmbedFormatter, FrozenRecord, SecretMasker
from discord_logging._cards.attachments import Reader, safe_name
from discord_logging._cards.compose import compose, compose_plain
from discord_logging._discord import lengths
from discord_logging._discord.types import File
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from pathlib import Path

    from discord_logging._discord.types import Embed

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
SETTINGS = CardSettings(EmbedFormatter())
MASKER = SecretMasker()


def make(settings: CardSettings = SETTINGS, levelno: int = logging.ERROR, **extra: Any) -> FrozenRecord:
    """Return a frozen record with these values."""
    record = logging.LogRecord("shop", levelno, "orders.py", 42, "hello", (), None, "place")
    record.__dict__.update(extra)
    return FrozenRecord(freeze(record, settings))


def card_of(record: FrozenRecord) -> tuple[Embed, list[File]]:
    """Return the card and the files of a message with one record."""
    message, *_ = compose([record])
    (embed,) = message.payload["embeds"]
    return embed, list(message.files)


def values_of(embed: Embed) -> dict[str, str]:
    """Return the fields without Markdown."""
    return {field["name"]: re.sub(r"\\(?=\W|_)", "", field["value"]).strip("`\n") for field in embed.get("fields", ())}


class TestNames:
    """Each name is one that Discord keeps."""

    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            ("report.csv", "report.csv"),
            ("night chart.png", "night_chart.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\logs\\app.log", "app.log"),
            ("..", "file"),
            ("", "file"),
            (".env", "env"),
            ("a\x00b\nc.txt", "ab_c.txt"),
            ("грузы", "file"),
            ("SPOILER_a.png", "a.png"),
            ("_spoiler_SPOILER_a.png", "a.png"),
            ("records-20260101-120000.txt", "file-records-20260101-120000.txt"),
            # The file of the message has had this form since its times are in UTC.
            ("records-20260101T120000Z.txt", "file-records-20260101T120000Z.txt"),
            ("records.txt", "file-records.txt"),
            ("records-2026.csv", "records-2026.csv"),
            ("x" * 300 + ".txt", "x" * 96 + ".txt"),
            ("token=hunter2hunter2.txt", "token_.txt"),
        ],
    )
    def test_hostile_names(self, name: str, safe: str) -> None:
        """No name hides the file, leaves its folder, or looks like our own file."""
        assert safe_name(name, MASKER) == safe

    @given(st.text())
    def test_any_name_is_safe(self, name: str) -> None:
        """`attachment://` needs the name as it was sent."""
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,104}", safe_name(name, MASKER))

    def test_equal_names_are_numbered(self) -> None:
        """Discord shows one picture for each name."""
        record = make(
            a=Attachment(b"1", "r.csv"),
            b=Attachment(b"2", "R.CSV"),
            c=Attachment(b"3", "x/r.csv"),
            d=Attachment(b"4", "r"),
        )
        files = Reader().attach(record, [File("r", b"")]).files
        assert [file.filename for file in files] == ["r.csv", "R-2.CSV", "r-3.csv", "r-2"]


class TestCards:
    """A card shows what became of its files."""

    def test_a_picture_stands_in_the_card(self) -> None:
        """The first one does, whatever its name is; the others stand above."""
        embed, files = card_of(
            make(log=Attachment(b"x", "a.txt"), chart=Attachment(PNG, "chart"), other=Attachment(PNG, "b.jpeg"))
        )
        assert embed["image"] == {"url": "attachment://chart.png"}
        assert [file.filename for file in files] == ["a.txt", "chart.png", "b.jpeg"]
        assert values_of(embed)["chart"] == f"chart.png ({len(PNG)} bytes)"

    def test_what_only_looks_like_a_picture_is_a_file(self) -> None:
        """Discord would show a broken picture."""
        embed, files = card_of(make(chart=Attachment(b"no picture", "chart.png")))
        assert "image" not in embed
        assert [file.filename for file in files] == ["chart.png"]

    def test_a_picture_of_the_formatter_stays(self) -> None:
        """An override has chosen it."""

        class Card(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:
                return {**super().embed(record), "image": {"url": "https://x.example/a.png"}}

        embed, files = card_of(make(CardSettings(Card()), chart=Attachment(PNG, "chart.png")))
        assert embed["image"] == {"url": "https://x.example/a.png"}
        assert len(files) == 1

    def test_nothing_else_attaches_a_file(self, tmp_path: Path) -> None:
        """Neither a path, nor a name, nor bytes: an application merely mentions them."""
        path = tmp_path / "secret.txt"
        path.write_text("x")
        _, files = card_of(make(file=str(path), path=path, attachment=b"x", attachments=[str(path)]))
        assert files == []

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        """The card arrives all the same."""
        embed, files = card_of(
            make(a=Attachment(tmp_path / "a.txt"), b=Attachment(tmp_path), c=Attachment(b"x", "c.txt"))
        )
        shown = values_of(embed)
        assert shown["a"] == "a.txt is left out: no such file or directory"
        assert shown["b"].endswith(" is left out: it is a directory")
        assert embed["footer"]["text"].endswith("2 attachments left out")
        assert [file.filename for file in files] == ["c.txt"]

    @pytest.mark.parametrize("settings", [CardSettings(EmbedFormatter(), fields=())])
    def test_missing_files_are_named_where_no_value_is_shown(self, settings: CardSettings, tmp_path: Path) -> None:
        """The setting `fields` may hide the value."""
        embed, _ = card_of(make(settings, a=Attachment(tmp_path / "a.txt")))
        assert values_of(embed) == {"Attachments": "a.txt is left out: no such file or directory"}

    def test_a_text_is_masked_and_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file and the card say what is cut."""
        monkeypatch.setattr("discord_logging._records.attachment.MAX_TEXT_BYTES", 30)
        embed, (file,) = card_of(make(log=Attachment(b"password=hunter2\n" * 3, "a.log")))
        assert file.content.decode() == "password=***\n… cut: the file has 51 bytes\n"
        assert values_of(embed)["log"] == "a.log (the beginning of 51 bytes)"

    def test_an_attachment_under_the_name_of_a_secret_is_attached(self) -> None:
        """The value says that it is a file, and not its name."""
        _, files = card_of(make(password=Attachment(b"x", "a.txt")))
        assert [file.filename for file in files] == ["a.txt"]


class TestRoom:
    """A message has room for some files."""

    def test_a_record_with_many_files(self) -> None:
        """The first nine are attached, and the card says that others are left out."""
        record = make(reports=[Attachment(b"x", f"{number}.txt") for number in range(12)])
        embed, files = card_of(record)
        assert len(files) == lengths.ATTACHMENTS
        assert embed["footer"]["text"].endswith("3 attachments left out")

    def test_large_files_share_the_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A record whose files have no room goes into the next message."""
        monkeypatch.setattr(lengths, "ATTACHMENTS_BYTES", 25)
        records = [make(a=Attachment(b"\x00" * 10, "a.bin")) for _ in range(3)]
        message, carried, _ = compose(records, allowance=9)
        assert carried == records[:2]
        assert [file.filename for file in message.files] == ["a.bin", "a-2.bin"]
        embed, files = card_of(make(a=Attachment(b"\x00" * 20, "a.bin"), b=Attachment(b"\x00" * 20, "b.bin")))
        assert [file.filename for file in files] == ["a.bin"]
        assert values_of(embed)["b"] == "b.bin is left out: the message has no room for it"

    def test_lines_have_no_files(self) -> None:
        """A record with a file gets a card among them."""
        records = [make(levelno=logging.INFO, number=number) for number in range(20)]
        records.insert(5, make(levelno=logging.INFO, a=Attachment(b"x", "a.txt")))
        message, carried, _ = compose(records)
        assert carried == records
        assert len(message.payload["embeds"]) == 2
        assert [file.filename for file in message.files] == ["a.txt"]

    def test_a_digest_keeps_the_most_severe_and_counts_the_others(self) -> None:
        """A backlog may have more files than a message."""
        records = [make(levelno=logging.INFO, a=Attachment(b"x", f"{number}.txt")) for number in range(300)]
        records.append(make(levelno=logging.CRITICAL, a=Attachment(PNG, "worst.png")))
        message, carried, _ = compose(records)
        assert carried == records
        summary, worst = message.payload["embeds"]
        assert worst["image"] == {"url": "attachment://worst.png"}
        assert len(message.files) == 1 + lengths.ATTACHMENTS
        assert summary["footer"]["text"] == f"{301 - lengths.ATTACHMENTS} attachments left out"

    def test_each_file_is_read_once_for_a_message(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Denser forms of the message use the same content."""
        path = tmp_path / "a.txt"
        path.write_text("x")
        read: list[object] = []

        def refuse(attachment: Attachment, _: object) -> None:
            read.append(attachment)
            raise OSError

        monkeypatch.setattr(Attachment, "read", refuse)
        compose([make(a=Attachment(path)) for _ in range(50)])
        assert len(read) == len({id(each) for each in read})


class TestRefusals:
    """Discord may refuse a message because of its files."""

    def test_the_card_comes_without_the_files(self) -> None:
        """It says so, and the file is not read."""
        record, other = make(a=Attachment(b"x", "a.txt")), make(b=Attachment(b"x", "b.txt"))
        message, *_ = compose([record, other], allowance=9, without_files={record})
        assert [file.filename for file in message.files] == ["b.txt"]
        assert values_of(message.payload["embeds"][0])["a"] == "a.txt is left out: Discord has refused it"

    def test_plain_text_counts_them(self) -> None:
        """It is the last form of a record."""
        payload = compose_plain(make(a=Attachment(b"x", "a.txt"))).payload
        assert payload["content"] == "(1 attachment left out) ERROR shop: hello"
