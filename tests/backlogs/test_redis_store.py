"""The store in Redis. What every store does is tested in `test_store`."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._backlogs.redis import connection, lease
from discord_logging._backlogs.redis.entries import MAX_VALUE
from discord_logging._backlogs.redis_store import find_hooks
from discord_logging._backlogs.store import Batch, NotLeadingError, StoreError, Tally, Writer
from tests.backlogs._redis import Server, serve
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
    record,
    run,
    start,
)
from tests.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging._backlogs.redis_store import RedisStore

HEAD, RECORDS = f"dl1:{{{HOOK}}}:head", f"dl1:{{{HOOK}}}:records"
PASSWORD = "hunter2Hunter2"


@pytest.fixture(autouse=True)
def _no_leases() -> Iterator[None]:
    yield
    lease._parts.clear()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    """Run a server for the tests that leave it as it is."""
    with serve() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Return the server, without data."""
    shared_server.tell("FLUSHALL")
    return shared_server


@pytest.fixture
def store(server: Server) -> RedisStore:
    """Return an object for an empty store."""
    return server.store()


class TestKeys:
    def test_all_keys_of_a_webhook_are_in_one_slot_and_all_but_the_records_expire(
        self, server: Server, store: RedisStore
    ) -> None:
        """A cluster runs a script only if its keys are in one place; nobody deletes what dead processes have left."""
        lost = {("rejected", "INFO"): 1}
        store.add(WRITER, Batch([record(1), record(2)._replace(tries=1)], 2, {"digest": b"{}"}, lost))
        store.try_to_lead(WRITER)
        keys = [key.decode() for key in server.tell("KEYS", "*")]
        assert all(key.startswith(f"dl1:{{{HOOK}}}:") for key in keys)
        lasting = {key.rpartition("}:")[2].partition(":")[0] for key in keys if server.tell("TTL", key) == -1}
        assert lasting == {"records", "level", "waiting", "tries"}
        store.settle(store.read(0, 10))
        assert [key for key in server.tell("KEYS", "*") if server.tell("TTL", key) == -1] == []

    def test_positions_rise_over_a_flush(self, server: Server, store: RedisStore) -> None:
        """A sender has the old ones, and reads on behind them."""
        store.add(WRITER, batch(1))
        (row,) = store.read(0, 10)
        server.tell("FLUSHALL")
        store.add(WRITER, batch(2))
        assert [row.number for row in store.read(row.position, 10)] == [2]

    def test_a_large_batch_is_stored_in_parts(self, store: RedisStore) -> None:
        """No script holds up all other clients for long, and the losses are counted once."""
        records = [record(number)._replace(body=bytes(100_000)) for number in range(1, 1_201)]
        store.add(WRITER, Batch(records, 3, {"digest": b"{}"}, {("queue_full", "INFO"): 4}, [1_201]))
        assert [store.counts().waiting, store.tally(WRITER).dropped] == [1_200, {("queue_full", "INFO"): 4}]
        rows: list[Any] = []
        while found := store.read(rows[-1].position if rows else 0, 500):
            rows += found
        assert sorted(row.number for row in rows) == list(range(1, 1_201))


