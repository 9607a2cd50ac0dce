"""Records are packed for the store, and unpacked in the process that sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import EmbedFormatter
from discord_logging._backlogs.packing import Parcel, pack_lost, read_settings, unpack
from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.store import Row, Writer
from discord_logging._records.record import FrozenRecord
from tests.backlogs.conftest import CARDS, Disk, Process, frozen

if TYPE_CHECKING:
    from discord_logging._backlogs.store import Batch

WRITER = Writer("w", "web-1", 7)


def rows_of(batch: Batch) -> list[Row]:
    return [Row(at, WRITER, *record[:7], count=record.count, tries=0) for at, record in enumerate(batch.records, 1)]


def pack(*texts: str) -> Batch:
    parcel = Parcel({})
    for number, text in enumerate(texts, 1):
        parcel.add(FrozenRecord(frozen(text)), [number], since=1e9)
    return parcel.batch(len(texts))


def test_a_record_comes_out_as_it_went_in() -> None:
    """Secrets are masked, and its settings are found by their digest."""
    batch = pack("password=hunter22 is bad")
    (row,) = rows_of(batch)
    assert b"hunter22" not in row.body
    settings = read_settings(batch.settings[row.settings])
    record = unpack(row, {CARDS.digest: settings}.__getitem__)
    assert record.message == FrozenRecord(frozen("password=hunter22 is bad")).message
    assert record.levelname == row.levelname == "ERROR"
    assert record.settings is settings
    assert row.settings == CARDS.digest


def test_a_record_may_stand_for_others() -> None:
    """Their numbers are covered, and losses of before are counted."""
    parcel = Parcel({("unreadable", "INFO"): 2})
    parcel.add(FrozenRecord(frozen("same")), [3, 5, 6], since=1e9)
    batch = parcel.batch(7)
    assert [(record.number, record.count) for record in batch.records] == [(3, 3)]
    assert (list(batch.covers), batch.last) == ([5, 6], 7)
    assert batch.dropped == {("unreadable", "INFO"): 2}


def test_a_record_that_cannot_be_packed_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """The others are not, and it is told."""

    class Broken(FrozenRecord):
        @property
        def levelname(self) -> str:
            raise ValueError("no level")

    parcel = Parcel({})
    parcel.add(Broken(frozen("bad")), [1, 2], since=1e9)
    parcel.add(FrozenRecord(frozen("good")), [3], since=1e9)
    batch = parcel.batch(3)
    assert [record.number for record in batch.records] == [3]
    assert batch.dropped == {("unreadable", "?"): 2}
    assert list(batch.covers) == [1, 2]
    assert "A record cannot be stored, and is dropped" in caplog.text


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b'{"message": 1}', b"null"])
def test_damaged_data_raise_an_error(body: bytes) -> None:
    """No data of this kind make another one."""
    (row,) = rows_of(pack("text"))
    with pytest.raises((KeyError, TypeError, ValueError)):
        unpack(row._replace(body=body), lambda _: CARDS)


class TestLost:
    """The records of a dead process."""

    @staticmethod
    def lost(**changes: Any) -> tuple[Writer, Batch]:
        """Return what is packed of a ring with two records."""
        process = Process(Disk())
        for text in ("one", "two"):
            process.log(text)
        process.die()
        (ring,) = rescue("00")
        vars(ring).update(changes)
        return pack_lost(ring)

    def test_all_are_packed(self) -> None:
        """They have the numbers that the process gave them."""
        writer, batch = self.lost()
        assert writer.pid
        assert [record.number for record in batch.records] == [1, 2]
        assert (batch.last, batch.dropped) == (2, {})
        (settings,) = batch.settings.values()
        assert isinstance(read_settings(settings).formatter, EmbedFormatter)

    def test_facts_that_are_damaged(self) -> None:
        """The process is unknown, and its records are found."""
        writer, batch = self.lost(head={"pid": "seven"})
        assert writer[1:] == ("?", 0)
        assert len(batch.records) == 2

    @pytest.mark.parametrize("data", [None, b"[" * 100_000, b"{", json.dumps({"colors": 1}).encode()])
    def test_settings_that_are_damaged(self, data: bytes | None) -> None:
        """Their records count as damaged, in a batch of their own number."""
        _, batch = self.lost(settings={CARDS.number: data} if data else {}, damaged=1)
        assert not batch.records
        assert batch.dropped == {("damaged", "?"): 3}
        assert batch.last > 2**60

    def test_an_unreadable_record_after_a_stored_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Regression: if the store had the last record already, the loss of another one was not counted."""

        def fail(*_: object) -> None:
            raise ValueError

        monkeypatch.setattr("discord_logging._backlogs.packing.to_json", fail)
        _, batch = self.lost()
        assert batch.dropped == {("unreadable", "?"): 2}
        assert batch.last > 2**60
