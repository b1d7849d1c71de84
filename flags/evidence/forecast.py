"""How long a defect would go unnoticed: how fast the evidence grows that judges, in the mean. No I/O, no clock.

In the mean over a second's requests, which come when they like, each logarithm moves by so much; the sum of what has
grown so far passes its bar at the time that is foretold. The median of simulated defects lies within a quarter of that,
be it seconds or half an hour (a test keeps them side by side); one in twenty takes twice as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from flags.evidence.detector import BEGUN, BELIEVED, DOUBT, ENOUGH, FADE, MEMORY, Standard
from flags.evidence.ratios import ALONE, LIKELY, ODDS, Trial, alternatives, worse

HORIZON = MEMORY  # seconds beyond which nothing is foretold: what would be proved fades as fast as it grows
DELAY = 0.5  # seconds in the mean until the next tick, which judges all that was counted up to it
POINTS = 5  # by which a count that comes by chance is stood for

_LARGEST = 700.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Distinct subjects a second on each side, and the part of them that either side fails while all is well.

    `paired`: what native fails is put to both sides once more, at the same moment.
    """

    native: float
    legacy: float
    baseline: float = 0.005
    paired: bool = False


@dataclass(frozen=True, slots=True)
class Foretold:
    """Seconds until the route trips, and how many subjects native will have failed by then."""

    seconds: int
    failed: int


def foretell(traffic: Traffic, defect: float, standard: Standard) -> Foretold | None:
    """When native is found to fail this part of its subjects on top of the baseline; None if not within `HORIZON`.

    Until the defect begins all has been well for a while: right after a change of the share it is found sooner.
    """
    failing = min(1.0, traffic.baseline + defect)
    found = min(_by_rule_a(traffic, failing, standard), _by_comparison(traffic, failing, standard))
    if found + DELAY > HORIZON:
        return None
    return Foretold(math.ceil(found + DELAY), round(traffic.native * failing * (found + DELAY / 2)))


def _by_rule_a(traffic: Traffic, failing: float, standard: Standard) -> float:
    against = alternatives(standard.ceiling)
    if not against or not traffic.native:
        return math.inf
    well, ill = (
        [traffic.native * (rate * failure + (1 - rate) * success) for failure, success in against]
        for rate in (min(traffic.baseline, standard.ceiling), failing)
    )
    levels = _at_rest(well, LIKELY)
    proved = _passed(levels, ill, LIKELY, standard.above)
    if not traffic.legacy:
        return proved
    doubted = _passed(levels, ill, LIKELY, DOUBT)
    compared = _growths(traffic.native, traffic.legacy, failing, traffic.baseline)
    if traffic.paired:
        compared = *compared, *_growths_of_pairs(traffic.native * failing, failing, traffic.baseline)
    return max(proved, doubted + _passed(BELIEVED, compared, None, ENOUGH))


def _by_comparison(traffic: Traffic, failing: float, standard: Standard) -> float:
    if not traffic.native or not traffic.legacy or failing - traffic.baseline <= standard.excess:
        return math.inf
    stakes = (1 / len(ODDS),) * len(ODDS)
    well = _growths(traffic.native, traffic.legacy, traffic.baseline, traffic.baseline)
    ill = _growths(traffic.native, traffic.legacy, failing, traffic.baseline)
    return _passed(_at_rest(well, stakes), ill, stakes, standard.worse)


def _at_rest(growths: Sequence[float], stakes: Sequence[float]) -> list[float]:
    """What each level comes to where it grows like this for ever, which is downwards."""
    kept = [math.exp(min(growth, 0.0)) for growth in growths]
    return [BEGUN * stake * part / (1 - FADE * part) for stake, part in zip(stakes, kept, strict=False)]


def _passed(levels: Sequence[float], growths: Sequence[float], stakes: Sequence[float] | None, bar: float) -> float:
    """Seconds until the sum of the levels, each of which grows from here on, comes to `bar`."""
    begun = [BEGUN * stake for stake in stakes] if stakes else [0.0] * len(levels)

    def reached(seconds: float) -> bool:
        total = 0.0
        for level, growth, new in zip(levels, growths, begun, strict=False):
            grown = math.exp(min((growth + math.log(FADE)) * seconds, _LARGEST))
            each = math.exp(min(growth + math.log(FADE), _LARGEST)) - 1
            total += level * grown + (new * (grown - 1) / each if each else new * seconds)
        return total >= bar

    if reached(0.0) or not reached(HORIZON):
        return 0.0 if reached(0.0) else math.inf
    early, late = 0.0, float(HORIZON)
    while late - early > 0.05:
        middle = (early + late) / 2
        early, late = (early, middle) if reached(middle) else (middle, late)
    return late


@lru_cache(maxsize=64)
def _growths(native: float, legacy: float, failing: float, baseline: float) -> Sequence[float]:
    """What a second adds to the logarithms of the comparison, in the mean over what may come."""
    sums = [0.0] * len(ODDS)
    counts = [
        list(_spread(rate))
        for rate in (native * failing, legacy * baseline, native * (1 - failing), legacy * (1 - baseline))
    ]
    for (own, a), (others, b), (served, c), (elsewhere, d) in product(*counts):
        if own or others:
            ratios = worse(Trial(own + served, own, others + elsewhere, others))
            sums = [sum_ + a * b * c * d * ratio for sum_, ratio in zip(sums, ratios, strict=True)]
    return tuple(sums)


def _growths_of_pairs(asked: float, failing: float, baseline: float) -> Iterator[float]:
    """What a second adds to the logarithms of so many pairs, each of which fails as if nothing had failed before."""
    ours, theirs = asked * failing * (1 - baseline), asked * (1 - failing) * baseline
    return (ours * math.log(2 * often) + theirs * math.log(2 * (1 - often)) for often in ALONE)


def _spread(mean: float) -> Iterator[tuple[int, float]]:
    """A Poisson count as a few counts with their chances: in full where it is small, else of equal chances."""
    if mean < 1.5:
        chance, left = math.exp(-mean), 1.0
        for count in range(POINTS - 1):
            yield count, chance
            left -= chance
            chance *= mean / (count + 1)
        yield POINTS - 1, max(left, 0.0)
        return
    # The middles of five parts of a normal distribution that are equally likely.
    for deviation in (-1.2816, -0.5244, 0.0, 0.5244, 1.2816):
        yield max(0, round(mean + deviation * math.sqrt(mean))), 1 / POINTS