class TestForeignData:
    def test_a_record_of_a_future_format_is_left_alone(self, server: Server, store: RedisStore) -> None:
        """A newer version reads it."""
        store.add(WRITER, batch(1, 2))
        (name, *_) = store._session.connection.call("ZRANGE", "level:4", 0, 0)
        value = server.tell("HGET", RECORDS, name)
        server.tell("HSET", RECORDS, name, b"2" + value[1:])
        assert numbers(store) == [2]
        assert store.summary().waiting == 2

    @pytest.mark.parametrize(
        "value", [b"", b"1", b"1[]\n", b"1{\n", b"0", b'1[1,40,"E",1,1,"d",1,5]\nbody', b"1[" * 9_000]
    )
    def test_a_value_that_nobody_can_read_is_set_apart_and_counted(
        self, server: Server, store: RedisStore, value: bytes
    ) -> None:
        """It does not stop the others."""
        store.add(WRITER, batch(1, 2, 3))
        name = store._session.connection.call("ZRANGE", "level:4", 1, 1)[0]
        server.tell("HSET", RECORDS, name, value)
        assert numbers(store) == [1, 3]
        if value:
            assert sum(store.losses().values()) == 1
            assert store.summary().waiting == 2

    def test_a_huge_value_is_set_apart(self, server: Server, store: RedisStore) -> None:
        """It would take longer to read than a sender waits."""
        store.add(WRITER, batch(1, 2))
        name = store._session.connection.call("ZRANGE", "level:4", 0, 0)[0]
        server.tell("HSET", RECORDS, name, bytes(MAX_VALUE + 1))
        assert numbers(store) == [2]
        assert store.losses() == {("damaged", "?"): 1}

    @pytest.mark.parametrize("key", ["head", "records", "level:4", "sender", f"writer:{WRITER.name}"])
    def test_a_key_of_another_kind_is_an_error(self, server: Server, store: RedisStore, key: str) -> None:
        """It is said, and the records wait in memory."""
        server.tell("LPUSH", f"dl1:{{{HOOK}}}:{key}", "x")
        use = store.try_to_lead if key == "sender" else functools.partial(store.add, batch=batch(1))
        with pytest.raises(StoreError, match="another program has put a key of another kind"):
            use(WRITER)
        server.tell("DEL", f"dl1:{{{HOOK}}}:{key}")
        store.add(WRITER, batch(1))
        assert numbers(store) == [1]


class TestOtherData:
    def test_a_flush_is_noticed_and_made_good(self, server: Server, store: RedisStore) -> None:
        """Each process stores again what it had stored a moment ago, but for what was delivered."""
        store.add(WRITER, batch(1, 2, 3))
        store.check()
        before, rows = store.identity, store.read(0, 2)
        store.settle(rows[:1])
        server.tell("FLUSHALL")
        store.check()
        assert store.identity != before
        store.restore(rows[1:], {"digest": b"{}"})
        assert sorted(numbers(store)) == [2, 3]
        assert rows[1] in store.read(0, 10)
        assert store.tally(WRITER) == Tally(1, {})
        assert store.find_settings("digest") == b"{}"

    def test_what_others_have_stored_again_is_where_the_sender_has_it(self, server: Server, store: RedisStore) -> None:
        """Otherwise the sender would read it a second time."""
        other = another(store)
        other.add(OTHER, batch(1, 2))
        rows = store.read(0, 10)
        store.settle(rows[:1])
        server.tell("FLUSHALL")
        other.restore([], {})
        store.restore(rows[1:], {})
        assert store.read(0, 10) == rows[1:]
        assert store.summary().waiting == 1

    def test_a_reader_does_not_read_other_data_than_it_has_checked(self, server: Server, store: RedisStore) -> None:
        """It stores its own again before."""
        store.add(WRITER, batch(1))
        store.check()
        checked = store._session._checked
        server.tell("FLUSHALL")
        for call in (lambda: store.read(0, 1), lambda: store.is_settled(WRITER, 1)):
            store._session._checked = checked
            with pytest.raises(StoreError, match="Redis has lost data"):
                call()
        store.check()
        assert store.read(0, 1) == []

    @pytest.mark.parametrize("later", [0, 20])
    def test_a_lost_tail_is_noticed(self, server: Server, store: RedisStore, later: int) -> None:
        """A replica may take the place of its server before it has all, and others go on meanwhile."""
        store.add(WRITER, batch(1))
        store.check()
        before = store.identity
        copies = {key: server.tell("DUMP", key) for key in server.tell("KEYS", "*")}
        store.add(WRITER, batch(2))
        assert store.identity == before
        server.tell("FLUSHALL")
        for key, value in copies.items():
            server.tell("RESTORE", key, 0, value)
        for number in range(1, later + 1):
            another(store).add(OTHER, batch(number))
        store.check()
        store.check()
        assert store.identity != before
        store.restore([], {})
        assert [row.number for row in store.read(0, 99) if row.writer == WRITER] == [1, 2]

    def test_a_lost_delivery_is_noticed(self, server: Server, store: RedisStore) -> None:
        """The sender notes again what it has delivered."""
        store.add(WRITER, batch(1, 2))
        store.check()
        before = store.identity
        copies = {key: server.tell("DUMP", key) for key in server.tell("KEYS", "*")}
        other = another(store)
        other.settle(store.read(0, 1))
        server.tell("FLUSHALL")
        for key, value in copies.items():
            server.tell("RESTORE", key, 0, value)
        another(store).add(OTHER, batch(1))
        store.check()
        store.check()
        assert store.identity != before
        store.restore([], {})
        assert [(row.writer, row.number) for row in store.read(0, 99)] == [(WRITER, 2), (OTHER, 1)]
        assert store.tally(WRITER) == Tally(1, {})

    def test_evicted_records_are_noticed(self, server: Server, store: RedisStore) -> None:
        """A Redis with such a policy may delete any key."""
        store.add(WRITER, batch(1))
        store.check()
        before, rows = store.identity, store.read(0, 1)
        server.tell("DEL", RECORDS)
        assert store.summary().waiting == 0
        store.check()
        assert store.identity != before
        store.restore(rows, {})
        assert numbers(store) == [1]

    @pytest.mark.parametrize("key", ["head", "level:4", f"waiting:{WRITER.name}"])
    def test_other_evicted_keys_are_made_again(self, server: Server, store: RedisStore, key: str) -> None:
        """The sender asks for it if records wait that it cannot read."""
        store.add(WRITER, Batch([record(1, count=3), record(2)], 2))
        server.tell("DEL", f"dl1:{{{HOOK}}}:{key}")
        store.verify()
        assert (numbers(store), store.summary().waiting, store.is_settled(WRITER, 2)) == ([1, 2], 4, False)
        store.settle(store.read(0, 10))
        assert store.summary().waiting == 0


