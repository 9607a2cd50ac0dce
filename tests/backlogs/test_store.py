"""All processes that share a store keep the records of a webhook in it, and lose none and double none."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discord_logging._backlogs.redis import entries
from discord_logging._backlogs.redis_store import RedisStore
from discord_logging._backlogs.sqlite import records
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import ALONE, Batch, NewRecord, Store, Tally, Writer
from discord_logging._records.redis_address import parse_address
from tests.backlogs._stores import (
    HOOK,
    NOW,
    OTHER,
    WRITER,
    another,
    batch,
    exit_if,
    forks,
    numbers,
    opened,
    record,
    run,
    start,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["sqlite", "redis"])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """Return a function that returns an object for an empty store."""

    def make() -> Store:
        opened.append(_make(request, tmp_path_factory))
        return opened[-1]

    return make


def _make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    if request.param == "sqlite":
        return SqliteStore(tmp_path_factory.mktemp("store") / "backlog", HOOK)
    store = RedisStore(parse_address(request.getfixturevalue("redis_url")), HOOK)
    store._session.connection._execute("FLUSHALL")
    return store


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Iterator[Store]:
    """Return an object for an empty store, in which nobody leads."""
    store = new_store()
    yield store
    store.resign()


class TestRecords:
    def test_a_record_is_read_as_it_was_added(self, store: Store) -> None:
        """It comes with its writer and its position."""
        store.add(WRITER, Batch([record(1, count=3)], 1, {"digest": b"settings"}))
        (row,) = another(store).read(0, 10)
        assert row._replace(position=0) == (0, WRITER, 1, 40, "ERROR", NOW, 100, "digest", b"body 1", 3, 0)
        assert another(store).find_settings("digest") == b"settings"
        assert another(store).find_settings("unknown") is None

    def test_records_are_read_in_portions_in_the_order_of_their_positions(self, store: Store) -> None:
        """A reader goes on behind the last position."""
        store.add(WRITER, batch(1, 2, 3))
        first = store.read(0, 2)
        assert [row.number for row in first] == [1, 2]
        assert [row.number for row in store.read(first[-1].position, 2)] == [3]

    def test_a_webhook_has_its_own_records(self, store: Store) -> None:
        """The webhooks share the file, and a process may number its records for each."""
        other = another(store, "discord.com/7")
        store.add(WRITER, batch(1))
        other.add(WRITER, batch(1, 2))
        other.settle([], state=b"theirs")
        assert (numbers(store), numbers(other), store.load_state()) == ([1], [1, 2], None)
        assert store.counts().waiting == 1

    def test_any_number_and_text_is_kept(self, store: Store) -> None:
        """Levels may have strange names and numbers, and the clock may be wrong."""
        odd = NewRecord(1, 2**70, "\ud800", -1e300, 2**70, "digest", b"", 1)
        store.add(WRITER, Batch([odd, record(2)], 2, {}, {("rejected", "\ud800"): 1}))
        assert numbers(store) == [1, 2]
        assert store.losses() == {("rejected", "?"): 1}


class TestRestore:
    def test_rows_are_stored_again_where_they_were(self, new_store: Callable[[], Store]) -> None:
        """What is there stays as it is, and the numbers of the rows are known."""
        first, second = new_store(), new_store()
        first.add(WRITER, Batch([record(1), record(3, count=2)], 3, {"digest": b"{}"}))
        first.add(OTHER, batch(1))
        rows = first.read(0, 10)
        second.restore(rows[1:], {"digest": b"{}"})
        second.restore(rows, {})
        assert second.read(0, 10) == rows
        assert second.summary().waiting == 4
        assert second.find_settings("digest") == b"{}"
        second.add(WRITER, batch(1, 2, 3))
        assert numbers(second)[:3] == [1, 3, 1]
        assert numbers(second)[3:] == [2]


class TestNumbers:
    def test_a_record_is_stored_once(self, store: Store) -> None:
        """A keeper repeats a batch of which it does not know whether it was stored."""
        store.add(WRITER, batch(1, 2))
        store.add(WRITER, batch(1, 2, 3))
        assert numbers(store) == [1, 2, 3]

    def test_a_delivered_record_does_not_come_back(self, store: Store) -> None:
        """A ring may still have it after its process was killed."""
        store.add(WRITER, batch(1, 2))
        store.settle(store.read(0, 10))
        store.add(WRITER, batch(1, 2))
        assert numbers(store) == []

    def test_a_lower_number_may_come_later(self, store: Store) -> None:
        """Threads that log at the same moment may be overtaken."""
        store.add(WRITER, batch(1, 3))
        store.add(WRITER, batch(2))
        assert numbers(store) == [1, 3, 2]

    def test_a_covered_number_does_not_come_later(self, store: Store) -> None:
        """Its record was folded into another one, or dropped."""
        store.add(WRITER, Batch([record(3, count=2)], 3, covers=[1]))
        store.add(WRITER, batch(1, 2, 3))
        assert numbers(store) == [3, 2]

    def test_writers_have_their_own_numbers(self, store: Store) -> None:
        """Each process begins with 1."""
        store.add(WRITER, batch(1))
        store.add(OTHER, batch(1))
        assert [row.writer for row in store.read(0, 10)] == [WRITER, OTHER]

    def test_losses_are_counted_once(self, store: Store) -> None:
        """They are the writer's and the webhook's, and use up a number."""
        losses = Batch([], 1, {}, {("queue_full", "INFO"): 4})
        store.add(WRITER, losses)
        store.add(WRITER, losses)
        store.add(WRITER, losses._replace(last=2))
        assert store.tally(WRITER) == Tally(0, {("queue_full", "INFO"): 8})
        assert store.losses() == {("queue_full", "INFO"): 8}


class TestEnd:
    def test_settled_records_are_gone_and_counted_at_their_writers(self, store: Store) -> None:
        """Each counts for all that were folded into it."""
        store.add(WRITER, Batch([record(1, count=5), record(2)], 2))
        store.add(OTHER, batch(1))
        store.settle(store.read(0, 2))
        store.settle(store.read(0, 2), "rejected")
        assert store.tally(WRITER) == Tally(6, {})
        assert store.tally(OTHER) == Tally(0, {("rejected", "ERROR"): 1})
        assert store.losses() == {("rejected", "ERROR"): 1}
        assert (store.counts().waiting, store.counts().bytes) == (0, 0)

    def test_records_are_settled_once(self, store: Store) -> None:
        """A sender repeats it if it does not know whether it was done."""
        store.add(WRITER, batch(1, 2))
        rows = store.read(0, 10)
        store.settle(rows[:1])
        store.settle(rows, "rejected")
        assert store.tally(WRITER) == Tally(1, {("rejected", "ERROR"): 1})
        assert store.counts().bytes == 0

    def test_a_writer_is_settled_when_none_of_its_first_records_is_left(self, store: Store) -> None:
        """A flush waits for the records that came before it."""
        store.add(WRITER, batch(1, 2))
        store.add(OTHER, batch(1))
        store.settle(store.read(0, 1))
        assert [store.is_settled(WRITER, 1), store.is_settled(WRITER, 2), store.is_settled(OTHER, 0)] == [
            *(True, False, True)
        ]

    def test_a_flight_is_noted_with_its_state(self, store: Store) -> None:
        """A successor reads both."""
        store.add(WRITER, batch(1, 2))
        rows = store.read(0, 10)
        store.note_flight(rows, b"state", is_alone=False)
        store.note_flight(rows[:1], b"alone", is_alone=True)
        assert [row.tries for row in another(store).read(0, 10)] == [1 + ALONE, 1]
        assert another(store).load_state() == b"alone"
        store.settle(rows, state=b"later")
        assert another(store).load_state() == b"later"

    @pytest.mark.parametrize("is_alone", [False, True])
    @pytest.mark.parametrize("maybe_saved", [False, True])
    def test_a_flight_that_ended_leaves_only_the_doubt(self, store: Store, is_alone: bool, maybe_saved: bool) -> None:
        """A process that goes on has not crashed, but the record may be in the channel, also by an earlier flight."""
        store.add(WRITER, batch(1))
        rows = store.read(0, 10)
        flight = functools.partial(store.note_flight, rows, b"out", is_alone=is_alone)
        landing = functools.partial(store.note_landing, rows, b"back", is_alone=is_alone)
        flight()
        landing(maybe_saved=maybe_saved)
        assert [row.tries for row in store.read(0, 10)] == [int(maybe_saved)]
        assert store.load_state() == b"back"
        flight()
        flight()
        landing(maybe_saved=False)
        assert [row.tries for row in store.read(0, 10)] == [1]

    def test_the_summary_is_that_of_this_webhook(self, store: Store) -> None:
        """It has what is cheap to know, and the losses have a number for each reason and level."""
        assert store.summary() == (0, None, 0, None, 0, ())
        store.add(WRITER, Batch([record(1, created=NOW - 9), record(2)], 2))
        store.try_to_lead(WRITER)
        assert store.summary()[:5] == (2, NOW - 9, 1, (WRITER.host, WRITER.pid), 0)
        store.settle(store.read(0, 1), "too_old")
        store.settle(store.read(0, 1))
        assert store.summary()[::4] == (0, 1)
        assert store.losses() == {("too_old", "ERROR"): 1}

    def test_the_newest_version_of_a_living_process_is_known(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The one that has ended does not count."""
        for module in (entries, records):
            monkeypatch.setattr(module, "__version__", "99.1")
        living, ended = (Writer(name, socket.gethostname(), pid) for name, pid in (("a", os.getpid()), ("b", 2**22)))
        store.add(ended, batch(1))
        assert store.summary().newest == ()
        store.add(living, batch(1))
        assert store.summary().newest == (99, 1)

    def test_a_wish_is_seen_until_its_deadline(self, store: Store) -> None:
        """The latest one counts."""
        assert store.wishes(NOW) is None
        store.wish(WRITER, NOW + 5)
        another(store).wish(OTHER, NOW + 3)
        assert [store.wishes(NOW), store.wishes(NOW + 5)] == [NOW + 5, None]


