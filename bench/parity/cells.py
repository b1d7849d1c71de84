"""What is simulated: thousands of runs of a route's comparisons, each ending in a mismatch with a chance of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shadow.parity import ALPHA, MIXTURE, refuted

Chances = NDArray[np.float64]  # one for each run
Counts = NDArray[np.int64]
Chance = Callable[[int, Counts], Chances | float]  # what was compared and mismatched so far → the next one's chance
EVERY = 5  # comparisons between two looks
MOST = 600.0  # a logarithm beyond which nothing is refuted the more


@dataclass(frozen=True, slots=True)
class Drift:
    """Chances that change: is the mean so far ever refuted?"""

    name: str
    chance: Chance
    comparisons: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A constant rate, and somebody who goes on as soon as more than `allowed` is refuted."""

    rate: float
    allowed: float
    comparisons: int


def _spiteful(before: int, against: Counts) -> Chances:
    """They agree until that is nearly believed, and then no longer."""
    return np.where(_refuted(np.full(len(against), 0.01), max(before, 1), against), 0.2, 0.001)


DRIFTS = [
    Drift("0.1 %, and after 5 000 a release with 2 %", lambda before, _: 0.001 if before < 5_000 else 0.02, 20_000),
    Drift("5 %, and after 2 000 a release with 0.05 %", lambda before, _: 0.05 if before < 2_000 else 0.0005, 20_000),
    Drift("falling from 20 %", lambda before, _: 0.2 / (1 + before / 200), 10_000),
    Drift("up and down by the day, 0.1 % to 2 %", lambda n, _: 0.0105 - 0.0095 * np.cos(n / 800), 20_000),
    Drift("20 % whenever 1 % is nearly believed", _spiteful, 5_000),
]
STOPS = [Stop(rate, 0.005, 20_000) for rate in (0.0, 0.0005, 0.0025, 0.0055, 0.01)]


def drifting(drift: Drift, runs: int, seed: int) -> int:
    """In how many runs the mean was ever refuted."""
    random, against, expected = np.random.default_rng(seed), np.zeros(runs, dtype=np.int64), np.zeros(runs)
    wrong = np.zeros(runs, dtype=bool)
    for before in range(drift.comparisons):
        chance = drift.chance(before, against)
        expected += chance
        against += random.random(runs) < chance
        if before % EVERY == EVERY - 1:
            wrong |= _refuted(expected / (before + 1), before + 1, against)
    return int(wrong.sum())


def stopping(stop: Stop, runs: int, seed: int) -> dict[str, Any]:
    """After how many comparisons each run goes on, if it does."""
    random, against = np.random.default_rng(seed), np.zeros(runs, dtype=np.int64)
    went, most = np.zeros(runs, dtype=np.int64), -1
    for compared in range(1, stop.comparisons + 1):
        against += random.random(runs) < stop.rate
        while refuted(stop.allowed, compared, most + 1):
            most += 1
        went[(against <= most) & (went == 0)] = compared
    gone = went[went > 0]
    middle = float(np.median(gone)) if 2 * len(gone) > runs else None
    return {"runs": runs, "went on": len(gone), "median comparisons": middle}


def unconfirmed(rate: float, lost: float, comparisons: int, runs: int, seed: int) -> tuple[int, int]:
    """Of mismatches a part cannot be confirmed: in how many runs the bound errs, and that without them."""
    random = np.random.default_rng(seed)
    wrong = np.zeros((2, runs), dtype=bool)
    mismatched, doubtful = (np.zeros(runs, dtype=np.int64) for _ in range(2))
    for compared in range(1, comparisons + 1):
        drawn = random.random(runs)
        doubtful += drawn < rate * lost
        mismatched += (drawn >= rate * lost) & (drawn < rate)
        if compared % EVERY == 0:
            true = np.full(runs, rate)
            wrong[0] |= _refuted(true, compared, mismatched + doubtful)
            wrong[1] |= _refuted(true, compared - doubtful, mismatched)
    return int(wrong[0].sum()), int(wrong[1].sum())


def users(each: int, runs: int, seed: int, comparisons: int = 5_000) -> int:
    """One user in a hundred always gets other answers, and all ask so often: in how many runs 1 % is refuted."""
    random = np.random.default_rng(seed)
    cursed = random.random((comparisons // each, runs)) < 0.01
    against, wrong = np.cumsum(cursed, axis=0) * each, np.zeros(runs, dtype=bool)
    for place, counted in enumerate(against):
        wrong |= _refuted(np.full(runs, 0.01), (place + 1) * each, counted)
    return int(wrong.sum())


def _refuted(rates: Chances, compared: int | Counts, against: Counts) -> NDArray[np.bool_]:
    """`shadow.parity.refuted` in arrays; a test compares them."""
    none = np.minimum(-compared * np.log1p(-np.minimum(rates, 1 - 1e-16)), MOST)
    grown = np.where(against == 0, 0.5 * np.exp(none), 0.0)
    for logarithm, factor, staked in MIXTURE:
        grown += np.exp(np.minimum(staked + against * logarithm - compared * np.log1p(-rates * (1 - factor)), MOST))
    found: NDArray[np.bool_] = grown >= 1 / ALPHA
    return found
