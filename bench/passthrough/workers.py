"""What a request costs when two workers share the requests, beside one worker alone."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

from bench import load, servers
from bench.machine import Cores
from bench.passthrough.summary import CORE_EACH, ONE_CORE
from bench.patterns import PATH
from bench.processes import cpu_seconds, family, pin
from demo.service import Service
from demo.stores import start_redis

CONNECTIONS = 32  # of each worker: two are for twice the users
NUMBERS = (1, 2)
THINK = 6  # milliseconds at most, with a core each: wrk and the origin have to get along with what is left of both
SCRIPT = Path(__file__).parent / "paced.lua"


def workers(where: Cores, rounds: int, seconds: int) -> list[dict[str, Any]]:
    """Runs with one worker and with two, interleaved; both with Redis, as two need it. Once each
    has a core of its own, which wrk and the origin use as well, and once all have one core, which those do not use."""
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
        one_round(started, origin, where, 1)  # warms up and does not count
        return [
            {"round": number, **run}
            for number in range(1, rounds + 1)
            for run in one_round(started, origin, where, seconds)
        ]


def one_round(started: dict[int, servers.Ours], origin: Service, where: Cores, seconds: int) -> list[dict[str, Any]]:
    runs = []
    for cores, (number, ours) in product((CORE_EACH, ONE_CORE), started.items()):
        _laid_out(cores, ours.service, origin, where)
        wrk = _command(cores, ours.service.url + PATH, CONNECTIONS * number, where, seconds)
        before = cpu_seconds(ours.service.process.pid)
        ran = load.load(wrk, seconds)
        cpu = cpu_seconds(ours.service.process.pid) - before
        runs.append(
            {
                "cores": cores,
                "workers": number,
                "rate": round(ran.rate, 1),
                "p50": ran.p50,
                "p99": ran.p99,
                "cpu_us": round(cpu / max(1, ran.requests) * 1e6, 2),
                "errors": ran.errors,
            }
        )
    return runs


def _laid_out(cores: str, ours: Service, origin: Service, where: Cores) -> None:
    """Who runs where. The first process is the supervisor, if there is one, then come the workers."""
    every = sorted(os.sched_getaffinity(0))
    others = [core for core in every if core != where.measured]
    pin(origin.process.pid, every if cores == CORE_EACH else [where.origin])
    for place, process in enumerate(reversed(family(ours.process.pid))):
        pin(process, [others[0]] if cores == CORE_EACH and place == 1 else [where.measured])


def _command(cores: str, url: str, connections: int, where: Cores, seconds: int) -> list[str]:
    wrk = load.command(url, connections=connections, seconds=seconds, core=where.load, headers={})
    if cores == ONE_CORE:
        return wrk
    every = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    wrk[wrk.index("--cpu-list") + 1] = every
    environment = ["env", f"BENCH_REPORT={load.REPORT}", f"BENCH_THINK={THINK}"]
    return environment + [str(SCRIPT) if word == str(load.REPORT) else word for word in wrk]