class TestBounds:
    def test_old_records_are_dropped(self, store: Store) -> None:
        """They are counted."""
        store.add(WRITER, Batch([record(1, created=NOW - 101), record(2, created=NOW - 99)], 2))
        (first, _) = store.read(0, 10)
        assert store.tidy(1_000, 100, NOW) == [first.position]
        assert (numbers(store), store.tally(WRITER).dropped) == ([2], {("too_old", "ERROR"): 1})

    def test_the_least_severe_and_oldest_of_too_many_records_are_dropped(self, store: Store) -> None:
        """As many as need be."""
        levels = ["ERROR", "DEBUG", "WARNING", "DEBUG", "WARNING"]
        store.add(WRITER, Batch([record(number, level) for number, level in enumerate(levels, 1)], 5))
        assert len(store.tidy(250, 100, NOW)) == 3
        assert numbers(store) == [1, 5]
        assert store.losses() == {("queue_full", "DEBUG"): 2, ("queue_full", "WARNING"): 1}
        assert store.tidy(250, 100, NOW) == []

    def test_many_records_are_dropped_in_portions(self, store: Store) -> None:
        """Other processes write in between."""
        store.add(WRITER, batch(*range(1, 2_502)))
        assert len(store.tidy(100, 100, NOW)) == 2_500
        assert (numbers(store), store.counts().bytes) == ([2_501], 100)


