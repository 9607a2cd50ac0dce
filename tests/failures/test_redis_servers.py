"""Real servers of other kinds keep the records: behind a Sentinel, in a cluster, behind TLS and with other users."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from discord_logging._backlogs.redis_store import find_hooks
from discord_logging._backlogs.store import StoreError
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging.sandbox import Fault
from tests.backlogs._redis import HOST, Server, find_program, new_port, serve
from tests.backlogs._stores import HOOK, WRITER, batch, numbers
from tests.conftest import wait_until
from tests.failures.test_backlog import _PRELUDE, Worker, posted, refused
from tests.failures.test_redis_backlog import IMPATIENT, PASSWORD, all_of, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import LocalDiscord

    Start = Callable[..., Worker]

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory and the addresses for it"),
]
REPLICATED = {"repl_diskless_sync_delay": "0", "replica_announce_ip": HOST}


def hook_of(discord: LocalDiscord) -> str:
    """Return the name of the webhook."""
    return WebhookURL.parse(discord.webhook_url).key


@pytest.fixture
def start(discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that starts a worker with the Redis of a URL."""
    with contextlib.ExitStack() as stack:

        def start_one(url: str, *, code: str = "") -> Worker:
            monkeypatch.setenv("DISCORD_BACKLOG", url)
            worker = Worker(discord.webhook_url, code + _PRELUDE)
            stack.callback(worker.close)
            return worker

        yield start_one


class Pair:
    """A server, its replica and a Sentinel that may let the replica take its place."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.server, self.replica = (stack.enter_context(serve(port=new_port(), **REPLICATED)) for _ in range(2))
        self.replica.tell("REPLICAOF", HOST, self.server.port)
        self._sentinel = stack.enter_context(serve("--sentinel", port=new_port()))
        self.tell("MONITOR", "shop", HOST, self.server.port, 1)
        self.tell("SET", "shop", "failover-timeout", 4_000)

    @property
    def port(self) -> str:
        """The port of the Sentinel."""
        return self._sentinel.port

    @property
    def url(self) -> str:
        """The URL of the Sentinel."""
        return f"redis+sentinel://{HOST}:{self.port}/shop"

    def tell(self, *words: Any) -> Any:
        """Run a command of the Sentinel."""
        return self._sentinel.tell("SENTINEL", *words)

    def is_ready(self) -> bool:
        """Tell whether the replica has all, and the Sentinel knows it."""
        # Redis waits for what the same connection has written, and so for all before.
        self.server.tell("SET", "mark", 1)
        return self._answers() and bool(self.server.tell("WAIT", 1, 1_000) == 1)

    def _answers(self) -> bool:
        """Tell whether the replica has answered the Sentinel."""
        found = [dict(zip(each[::2], each[1::2], strict=True)) for each in self.tell("REPLICAS", "shop")]
        return [(each[b"flags"], each[b"last-ping-sent"]) for each in found] == [(b"slave", b"0")]

    def is_replaced(self) -> bool:
        """Tell whether the replica has taken the place of the server."""
        address = self.tell("GET-MASTER-ADDR-BY-NAME", "shop")
        return bool(address == [HOST.encode(), self.replica.port.encode()])

    def cut(self) -> None:
        """Let the replica receive nothing from now on."""
        self.replica.pause()
        # What is on the way when the server ends would arrive later.
        self.server.tell("CLIENT", "KILL", "TYPE", "replica")

    def fail(self) -> None:
        """Let the server end, and the replica take its place with what it has."""
        self.server.kill()
        self.replica.go_on()
        wait_until(self._answers)
        self.tell("SET", "shop", "down-after-milliseconds", 500)
        wait_until(self.is_replaced)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Run a server with a replica that a Sentinel watches."""
    with contextlib.ExitStack() as stack:
        pair = Pair(stack)
        wait_until(pair.is_ready)
        yield pair


