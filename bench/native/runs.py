"""wrk against each side in turn, and the processor time that a request took of everybody."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from redis import Redis

from bench import load
from bench.native import asked
from bench.native.asked import EAGER, LEGACY, LIST, NATIVE, NATIVE_SMALL, ROUTES, Asked
from bench.native.stage import Stage
from bench.processes import cpu_seconds

SCRIPT = Path(__file__).parent / "raw.lua"


def measured(stage: Stage, options: argparse.Namespace, directory: Path) -> list[dict[str, Any]]:
    """All runs, interleaved: what disturbs the machine for a while disturbs both sides."""
    runs: list[dict[str, Any]] = []
    first = 0  # of the rows that no run has asked for yet
    for number in range(options.rounds + 1):
        for each in ROUTES:
            for side in sides(each):
                seconds = options.seconds if number else 1  # the first round warms up and does not count
                run = _run(stage, each, side, seconds, first, directory, options.connections)
                first = (first + asked.EACH_ONCE) % (stage.rows["conversations"] - asked.SEEDED - asked.EACH_ONCE)
                if number:
                    runs.append({"round": number, "route": each.name, "side": side, **run})
    return runs


def sides(route: Asked) -> tuple[str, ...]:
    """Rails' list loads eagerly or as it always did; its other routes are the same either way."""
    return (NATIVE, EAGER, LEGACY, NATIVE_SMALL) if route.name == LIST else (NATIVE, EAGER)


def _run(
    stage: Stage, route: Asked, side: str, seconds: int, first: int, directory: Path, connections: int
) -> dict[str, Any]:
    port = stage.servers[side].port
    requests = asked.file(route, port, first, stage.tokens(), stage.application.facebook_app_secret)
    return ran(stage, side, requests, seconds, directory, connections)


def ran(stage: Stage, side: str, requests: bytes, seconds: int, directory: Path, connections: int) -> dict[str, Any]:
    """One run of wrk with these requests, as `raw.lua` reads them."""
    server, path = stage.servers[side], directory / "requests"
    path.write_bytes(requests)
    with Redis.from_url(stage.application.redis_url) as redis:
        redis.delete("queue:default")  # no side works the jobs off meanwhile: their list must not grow without end
    before = _used(stage, server.process.pid)
    told = load.load(command(server.url, path, connections, seconds), seconds)
    application, stores = (now - then for now, then in zip(_used(stage, server.process.pid), before, strict=True))
    answered = max(1, told.requests)
    return {
        **asdict(told),
        "rate": round(told.rate, 1),
        "errors": told.errors,
        "cpu_us": round(application / answered * 1e6, 1),
        "stores_us": round(stores / answered * 1e6, 1),
        "busy": round(application / told.seconds, 3),
        "stores_busy": round(stores / told.seconds, 3),
    }


def command(url: str, requests: Path, connections: int, seconds: int) -> list[str]:
    wrk = ["env", f"BENCH_REPORT={load.REPORT}", f"BENCH_REQUESTS={requests}", "wrk", "--threads", "1"]
    wrk += ["--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s"]
    return [*wrk, "--script", os.fspath(SCRIPT), url]


def _used(stage: Stage, pid: int) -> tuple[float, float]:
    return cpu_seconds(pid), sum(cpu_seconds(store.process.pid) for store in stage.stores)
