"""Measure WebSockets, relayed and direct: `python -m bench.websocket [--sockets 5000] [--rounds 5] [--seconds 2]`."""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from bench import record, servers
from bench.figures import medians, met, quantile, ratio, table
from bench.machine import Cores, cores
from bench.processes import pinned, resident
from bench.websocket import client
from demo.service import LOOPBACK, Service, free_port

DIRECT, NGINX, OURS = "direct", "nginx", "strangler"
LARGE = 10 * 2**20
MESSAGE = b'{"command":"message","data":"typing_on"}'
WARM = 100


def main() -> None:
    parser = argparse.ArgumentParser("bench.websocket", description=__doc__)
    parser.add_argument("--sockets", type=int, default=5_000, help="that are open at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each run")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    where = cores()
    os.sched_setaffinity(0, {where.load})
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
        peers = _started(where, directory, running.enter_context)
        large = {name: _large(peer) for name, peer in peers.items()}
        runs = _echoes(peers, options.rounds, options.seconds)
        held = {name: _held(peers[name], options.sockets) for name in (NGINX, OURS)}
    _tell(options, large, runs, held)


def _tell(options: argparse.Namespace, large: Any, runs: list[dict[str, Any]], held: Any) -> None:
    echo = {name: medians([run for run in runs if run["peer"] == name], ("p50", "p99")) for name in large}
    rows = [(name, own["p50"], own["p99"], large[name]["seconds"]) for name, own in echo.items()]
    added = {name: echo[name]["p50"] - echo[DIRECT]["p50"] for name in (NGINX, OURS)}
    targets = {f"a relayed WebSocket of {options.sockets:,}: KiB": met(held[OURS]["kib"], most=12.0)}
    figures = {
        "targets": targets,
        "sockets": held,
        "frame of 10 MiB": large,
        "echo, ms": echo,
        "median added to an echo, of nginx": ratio(added[OURS], added[NGINX]),
        "runs": runs,
    }
    print(table([("echo", "p50 ms", "p99 ms", "10 MiB and back, s"), *rows]))
    print(f"\nmedian added to an echo: {figures['median added to an echo, of nginx']} of what nginx adds")
    for name, own in held.items():
        print(f"{options.sockets:,} open through {name}: {own['kib']} KiB each")
    print(f"\nKept in {record.keep('websocket', figures)}")


def _started(where: Cores, directory: Path, hold: Callable[[Service], Service]) -> dict[str, Service]:
    port = free_port()
    command = [servers.PYTHON, "-m", "bench.websocket.origin", str(port)]
    origin = pinned("echo", command, cores=[where.origin], port=port, directory=directory)
    core, config = where.measured, servers.configured(port)
    return {
        DIRECT: hold(servers.listening(origin)),
        NGINX: hold(servers.nginx(port, core, directory)),
        OURS: hold(servers.strangler(OURS, config, cores=[core], directory=directory).service),
    }


def _large(peer: Service) -> dict[str, Any]:
    """A frame of 10 MiB to the origin and back: the same bytes in one frame, closed with the code that was sent."""
    frame = os.urandom(LARGE)
    with connect(f"ws://{LOOPBACK}:{peer.port}{client.PATH}", max_size=None, compression=None) as socket:
        began = time.perf_counter()
        socket.send(frame)
        came = list(socket.recv_streaming())
        took = time.perf_counter() - began
        socket.close(4711, "done")
    back = b"".join(part.encode() if isinstance(part, str) else part for part in came)
    if len(came) != 1 or sha256(back).digest() != sha256(frame).digest() or socket.close_code != 4711:
        raise AssertionError(f"{peer.name} changed a frame of 10 MiB, or the close code ({socket.close_code})")
    return {"seconds": round(took, 3)}


def _echoes(peers: Mapping[str, Service], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One socket, one message under way at a time; all peers in turn, round after round."""
    return [
        {"round": number, "peer": name, **_echoed(peer.port, seconds)}
        for number in range(1, rounds + 1)
        for name, peer in peers.items()
    ]


def _echoed(port: int, seconds: float) -> dict[str, float]:
    took = []
    with client.opened(port) as socket:
        for _ in range(WARM):
            client.echo(socket, MESSAGE)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            took.append(client.echo(socket, MESSAGE) * 1e3)
    return {"echoes": len(took), "p50": round(quantile(took, 0.5), 4), "p99": round(quantile(took, 0.99), 4)}


def _held(peer: Service, number: int) -> dict[str, float]:
    """What the proxy's memory grows by for each of so many open sockets that have had an echo."""
    with ExitStack() as opened:
        for _ in range(WARM):
            with client.opened(peer.port) as socket:
                client.echo(socket, MESSAGE)
        before = resident(peer.process.pid)
        for _ in range(number):
            client.echo(opened.enter_context(client.opened(peer.port)), MESSAGE)
        return {"sockets": number, "kib": round((resident(peer.process.pid) - before) / number / 1024, 2)}


if __name__ == "__main__":
    main()
