"""How much shadow work there may be at this moment: less as soon as anybody else feels it. No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

FLOOR: Final = 1 / 64  # of the work goes on whatever happens: who stops asking does not hear that it is over
STEP: Final = 0.05  # of the work that is added in a second: back to all of it in twenty


class Cause(enum.Enum):
    """Why there is less of it."""

    EVENT_LOOP = "event_loop"
    LEGACY_SLOW = "legacy_slow"
    CANDIDATE_BUSY = "candidate_busy"
    IN_VAIN = "in_vain"


class Bounds(NamedTuple):
    """A cause begins above `high`, and lasts until it is no more than `low`."""

    low: float
    high: float


BOUNDS: Final[Mapping[Cause, Bounds]] = {
    Cause.EVENT_LOOP: Bounds(0.010, 0.020),  # seconds by which a typical round comes late
    Cause.LEGACY_SLOW: Bounds(0.10, 0.15),  # of its answers that took longer than its usual p95: 0.05 is as ever
    Cause.CANDIDATE_BUSY: Bounds(0.05, 0.20),  # of the answers to shadow requests that say so
    Cause.IN_VAIN: Bounds(0.20, 0.50),  # of the shadow requests: more is asked than a side can answer, or it is broken
}


@dataclass(frozen=True, slots=True)
class Pace:
    """The part of the work that is done, and why not all of it. Without a cause it is on its way back."""

    factor: float = 1.0
    causes: frozenset[Cause] = frozenset()


def paced(pace: Pace, seen: Mapping[Cause, float]) -> Pace:
    """The pace of the next second, from what was seen in the last one; what nobody could see is no cause.

    Down by half, back up in small steps: whoever yields together does not come back together with full force.
    """
    strained = {cause for cause, value in seen.items() if value > BOUNDS[cause].high}
    lasting = {cause for cause in pace.causes & seen.keys() if seen[cause] > BOUNDS[cause].low}
    if strained:
        factor = max(pace.factor / 2, FLOOR)
    elif lasting:
        factor = pace.factor
    else:
        factor = min(pace.factor + STEP, 1.0)
    return Pace(factor, frozenset(strained | lasting))
