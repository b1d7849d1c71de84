"""Redis as it runs where one server is not enough: over TLS, watched by Sentinels, as a Cluster. All on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from demo.service import free_port
from flags.store.layout import PREFIX
from tests.contract.redis_process import RedisProcess
from tests.proxy.certificates import Authority, Pair

NAME, PASSWORD, SENTINELS_PASSWORD = "flags-master", "a-secret", "another-secret"
SLOTS = 16_384
# Seconds without an answer after which Sentinels take a server for gone: no test of a server that is there lives to see
# the first, however busy the machine.
NEVER, SOON = 600, 1


def eventually(condition: Callable[[], bool], what: str, within: float = 120.0) -> None:
    """Servers tell nobody when they have found each other."""
    deadline, between = time.monotonic() + within, threading.Event()
    while time.monotonic() < deadline:
        with suppress(RedisError):
            if condition():
                return
        between.wait(0.01)
    raise AssertionError(f"it did not come about in {within:g} s: {what}")


def tls_options(pair: Pair, authority: Authority, port: int) -> list[str]:
    files = (
        f"--tls-cert-file {pair.certificate} --tls-key-file {pair.key} --tls-ca-cert-file {authority.own.certificate}"
    )
    return f"--port 0 --tls-port {port} {files} --tls-ca-cert-file {authority.own.certificate}".split()


def tls_query(authority: Authority, pair: Pair) -> str:
    """Redis asks for its clients' certificates as well, unless it is told not to."""
    return f"ssl_ca_certs={authority.own.certificate}&ssl_certfile={pair.certificate}&ssl_keyfile={pair.key}"


@dataclass(frozen=True, slots=True)
class Secured:
    """A server that is reached over TLS alone, with a certificate signed by `authority`."""

    server: RedisProcess
    authority: Authority
    client: Pair

    def url(self, database: int = 0) -> str:
        return f"rediss://127.0.0.1:{self.server.port}/{database}?{tls_query(self.authority, self.client)}"


@contextmanager
def secured() -> Iterator[Secured]:
    with TemporaryDirectory() as name:
        authority = Authority.founded(Path(name))
        own, port = authority.sign("redis", "IP:127.0.0.1"), free_port()
        with running(RedisProcess(Path(name), port, tls_options(own, authority, port))) as server:
            yield Secured(server, authority, authority.sign("strangler", "DNS:strangler"))


class Sentinel(RedisProcess):
    @property
    def command(self) -> list[str]:
        return ["redis-server", str(self.folder / "sentinel.conf"), "--sentinel"]


@dataclass(frozen=True, slots=True)
class Watched:
    """Two servers, of which the first begins as master, and three Sentinels, of whom two can make the other one it."""

    servers: tuple[RedisProcess, RedisProcess]
    sentinels: tuple[RedisProcess, ...]

    def url(self, database: int = 0) -> str:
        asked = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        login = f"sentinel_password={SENTINELS_PASSWORD}"
        return f"redis+sentinel://:{PASSWORD}@{asked}/{NAME}/{database}?{login}"

    def ask(self, sentinel: RedisProcess, *words: str) -> dict[str, str]:
        with Redis(port=sentinel.port, password=SENTINELS_PASSWORD, decode_responses=True, protocol=2) as client:
            said = client.execute_command("SENTINEL " + words[0], *words[1:], NAME)
        return said if isinstance(said, dict) else {}

    def tell(self, server: RedisProcess, *words: str) -> None:
        with Redis(port=server.port, password=PASSWORD) as client:
            client.execute_command(*words)

    def lose_patience(self) -> None:
        """From now on Sentinels notice it soon that a server is gone."""
        for sentinel in self.sentinels:
            with Redis(port=sentinel.port, password=SENTINELS_PASSWORD) as client:
                client.execute_command("SENTINEL SET", NAME, "down-after-milliseconds", 1_000 * SOON)

    def know_each_other(self) -> None:
        """Before this they can replace nobody."""

        def known(sentinel: RedisProcess) -> bool:
            said = self.ask(sentinel, "MASTER")
            return int(said["num-slaves"]) >= 1 and int(said["num-other-sentinels"]) == len(self.sentinels) - 1

        eventually(lambda: all(map(known, self.sentinels)), "the Sentinels know each other and the replica")
        with Redis(port=self.servers[1].port, password=PASSWORD) as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica has a copy")


