"""Measure tables of every size in turn, round after round: `python -m bench.routes [--rounds 5] [--seconds 3]`."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import load, record, servers
from bench.figures import table
from bench.machine import Cores, cores
from bench.patterns import PATH
from bench.processes import cpu_seconds
from bench.routes import summary
from bench.routes.lookup import lookup, requests
from bench.routes.summary import ASGI, COUNTS, ONE, RELAY, SPREAD
from demo.service import Service

CONNECTIONS = 32
SCRIPT = Path(__file__).parent / "spread.lua"


def main() -> None:
    parser = argparse.ArgumentParser("bench.routes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    options = parser.parse_args()
    where = cores()
    lookups = {str(count): lookup(count) for count in COUNTS}  # before anything else wants the core
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
        origin = running.enter_context(servers.nginx_origin(where.origin, directory))
        tables = {
            (way, count): servers.strangler(
                f"strangler {way} {count}",
                servers.configured(origin.port, native=way == ASGI, count=count),
                cores=[where.measured],
                directory=directory,
            )
            for way in (RELAY, ASGI)
            for count in COUNTS
        }
        for ours in tables.values():
            running.enter_context(ours.service)
            servers.answering(ours.service)
        lists = {count: _listed(count, directory) for count in COUNTS}
        runs, commands = measured(tables, lists, where, options)
        answered = {f"{way}, {count}": _routes_asked(ours) for (way, count), ours in tables.items()}
    figures = summary.figures(runs)
    targets = summary.targets(runs)
    kept = record.keep(
        "routes",
        {
            "cores": asdict(where),
            "commands": commands,
            "targets": targets,
            "medians": figures,
            "lookup": lookups,
            "routes that were asked": answered,
            "runs": runs,
        },
    )
    print(f"medians of {options.rounds} runs of {options.seconds} s, {CONNECTIONS} connections")
    print(f"{summary.loads_table(figures)}\n\n{_lookups_table(lookups)}\n")
    print(f"{summary.targets_table(targets)}\n\nKept in {kept}")


def measured(
    tables: Mapping[tuple[str, int], servers.Ours], lists: Mapping[int, Path], where: Cores, options: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """All runs, interleaved: what disturbs the machine for a while disturbs every table. And wrk's command lines."""
    runs: list[dict[str, Any]] = []
    commands: dict[str, str] = {}
    for number in range(options.rounds + 1):
        for asked in (ONE, SPREAD):
            # Every other round goes backwards: what grows slowly while a round lasts is no table's own.
            for way, count in sorted(tables, reverse=bool(number % 2)):
                seconds = options.seconds if number else 1  # the first round warms up and does not count
                service = tables[way, count].service
                wrk = _command(service, asked, lists[count], where, seconds)
                before = cpu_seconds(service.process.pid)
                ran = load.load(wrk, seconds)
                used = cpu_seconds(service.process.pid) - before
                commands[asked] = " ".join(wrk)
                if number:
                    runs.append({"round": number, "asked": asked, "way": way, "routes": count, **_told(ran, used)})
    return runs, commands


def _told(ran: load.Load, used: float) -> dict[str, Any]:
    return {
        **asdict(ran),
        "rate": round(ran.rate, 1),
        "cpu_us": round(used / max(1, ran.requests) * 1e6, 2),
        "busy": round(used / ran.seconds, 3),
        "errors": ran.errors,
    }


def _command(service: Service, asked: str, listed: Path, where: Cores, seconds: int) -> list[str]:
    wrk = load.command(service.url + PATH, connections=CONNECTIONS, seconds=seconds, core=where.load, headers={})
    if asked == ONE:
        return wrk
    environment = ["env", f"BENCH_REPORT={load.REPORT}", f"BENCH_REQUESTS={listed}"]
    return environment + [str(SCRIPT) if word == str(load.REPORT) else word for word in wrk]


def _listed(count: int, directory: Path) -> Path:
    path = directory / f"requests-{count}"
    path.write_text("".join(f"{method} {path.decode()}{os.linesep}" for method, path in requests(count)))
    return path


def _routes_asked(ours: servers.Ours) -> int:
    """Of how many routes a request was counted."""
    counted = ours.counted("strangler_requests_total")
    return len({series.partition('route="')[2].partition('"')[0] for series, number in counted.items() if number})


def _lookups_table(lookups: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(f"{count} routes", each["matched_us"], each["unmatched_us"]) for count, each in lookups.items()]
    return table([("the look-up alone, µs", "of a route", "of none"), *rows])


if __name__ == "__main__":
    main()
