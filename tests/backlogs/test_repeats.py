"""Folding: which records say the same, what becomes of each of them, and that memory stays flat."""

from __future__ import annotations

import logging
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._backlogs.entry import Entry
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._backlogs.repeats import _MAX_KINDS, _MAX_SIZE, Repeats
from discord_logging._records.freeze import freeze
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 60.0
SETTINGS = CardSettings(None)
NEVER = float("inf")


def snapshot(text: str = "same", created: float = 0.0, settings: object = SETTINGS, **attributes: Any) -> Any:
    """Return a frozen record that says `text`, with some other attributes."""
    base = {"msg": text, "levelname": "ERROR", "levelno": logging.ERROR, "name": "shop", "created": created}
    return freeze(logging.makeLogRecord({**base, "threadName": "Main", **attributes}), settings)


def record(text: str = "same", created: float = 0.0, settings: object = SETTINGS, **attributes: Any) -> Entry:
    """Return an entry for such a record."""
    return Entry(FrozenRecord(snapshot(text, created, settings, **attributes)))


def deliver(*entries: Entry, at: float = 0.0) -> None:
    """Let entries leave the backlog."""
    for each in entries:
        each.leased_at = at


def stumble(text: str) -> None:
    raise ValueError(text)


def failure(text: str = "no", *, note: str | None = None) -> Any:
    """Return a caught exception; each call from one line has the same location."""
    try:
        stumble(text)
    except ValueError as error:
        if note:
            error.__dict__["__notes__"] = [note]  # what add_note does from Python 3.11 on
        return error


def failure_elsewhere() -> Any:
    try:
        stumble("no")
    except ValueError as error:
        return error


def test_the_first_of_its_kind_goes_at_once() -> None:
    """The other remembered kinds do not matter."""
    repeats = Repeats(WINDOW)
    assert not repeats.fold(record("one"), 0.0)
    assert not repeats.fold(record("two"), 0.0)
    assert repeats.due_at == NEVER


def test_a_repeat_of_a_waiting_record_is_counted_on_it() -> None:
    """The record gets the time of the latest repeat, however long it waits."""
    repeats = Repeats(WINDOW)
    first = record(created=1.0)
    repeats.fold(first, 0.0)
    for number in range(1, 100):
        assert repeats.fold(record(created=1.0 + number), number * WINDOW)
    assert (first.count, first.record.created, first.counts.last_created) == (100, 1.0, 100.0)
    assert repeats.due_at == NEVER


def test_later_repeats_are_held_as_one_entry() -> None:
    """One entry stands for all of them, due when the window of the first has passed."""
    repeats = Repeats(WINDOW)
    first = record()
    repeats.fold(first, 0.0)
    deliver(first, at=5.0)
    later = [record(created=float(number)) for number in range(10, 14)]
    assert all(repeats.fold(each, each.record.created) for each in later)
    assert repeats.due_at == 5.0 + WINDOW
    assert list(repeats.release(4.0 + WINDOW)) == []
    assert list(repeats.release(5.0 + WINDOW)) == later[:1]
    assert (later[0].count, later[0].record.created, later[0].counts.last_created) == (4, 10.0, 13.0)
    assert list(repeats.release(NEVER)) == []
    assert (first.count, repeats.due_at) == (1, NEVER)


def test_repeats_are_counted_on_a_released_entry_until_it_leaves() -> None:
    """When the entry has left, the next window begins."""
    repeats = Repeats(WINDOW)
    first, second = record(), record()
    repeats.fold(first, 0.0)
    deliver(first)
    repeats.fold(second, 1.0)
    assert list(repeats.release(WINDOW)) == [second]
    assert repeats.fold(record(), WINDOW + 1)
    assert second.count == 2
    deliver(second, at=WINDOW + 2)
    assert repeats.fold(record(), WINDOW + 3)
    assert second.count == 2
    assert repeats.due_at == 2 * WINDOW + 2


def test_a_repeat_after_the_window_is_not_held() -> None:
    """A record that comes once an hour leaves at once each time."""
    repeats = Repeats(WINDOW)
    for turn in range(3):
        each = record()
        assert not repeats.fold(each, turn * WINDOW)
        deliver(each, at=turn * WINDOW)


@pytest.mark.parametrize("leased_at", [0.0, float("-inf")], ids=["delivered", "dropped"])
def test_no_repeat_is_counted_on_a_settled_record(leased_at: float) -> None:
    """The repeat of a dropped record leaves at once, and that of a delivered record is held."""
    repeats = Repeats(WINDOW)
    first = record()
    repeats.fold(first, 0.0)
    deliver(first, at=leased_at)
    assert repeats.fold(record(), 1.0) == (leased_at == 0.0)
    assert first.count == 1


def test_a_removed_entry_is_held_no_longer() -> None:
    """An entry that is not held may be removed, too."""
    repeats, first, second = Repeats(WINDOW), record(), record()
    repeats.fold(first, 0.0)
    deliver(first)
    repeats.fold(second, 1.0)
    repeats.remove([first, second])
    assert repeats.held == []
    assert list(repeats.release(NEVER)) == []


def test_a_window_of_zero_folds_nothing() -> None:
    """No kind is remembered either."""
    repeats = Repeats(0.0)
    assert not any(repeats.fold(record(), 0.0) for _ in range(3))
    assert not repeats._standing


def test_large_records_are_not_remembered() -> None:
    """They would take more memory than they save."""
    repeats = Repeats(WINDOW)
    assert not any(repeats.fold(record("x" * _MAX_SIZE), 0.0) for _ in range(3))
    assert not repeats._standing


