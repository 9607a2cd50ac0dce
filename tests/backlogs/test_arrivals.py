"""The front of a durable backlog: what came is in the ring and in the deque."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.arrivals import Arrivals, Slot
from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.ring import Ring, held
from discord_logging._backlogs.tickets import Tickets
from tests.backlogs.conftest import frozen

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def make() -> Arrivals:
    arrivals = Arrivals("00")
    arrivals.after_fork_in_child(Tickets())
    return arrivals


def rescued(arrivals: Arrivals) -> list[int]:
    """Return the numbers that others find after the death of the process."""
    held.pop(arrivals._ring._key, None)
    return [number for ring in rescue("00") for number, _ in ring.records]


def test_records_come_out_in_order() -> None:
    """Each has its number and its slot, until it is freed."""
    arrivals = make()
    records = [frozen(text) for text in "ab"]
    for record in records:
        arrivals.put(record)
    assert len(arrivals) == 2
    found = []
    while len(arrivals):
        found.append(arrivals.first())
        arrivals.pop()
    assert [each for _, each in found] == records
    assert [slot.number for slot, _ in found] == [1, 2]
    arrivals.free([found[0][0]])
    assert (arrivals.at_risk, arrivals.trouble) == (set(), "")
    assert rescued(arrivals) == [2]


def test_without_memory_records_are_at_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept nevertheless, and the reason is known."""
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", "")
    arrivals = make()
    arrivals.put(frozen("a"))
    assert arrivals.trouble == "there is no shared memory"
    assert arrivals.at_risk == {1}
    assert arrivals.first()[0] == Slot(1, None)
    arrivals.pop()
    arrivals.free([Slot(1, None)])
    assert arrivals.at_risk == set()
    arrivals.keep()
    arrivals.close()


def test_a_record_that_cannot_be_written_is_at_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack may be full."""

    def fail(_: Any) -> bytes:
        raise RecursionError

    monkeypatch.setattr("discord_logging._backlogs.arrivals.dump", fail)
    arrivals = make()
    arrivals.put(frozen("a"))
    assert (len(arrivals), arrivals.at_risk) == (1, {1})


def test_a_ring_that_was_removed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are in the new one, too."""
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path))
    arrivals = make()
    arrivals.keep()
    assert not list(tmp_path.rglob("ring-*"))
    arrivals.put(frozen("a"))
    arrivals.keep()
    (file,) = tmp_path.rglob("ring-*")
    file.unlink()
    arrivals.keep()
    assert rescued(arrivals) == [1]


def test_records_after_the_end_are_in_another_ring() -> None:
    """Those of before stay where they are."""
    arrivals = make()
    arrivals.put(frozen("a"))
    arrivals.close()
    arrivals.put(frozen("b"))
    assert sorted(rescued(arrivals)) == [1, 2]


def test_a_child_is_another_writer() -> None:
    """The parent has what it accepted."""
    arrivals = make()
    arrivals.put(frozen("a"))
    parent, key = arrivals.writer, arrivals._ring._key
    arrivals.after_fork_in_child(Tickets())
    held.pop(key)
    assert len(arrivals) == 0
    assert arrivals.writer.name != parent.name
    arrivals.put(frozen("b"))
    held.pop(arrivals._ring._key)
    rings = {ring.writer: (ring.records[0][0], len(ring.settings)) for ring in rescue("00")}
    assert rings == {parent.name: (1, 1), arrivals.writer.name: (1, 1)}


def test_more_than_half_of_a_ring_is_a_crowd() -> None:
    """Callers let the keeper run then."""
    arrivals = make()
    for _ in range(1_000):
        arrivals.put(frozen("a"))
    assert not arrivals.is_crowded
    for _ in range(100):
        arrivals.put(frozen("a"))
    assert arrivals.is_crowded


def test_settings_without_room_leave_their_records_at_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: nobody could read their records, which counted as safe."""
    arrivals = make()
    monkeypatch.setattr(Ring, "describe", lambda *_: False)
    for _ in range(2):
        arrivals.put(frozen("text"))
    assert arrivals.at_risk == {1, 2}
    assert rescued(arrivals) == []
