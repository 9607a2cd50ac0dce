"""A file that a record brings along: what is kept of it, and what is read."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import Attachment, SecretMasker
from discord_logging._records import attachment as module
from discord_logging._records.attachment import find_attachments, map_attachments, mask_content
from discord_logging._records.values import freeze_value, freeze_values, value_size

MASKER = SecretMasker()
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR password=hunter2"


def content_of(attachment: Attachment) -> bytes:
    """Return what is posted of a file."""
    return attachment.read(MASKER).content


class TestMaking:
    """Making an attachment reads nothing, and never fails."""

    @pytest.mark.parametrize("content", [b"ok", bytearray(b"ok"), memoryview(b"ok"), memoryview(b"o-k-")[::2]])
    def test_bytes_are_kept_as_they_are(self, content: Any) -> None:
        """A buffer that changes later does not change the file; one with gaps cannot be read, which the card says."""
        attachment = Attachment(content, "a.txt")
        if isinstance(content, bytearray):
            content[:] = b"no"
        if isinstance(content, memoryview) and not content.contiguous:
            with pytest.raises(ValueError, match="memoryview that cannot be read: TypeError"):
                attachment.read(MASKER)
        else:
            assert content_of(attachment) == b"ok"

    @pytest.mark.parametrize("content", [None, 5, ["a"], object(), "", b"".join])
    def test_another_value_costs_no_record(self, content: Any) -> None:
        """The error comes when the content is read, where it costs only the file."""
        attachment = Attachment(content)
        assert attachment.name == "file"
        with pytest.raises(ValueError, match=r"that cannot be read: TypeError|no content and no path was given"):
            attachment.read(MASKER)

    def test_a_relative_path_belongs_to_the_directory_of_the_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The program may change its directory before the file is read."""
        (tmp_path / "a.txt").write_text("ok")
        monkeypatch.chdir(tmp_path)
        attachment = Attachment("a.txt")
        monkeypatch.chdir("/")
        assert (content_of(attachment), attachment.name) == (b"ok", "a.txt")

    def test_the_repr_shows_no_content(self, tmp_path: Path) -> None:
        """Other handlers' formatters show it."""
        assert repr(Attachment(b"hunter2", "a\n.txt")) == r"<Attachment 'a\n.txt', 7 bytes>"
        assert f"{Attachment(tmp_path / 'a.txt')}" == f"<Attachment 'a.txt', from {str(tmp_path / 'a.txt')!r}>"

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_can_be_copied_and_pickled(self, protocol: int) -> None:
        """`QueueHandler` copies records, and `SocketHandler` pickles them with protocol 1."""
        attachment = Attachment(b"\x00\xff", "a.bin")
        for other in (pickle.loads(pickle.dumps(attachment, protocol)), copy.deepcopy(attachment)):  # noqa: S301 - ours
            assert other == attachment
            assert hash(other) == hash(attachment)
        assert attachment != Attachment(b"\x00\xfe", "a.bin")

    def test_large_bytes_are_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a text the beginning is kept, of other content nothing."""
        monkeypatch.setattr(module, "MAX_TEXT_BYTES", 10)
        monkeypatch.setattr(module, "MAX_BYTES", 20)
        text, binary = Attachment(b"line 1\nline 2\nline 3"), Attachment(b"\x00" * 21)
        assert (text.held_bytes, binary.held_bytes) == (10, 0)
        assert text.read(MASKER) == (b"line 1", 20, True)
        with pytest.raises(ValueError, match="it has 21 bytes, more than 20"):
            binary.read(MASKER)
        assert content_of(Attachment(b"\x00" * 20)) == b"\x00" * 20


class TestReading:
    """A path is read when the file is asked for."""

    def test_a_file_is_read_late(self, tmp_path: Path) -> None:
        """The content is that of the time of the message."""
        path = tmp_path / "a.txt"
        attachment = Attachment(path)
        path.write_text("later")
        assert content_of(attachment) == b"later"

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        """A pipe would block the thread until somebody writes to it, and a device may act when it is opened."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        cases: dict[str | Path, str] = {
            tmp_path: "it is a directory",
            tmp_path / "pipe": "it is not a regular file",
            "/dev/zero": "it is not a regular file",
            tmp_path / "missing": "No such file",
            tmp_path / "loop": "symbolic links",
            f"{tmp_path}/a\0b": "null",
            tmp_path / ("x" * 300): "too long",
        }
        for path, words in cases.items():
            with pytest.raises((OSError, ValueError), match=words):
                Attachment(path).read(MASKER)

    def test_a_file_that_becomes_a_pipe_does_not_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kind is looked at again after the file was opened."""
        os.mkfifo(tmp_path / "pipe")
        regular = Path(__file__).stat()
        monkeypatch.setattr(os, "stat", lambda *_, **__: regular)
        with pytest.raises(ValueError, match="it is not a regular file"):
            Attachment(tmp_path / "pipe").read(MASKER)

    def test_a_file_that_may_not_be_read_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tests may run as root, who may read all files."""

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        path = tmp_path / "a.txt"
        path.write_text("x")
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError, match="Permission denied"):
            Attachment(path).read(MASKER)

    def test_large_files_are_cut_or_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a text the beginning is posted, up to the end of a line."""
        monkeypatch.setattr(module, "MAX_TEXT_BYTES", 10)
        monkeypatch.setattr(module, "MAX_BYTES", 20)
        path = tmp_path / "a"
        for content, result in {
            b"line 1\nline 2": (b"line 1", 13, True),
            "äöüäöüäöü".encode(): ("äöüäö".encode(), 18, True),
            b"0123456789": (b"0123456789", 10, False),
            b"\x00" * 20: (b"\x00" * 20, 20, False),
        }.items():
            path.write_bytes(content)
            assert Attachment(path).read(MASKER) == result
        path.write_bytes(b"\x00" * 21)
        with pytest.raises(ValueError, match="it has 21 bytes, more than 20"):
            Attachment(path).read(MASKER)

    def test_a_file_that_grows_is_read_up_to_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program may write faster than we read."""
        path = tmp_path / "a.log"
        path.write_bytes(b"line\n")
        read = os.read

        def read_and_grow(descriptor: int, size: int) -> bytes:
            with path.open("ab") as file:
                file.write(b"line\n" * 1000)
            return read(descriptor, size)

        monkeypatch.setattr(module, "MAX_TEXT_BYTES", 50_000)
        monkeypatch.setattr(os, "read", read_and_grow)
        monkeypatch.setattr(module, "_CHUNK", 5_000)
        found = Attachment(path).read(MASKER)
        assert (len(found.content), found.is_cut) == (49_999, True)

    def test_no_descriptor_stays_open(self, tmp_path: Path) -> None:
        """An alarm a minute would use them up."""
        path = tmp_path / "a.txt"
        path.write_text("x")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            Attachment(path).read(MASKER)
        # Other threads of the process may open or close one meanwhile.
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 5