def test_the_number_of_kinds_is_bounded() -> None:
    """The kind that was not seen for the longest time is forgotten, and its next record leaves at once."""
    repeats = Repeats(WINDOW)
    for number in range(_MAX_KINDS):
        repeats.fold(record(str(number)), 0.0)
    assert repeats.fold(record("0"), 0.0)
    for number in range(_MAX_KINDS, 2 * _MAX_KINDS - 1):
        repeats.fold(record(str(number)), 0.0)
    assert len(repeats._standing) == _MAX_KINDS
    assert repeats.fold(record("0"), 0.0)
    assert not repeats.fold(record("1"), 0.0)


def test_a_held_entry_of_a_forgotten_kind_is_due_at_once() -> None:
    """No more entries are held than kinds are remembered, and a new entry of that kind does not replace it."""
    repeats = Repeats(WINDOW)
    held: list[Entry] = []
    for number in range(_MAX_KINDS + 1):
        first, second = record(str(number)), record(str(number))
        repeats.fold(first, 0.0)
        deliver(first)
        assert repeats.fold(second, 1.0)
        held.append(second)
    assert repeats.due_at == float("-inf")
    again = record("0")
    assert not repeats.fold(again, 2.0)
    deliver(again, at=2.0)
    assert repeats.fold(record("0"), 3.0)
    assert list(repeats.release(4.0)) == held[:2]
    assert len(list(repeats.release(NEVER))) == _MAX_KINDS


@pytest.mark.parametrize(
    "other",
    [
        {"text": "other"},
        {"levelno": logging.CRITICAL},
        {"name": "shop.cart"},
        {"pathname": "elsewhere.py"},
        {"lineno": 7},
        {"order": 2},
        {"order": 1, "user": "ada"},
        {"stack_info": "Stack (most recent call last):"},
        {"exc_text": "ValueError: ready-made"},
        {"exc_info": failure("no")},
        {"settings": CardSettings(None)},
    ],
    ids=",".join,
)
def test_records_that_differ_in_what_a_card_shows_are_not_folded(other: dict[str, Any]) -> None:
    """Folding hides no information."""
    repeats = Repeats(WINDOW)
    text = other.pop("text", "same")
    assert not repeats.fold(record(order=1), 0.0)
    assert not repeats.fold(record(text, **{"order": 1, **other}), 0.0)


@pytest.mark.parametrize(
    "other",
    [failure("yes"), failure("no", note="a note"), failure_elsewhere(), None],
    ids=["text", "note", "place", ""],
)
def test_exceptions_that_differ_are_not_folded(other: Any) -> None:
    """Exceptions differ by text, notes and locations."""
    repeats = Repeats(WINDOW)
    assert not repeats.fold(record(exc_info=failure("no")), 0.0)
    assert not repeats.fold(record(exc_info=other), 0.0)
    assert repeats.fold(record(exc_info=failure("no")), 0.0)


def test_exceptions_with_different_causes_are_not_folded() -> None:
    """A card shows the causes too."""
    repeats = Repeats(WINDOW)
    chained = []
    for text in ("disk", "net", "net"):
        error = failure()
        error.__cause__ = failure(text)
        chained.append(record(exc_info=error))
    assert [repeats.fold(each, 0.0) for each in chained] == [False, False, True]


def test_equal_records_of_different_times_are_folded() -> None:
    """Neither the time nor the thread, the task and the process says what was logged."""
    repeats = Repeats(WINDOW)
    others: dict[str, Any] = {"threadName": "worker", "taskName": "Task-7", "processName": "Pool-1", "process": 4711}
    assert not repeats.fold(record(created=1.0, order=1, exc_info=failure()), 0.0)
    assert repeats.fold(record(created=2.0, order=1, exc_info=failure(), **others), 0.0)


steps = st.lists(
    st.tuples(st.sampled_from(["fold", "take", "drop", "pass", "release"]), st.integers(0, 6)), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(steps=steps, kinds=st.integers(1, 5))
def test_every_record_is_counted_exactly_once(steps: Sequence[tuple[str, int]], kinds: int) -> None:
    """Records are counted on entries that were passed on or are held, never on one that has left."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("discord_logging._backlogs.repeats._MAX_KINDS", kinds)
        repeats = Repeats(3.0)
        waiting: list[Entry] = []
        gone: dict[int, tuple[Entry, int]] = {}
        now = logged = 0
        for what, number in steps:
            if what == "fold":
                new = record(str(number))
                logged += 1
                waiting += [] if repeats.fold(new, float(now)) else [new]
            elif what == "pass":
                now += number
            elif what == "release":
                waiting += repeats.release(float(now))
            else:
                deliver(*waiting, at=now if what == "take" else float("-inf"))
                gone.update({id(each): (each, each.count) for each in waiting})
                waiting = []
            assert all(each.count == count for each, count in gone.values())
        waiting += repeats.release(NEVER)
        assert sum(each.count for each in waiting) + sum(count for _, count in gone.values()) == logged
        assert repeats.due_at == NEVER


@pytest.mark.parametrize("is_delivered", [False, True], ids=["waits", "was delivered"])
def test_memory_does_not_grow_with_repeats(is_delivered: bool) -> None:
    """Ten thousand repeats are one entry, whether the first waits or has been delivered."""
    backlog = MemoryBacklog(100_000, 64_000_000, repeat_window=WINDOW)
    backlog.put(snapshot())
    if is_delivered:
        backlog.ack(backlog.lease(1))
    tracemalloc.start()
    try:
        for number in range(10_000):
            backlog.put(snapshot(created=float(number)))
            if number % 100 == 0:
                backlog.peek()
        backlog.peek()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    assert peak < 2_000_000
    backlog.wait_until_settled(0.0, lambda: True)
    assert [each.count for each in backlog.lease(10)] == [10_000 if is_delivered else 10_001]
    assert backlog.count()["accepted"] == 10_001