class TestSentinel:
    def test_a_failover_loses_nothing_of_a_living_process(
        self, pair: Pair, discord: LocalDiscord, start: Start
    ) -> None:
        """The replica has not received the last records, which their process stores again."""
        worker = start(pair.url)
        discord.stop()
        log(worker, "replicated")
        worker.ask("until(lambda: len(handler._listener.backlog.rows()) == 200)")
        wait_until(pair.is_ready)
        pair.cut()
        log(worker, "lost")
        worker.ask("until(lambda: len(handler._listener.backlog.rows()) == 400)")
        log(worker, "later")
        pair.fail()
        discord.start()
        assert worker.ask("(handler.flush(40), health('ok'), health('damaged'))") == "(True, True, 0)"
        assert sorted(posted(discord)) == all_of("replicated", "lost", "later")
        assert refused(discord) == 0
        assert worker.end()[0] == 0

    def test_what_a_failover_brings_back_is_marked(self, pair: Pair, discord: LocalDiscord, start: Start) -> None:
        """The replica knows that a message was about to be sent, and not that it has arrived."""
        sender = start(pair.url)
        sender.ask("(log.error('before'), handler.flush(20))")
        requests = len(discord.requests)
        discord.fail_next(Fault.stall(3, save=True))
        sender.ask("log.error('delivered')")
        wait_until(lambda: len(discord.requests) > requests)
        wait_until(pair.is_ready)
        pair.cut()
        sender.ask("until(lambda: handler.health()['delivered'] == 2)")
        sender.kill()
        pair.fail()
        other = start(pair.url)
        assert other.ask("(log.error('after'), handler.flush(20))") == "(None, True)"
        cards = [str(embed) for message in discord.messages for embed in message.embeds]
        assert ["delivered" in card for card in cards if "may be a repeat" in card] == [True]
        assert sorted(posted(discord)) == ["after", "before", "delivered", "delivered"]

    @pytest.mark.parametrize(
        ("form", "reason"),
        [
            (":{secret}@{host}:{port}/another", "Redis cannot be reached (no Sentinel names a server)"),
            (":{secret}@{host}:1,{host}:2/shop", "Redis cannot be reached (no Sentinel names a server)"),
            ("{host}:{port}/shop?sentinel_password={secret}", "the Sentinels ask for another password"),
            ("{host}:{port}/shop?socket_timeout={secret}", "an option of the URL is no number"),
            (":{secret}@{host}:{port}/shop", "Redis refuses the password"),
        ],
    )
    def test_a_service_that_cannot_be_used_is_told(self, pair: Pair, form: str, reason: str) -> None:
        """Without the words of the driver, which show all options."""
        url = f"redis+sentinel://{form.format(host=HOST, port=pair.port, secret=PASSWORD)}"
        with pytest.raises(StoreError, match=rf"^redis\+sentinel://127\S+: {re.escape(reason)}$"):
            pair.server.store(url=url).check()

    def test_sentinels_have_options_of_their_own(self, pair: Pair) -> None:
        """They are numbers, as those of other URLs, and Sentinels that have ended cost no time."""
        gone = ",".join(f"{HOST}:{port}" for port in range(1, 9))
        began = time.monotonic()
        pair.server.store(
            url=pair.url.replace("//", f"//{gone},") + "?socket_timeout=50&sentinel_socket_timeout=50&ssl=false"
        ).check()
        # The driver would try each of them four times.
        assert time.monotonic() < began + 5

    def test_a_server_that_becomes_a_replica_is_left(self, pair: Pair, discord: LocalDiscord, start: Start) -> None:
        """It keeps the connection of the program, and refuses to write."""
        worker = start(pair.url)
        worker.ask("(log.error('before'), handler.flush(20))")
        discord.stop()
        pair.tell("FAILOVER", "shop")
        log(worker, "meanwhile")
        wait_until(pair.is_replaced)
        # The Sentinel itself does this after ten seconds.
        pair.server.tell("REPLICAOF", HOST, pair.replica.port)
        log(worker, "later")
        discord.start()
        assert worker.ask("(handler.flush(40), health('ok'), health('damaged'))") == "(True, True, 0)"
        assert sorted(posted(discord)) == sorted(["before", *all_of("meanwhile", "later")])
        assert pair.replica.tell("DBSIZE") > 0


def test_a_server_that_is_made_a_replica_is_told_until_it_is_none(discord: LocalDiscord, start: Start) -> None:
    """The records wait in memory, for nobody says where else they could go."""
    with serve(port=new_port()) as server:
        worker = start(f"redis://{HOST}:{server.port}")
        worker.ask("(log.error('before'), handler.flush(20))")
        server.tell("REPLICAOF", HOST, 1)
        log(worker, "meanwhile")
        worker.ask("until(lambda: not health('ok'))")
        assert "this Redis is a replica, and takes no records" in worker.ask("health('reason')")
        server.tell("REPLICAOF", "NO", "ONE")
        assert worker.ask("(handler.flush(40), health('ok'))") == "(True, True)"
        assert sorted(posted(discord)) == sorted(["before", *all_of("meanwhile")])


