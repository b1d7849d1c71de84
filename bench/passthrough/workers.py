"""What a request costs when two workers share the requests, beside one worker alone."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import load, servers
from bench.machine import Cores
from bench.patterns import PATH
from bench.processes import cpu_seconds
from demo.stores import start_redis

CONNECTIONS = 32  # of each worker: two are for twice the users
NUMBERS = (1, 2)


def workers(where: Cores, rounds: int, seconds: int) -> list[dict[str, Any]]:
    """Runs with one worker and with two, interleaved; both with Redis, as two need it. All have one core,
    which neither wrk nor the origin uses."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
        origin = running.enter_context(servers.nginx_origin(where.origin, directory))
        redis = start_redis(directory)
        running.enter_context(redis.service)
        started = {
            number: servers.strangler(
                f"strangler with {number} workers",
                {**servers.configured(origin.port), "redis": redis.url(number)},
                cores=[where.measured],
                directory=directory,
                arguments=("--workers", str(number)),
            )
            for number in NUMBERS
        }
        for ours in started.values():
            running.enter_context(ours.service)
        one_round(started, where, 1)  # warms up and does not count
        return [
            {"round": number, **run} for number in range(1, rounds + 1) for run in one_round(started, where, seconds)
        ]


def one_round(started: dict[int, servers.Ours], where: Cores, seconds: int) -> list[dict[str, Any]]:
    runs = []
    for number, ours in started.items():
        wrk = load.command(
            ours.service.url + PATH, connections=CONNECTIONS * number, seconds=seconds, core=where.load, headers={}
        )
        before = cpu_seconds(ours.service.process.pid)
        ran = load.load(wrk, seconds)
        cpu = cpu_seconds(ours.service.process.pid) - before
        runs.append(
            {
                "workers": number,
                "rate": round(ran.rate, 1),
                "p50": ran.p50,
                "p99": ran.p99,
                "cpu_us": round(cpu / max(1, ran.requests) * 1e6, 2),
                "errors": ran.errors,
            }
        )
    return runs
