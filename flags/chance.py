"""How often a judge by thresholds errs. No I/O, no clock.

Requests and failures come as they like, so that the counts of a window are Poisson's. A window trips each time it comes
from within the thresholds to beyond them: by a failure that comes, an answer that has become too old to count, the last
answer that was needed, or a failure of legacy's that has become too old. How often each of these happens is added up in
full, first while the window fills, then for a day. That is a bound: what lasts for less than a second between two looks
goes unnoticed. The number of legacy's answers is taken for what it is in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from flags.evidence.forecast import Traffic
from flags.rollback import Rule

DAY = 86_400
WIDE = 7  # standard deviations from its mean within which a count lies


def false_alarm(traffic: Traffic, rule: Rule, within: float = DAY) -> float:
    """The chance, or a little more, that a route on which nothing is wrong trips so many seconds after a change."""
    whole = max(1, math.ceil(rule.window))
    filling = sum(_Window(traffic, seconds, rule).failures for seconds in range(1, whole))
    return -math.expm1(-filling - _Window(traffic, rule.window, rule).ways * within)


class _Window:
    """How often a second one of so many `seconds` comes to trip: by `failures` of native's alone, in all `ways`."""

    def __init__(self, traffic: Traffic, seconds: float, rule: Rule) -> None:
        failing = traffic.baseline
        failed, others = _Count(traffic.native * failing * seconds), _Count(traffic.legacy * failing * seconds)
        served = _Count(traffic.native * (1 - failing) * seconds)
        asked = traffic.legacy * seconds
        self.failures = self.ways = 0.0
        for here in range(failed.first, failed.last + 1):
            if not served.between(*_tripping(here + 1, 0, asked, rule)):
                continue  # whatever legacy does
            for there in range(others.first, others.last + 1):
                within, chance = _tripping(here, there, asked, rule), failed.at(here) * others.at(there) / seconds
                now, more, fewer = (
                    served.between(*each)
                    for each in (
                        within,
                        _tripping(here + 1, there, asked, rule),
                        _tripping(here, there + 1, asked, rule),
                    )
                )
                self.failures += chance * (more - now) * failed.mean
                self.ways += chance * ((more - now) * failed.mean + max(now - fewer, 0.0) * others.mean)
                if within[0] <= within[1]:
                    self.ways += chance * (served.at(within[1]) + served.at(within[0] - 1)) * served.mean


def _tripping(failed: int, others: int, asked: float, rule: Rule) -> tuple[int, int]:
    """How few and how many native may have served for so many failures to be too many."""
    limit = max(rule.max_error_rate, rule.max_excess + others / asked if asked else 0.0)
    least = max(rule.min_requests - failed, 0)
    most = math.ceil(failed * (1 - limit) / limit) - 1 if limit else DAY * 10**6 * min(failed, 1) - 1
    return least, most


class _Count:
    """A Poisson count: its chances, as far as they matter."""

    def __init__(self, mean: float) -> None:
        self.mean = mean
        spread = WIDE * math.sqrt(mean) + WIDE
        self.first, self.last = max(0, math.floor(mean - spread)), math.ceil(mean + spread)
        self._chances: Sequence[float] = [_chance(count, mean) for count in range(self.first, self.last + 1)]
        self._below = [0.0, *accumulate(self._chances)]

    def at(self, count: int) -> float:
        return self._chances[count - self.first] if self.first <= count <= self.last else 0.0

    def between(self, least: int, most: int) -> float:
        low, high = max(least - self.first, 0), min(most + 1, self.last + 1) - self.first
        return self._below[high] - self._below[low] if low < high else 0.0


def _chance(count: int, mean: float) -> float:
    if not mean:
        return float(count == 0)
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
