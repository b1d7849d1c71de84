"""From runs to medians, ratios and targets. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.figures import medians, met, ratio, table
from bench.native.asked import CREATE, EAGER, LEGACY, LIST, NATIVE, NATIVE_SMALL, SHOW, SHOW_UNREAD

FIGURES = ("rate", "p50", "p99", "cpu_us", "stores_us", "busy", "stores_busy")
# Of each route: how many times less processor time of the application's processes, how many times more requests.
CHEAPER = {LIST: 12, SHOW: 10, SHOW_UNREAD: 10, CREATE: 6}
FASTER = {LIST: 8, SHOW: 6, SHOW_UNREAD: 6, CREATE: 4}
FLAT = 1.25  # what a list may cost with a hundred times the rows, of what it costs without

Run = Mapping[str, Any]
Medians = Mapping[str, Mapping[str, Mapping[str, float]]]


def by_route(runs: Iterable[Run]) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of each route on each side, with the sum of the errors."""
    grouped: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        grouped.setdefault(run["route"], {}).setdefault(run["side"], []).append(run)
    return {
        route: {
            side: {**medians(own, FIGURES), "errors": sum(run["errors"] for run in own)} for side, own in each.items()
        }
        for route, each in grouped.items()
    }


def targets(figures: Medians, plans: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | bool]]:
    told = {}
    for route, least in CHEAPER.items():
        native, rails = figures[route][NATIVE], figures[route][EAGER]
        told[f"{route}: Rails' processor time, of native's"] = met(
            ratio(rails["cpu_us"], native["cpu_us"]), least=least
        )
        told[f"{route}: requests/s, of Rails'"] = met(ratio(native["rate"], rails["rate"]), least=FASTER[route])
    big, small = figures[LIST][NATIVE], figures[LIST][NATIVE_SMALL]
    whole = [figure["cpu_us"] + figure["stores_us"] for figure in (big, small)]
    told["list: processor time with all rows, of that with the seeds"] = met(ratio(*whole), most=FLAT)
    told["list: pages read with all rows, of those with the seeds"] = met(
        ratio(plans["grown"]["pages"], plans["seeds"]["pages"]), most=FLAT
    )
    errors = sum(side["errors"] for sides in figures.values() for side in sides.values())
    return {**told, "failed requests": met(errors, most=0)}


def routes_table(figures: Medians) -> str:
    rows: list[Sequence[Any]] = [
        ("", "requests/s", "of Rails'", "p50 ms", "p99 ms", "CPU µs", "Rails', of it", "stores' µs", "errors")
    ]
    for route, sides in figures.items():
        rails = sides[EAGER]
        rows += [
            (
                f"{route}: {side}", own["rate"], ratio(own["rate"], rails["rate"]), own["p50"], own["p99"],
                own["cpu_us"], ratio(rails["cpu_us"], own["cpu_us"]), own["stores_us"], own["errors"],
            )
            for side, own in sides.items()
        ]  # fmt: skip
    return table(rows)


def lazily(figures: Medians) -> dict[str, float]:
    """What Rails' list costs as it always was, of what it costs natively."""
    lazy, native = figures[LIST][LEGACY], figures[LIST][NATIVE]
    return {
        "CPU": ratio(lazy["cpu_us"], native["cpu_us"]),
        "stores": ratio(lazy["stores_us"], native["stores_us"]),
        "requests/s": ratio(native["rate"], lazy["rate"]),
    }


def targets_table(told: Mapping[str, Mapping[str, float | bool]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