class TestCounts:
    def test_an_empty_store_is_counted(self, store: Store) -> None:
        """Nothing waits."""
        assert store.counts() == (0, 0, {}, {})

    def test_all_that_waits_is_counted(self, store: Store) -> None:
        """Records that stand for several count as such."""
        store.add(WRITER, Batch([record(1, "DEBUG", count=4), record(2, created=NOW - 9)], 2))
        store.add(OTHER, batch(1))
        counts = store.counts()
        assert (counts.waiting, counts.bytes) == (6, 300)
        assert counts.by_level == {"DEBUG": 4, "ERROR": 2}
        assert counts.by_writer == {"elsewhere (1)": 5, "elsewhere (2)": 1}

    @forks
    def test_a_process_of_this_machine_counts_as_long_as_it_lives(self, store: Store) -> None:
        """The others count for a while after they were heard of."""
        host = socket.gethostname()
        store.add(Writer("we", host, os.getpid()), batch(1))
        assert run(lambda: store.add(Writer("child", host, os.getpid()), batch(1))) == 0
        assert store.summary().workers == 1


class TestChanges:
    def test_a_change_of_others_is_noticed(self, store: Store) -> None:
        """The first look is a change, too. One's own changes are known."""
        other = another(store)
        assert [store.has_changed(), store.has_changed()] == [True, False]
        other.add(WRITER, batch(1))
        assert [store.has_changed(), store.has_changed()] == [True, False]
        store.add(WRITER, batch(2))
        assert store.has_changed() is False