class TestMasking:
    """Secrets in texts are masked; other content is posted as it is."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
    def test_texts_in_usual_encodings_are_masked(self, encoding: str) -> None:
        """A log of a Windows program is UTF-16 or cp1252."""
        masked = mask_content("grün password=hunter2\n".encode(encoding), MASKER)
        assert "hunter2" not in masked.decode(encoding)
        assert "grün password=***" in masked.decode(encoding)

    @pytest.mark.parametrize(
        "content", [PNG, b"PK\x03\x04 password=hunter2", b"a\x00 password=hunter2", b"\xff\xfe\x00"]
    )
    def test_other_content_is_untouched(self, content: bytes) -> None:
        """A picture with another byte in it is broken."""
        assert mask_content(content, MASKER) is content

    def test_a_text_without_secrets_is_untouched(self) -> None:
        """Its line ends and invisible characters belong to it."""
        content = "\ufeffa,b\r\n1,\u200b2\r\n".encode()
        assert mask_content(content, MASKER) is content

    @given(st.binary())
    def test_any_content_can_be_judged(self, content: bytes) -> None:
        """No content raises an error."""
        Attachment(content).read(MASKER)
        mask_content(content, MASKER)


class TestValues:
    """An attachment is a value of `extra` like others."""

    def test_it_is_found_at_any_depth(self) -> None:
        """A list of reports is a usual value."""
        first, second = Attachment(b"1", "1"), Attachment(b"2", "2")
        values = freeze_values({"a": first, "b": [1, {"c": (second,)}], "d": "/etc/passwd"})
        assert list(find_attachments(values)) == [first, second]
        assert map_attachments(values, lambda each: each.name) == {
            "a": "1",
            "b": [1, {"c": ("2",)}],
            "d": "/etc/passwd",
        }

    def test_its_content_counts(self) -> None:
        """The bound of the queue holds for it."""
        assert 1000 < value_size(freeze_value(Attachment(b"x" * 1000))) < 1500
        assert 1000 < value_size(freeze_value([Attachment(b"x" * 1000)])) < 1500

    def test_it_becomes_plain_data(self) -> None:
        """A store that others read gets it without its secrets."""
        attachment = Attachment(b"password=hunter2", "a.txt")
        assert Attachment.from_data(attachment.to_data()) == attachment
        assert content_of(attachment.masked(MASKER)) == b"password=***"
