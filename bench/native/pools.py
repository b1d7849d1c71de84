"""Measure native with pools of several sizes: `python -m bench.native.pools [--sizes 1 2 4 8 16] [--rounds 3]`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import record
from bench.figures import medians, ratio, table
from bench.native import asked, runs, stage
from bench.native.summary import FIGURES

SIZES = (1, 2, 4, 8, 16)
MESSAGES = 400_000


def main() -> None:
    parser = argparse.ArgumentParser("bench.native.pools", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="connections of each process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32, help="of the clients")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="rows in the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strangler-bench-") as temporary:
        directory = Path(temporary)
        with stage.staged(directory, options.processes, options.messages, stage.pools(options.sizes)) as pools:
            ran = measured(pools, options, directory)
            rows = dict(pools.rows)
    figures = by_size(ran)
    told = {"processes": options.processes, "connections": options.connections, "rows": rows, "asked": asked.MIXED}
    kept = record.keep("pools", {**told, "medians": figures, "runs": ran})
    print(f"medians of {options.rounds} runs of {options.seconds} s, {told}\n{sizes_table(figures)}\n\nKept in {kept}")


def measured(pools: stage.Stage, options: argparse.Namespace, directory: Path) -> list[dict[str, Any]]:
    """Size after size, round after round; the first warms up and does not count."""
    ran: list[dict[str, Any]] = []
    first, last = 0, pools.rows["conversations"] - asked.SEEDED
    for number in range(options.rounds + 1):
        for size, server in pools.servers.items():
            seconds = options.seconds if number else 1
            count = min(asked.EACH_ONCE, last) // 2
            first = first if first + count <= last else 0
            requests = asked.mixed(server.port, first, pools.tokens(), count)
            one = runs.ran(pools, size, requests, seconds, directory, options.connections)
            first += count
            if number:
                ran.append({"round": number, "pool": int(size), **one, "served": served(one)})
    return ran


def served(run: Mapping[str, Any]) -> float:
    """Requests/s, without those that found no connection."""
    return float(round((run["requests"] - run["errors"]) / run["seconds"], 1))


def by_size(ran: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The medians of each size, with the sum of the errors."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for run in ran:
        grouped.setdefault(str(run["pool"]), []).append(run)
    return {
        size: {**medians(own, (*FIGURES, "served")), "errors": sum(run["errors"] for run in own)}
        for size, own in grouped.items()
    }


def sizes_table(figures: dict[str, dict[str, float]]) -> str:
    best = max(own["served"] for own in figures.values())
    head = ("connections", "served/s", "of the most", "p50 ms", "p99 ms", "CPU µs", "stores' µs", "refused")
    rows = [
        (
            *(size, own["served"], ratio(own["served"], best), own["p50"], own["p99"]),
            *(own["cpu_us"], own["stores_us"], own["errors"]),
        )
        for size, own in figures.items()
    ]
    return table([head, *rows])


if __name__ == "__main__":
    main()