class TestLead:
    @forks
    def test_one_process_leads(self, store: Store) -> None:
        """One of its stores leads, as handlers may share a folder. Another process leads when this one resigns."""
        other = another(store)
        assert store.try_to_lead(WRITER)
        assert store.try_to_lead(WRITER)
        assert (other.leads, other.try_to_lead(WRITER), another(store, "discord.com/7").leads) == (False, False, False)
        assert run(lambda: exit_if(another(store).try_to_lead(OTHER))) == 0
        other.resign()
        assert store.leads
        store.resign()
        assert (store.leads, other.try_to_lead(WRITER)) == (False, True)
        other.resign()
        assert run(lambda: exit_if(not another(store).try_to_lead(OTHER))) == 0

    @forks
    def test_a_child_does_not_lead(self, store: Store) -> None:
        """The lock stays the parent's, also when the child forgets it or ends."""
        assert store.try_to_lead(WRITER)

        def be_a_child() -> None:
            exit_if(store.leads)
            store.after_fork_in_child()
            store.resign()
            exit_if(store.try_to_lead(OTHER))

        assert run(be_a_child) == 0
        assert run(lambda: exit_if(another(store).try_to_lead(OTHER))) == 0

    @forks
    def test_the_end_of_a_process_ends_its_lead(self, store: Store) -> None:
        """The kernel sees to it, also when a child of that process lives on."""
        reader, writer = os.pipe()

        def lead_and_leave_a_child() -> None:
            assert another(store).try_to_lead(OTHER)
            if not os.fork():
                os.read(reader, 1)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

        assert run(lead_and_leave_a_child) == -signal.SIGKILL
        assert store.try_to_lead(WRITER)
        os.write(writer, b"x")
        os.close(reader)
        os.close(writer)

    def test_the_leader_is_named(self, store: Store) -> None:
        """Until it resigns or is dead."""
        store.try_to_lead(Writer("we", socket.gethostname(), os.getpid()))
        assert another(store).summary().sender == (socket.gethostname(), os.getpid())
        store.resign()
        assert another(store).summary().sender is None


@forks
class TestProcesses:
    def test_two_processes_add_while_one_settles(self, store: Store) -> None:
        """Nothing is lost, and nothing is there twice."""
        reader, writer = os.pipe()
        adding = [start(functools.partial(add_all, another(store), name)) for name in ("a", "b")]
        os.close(writer)
        os.set_blocking(reader, False)
        found: list[tuple[str, int]] = []
        has_ended = False
        while not has_ended:
            # The pipe has an end when both processes have ended, and what they added is read after that.
            with contextlib.suppress(BlockingIOError):
                has_ended = not os.read(reader, 1)
            while rows := store.read(0, 100):
                store.note_flight(rows, b"state", is_alone=False)
                store.settle(rows, state=b"state")
                found += [(row.writer.name, row.number) for row in rows]
        os.close(reader)
        assert [os.waitpid(pid, 0)[1] for pid in adding] == [0, 0]
        assert sorted(found) == [(name, number) for name in ("a", "b") for number in range(1, 1_001)]
        assert [store.tally(Writer(name, "here", 1)).delivered for name in ("a", "b")] == [1_000, 1_000]

    def test_a_killed_process_loses_nothing_that_was_added(self, store: Store) -> None:
        """And leaves no lock behind."""
        for round_ in range(5):
            reader, writer = os.pipe()
            pid = start(functools.partial(add_for_ever, another(store), f"killed {round_}", writer))
            os.close(writer)
            added = b""
            while len(added) < 20 * (round_ + 1):
                added += os.read(reader, 1)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            added += os.read(reader, 100_000)
            os.close(reader)
            stored = [row.number for row in store.read(0, 100_000) if row.writer.name == f"killed {round_}"]
            # The last one may have been added right before it could be said.
            assert stored in (list(range(1, len(added) + 1)), list(range(1, len(added) + 2)))


def add_all(store: Store, name: str) -> None:
    for first in range(1, 1_001, 5):
        store.add(Writer(name, "here", 1), batch(*range(first, first + 5)))


def add_for_ever(store: Store, name: str, pipe: int) -> None:
    for number in itertools.count(1):
        store.add(Writer(name, "here", 1), batch(number))
        os.write(pipe, b"x")


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 1), st.lists(st.integers(1, 12), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("settle"), st.sampled_from([None, "rejected"]), st.integers(1, 4)),
    st.tuples(st.just("tidy"), st.integers(0, 1_000), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, max_size=20))
def test_each_record_waits_is_delivered_or_is_dropped_once(
    new_store: Callable[[], Store], actions: list[tuple[str, Any, Any]]
) -> None:
    """After any actions, in any order."""
    store = new_store()
    added: set[tuple[Writer, int]] = set()
    for name, first, second in actions:
        if name == "add":
            writer = (WRITER, OTHER)[first]
            store.add(writer, batch(*second))
            added |= {(writer, number) for number in second}
        elif name == "settle":
            store.settle(store.read(0, second), first)
        elif name == "tidy":
            store.tidy(first, 1e9, NOW)
        else:
            store.close()
    tallies = [store.tally(WRITER), store.tally(OTHER)]
    waiting = store.read(0, 100)
    assert len({(row.writer, row.number) for row in waiting}) == len(waiting)
    ended = sum(tally.delivered + sum(tally.dropped.values()) for tally in tallies)
    assert len(waiting) + ended == len(added)
    assert (store.counts().waiting, store.counts().bytes) == (len(waiting), 100 * len(waiting))
    store.close()