class Cluster:
    """Three servers that share the slots, and a replica of the first, which may take its place once."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        options = {"cluster_enabled": "yes", "cluster_announce_ip": HOST, "cluster_node_timeout": "60000", **REPLICATED}
        self.nodes = [stack.enter_context(serve(port=new_port(), cluster_port=new_port(), **options)) for _ in range(4)]
        self.ids = {node: node.tell("CLUSTER", "MYID") for node in self.nodes}
        for node, slots in zip(self.nodes, ((0, 5_000), (5_001, 10_000), (10_001, 16_383)), strict=False):
            node.tell("CLUSTER", "ADDSLOTSRANGE", *slots)
        first, *others = self.nodes
        for node in others:
            first.tell("CLUSTER", "MEET", HOST, node.port, node._options["cluster-port"])
        wait_until(lambda: b"cluster_known_nodes:4" in others[-1].tell("CLUSTER", "INFO"))
        others[-1].tell("CLUSTER", "REPLICATE", self.ids[first])
        wait_until(lambda: all(map(self.is_ready, self.nodes)))

    def is_ready(self, node: Server) -> bool:
        """Tell whether a node knows the others and their slots."""
        return b"cluster_state:ok" in node.tell("CLUSTER", "INFO") and len(node.tell("CLUSTER", "SLOTS")) >= 3

    def servers(self) -> list[Server]:
        """Return the server with a replica, and the others."""
        roles = {node: node.tell("ROLE") for node in self.nodes}
        servers = [node for node, role in roles.items() if role[0] == b"master"]
        return sorted(servers, key=lambda node: not roles[node][2])

    def slot_of(self, hook: str) -> int:
        """Return the slot of the records for a webhook."""
        return int(self.nodes[0].tell("CLUSTER", "KEYSLOT", f"{{{hook}}}"))

    def owner_of(self, slot: int, *, asked: Server | None = None) -> Server:
        """Return the node that has a slot, as one of the nodes knows."""
        slots = (asked or self.nodes[0]).tell("CLUSTER", "SLOTS")
        ids = [first[2] for low, high, first, *_ in slots if low <= slot <= high]
        return next(node for node in self.nodes if [self.ids[node]] == ids)

    @contextlib.contextmanager
    def moving(self, slot: int, target: Server) -> Iterator[Server]:
        """Move a slot to a node, but for the keys that are there; yield the node that had it."""
        source = self.owner_of(slot)
        target.tell("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        source.tell("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])
        yield source
        for node in (target, source):
            node.tell("CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])
        # A node that does not know yet would send a process to the one that had the slot.
        wait_until(lambda: all(self.owner_of(slot, asked=node) is target for node in self.nodes))

    @contextlib.contextmanager
    def without(self, node: Server) -> Iterator[None]:
        """End a node, and start it again."""
        node.kill()
        try:
            yield
        finally:
            node.start()
            wait_until(lambda: all(map(self.is_ready, self.nodes)))


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    """Run a cluster for all tests."""
    with contextlib.ExitStack() as stack:
        yield Cluster(stack)


@pytest.fixture
def cluster(shared_cluster: Cluster, discord: LocalDiscord) -> Cluster:
    """Return the cluster, in which the server with a replica has the slot of the webhook."""
    slot, servers = shared_cluster.slot_of(hook_of(discord)), shared_cluster.servers()
    if shared_cluster.owner_of(slot) is not servers[0]:
        with shared_cluster.moving(slot, servers[0]):
            pass
    return shared_cluster


class TestCluster:
    def test_records_arrive_once_while_their_slot_moves(
        self, cluster: Cluster, discord: LocalDiscord, start: Start
    ) -> None:
        """A script runs where all keys are: some of them are at one node, and some at another one for a while."""
        slot, (_, target, _) = cluster.slot_of(hook_of(discord)), cluster.servers()
        workers = [start(f"redis://{HOST}:{node.port}") for node in cluster.servers()[:2]]
        discord.stop()
        for number, worker in enumerate(workers):
            log(worker, f"before {number}")
        workers[0].ask("until(lambda: health('waiting') == 400)")
        with cluster.moving(slot, target) as source:
            keys = sorted(source.tell("CLUSTER", "GETKEYSINSLOT", slot, 1_000))
            half = len(keys) // 2
            for name, portion in (("first", keys[:half]), ("second", keys[half:])):
                for number, worker in enumerate(workers):
                    log(worker, f"{name} {number}")
                    worker.ask("until(lambda: not health('ok'))")
                    assert "moves the records" in worker.ask("health('reason')")
                source.tell("MIGRATE", HOST, target.port, "", 0, 60_000, "KEYS", *portion)
        discord.start()
        assert [worker.ask("handler.flush(40)") for worker in workers] == ["True"] * 2
        names = [f"{name} {number}" for name in ("before", "first", "second") for number in range(2)]
        assert sorted(posted(discord)) == all_of(*names)
        assert refused(discord) == 0

    def test_a_replica_that_takes_the_place_of_its_server_goes_on(
        self, cluster: Cluster, discord: LocalDiscord, start: Start
    ) -> None:
        """The server is a replica from then on, and says where the records are."""
        (first, *_), replica = cluster.servers(), cluster.nodes[-1]
        assert first is cluster.nodes[0]
        workers = {"first": start(f"redis://{HOST}:{first.port}"), "other": start(f"redis://{HOST}:{replica.port}")}
        for name, worker in workers.items():
            worker.ask(f"(log.error('{name}'), handler.flush(20))")
        discord.stop()
        wait_until(lambda: first.tell("WAIT", 1, 1_000))
        replica.tell("CLUSTER", "FAILOVER")
        for name, worker in workers.items():
            log(worker, f"{name} meanwhile")
        wait_until(lambda: first.tell("ROLE")[0] == b"slave")
        for name, worker in workers.items():
            log(worker, f"{name} later")
        discord.start()
        assert [worker.ask("(handler.flush(40), health('ok'))") for worker in workers.values()] == ["(True, True)"] * 2
        names = [f"{name} {when}" for name in workers for when in ("meanwhile", "later")]
        assert sorted(posted(discord)) == sorted([*workers, *all_of(*names)])

    def test_the_node_that_the_url_names_may_end(self, cluster: Cluster, discord: LocalDiscord, start: Start) -> None:
        """A process knows the others by then."""
        first, other, _ = cluster.servers()
        worker = start(f"redis://{HOST}:{other.port}")
        assert worker.ask("(log.error('before'), handler.flush(20))") == "(None, True)"
        with cluster.without(other):
            first.tell("CLIENT", "KILL", "TYPE", "normal")
            assert worker.ask("(log.error('after'), handler.flush(20), health('ok'))") == "(None, True, True)"
        assert posted(discord) == ["before", "after"]

    def test_the_records_may_move_away_before_the_node_of_the_url_ends(self, cluster: Cluster) -> None:
        """A process knows the others also if that node had the records."""
        slot = cluster.slot_of(HOOK)
        first, other, _ = cluster.servers()
        cluster.owner_of(slot).tell("FLUSHALL")
        if cluster.owner_of(slot) is not other:
            with cluster.moving(slot, other):
                pass
        store = other.store(url=f"redis://{HOST}:{other.port}")
        store.add(WRITER, batch(1))
        with cluster.moving(slot, first):
            keys = other.tell("CLUSTER", "GETKEYSINSLOT", slot, 1_000)
            other.tell("MIGRATE", HOST, first.port, "", 0, 60_000, "KEYS", *keys)
        with cluster.without(other):
            store.add(WRITER, batch(2))
            assert numbers(store) == [1, 2]

    def test_a_cluster_that_is_away_is_told(self, cluster: Cluster) -> None:
        """The driver has another kind of errors for it."""
        store = cluster.nodes[0].store(url=f"redis://:{PASSWORD}@{HOST}:1")
        store._session.connection._is_cluster = True
        reason = r"^redis://127\S+:1: Redis cannot be reached \(.*Connection refused"
        with pytest.raises(StoreError, match=reason) as caught:
            store.check()
        assert PASSWORD not in str(caught.value)

    def test_the_rights_of_the_documentation_are_enough(self, cluster: Cluster) -> None:
        """The driver asks for the nodes and for the commands."""
        page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
        (line,) = re.findall(r"^ACL SETUSER .*$", page, re.MULTILINE)
        for node in cluster.nodes:
            node.tell(*line.split())
            node.tell("ACL", "LOG", "RESET")
        for node in cluster.nodes:
            store = node.store(url=f"redis://shop:secret@{HOST}:{node.port}")
            store.add(WRITER, batch(1))
            assert 1 in numbers(store)
            assert HOOK in find_hooks(store._address)
        refused = [each[each.index(b"object") + 1] for node in cluster.nodes for each in node.tell("ACL", "LOG")]
        assert [each for each in refused if not each.startswith(b"client")] == []

    def test_a_user_without_the_right_to_find_the_nodes_is_told(self, cluster: Cluster) -> None:
        """The driver says something else."""
        owner = cluster.owner_of(cluster.slot_of(HOOK))
        other = next(node for node in cluster.servers() if node is not owner)
        other.tell("ACL", "SETUSER", "less", "on", f">{PASSWORD}", "~dl1:*", "+eval", "+evalsha")
        with pytest.raises(StoreError, match="the user of Redis may not do this"):
            other.store(url=f"redis://less:{PASSWORD}@{HOST}:{other.port}").check()

    def test_an_old_driver_finds_the_node(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has no error of its own for a key that is elsewhere."""
        monkeypatch.delitem(redis._parsers.BaseParser.EXCEPTION_CLASSES, "MOVED")
        for node in cluster.nodes:
            store = node.store(url=f"redis://{HOST}:{node.port}")
            store.add(WRITER, batch(1))
            assert 1 in numbers(store)


