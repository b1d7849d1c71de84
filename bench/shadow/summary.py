"""From pairs of runs, one of them without shadow, to what the shadow costs. No I/O."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from bench.figures import met, quantile, table

WANTED = {"p50": 1.05, "p99": 1.10}  # times what users wait for without shadow
HELD = 64.0  # MiB that a proxy may have grown by
RESAMPLES = 4_000

Figures = dict[str, float]


def cost(without: Sequence[float], beside: Sequence[float]) -> Figures:
    """By pairs, each with its 95 % interval (bootstrap): how many times as long users wait, the geometric mean of the
    ratios, and how much longer in milliseconds, the mean of the differences."""
    pairs = list(zip(without, beside, strict=True))
    ratio = _mean([math.log(one / other) for other, one in pairs])
    added = _mean([one - other for other, one in pairs])
    return {
        **{name: round(math.exp(value), 3) for name, value in zip(("ratio", "low", "high"), ratio, strict=True)},
        **{name: round(value, 3) for name, value in zip(("added", "added_low", "added_high"), added, strict=True)},
    }


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    """And the ends of its interval."""
    chance = random.Random(1)  # chance, not secrecy
    means = [fmean(chance.choices(values, k=len(values))) for _ in range(RESAMPLES)]
    return fmean(values), quantile(means, 0.025), quantile(means, 0.975)


def costs(rounds: Sequence[Mapping[str, Mapping[str, float]]], off: str) -> dict[str, dict[str, Figures]]:
    """By case and quantile. A case that was not in a round has no pair there."""
    cases = dict.fromkeys(case for each in rounds for case in each if case != off)
    told: dict[str, dict[str, Figures]] = {}
    for case in cases:
        pairs = [(each[off], each[case]) for each in rounds if case in each]
        told[case] = {of: cost([pair[0][of] for pair in pairs], [pair[1][of] for pair in pairs]) for of in WANTED}
    return told


def targets(
    told: Mapping[str, Mapping[str, Mapping[str, float]]], grown: Mapping[str, float], failed: int
) -> dict[str, dict[str, float | bool]]:
    """`told`: of the proxy's own cases; `grown`: MiB, by case."""
    times = {
        f"{of}, times without shadow ({case})": met(each[of]["ratio"], most=wanted)
        for case, each in told.items()
        for of, wanted in WANTED.items()
    }
    memory = {f"memory, MiB more at most ({case})": met(mib, most=HELD) for case, mib in grown.items()}
    return {**times, **memory, "failed requests": met(failed, most=0)}


def costs_table(told: Mapping[str, Mapping[str, Mapping[str, float]]], busy: Mapping[str, float]) -> str:
    head = ("", "times as long", "from", "to", "ms more", "from", "to", "core")
    figures = ("ratio", "low", "high", "added", "added_low", "added_high")
    rows = [
        (f"{case}: {of}", *(each[of][figure] for figure in figures), busy.get(case))
        for case, each in told.items()
        for of in WANTED
    ]
    return table([head, *rows])


def targets_table(told: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
