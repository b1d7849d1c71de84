"""What is done to a proxy, and how much its memory grows meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import servers
from bench.memory import clients
from bench.patterns import PATH
from bench.processes import forget_peak, peak, pinned, resident
from demo.service import LOOPBACK, Service, free_port

GIB = 2**30
PAUSE = 0.03  # seconds after each 16 MiB: two seconds in 1 GiB
READERS = 10
ANSWER = 2**18  # bytes that the proxy takes off a side's hands at once
WARM = 2**20
WARM_CLIENTS = 200
PATIENT = "10m"  # an upload has no answer before its end


def large_origin(core: int, directory: Path) -> Service:
    port = free_port()
    command = [servers.PYTHON, "-m", "bench.memory.origin", str(port)]
    return servers.listening(pinned("large origin", command, cores=[core], port=port, directory=directory))


def configured(origin: Service, *, native: bool) -> dict[str, Any]:
    """One route for each method. `native`: the route is native's, so that requests go the ASGI way."""
    config = servers.configured(origin.port, native=native)
    share = {"share": "100%"} if native else {}
    config["legacy"] |= {"first_byte": PATIENT, "connections": READERS}
    if native:
        config["native"] |= {"budget": PATIENT, "connections": READERS}
    config["routes"] = [{"name": method, "match": f"{method} /large", **share} for method in ("GET", "POST")]
    return config


def slow_reader(port: int) -> None:
    with clients.connect(port, buffer=2**17) as client:
        clients.ask(client, f"/large?bytes={GIB}")
        clients.answer(client, pause=PAUSE)


def slow_origin(port: int) -> None:
    _uploaded(port, f"/large?pause={PAUSE}", 0.0)


def slow_writer(port: int) -> None:
    _uploaded(port, "/large", PAUSE)


def _uploaded(port: int, target: str, pause: float) -> None:
    with clients.connect(port) as client:
        received = json.loads(clients.upload(client, target, GIB, pause=pause))["received"]
    if received != GIB:
        raise AssertionError(f"{received:,} of {GIB:,} bytes reached the origin")


BODIES: Mapping[str, Callable[[int], None]] = {
    "1 GiB down, slow reader": slow_reader,
    "1 GiB up, slow origin": slow_origin,
    "1 GiB up, slow writer": slow_writer,
}


def answered_by(proxy: servers.Ours, side: str) -> None:
    """Fail unless every request went the way that it was measured for."""
    counts = proxy.counted("strangler_requests_total")
    if not any(counts.values()) or any(count for labels, count in counts.items() if f'side="{side}"' not in labels):
        raise AssertionError(f"{side} should have answered every request: {counts}")


def growth(proxy: Service, action: Callable[[int], None]) -> dict[str, float]:
    """By how much the proxy's memory grew at its highest."""
    with clients.connect(proxy.port) as client:  # what the first request brings along is no growth
        clients.ask(client, f"/large?bytes={WARM}")
        clients.answer(client)
        clients.upload(client, "/large", WARM)
    pid, began = proxy.process.pid, time.monotonic()
    forget_peak(pid)
    before = resident(pid)
    action(proxy.port)
    return {"mib": round((peak(pid) - before) / 2**20, 2), "seconds": round(time.monotonic() - began, 2)}


def slow_readers(proxy: Service, origin: Service) -> dict[str, float]:
    """Ten clients that ask for 256 KiB and do not read, on a pool of ten; then an eleventh who does."""
    with ExitStack() as opened:
        readers = [opened.enter_context(clients.connect(proxy.port, buffer=clients.SMALL)) for _ in range(READERS)]
        for reader in readers:
            clients.ask(reader, f"/large?bytes={ANSWER}")
        began = time.monotonic()
        eleventh = opened.enter_context(clients.connect(proxy.port))
        clients.ask(eleventh, "/large?bytes=1")
        clients.answer(eleventh)
        waited = time.monotonic() - began
        held = _held(origin)
        for reader in readers:
            clients.answer(reader)
    return {
        "answers that had left the origin": held["count"],
        "longest, ms": round(held["longest"] * 1e3, 1),
        "eleventh answered after, ms": round(waited * 1e3, 1),
    }


def _held(origin: Service) -> dict[str, float]:
    with clients.connect(origin.port) as client:
        clients.ask(client, "/held")
        told: dict[str, float] = json.loads(clients.answer(client))
    return told


def idle(server: Service, number: int) -> dict[str, float]:
    """What a client costs that has had one answer and keeps its connection."""
    with ExitStack() as opened:
        for client in clients.waiting(server.port, WARM_CLIENTS, PATH):
            client.close()
        before = resident(server.process.pid)
        for client in clients.waiting(server.port, number, PATH):
            opened.enter_context(client)
        return {"clients": number, "kib": round((resident(server.process.pid) - before) / number / 1024, 2)}


def bare(core: int, directory: Path) -> Service:
    """uvicorn with nothing behind it."""
    port = free_port()
    command = [
        servers.PYTHON, "-m", "uvicorn", "bench.memory.bare:app", "--host", LOOPBACK, "--port", str(port),
        "--loop", "uvloop", "--http", "httptools", "--timeout-keep-alive", "75", "--no-access-log",
        "--log-level", "warning",
    ]  # fmt: skip
    return servers.answering(pinned("bare uvicorn", command, cores=[core], port=port, directory=directory))