class TestLease:
    def test_a_lease_is_renewed_and_runs_out(self, server: Server, store: RedisStore) -> None:
        """Another host goes on then."""
        store.try_to_lead(WRITER)
        key = f"dl1:{{{HOOK}}}:sender"
        assert 0 < server.tell("PTTL", key) <= 3_000
        server.tell("PEXPIRE", key, 500)
        store._part.renew_at = float("-inf")
        assert store.try_to_lead(WRITER)
        assert server.tell("PTTL", key) > 2_000

    def test_a_lease_covers_a_whole_request(self, server: Server, store: RedisStore) -> None:
        """Two hosts never send at the same moment."""
        store.add(WRITER, batch(1))
        store.try_to_lead(WRITER)
        rows, key = store.read(0, 1), f"dl1:{{{HOOK}}}:sender"
        store.note_flight(rows, b"", is_alone=True)
        assert server.tell("PTTL", key) > 10_000
        store._part.renew_at = float("-inf")
        assert store.try_to_lead(WRITER)
        assert server.tell("PTTL", key) > 10_000
        store.settle(rows, state=b"")
        assert server.tell("PTTL", key) <= 3_000

    def test_who_has_lost_the_lease_sends_nothing(self, server: Server, store: RedisStore) -> None:
        """A process may be stopped for a while."""
        store.add(WRITER, batch(1))
        store.try_to_lead(WRITER)
        server.tell("SET", f"dl1:{{{HOOK}}}:sender", "another")
        with pytest.raises(NotLeadingError):
            store.note_flight(store.read(0, 1), b"", is_alone=True)
        assert not store.leads
        assert [row.tries for row in store.read(0, 1)] == [0]
        assert not store.try_to_lead(WRITER)
        server.tell("DEL", f"dl1:{{{HOOK}}}:sender")
        assert store.try_to_lead(WRITER)

    def test_a_lease_of_an_unknown_form_is_respected(self, server: Server, store: RedisStore) -> None:
        """Another version has it."""
        for value in ("x", "[]", '{"a": 1}', '["h", "p", 1]', b"\xff"):
            server.tell("SET", f"dl1:{{{HOOK}}}:sender", value)
            assert not store.try_to_lead(WRITER)
            store.summary()
            store.counts()

    def test_a_process_of_another_machine_is_not_taken_for_dead(self) -> None:
        """Its process id means nothing here."""
        assert not lease.has_ended(b'["h", 1, "other boot", "pid:[1]", 999999, "5", "x"]')
        ours = lease._machine()
        ended = f'["h", 1, "{ours[0]}", "{ours[1]}", 999999999, "5", "x"]'.encode()
        assert lease.has_ended(ended) == (sys.platform == "linux")
        assert not lease.has_ended(lease.new_token(WRITER).encode())

    @forks
    def test_a_child_has_neither_the_lease_nor_the_connection(self, store: RedisStore) -> None:
        """The connection of the parent works on, whatever the child does."""
        store.add(WRITER, batch(1))
        assert store.try_to_lead(WRITER)

        def be_a_child() -> None:
            exit_if(store.leads)
            store.after_fork_in_child()
            store.add(OTHER, batch(1, 2))
            exit_if(store.try_to_lead(OTHER))
            store.close()

        assert [run(be_a_child) for _ in range(3)] == [0, 0, 0]
        assert store.read(0, 1)
        assert len(numbers(store)) == 3

    @forks
    def test_a_stopped_process_does_not_lead_for_long(self, store: RedisStore) -> None:
        """It is alive, and yet does not renew its lease."""
        reader, writer = os.pipe()

        def lead() -> None:
            assert another(store).try_to_lead(OTHER)
            os.write(writer, b"x")
            time.sleep(600)

        pid = start(lead)
        try:
            assert os.read(reader, 1) == b"x"
            os.kill(pid, signal.SIGSTOP)
            assert not store.try_to_lead(WRITER)
            wait_until(lambda: store.try_to_lead(WRITER))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_the_rights_of_the_documentation_are_enough(server: Server) -> None:
    """They are all that is used, but for the names of the user and of the password."""
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ACL SETUSER .*$", page, re.MULTILINE)
    server.tell(*line.split())
    server.tell("ACL", "LOG", "RESET")
    store = server.store(url=f"unix://shop:secret@{server.socket}?db=1")
    store.add(WRITER, Batch([record(1)._replace(tries=1), record(2), record(3)], 3, {"digest": b"{}"}, {("a", "b"): 1}))
    assert store.try_to_lead(WRITER)
    store.check()
    rows = store.read(0, 10)
    store.note_flight(rows[:1], b"", is_alone=True)
    store.note_landing(rows[:1], b"", is_alone=True, maybe_saved=False)
    store.settle(rows[:1], "rejected", b"")
    store.settle(rows[:1])
    store.wish(WRITER, NOW)
    store.restore(rows, {"digest": b"{}"})
    assert (store.wishes(NOW), store.has_changed(), store.find_settings("digest")) == (None, True, b"{}")
    assert (store.is_settled(WRITER, 3), store.tally(WRITER).delivered, store.load_state()) == (False, 0, b"")
    assert (store.summary().waiting, store.counts().waiting) == (2, 2)
    store.verify()
    store.tidy(0, 1e9, time.time() + 1e9)
    store._session.connection.call("DEL", "records")
    store.summary()
    store._session.run("renew", str(store.identity))
    store.resign()
    assert find_hooks(store._address) == [HOOK]
    refused = [each[each.index(b"object") + 1] for each in server.tell("ACL", "LOG")]
    assert [each for each in refused if not each.startswith(b"client")] == []
    server.tell("ACL", "DELUSER", "shop")