@contextmanager
def watched() -> Iterator[Watched]:
    with TemporaryDirectory() as name, ExitStack() as owned:
        follower = "--masteruser follower --masterauth follows --user follower on >follows +psync +replconf +ping"
        options = [*f"--requirepass {PASSWORD} --repl-diskless-sync-delay 0".split(), *follower.split()]
        first = owned.enter_context(running(RedisProcess(_folder(name, "first"), options=options)))
        following = "--replicaof", "127.0.0.1", str(first.port)
        second = owned.enter_context(running(RedisProcess(_folder(name, "second"), options=[*options, *following])))
        sentinels = [Sentinel(_folder(name, f"sentinel-{each}"), ready="+monitor master") for each in range(3)]
        for sentinel in sentinels:
            (sentinel.folder / "sentinel.conf").write_text(_sentinel(sentinel, first.port))
            owned.enter_context(running(sentinel))
            with Redis(port=sentinel.port, password=SENTINELS_PASSWORD) as client:
                # They look and talk once in seconds else, and do nothing for half a minute once they have stood still.
                client.execute_command(
                    "SENTINEL DEBUG", "INFO-PERIOD", 100, "PUBLISH-PERIOD", 100, "TILT-PERIOD", 1_000
                )
        yield Watched((first, second), tuple(sentinels))


def _sentinel(sentinel: RedisProcess, master: int) -> str:
    return f"""
        port {sentinel.port}
        bind 127.0.0.1
        dir {sentinel.folder}
        requirepass {SENTINELS_PASSWORD}
        sentinel sentinel-pass {SENTINELS_PASSWORD}
        sentinel monitor {NAME} 127.0.0.1 {master} 2
        sentinel auth-pass {NAME} {PASSWORD}
        sentinel down-after-milliseconds {NAME} {1_000 * NEVER}
        sentinel failover-timeout {NAME} 3000
    """


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three masters, over TLS."""

    nodes: tuple[RedisProcess, ...]
    authority: Authority
    pair: Pair

    def url(self, *asked: RedisProcess) -> str:
        """`asked`: who says where keys are, else all."""
        named = ",".join(f"127.0.0.1:{node.port}" for node in asked or self.nodes)
        return f"rediss+cluster://{named}?{tls_query(self.authority, self.pair)}"

    def client(self, node: RedisProcess) -> Redis:
        """Of one node, which it leaves for no other."""
        files = {"ssl_certfile": str(self.pair.certificate), "ssl_keyfile": str(self.pair.key)}
        trusted = str(self.authority.own.certificate)
        return Redis(host="127.0.0.1", port=node.port, ssl=True, ssl_ca_certs=trusted, decode_responses=True, **files)

    def move(self, key: str, taker: RedisProcess) -> None:
        """The slot of this key, of which there is nothing, as redis-cli moves one; return once every node knows."""
        slot, id = key_slot(key.encode()), self._ask(taker, "CLUSTER MYID")
        # Imported, the slot gets an epoch of its own: else a node may believe again what the holder said before.
        self._ask(taker, "CLUSTER SETSLOT", slot, "IMPORTING", self._ask(self._holder(slot), "CLUSTER MYID"))
        for node in (taker, *self.nodes):
            self._ask(node, "CLUSTER SETSLOT", slot, "NODE", id)
        eventually(lambda: all(self._said_by(node, slot) == taker.port for node in self.nodes), "every node knows")

    def _holder(self, slot: int) -> RedisProcess:
        return next(node for node in self.nodes if self._said_by(node, slot) == node.port)

    def _said_by(self, node: RedisProcess, slot: int) -> int:
        """The port of whoever holds this slot, as this node says."""
        ranges = self._ask(node, "CLUSTER SLOTS")
        return next(port for first, last, (_, port, *_), *_ in ranges if first <= slot <= last)

    def _ask(self, node: RedisProcess, *command: str | int) -> Any:
        with self.client(node) as client:
            return client.execute_command(*command)

    @property
    def holder(self) -> RedisProcess:
        """Of our keys, if nothing was moved."""
        return self.nodes[key_slot(PREFIX.encode()) * len(self.nodes) // SLOTS]


@contextmanager
def clustered() -> Iterator[Cluster]:
    with TemporaryDirectory() as name, ExitStack() as owned:
        authority = Authority.founded(Path(name))
        pair = authority.sign("redis", "IP:127.0.0.1")
        nodes, buses = [], []
        for number in range(3):
            port, bus = free_port(), free_port()
            clustering = f"--cluster-enabled yes --cluster-port {bus} --tls-cluster yes --cluster-announce-ip 127.0.0.1"
            options = [*tls_options(pair, authority, port), *clustering.split()]
            nodes.append(owned.enter_context(running(RedisProcess(_folder(name, str(number)), port, options))))
            buses.append(bus)
        cluster = Cluster(tuple(nodes), authority, pair)
        for number, node in enumerate(nodes):
            first, last = -(-number * SLOTS // 3), -(-(number + 1) * SLOTS // 3) - 1
            with cluster.client(node) as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
        for node in nodes:
            with cluster.client(node) as client:
                eventually(lambda c=client: c.cluster("INFO")["cluster_state"] == "ok", "the Cluster stands")
        yield cluster


@contextmanager
def running(server: RedisProcess) -> Iterator[RedisProcess]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _folder(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder
