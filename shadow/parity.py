"""How alike the sides answer, as a number: what the rate of mismatches is at most, whenever anybody looks. No I/O.

Each comparison is a trial. Whatever came before, it ends in a mismatch with some chance; nobody knows it, and it may be
another each time. For a rate p and a `factor` f below 1, the product of f for each mismatch, divided by 1 - p + p f for
each comparison, has a mean of at most 1 as long as the mean of these chances so far is p or more (the logarithm of that
divisor is concave in p). So has a mixture of such products, and by Ville's inequality it reaches 1 / alpha ever, with
a chance of alpha at most. Every p at which it has is refuted. Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe and
Sekhon 2021.

Among the trials are all questions that both sides have answered. What differed once and was not confirmed counts as a
mismatch: a side that errs now and then agrees when it is asked again, and where the control itself keeps changing true
mismatches end there, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from .result import Outcome

ALPHA: Final = 0.01  # the chance that the bound of the whole is ever wrong; of all strata together as much again
STRATA: Final = 16  # of one route; what belongs to no more of them is put together
PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,32}")  # what a role is: neither a name nor an address
EXACT: Final = 1e-4  # relative: a bound is no lower than it should be, and no higher than by this part

# What is staked on each factor: half on there being no mismatches, where it is 0 and nothing is as quick. Each of the
# others is the best for some number of mismatches up to a hundred thousand; few are more likely.
_LIKELIER: Final = 0.8
_STEEPS: Final = [4.0 * 2 ** (-place / 2) for place in range(19)]
_STAKED: Final = [_LIKELIER**place for place in range(len(_STEEPS))]
MIXTURE: Final = tuple(  # (the logarithm of the factor, the factor, the logarithm of the stake)
    (-steep, math.exp(-steep), math.log(0.5 * stake / sum(_STAKED)))
    for steep, stake in zip(_STEEPS, _STAKED, strict=True)
)
_NONE_AT_ALL: Final = math.log(0.5)


class Stratum(NamedTuple):
    """What a user was answered, and as whom he asked. A role is "" if nobody says which, or where it is not known."""

    status: int
    role: str

    def __str__(self) -> str:
        if self == OTHERS:
            return "all others"
        return f"{self.status} for {self.role}" if self.role else str(self.status)


OTHERS: Final = Stratum(0, "")  # behind the last of `STRATA`


@dataclass(frozen=True, slots=True)
class Tally:
    """How comparisons ended. Where a rule covers what differs, or it is the control's own noise, the sides agree."""

    agreed: int = 0
    mismatched: int = 0
    unconfirmed: int = 0

    @classmethod
    def of(cls, outcome: Outcome) -> Tally:
        match outcome:
            case Outcome.MATCHED | Outcome.IGNORED | Outcome.NOISE:
                return _AGREED
            case Outcome.MISMATCHED:
                return _MISMATCHED
            case Outcome.UNANSWERED:
                return NOTHING
            case _:
                return _UNCONFIRMED

    def __add__(self, more: Tally) -> Tally:
        return Tally(self.agreed + more.agreed, self.mismatched + more.mismatched, self.unconfirmed + more.unconfirmed)

    def __mul__(self, times: int) -> Tally:
        return Tally(self.agreed * times, self.mismatched * times, self.unconfirmed * times)

    @property
    def compared(self) -> int:
        return self.agreed + self.mismatched + self.unconfirmed

    @property
    def against(self) -> int:
        return self.mismatched + self.unconfirmed


NOTHING: Final = Tally()
_AGREED, _MISMATCHED, _UNCONFIRMED = Tally(agreed=1), Tally(mismatched=1), Tally(unconfirmed=1)

Tallies = Mapping[Stratum, Tally]


