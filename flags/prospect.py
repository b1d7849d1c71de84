"""What a share would bring: how soon a defect would be noticed at it, by the route's own judge. No I/O, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flags.decide import in_force, paired
from flags.evidence.detector import Standard
from flags.evidence.forecast import DELAY, Foretold, Traffic, foretell
from flags.flag import WHOLE
from flags.rollback import Judge, Rule

DEFECTS = (0.01, 0.05, 0.5)  # the part of its requests that native fails on top of what it always does


@dataclass(frozen=True, slots=True)
class Prospect:
    """For each of `DEFECTS` when it would be noticed; None: not within hours."""

    share: int
    noticed: tuple[Foretold | None, ...]


def prospect(share: int, holdback: int, rate: float, rule: Rule, shadow: int = 0) -> Prospect:
    """Of a route of so many requests a second, each taken for another user's; `shadow` is its shadow share."""
    native = rate * in_force(share, holdback) / WHOLE
    traffic = Traffic(native, rate - native, paired=rule.paired and paired(share, shadow, holdback))
    if rule.judge is Judge.EVIDENCE:
        standard = Standard.of_failures(rule.max_error_rate, rule.alpha)
        return Prospect(share, tuple([foretell(traffic, defect, standard) for defect in DEFECTS]))
    return Prospect(share, tuple([_by_thresholds(traffic, defect, rule) for defect in DEFECTS]))


def _by_thresholds(traffic: Traffic, defect: float, rule: Rule) -> Foretold | None:
    """In the mean, the window fills with the defect until both of its limits are passed."""
    over = max(rule.max_error_rate - traffic.baseline, rule.max_excess if traffic.legacy else 0.0)
    if traffic.native * rule.window < rule.min_requests or defect <= over:
        return None
    seconds = rule.window * over / defect + DELAY
    return Foretold(math.ceil(seconds), round(traffic.native * (traffic.baseline + defect) * seconds))
