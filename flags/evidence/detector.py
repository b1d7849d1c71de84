"""E-detectors: sums of e-values that are begun anew every second, so that a defect is found whenever it begins.

No I/O, no clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from flags.evidence.ratios import LIKELY, ODDS, SILENT, Trial, above, alone, alternatives, worse

MEMORY = 6 * 3600  # seconds in which what was once proved fades to a third
REST = MEMORY / 60  # what a sum amounts to in the mean as long as nothing is wrong: one e-value of 1 begun a minute
DAY = 24 * 60
DOUBT = 1.0  # e-value above the ceiling from which native is asked how it does beside legacy
ENOUGH = 100.0  # e-value that native is worse than legacy at which its failures are no outage that both share
# How the false alarms that are allowed are shared out: to either rule about failures, to late answers, and to 4xx, of
# which each status has its part.
PART_ABOVE, PART_WORSE, PART_LATE, PART_REFUSED = 0.6, 0.2, 0.1, 0.1
STATUSES = 8

# What `meanwhile` believes at first of each of the odds, for it is asked about defects that are large, and of each part
# of the pairs in which one side fails alone. These have a tenth: hardly missed by what proves something without them,
# and enough where users of legacy are too few to prove anything.
BELIEVED = (0.045, 0.09, 0.225, 0.54, 0.03, 0.07)

FADE = math.exp(-1 / MEMORY)
BEGUN = REST * (1 - FADE)  # each second, so that the sum stays at rest
MOST = 1e30  # no sum grows beyond it, and none has to
_ALIKE = (1 / len(ODDS),) * len(ODDS)  # what `worse` stakes on each
_EVEN = (1.0,) * len(ODDS)  # the factors of a second in which nobody was failed
_LARGEST = math.log(1e300)

Levels = tuple[float, ...]  # one for each alternative


class Rule(enum.Enum):
    """What a route trips by."""

    ABOVE = "A"
    WORSE = "B"
    LATE = "C"
    REFUSED = "D"


@dataclass(frozen=True, slots=True)
class Standard:
    """What native is held to: the rate of failures above which rule A applies, and the e-values that prove a defect.

    `proves`: the rule that is met where native is worse than legacy, by more than `excess`.
    """

    ceiling: float
    above: float
    worse: float
    proves: Rule = Rule.WORSE
    excess: float = 0.0

    @classmethod
    def of_failures(cls, ceiling: float, alpha: float) -> Standard:
        return cls(ceiling, bar(alpha * PART_ABOVE), bar(alpha * PART_WORSE))

    @classmethod
    def of_late_answers(cls, alpha: float, excess: float) -> Standard:
        """Two stacks are never equally quick: what is proved must also matter."""
        return cls(1.0, math.inf, bar(alpha * PART_LATE), Rule.LATE, excess)

    @classmethod
    def of_a_status(cls, alpha: float) -> Standard:
        return cls(1.0, math.inf, bar(alpha * PART_REFUSED / STATUSES), Rule.REFUSED)

    def passes(self, seen: Trial) -> bool:
        """Whether native is no worse than legacy, as far as it matters: then going back would mend nothing."""
        allowed = self.excess * seen.native * seen.legacy
        return seen.native_failed * seen.legacy <= seen.legacy_failed * seen.native + allowed


def bar(alpha: float) -> float:
    """The e-value that a sum reaches by chance alone on one day in 1 / `alpha` at most.

    Its mean is `REST` when the day begins, or less, and grows by one a minute: the rest is Doob's inequality.
    """
    return (REST + DAY) / alpha


@dataclass(slots=True)  # not frozen: one is made for each second of each route; nobody changes it
class Evidence:
    """What is proved up to `second`.

    `above`: native fails beyond its ceiling. `worse`: more often than legacy, as that stood at `compared`, the last
    second in which anybody was failed. `meanwhile`: more often than legacy since `above` is in doubt, by their users or
    by pairs. That is begun only once: an outage that both sides share has one chance, however long it lasts. `seen`:
    the subjects since the last second that gave no reason for doubt.
    """

    second: int
    above: Levels
    compared: int
    worse: Levels
    meanwhile: Levels | None = None
    seen: Trial = field(default_factory=Trial)

    @property
    def doubted(self) -> bool:
        """Whether there is any reason to ask further; at first there is."""
        return sum(self.above) >= DOUBT or sum(self.worse) > REST  # which it only nears while nobody is failed

    def worse_at(self, second: int) -> float:
        return sum(_step(self.worse, second - self.compared, None, _ALIKE))


def begin(second: int, standard: Standard) -> Evidence:
    """Before anything is known of native; `second` is the last one that does not count.

    A new share, a new release: this is when defects begin, and when the sums, at rest, have the least way to go.
    """
    above = tuple(REST * stake for stake, _ in zip(LIKELY, alternatives(standard.ceiling), strict=False))
    return Evidence(second, above, second, tuple(REST * stake for stake in _ALIKE))


def advance(before: Evidence, second: int, trial: Trial, standard: Standard, asked: Trial | None = None) -> Evidence:
    """The evidence with that of `second`, the next one in which anybody asked.

    Where only those are told in which anybody was failed, `asked` are the subjects since the one before.
    """
    ratios = worse(trial)
    factors = None if ratios is SILENT else [_exp(ratio) for ratio in ratios]
    exceeded = before.above and _step(
        before.above,
        second - before.second - 1,
        _above(standard.ceiling, trial.native, trial.native_failed),
        LIKELY,
    )
    meanwhile = None
    if sum(exceeded) >= DOUBT:
        meanwhile = before.meanwhile or (BELIEVED if sum(before.above) >= DOUBT else None)
        if meanwhile is not None and (factors is not None or trial.native_alone or trial.legacy_alone):
            each = *(factors or _EVEN), *[_exp(ratio) for ratio in alone(trial)]
            meanwhile = tuple([min(level * factor, MOST) for level, factor in zip(meanwhile, each, strict=True)])
    seen = before.seen + (asked or trial) if before.doubted else trial
    if factors is None:
        return Evidence(second, exceeded, before.compared, before.worse, meanwhile, seen)
    compared = _step(before.worse, second - before.compared - 1, factors, _ALIKE)
    return Evidence(second, exceeded, second, compared, meanwhile, seen)


@lru_cache(maxsize=4096)
def _above(ceiling: float, native: int, native_failed: int) -> Sequence[float]:
    """As factors: most seconds of most routes are alike."""
    return [_exp(ratio) for ratio in above(Trial(native, native_failed), alternatives(ceiling))]


def _step(levels: Levels, idle: int, factors: Sequence[float] | None, stakes: Levels) -> Levels:
    if idle > 0:
        faded, rest = FADE**idle, 1 - FADE**idle
        levels = tuple([level * faded + REST * stake * rest for level, stake in zip(levels, stakes, strict=False)])
    if factors is None:
        return levels
    steps = zip(levels, factors, stakes, strict=False)  # where there is no ceiling, nothing is staked against it
    return tuple([min((level * FADE + BEGUN * stake) * factor, MOST) for level, factor, stake in steps])


def _exp(ratio: float) -> float:
    return math.exp(min(ratio, _LARGEST))