@dataclass(frozen=True, slots=True)
class Parity:
    """What a route's comparisons prove since `begun`, a wall-clock time; None if there were none. `epoch` is another
    each time that a person has them begin anew; "" until then."""

    begun: float | None = None
    strata: Tallies = field(default_factory=dict)
    epoch: str = ""

    @property
    def whole(self) -> Tally:
        return sum(self.strata.values(), NOTHING)

    @property
    def bound(self) -> float:
        """The rate of mismatches among questions as they were asked, at most."""
        return bound(self.whole.compared, self.whole.against)

    @property
    def confirmed(self) -> float:
        """What the bound would be if nothing that could not be confirmed were a mismatch. It proves nothing."""
        return bound(self.whole.compared - self.whole.unconfirmed, self.whole.mismatched)

    def bound_of(self, stratum: Stratum) -> float:
        """All strata's hold together with the confidence of the whole, so that any may be picked out."""
        tally = self.strata[stratum]
        return bound(tally.compared, tally.against, ALPHA / (STRATA + 1))

    @property
    def widest(self) -> Stratum | None:
        """The one of which least is known, or least that is good."""
        return max(self.strata, key=lambda stratum: (self.bound_of(stratum), stratum), default=None)

    @property
    def words(self) -> str:
        whole, widest = self.whole, self.widest
        if widest is None:
            return "nothing has been compared"
        told = f"mismatches ≤ {rate(self.bound)} ({100 * (1 - ALPHA):g} %): {number(whole.mismatched)}"
        told += f" of {number(whole.compared)} compared"
        if whole.unconfirmed:
            told += f", and {number(whole.unconfirmed)} unconfirmed that count, too (≤ {rate(self.confirmed)} if not)"
        if len(self.strata) > 1:
            known = f"{number(self.strata[widest].compared)} compared, ≤ {rate(self.bound_of(widest))}"
            told += f"; least sure: {widest}, {known}"
        return told


@lru_cache(maxsize=4096)
def bound(compared: int, against: int, alpha: float = ALPHA) -> float:
    """The lowest rate that is refuted after so many comparisons, so many of them mismatches; 1 if none is."""
    if against >= compared:
        return 1.0
    least, most = against / compared, 1.0
    if not refuted(1.0, compared, against, alpha):
        return 1.0
    while most - least > EXACT * most:
        # In between by ratio, where that is far: of a million comparisons the bound lies near 0.
        middle = math.sqrt(least * most) if least > 0 and most > 2 * least else _middle(least, most)
        if refuted(middle, compared, against, alpha):
            most = middle
        else:
            least = middle
    return most


def _middle(least: float, most: float) -> float:
    return (least + most) / 2 if least > 0 else most / 16


def refuted(rate: float, compared: int, against: int, alpha: float = ALPHA) -> bool:
    """Whether so high a rate, or a higher one, would have ended otherwise. More that agree refute it the more."""
    if rate <= 0:
        return False
    grown = [
        staked + against * logarithm - compared * math.log1p(-rate * (1 - factor))
        for logarithm, factor, staked in MIXTURE
    ]
    if not against:
        grown.append(math.inf if rate >= 1 else _NONE_AT_ALL - compared * math.log1p(-rate))
    highest = max(grown)
    if highest == math.inf:
        return compared > 0
    return highest + math.log(sum(math.exp(each - highest) for each in grown)) >= -math.log(alpha)


def exceeded(rate: float, compared: int, mismatched: int, alpha: float = ALPHA) -> bool:
    """Whether so low a rate, or a lower one, would have ended otherwise: by the same products, of factors above 1."""
    grown = [
        math.log(2) + staked - mismatched * logarithm - compared * math.log1p(rate * (1 / factor - 1))
        for logarithm, factor, staked in MIXTURE
    ]
    highest = max(grown)
    return highest + math.log(sum(math.exp(each - highest) for each in grown)) >= -math.log(alpha)


def needed(tally: Tally, allowed: float, alpha: float = ALPHA) -> int | None:
    """How many comparisons more refute whatever is above `allowed`, if they all agree; None: no number does."""
    if allowed <= 0:
        return None
    if allowed >= 1 or refuted(allowed, tally.compared, tally.against, alpha):
        return 0
    few, many = 0, 1
    while not refuted(allowed, tally.compared + many, tally.against, alpha):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        if refuted(allowed, tally.compared + middle, tally.against, alpha):
            many = middle
        else:
            few = middle
    return many


def rate(part: float) -> str:
    """Two digits, rounded up: "0.12 %"."""
    if part >= 1:
        return "100 %"
    hundred = part * 100
    digits = max(0, 1 - math.floor(math.log10(hundred))) if hundred > 0 else 0
    scale = 10**digits
    return f"{math.ceil(round(hundred * scale, 6)) / scale:.{digits}f} %"


def number(count: int) -> str:
    """In threes: "8 120"."""
    return f"{count:,}".replace(",", " ")
