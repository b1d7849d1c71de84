"""How many of the fields that are proved, though they are noise, are false: simulated, to hold against the level."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from shadow.experiment import Limits
from shadow.noise import Field, Fields, Look, Lot, Noise, Standing
from shadow.stakes import LEVEL

RATES: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)  # how often each field of noise differs, on either side
WORSE: Final = ((0.05, 0.5), (0.2, 0.6), (0.1, 1.0))  # how often in the control and in the candidate, which is wrong
COMPARISONS: Final = 1_000
USUAL: Final = Limits().noise
QUANTILE: Final = 1.96


@dataclass(frozen=True, slots=True)
class Simulated:
    """The false discoveries as a part of all, in the mean of the runs: at the end, and at the moment of each run that
    looks worst, with 95 % intervals. `power`: the part of the fields that differ that was proved at the end."""

    level: float
    runs: int
    at_the_end: float
    at_the_end_interval: tuple[float, float]
    at_its_worst: float
    at_its_worst_interval: tuple[float, float]
    power: float


def simulated(runs: int, seed: int, *, alike: int = 3) -> Simulated:
    """`alike`: how many fields of noise there are of each rate. All fields hang together: half of what makes one differ
    makes all of them."""
    chance = random.Random(seed)  # chance, not secrecy
    ends, worsts, powers = zip(*(_run(chance, alike) for _ in range(runs)), strict=True)
    return Simulated(LEVEL, runs, fmean(ends), _interval(ends), fmean(worsts), _interval(worsts), fmean(powers))


def _run(chance: random.Random, alike: int) -> tuple[float, float, float]:
    null = {Field(f"noise {rate} {number}", "value"): (rate, rate) for rate in RATES for number in range(alike)}
    wrong = {Field(f"wrong {pair}", "value"): pair for pair in WORSE}
    every, noise, worst = {**null, **wrong}, Noise(), 0.0
    proved: Fields = frozenset()
    for _ in range(COMPARISONS):
        differs = _compared(chance, noise, every)
        if differs:
            proved = frozenset(each for each in every if noise.standing(each) is Standing.PROVED)
            worst = max(worst, _false(proved, null.keys()))
    return _false(proved, null.keys()), worst, len(proved & wrong.keys()) / len(wrong)


def _compared(chance: random.Random, noise: Noise, every: Mapping[Field, tuple[float, float]]) -> bool:
    """One comparison as `Inquiry` learns from it, and whether anything differed."""
    likely = noise.chance(USUAL)
    both, first = chance.random() < likely, chance.random() < 0.5
    here, there = chance.random(), chance.random()
    candidate = frozenset(each for each, (_, rate) in every.items() if _differs(chance, here, rate))
    control = frozenset(each for each, (rate, _) in every.items() if _differs(chance, there, rate)) if both else None
    noise.draw(Lot(likely, both, (control if both and not first else candidate, candidate, control)))
    if control is not None:
        noise.hear(Look(candidate, control))
    noise.meet(candidate)
    return bool(candidate or control)


def _differs(chance: random.Random, shared: float, rate: float) -> bool:
    return (shared if chance.random() < 0.5 else chance.random()) < rate


def _false(proved: Fields, null: Collection[Field]) -> float:
    return sum(1 for each in proved if each in null) / max(1, len(proved))


def _interval(values: tuple[float, ...]) -> tuple[float, float]:
    half = QUANTILE * stdev(values) / len(values) ** 0.5
    return max(0.0, fmean(values) - half), fmean(values) + half
