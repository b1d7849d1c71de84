"""Every proxy in front of one origin, and wrk against each in turn."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import load, servers
from bench.machine import Cores
from bench.passthrough import summary
from bench.patterns import PATH
from bench.processes import cpu_seconds, machine_seconds
from demo.service import Service

QUIET, REST = 0.3, 15.0  # seconds without work that are rest, and for which it is waited for
# What a browser's page sends when it calls its API.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9",
    "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxNyIsImFjY291bnRfaWQiOjEsImV4cCI6NDEwMjQ0NDgwMH0.c2ln",
    "Cookie": "_session_id=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Referer": "https://app.example.com/inbox/4711",
    "Sec-Fetch-Mode": "cors",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of load, and who is put under it: everybody, unless some are named."""

    name: str
    connections: int
    headers: Mapping[str, str]
    only: tuple[str, ...] = ()


MANY = Kind("c=32", 32, {})
ONE = Kind("c=1", 1, {})
FROM_BROWSER = Kind("c=32, a browser's headers", 32, BROWSER, (summary.NGINX, summary.RELAY))
KINDS = (MANY, ONE, FROM_BROWSER)
OURS: Mapping[str, Mapping[str, bool]] = {
    summary.RELAY: {},
    "strangler, access log": {"access": True},
    summary.ASGI: {"native": True},
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running servers by name, the origin among them as who is asked directly."""

    peers: Mapping[str, Service]
    ours: Mapping[str, servers.Ours]
    where: Cores

    @property
    def origin(self) -> Service:
        return self.peers[summary.DIRECT]

    def answered(self) -> dict[str, dict[str, float]]:
        """Which side answered how many requests, by each of ours: the proof of the way that they went."""
        counts = {name: ours.counted("strangler_requests_total") for name, ours in self.ours.items()}
        return {name: {labels: count for labels, count in own.items() if count} for name, own in counts.items()}


@contextmanager
def staged(where: Cores, directory: Path) -> Iterator[Stage]:
    with ExitStack() as running:
        origin = running.enter_context(servers.nginx_origin(where.origin, directory))
        place = origin.port, where.measured, directory
        ours: dict[str, servers.Ours] = {}
        for name, kind in OURS.items():
            config = servers.configured(origin.port, **kind)
            ours[name] = servers.strangler(name, config, cores=[where.measured], directory=directory)
            running.enter_context(ours[name].service)
        peers = {
            summary.DIRECT: origin,
            summary.NGINX: running.enter_context(servers.nginx(*place)),
            "haproxy": running.enter_context(servers.haproxy(*place)),
            summary.AIOHTTP: running.enter_context(servers.peer("aiohttp", "bench.peers.aiohttp_proxy", *place)),
            summary.FASTAPI: running.enter_context(servers.peer("fastapi", "bench.peers.fastapi_proxy", *place)),
            **{name: one.service for name, one in ours.items()},
        }
        for peer in peers.values():
            servers.answering(peer)
        yield Stage(peers, ours, where)


def measured(stage: Stage, rounds: int, seconds: int) -> list[dict[str, Any]]:
    """All runs, interleaved: what disturbs the machine for a while disturbs everybody."""
    one_round(stage, 1)  # warms up and does not count
    return [{"round": number, **run} for number in range(1, rounds + 1) for run in one_round(stage, seconds)]


def one_round(stage: Stage, seconds: int) -> list[dict[str, Any]]:
    return [
        {"load": kind.name, "peer": name, **_run(stage, name, kind, seconds)}
        for kind in KINDS
        for name in kind.only or stage.peers
    ]


def wrk(stage: Stage, name: str, kind: Kind, seconds: int) -> list[str]:
    url = stage.peers[name].url + PATH
    return load.command(url, connections=kind.connections, seconds=seconds, core=stage.where.load, headers=kind.headers)


def _run(stage: Stage, name: str, kind: Kind, seconds: int) -> dict[str, Any]:
    """One run, with the processor time that each took of a core, and what was not ours."""
    peer = stage.peers[name]
    before = _used(peer, stage.origin)
    ran = load.load(wrk(stage, name, kind, seconds), seconds)
    peers, origins, wrks, everybody = (now - then for now, then in zip(_used(peer, stage.origin), before, strict=True))
    _rested(peer)
    known = peers + wrks + (0.0 if peer is stage.origin else origins)
    return {
        **asdict(ran),
        "rate": round(ran.rate, 1),
        "errors": ran.errors,
        "cpu_us": round(peers / max(1, ran.requests) * 1e6, 2),
        "busy": round(peers / ran.seconds, 3),
        "origin_busy": round(origins / ran.seconds, 3),
        "wrk_busy": round(wrks / ran.seconds, 3),
        "others_busy": round(max(0.0, everybody - known) / ran.seconds, 3),
    }


def _rested(peer: Service) -> None:
    """Wait for a proxy that still puts away what wrk has left it with: the next one has the same core."""
    until, used = time.monotonic() + REST, -1.0
    while used != (used := cpu_seconds(peer.process.pid)) and time.monotonic() < until:
        time.sleep(QUIET)


def _used(peer: Service, origin: Service) -> Sequence[float]:
    """Processor time so far: the peer's, the origin's, that of our children that have ended (wrk), and everybody's."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        cpu_seconds(peer.process.pid),
        cpu_seconds(origin.process.pid),
        ended.ru_utime + ended.ru_stime,
        machine_seconds(),
    )
