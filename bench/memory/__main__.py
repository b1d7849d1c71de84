"""Measure what the proxy holds, on both ways through it: `python -m bench.memory [--clients 10000]`."""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import record, servers
from bench.figures import met, table
from bench.machine import Cores, cores
from bench.memory import cases
from demo.service import Service

WAYS = {"relay": False, "ASGI": True}  # whether native has every route
BARE = "bare uvicorn"


def main() -> None:
    parser = argparse.ArgumentParser("bench.memory", description=__doc__)
    parser.add_argument("--clients", type=int, default=10_000, help="that wait")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    where = cores()
    os.sched_setaffinity(0, {where.load})
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with cases.large_origin(where.origin, directory) as origin:
            bodies = _bodies(origin, where, directory)
        readers = _readers(where, directory)
        idle = _idle(options.clients, where, directory)
    targets = _targets(bodies, readers, idle)
    kept = record.keep("memory", {"targets": targets, "bodies": bodies, "slow readers": readers, "idle clients": idle})
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in targets.items()]
    print(table([("target", "measured", "at most", "met"), *rows]))
    print(f"\nbare uvicorn: {idle[BARE]['kib']} KiB a client\n\nKept in {kept}")


@contextmanager
def _proxy(config: dict[str, Any], where: Cores, directory: Path) -> Iterator[Service]:
    """A proxy of its own for each case: memory that an earlier one has left free would hide a growth."""
    ours = servers.strangler("strangler", config, cores=[where.measured], directory=directory)
    with ours.service:
        yield ours.service
        cases.answered_by(ours, "native" if "native" in config else "legacy")


def _bodies(origin: Service, where: Cores, directory: Path) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for case, action in cases.BODIES.items():
        for way, native in WAYS.items():
            with _proxy(cases.configured(origin, native=native), where, directory) as proxy:
                found.setdefault(case, {})[way] = cases.growth(proxy, action)
    return found


def _readers(where: Cores, directory: Path) -> dict[str, dict[str, float]]:
    """Each on an origin of its own, too: it tells of all answers that it has given."""
    found = {}
    for way, native in WAYS.items():
        with (
            cases.large_origin(where.origin, directory) as origin,
            _proxy(cases.configured(origin, native=native), where, directory) as proxy,
        ):
            found[way] = cases.slow_readers(proxy, origin)
    return found


def _idle(number: int, where: Cores, directory: Path) -> dict[str, dict[str, float]]:
    found = {}
    with servers.nginx_origin(where.origin, directory) as origin:
        for way, native in WAYS.items():
            with _proxy(servers.configured(origin.port, native=native), where, directory) as proxy:
                found[way] = cases.idle(proxy, number)
    with cases.bare(where.measured, directory) as server:
        found[BARE] = cases.idle(server, number)
    return found


def _targets(bodies: Any, readers: Any, idle: Any) -> dict[str, dict[str, float | bool]]:
    told = {
        f"{case}, {way}: MiB": met(figures["mib"], most=16.0)
        for case, ways in bodies.items()
        for way, figures in ways.items()
    }
    for way in WAYS:
        slow = readers[way]["eleventh answered after, ms"]
        told[f"an eleventh beside ten slow readers, {way}: ms"] = met(slow, most=500.0)
        told[f"idle client, {way}: KiB"] = met(idle[way]["kib"], most=12.0)
    return told


if __name__ == "__main__":
    main()