class Encrypted:
    """A server that has a certificate, and a plain port, too.

    Args:
        stack: Ends the server.
        folder: The place of the certificates.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._folder = folder
        for name in ("ca", "other"):
            self._certify(name, "-addext", "keyUsage=critical,keyCertSign")
        for name, address in (("right", HOST), ("wrong", "127.0.0.1")):
            extensions = f"subjectAltName=IP:{address}", "-addext", "basicConstraints=critical,CA:FALSE"
            self._certify(name, "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", *extensions)
        self.port, self.wrong_port = new_port(), new_port()
        self.server, _ = (
            stack.enter_context(
                serve(
                    port=new_port(),
                    requirepass=PASSWORD,
                    tls_port=port,
                    tls_cert_file=str(folder / f"{name}.pem"),
                    tls_key_file=str(folder / f"{name}.key"),
                    tls_ca_cert_file=str(folder / "ca.pem"),
                    tls_auth_clients="no",
                )
            )
            for name, port in (("right", self.port), ("wrong", self.wrong_port))
        )
        self.server.tell("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~dl1:*", "+get")

    def _certify(self, name: str, *options: str) -> None:
        """Make a key and a certificate."""
        program = find_program("openssl")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        command = [program, "req", "-x509", *key, "-subj", f"/CN={name}", "-days", "2", "-out", f"{name}.pem", *options]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)

    def url(self, form: str) -> str:
        """Return a URL by its form."""
        ports = {"tls": self.port, "wrong": self.wrong_port, "plain": self.server.port}
        return form.format(secret=PASSWORD, host=HOST, folder=self._folder, **ports)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """Run servers with certificates for all tests."""
    with contextlib.ExitStack() as stack:
        yield Encrypted(stack, tmp_path_factory.mktemp("certificates"))


class TestAccess:
    def test_records_are_kept_behind_tls(self, encrypted: Encrypted, discord: LocalDiscord, start: Start) -> None:
        """The server has a certificate of the CA that the URL names."""
        worker = start(encrypted.url("rediss://:{secret}@{host}:{tls}?ssl_ca_certs={folder}/ca.pem"))
        discord.stop()
        worker.ask("log.error('kept')")
        worker.ask("until(lambda: health('waiting') == 1)")
        discord.start()
        assert worker.ask("(handler.flush(20), health('ok'))") == "(True, True)"
        code, err = worker.end()
        assert (code, "backlog" in err) == (0, False)

    @pytest.mark.parametrize(
        ("form", "reason"),
        [
            ("rediss://:{secret}@{host}:{tls}?ssl_ca_certs={folder}/other.pem", "certificate verify failed"),
            ("rediss://:{secret}@{host}:{tls}?ssl_ca_certs={folder}/none.pem", "No such file"),
            ("rediss://:{secret}@{host}:{wrong}?ssl_ca_certs={folder}/ca.pem", "IP address mismatch"),
            (
                "rediss://:{secret}@{host}:{plain}?ssl_ca_certs={folder}/ca.pem",
                "if it uses no TLS, the URL begins with redis://",
            ),
            ("redis://:{secret}@{host}:{tls}", "if it uses TLS, the URL begins with rediss://"),
            ("redis://:{secret}2@{host}:{plain}", "Redis refuses the password"),
            ("redis://{host}:{plain}", "Redis asks for a password"),
            ("redis://reader:{secret}@{host}:{plain}", "the user of Redis may not do this"),
            ("redis://:{secret}@{host}:{plain}/99", "Redis has no database of that number"),
        ],
    )
    def test_a_server_that_cannot_be_used_is_told_and_its_records_are_delivered(
        self, encrypted: Encrypted, discord: LocalDiscord, start: Start, form: str, reason: str
    ) -> None:
        """Once, and without the password."""
        worker = start(encrypted.url(form), code=IMPATIENT)
        worker.ask("log.error('alone')")
        discord.wait_for("alone", timeout=60)
        health = worker.ask("(handler.health(), handler)")
        assert reason in worker.ask("health('reason')")
        began = time.monotonic()
        code, err = worker.end()
        # It would be twenty seconds if the program waited for the server, although nothing is left to deliver.
        assert time.monotonic() < began + 15
        assert (code, err.count("\n"), err.count("does not work")) == (0, 1, 1)
        assert reason in err
        assert PASSWORD not in health + err


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a plain server."""
    with serve() as server:
        yield server


