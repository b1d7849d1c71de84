"""The chance that a bound is ever below the true rate, if anybody looks after each comparison. No chance is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shadow.parity import ALPHA, refuted

Chances = NDArray[np.float64]  # of each number of mismatches
TINY = 1e-15  # below it a number of mismatches is no longer looked at


@dataclass(frozen=True, slots=True)
class Ever:
    """The chance that the true rate was ever refuted, by the bound and by the one of a single look."""

    bound: float
    single: float


def ever_wrong(rate: float, comparisons: int) -> Ever:
    """Whether it was is known for each number of mismatches: the more there are, the less is refuted."""
    every, ours, theirs = (np.array([1.0]) for _ in range(3))
    most, lost, lost_at_once = -1, 0.0, 0.0
    for compared in range(1, comparisons + 1):
        every, ours, theirs = (_next(each, rate) for each in (every, ours, theirs))
        while most + 1 < len(ours) and refuted(rate, compared, most + 1):
            most += 1
        lost += _taken(ours, most)
        lost_at_once += _taken(theirs, int(np.searchsorted(np.cumsum(every), ALPHA, side="right")) - 1)
    return Ever(lost, lost_at_once)


def _next(before: Chances, rate: float) -> Chances:
    """After one comparison more."""
    grown = np.append(before, 0.0) if before[-1] > TINY or len(before) < 3 else before
    after: Chances = grown * (1 - rate)
    after[1:] += grown[:-1] * rate
    return after


def _taken(chances: Chances, most: int) -> float:
    """The chance of so many mismatches or fewer, of which no more is heard."""
    taken = float(chances[: most + 1].sum())
    chances[: most + 1] = 0.0
    return taken