class TestAlone:
    def test_a_process_waits_before_it_sends_alone(self, store: RedisStore) -> None:
        """Redis may be back soon."""
        assert [store.may_send_alone(seconds) for seconds in (0.0, 9.9, 13.1)] == [False, False, True]

    def test_hosts_take_turns(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """They do not know of each other's requests, and leave some time between their turns."""
        for host in ("web-1", "web-2", "web-3"):
            store.add(Writer(host, host, 1), batch(1))
        assert store.summary().workers == 3
        monkeypatch.setattr(socket, "gethostname", lambda: "web-2")
        store.summary()
        assert store.hosts == 3
        turns = []
        for second in range(24):
            monkeypatch.setattr(time, "time", lambda second=second: NOW + second)
            turns.append(store.may_send_alone(20.0))
        assert "".join("-x"[turn] for turn in turns * 2).strip("-").split("-" * 10) == ["xx"] * 4


class TestTrouble:
    def test_a_restart_is_survived(self) -> None:
        """Redis forgets its scripts, and keeps the records if it is told to."""
        with serve(appendonly="yes", appendfsync="always") as server:
            store = server.store()
            store.add(WRITER, batch(1))
            store.check()
            before = store.identity
            server.kill()
            with pytest.raises(StoreError, match="Redis cannot be reached"):
                store.check()
            server.start()
            store.check()
            assert (store.identity, numbers(store)) == (before, [1])
            store.add(WRITER, batch(2))
            assert numbers(store) == [1, 2]

    def test_a_closed_connection_is_opened_again(self, server: Server, store: RedisStore) -> None:
        """A server may close those that are idle."""
        store.add(WRITER, batch(1))
        server.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        store.add(WRITER, batch(2))
        assert numbers(store) == [1, 2]

    def test_a_slow_server_is_an_error_and_nothing_is_stored_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It carries out later what it was told."""
        with serve() as server:
            server.store().add(WRITER, batch(1))
            monkeypatch.setattr(connection, "PATIENCE", 0.2)
            store = server.store(url=server.url)
            server.pause()
            with pytest.raises(StoreError, match="Redis does not answer"):
                store.add(WRITER, batch(2))
            with pytest.raises(StoreError, match="Redis does not answer"):
                store.read(0, 1)
            server.go_on()
            monkeypatch.undo()
            store = server.store()
            store.add(WRITER, batch(2, 3))
            assert numbers(store) == [1, 2, 3]

    def test_a_replica_takes_no_records(self) -> None:
        """A failover may make one of the server."""
        with serve(port="0") as server:
            store = server.store()
            store.add(WRITER, batch(1))
            server.tell("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StoreError, match="replica"):
                store.add(WRITER, batch(2))
            server.tell("REPLICAOF", "NO", "ONE")
            store.add(WRITER, batch(2))
            assert numbers(store) == [1, 2]

    def test_a_full_memory_is_an_error_until_there_is_room(self) -> None:
        """What is there can be read and settled all the while."""
        with serve() as server:
            store = server.store()
            store.add(WRITER, batch(1))
            server.tell("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreError, match=r"the memory of Redis is full \(maxmemory\)"):
                store.add(WRITER, batch(2))
            server.tell("CONFIG", "SET", "maxmemory", "0")
            store.add(WRITER, batch(2))
            assert numbers(store) == [1, 2]

    @pytest.mark.parametrize(
        ("user", "reason"),
        [
            ("", "Redis asks for a password"),
            (f":{PASSWORD}@", "Redis refuses the password"),
            (f"shop:{PASSWORD}@", "the user of Redis may not do this"),
            (f"nobody:{PASSWORD}@", "Redis refuses the password"),
        ],
    )
    def test_a_wrong_user_is_told_in_words_without_the_password(self, user: str, reason: str) -> None:
        """The name of the user is not shown either."""
        with serve() as server:
            server.tell("ACL", "SETUSER", "shop", "on", f">{PASSWORD}", "~dl1:*", "+get")
            server.tell("ACL", "SETUSER", "default", ">other")
            store = server.store(url=f"unix://{user}{server.socket}")
            with pytest.raises(StoreError) as caught:
                store.add(WRITER, batch(1))
        assert reason in caught.value.reason
        assert server.url in caught.value.reason
        assert PASSWORD not in caught.value.reason
        assert "shop" not in caught.value.reason
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("redis://127.0.0.1:1", "Redis cannot be reached"),
            ("unix:///no/such/socket", "Redis cannot be reached"),
            ("redis://no-such-host.invalid", "Redis cannot be reached"),
            ("redis+sentinel://127.0.0.1:1/mymaster", "Redis cannot be reached"),
        ],
    )
    def test_a_redis_that_is_away_is_told(self, server: Server, url: str, reason: str) -> None:
        """With the address."""
        with pytest.raises(StoreError, match=reason) as caught:
            server.store(url=url).check()
        assert caught.value.reason.startswith(url)

    def test_a_database_that_is_not_there_is_told(self, server: Server) -> None:
        """Redis has 16 of them."""
        with pytest.raises(StoreError, match="Redis has no database of that number"):
            server.store(url=f"{server.url}?db=99").check()

    def test_a_missing_driver_is_told(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the extra that has it."""
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(StoreError, match=r'pip install "discord-log-handler\[redis\]"'):
            server.store().check()