class TestForeignData:
    def test_entries_that_nobody_can_read_do_not_stop_the_others(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """One of a newer version stays, and those that are broken or huge are set apart, which the channel is told."""
        discord.stop()
        first = start(server.url)
        for text in ("newer", "huge", "broken", "read"):
            first.ask(f"log.error('{text}')")
        first.ask("until(lambda: health('waiting') == 4)")
        first.kill()
        prefix = f"dl1:{{{hook_of(discord)}}}:"
        newer, huge, broken, _ = server.tell("ZRANGE", f"{prefix}level:4", 0, -1)
        records = f"{prefix}records"
        server.tell("HSET", records, newer, b"2" + server.tell("HGET", records, newer)[1:])
        server.tell("HSET", records, broken, b"1[1]")
        server.tell("HSET", records, huge, b"1" * 100_000_000)
        discord.start()
        second = start(server.url)
        second.ask("until(lambda: health('damaged') == 2)")
        second.ask("(log.error('next'), handler.flush(20))")
        discord.wait_for("2 records", timeout=20)
        assert posted(discord) == ["read", "next"]
        assert server.tell("HKEYS", records) == [newer]

    def test_a_key_of_another_kind_is_told_until_it_is_gone(
        self, server: Server, discord: LocalDiscord, start: Start
    ) -> None:
        """The records wait in memory."""
        key = f"dl1:{{{hook_of(discord)}}}:records"
        server.tell("SET", key, "of another program")
        worker = start(server.url)
        worker.ask("log.error('waits')")
        worker.ask("until(lambda: not health('ok'))")
        assert "another program has put a key of another kind" in worker.ask("health('reason')")
        assert server.tell("GET", key) == b"of another program"
        server.tell("DEL", key)
        assert worker.ask("(handler.flush(20), health('ok'))") == "(True, True)"
        assert posted(discord) == ["waits"]


@pytest.mark.parametrize("parser", ["_HiredisParser", "_RESP2Parser"])
def test_both_parsers_of_the_driver_do(server: Server, discord: LocalDiscord, start: Start, parser: str) -> None:
    """The faster one is an extra of redis-py."""
    pytest.importorskip("hiredis")
    worker = start(server.url, code="" if parser == "_HiredisParser" else "import sys; sys.modules['hiredis'] = None\n")
    discord.stop()
    log(worker, "kept")
    worker.ask("until(lambda: health('waiting') == 200)")
    used = "type(handler._listener.backlog._store._session.connection._socket._parser).__name__"
    assert worker.ask(used) == repr(parser)
    server.tell("SCRIPT", "FLUSH")
    server.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    discord.start()
    assert worker.ask("(handler.flush(20), health('ok'))") == "(True, True)"
    assert sorted(posted(discord)) == all_of("kept")
