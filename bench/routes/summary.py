"""From runs to medians and ratios. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from bench.figures import medians, met, ratio, table

COUNTS = (10, 200, 1_000)
RELAY, ASGI = "relay", "ASGI"
ONE, SPREAD = "one path", "every route in turn"
FIGURES = ("rate", "p50", "p99", "cpu_us", "busy")

Run = Mapping[str, Any]
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


def figures(runs: Iterable[Run]) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of each way and kind of load, by the number of routes."""
    grouped: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        same = grouped.setdefault(f"{run['way']}, {run['asked']}", {})
        same.setdefault(str(run["routes"]), []).append(run)
    return {load: {count: medians(own, FIGURES) for count, own in same.items()} for load, same in grouped.items()}


def targets(runs: Sequence[Run]) -> dict[str, dict[str, float | bool]]:
    """1 000 routes beside 10, each pair of runs from one round: what disturbed one of them disturbed the other."""
    few, many = min(COUNTS), max(COUNTS)
    rates = {(run["way"], run["asked"], run["round"], run["routes"]): run["rate"] for run in runs}
    told = {}
    for way in (RELAY, ASGI):
        for asked in (ONE, SPREAD):
            rounds = {run["round"] for run in runs}
            pairs = [ratio(rates[way, asked, each, many], rates[way, asked, each, few]) for each in rounds]
            told[f"requests/s with {many} routes, of {few} ({way}, {asked})"] = met(median(pairs), least=0.95)
    return {**told, "failed requests": met(sum(run["errors"] for run in runs), most=0)}


def loads_table(told: Figures) -> str:
    rows = [
        (f"{load}, {count} routes", own["rate"], own["p50"], own["p99"], own["cpu_us"], own["busy"])
        for load, counts in told.items()
        for count, own in sorted(counts.items(), key=lambda item: int(item[0]))
    ]
    return table([("", "requests/s", "p50 ms", "p99 ms", "CPU µs", "busy"), *rows])


def targets_table(told: Mapping[str, Mapping[str, float | bool]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
