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


def cost(without: Sequence[float], beside: Sequence[float]) -> dict[str, float]:
    """How many times as long users wait, by pairs: the mean of the ratios, and its 95 % interval (bootstrap)."""
    logarithms = [math.log(one / other) for one, other in zip(beside, without, strict=True)]
    chance = random.Random(1)  # chance, not secrecy
    means = [fmean(chance.choices(logarithms, k=len(logarithms))) for _ in range(RESAMPLES)]
    low, high = quantile(means, 0.025), quantile(means, 0.975)
    figures = {"ratio": fmean(logarithms), "low": low, "high": high}
    return {name: round(math.exp(value), 3) for name, value in figures.items()}


def costs(rounds: Sequence[Mapping[str, Mapping[str, float]]], off: str) -> dict[str, dict[str, dict[str, float]]]:
    """By case and quantile. A case that was not in a round has no pair there."""
    cases = dict.fromkeys(case for each in rounds for case in each if case != off)
    told: dict[str, dict[str, dict[str, float]]] = {}
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


def costs_table(told: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    rows = [
        (f"{case}: {of}", *(each[of][figure] for figure in ("ratio", "low", "high")))
        for case, each in told.items()
        for of in WANTED
    ]
    return table([("times without shadow", "mean", "from", "to"), *rows])


def targets_table(told: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
