"""From runs to medians, ratios and targets. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.figures import medians, met, quantile, ratio, table

DIRECT, NGINX = "direct", "nginx"
RELAY, ASGI = "strangler", "strangler, native by URL"
AIOHTTP, FASTAPI = "aiohttp", "fastapi-proxy-lib"
FIGURES = ("rate", "p50", "p90", "p99", "cpu_us", "busy", "origin_busy", "wrk_busy", "others_busy")
# Of one core: beyond it a server is taken to be the bottleneck of its run.
SATURATED = 0.93
# Of one core: what the machine's own chores may take.
QUIET = 0.1

# Where two workers run: as whoever starts two would have it, and where they want the same caches.
CORE_EACH, ONE_CORE = "a core each", "one core for both"

Run = Mapping[str, Any]
Medians = Mapping[str, Mapping[str, float]]


def by_peer(runs: Iterable[Run], load: str) -> dict[str, dict[str, float]]:
    """Each peer's medians under one load, with the sum of its errors."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        if run["load"] == load:
            grouped.setdefault(run["peer"], []).append(run)
    return {
        peer: {**medians(own, FIGURES), "errors": sum(run["errors"] for run in own)} for peer, own in grouped.items()
    }


def added(peers: Medians, peer: str) -> float:
    """How much later than without any proxy the middle answer comes, in milliseconds."""
    return peers[peer]["p50"] - peers[DIRECT]["p50"]


def targets(many: Medians, one: Medians) -> dict[str, dict[str, float | bool]]:
    """What the proxy promises, beside what was measured with many connections and with one."""
    ours, nginx = many[RELAY], many[NGINX]
    return {
        "requests/s, of nginx": met(ratio(ours["rate"], nginx["rate"]), least=0.45),
        "p99, of nginx": met(ratio(ours["p99"], nginx["p99"]), most=3.0),
        "median added at c=1, of nginx": met(ratio(added(one, RELAY), added(one, NGINX)), most=2.0),
        "requests/s, of fastapi-proxy-lib": met(ratio(ours["rate"], many[FASTAPI]["rate"]), least=40),
        "requests/s, of an aiohttp proxy": met(ratio(ours["rate"], many[AIOHTTP]["rate"]), least=3),
        "failed requests": met(ours["errors"] + one[RELAY]["errors"], most=0),
    }


def workers_target(runs: Sequence[Run]) -> dict[str, dict[str, float | bool]]:
    """The cost of a request with two workers beside that with one: the middle one of the rounds, each of which compares
    what was measured within seconds."""
    failed = sum(run["errors"] for run in runs)
    return {
        "processor time a request with 2 workers, of 1": met(_of_one(runs, CORE_EACH), most=1.1),
        "the same where both have one core": met(_of_one(runs, ONE_CORE), most=1.1),
        "failed requests with workers": met(failed, most=0),
    }


def _of_one(runs: Iterable[Run], cores: str) -> float:
    costs = {(run["round"], run["workers"]): run["cpu_us"] for run in runs if run["cores"] == cores}
    return quantile([ratio(cost, costs[number, 1]) for (number, workers), cost in costs.items() if workers == 2], 0.5)


def disturbances(runs: Iterable[Run]) -> list[str]:
    """Whether something else ran meanwhile, which makes ratios worthless if it was much."""
    used = quantile([run["others_busy"] for run in runs], 0.9)
    if used <= QUIET:
        return []
    return [f"something else took up to {used:.2f} cores in most runs: measure again when the machine is quiet"]


def remarks(many: Medians) -> list[str]:
    """Peers that the load did not keep busy: their figure is that of wrk and the origin, who share what is left."""
    return [
        f"{peer} had its core only {figures['busy']:.0%} busy: the load was the limit, and it can do about "
        f"{figures['rate'] / figures['busy']:,.0f} requests/s"
        for peer, figures in many.items()
        if peer != DIRECT and figures["busy"] < SATURATED
    ]


def peers_table(peers: Medians) -> str:
    head = ("", "requests/s", "of nginx", "p50 ms", "p90 ms", "p99 ms", "CPU µs", "of nginx", "busy", "errors")
    nginx = peers.get(NGINX, {"rate": math.nan, "cpu_us": math.nan})
    rows = [
        (
            peer, own["rate"], ratio(own["rate"], nginx["rate"]), own["p50"], own["p90"], own["p99"],
            own["cpu_us"], ratio(own["cpu_us"], nginx["cpu_us"]), own["busy"], own["errors"],
        )
        for peer, own in peers.items()
    ]  # fmt: skip
    return table([head, *rows])


def targets_table(told: Mapping[str, Mapping[str, float | bool]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
