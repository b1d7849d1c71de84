"""Which differences are noise: what the control makes of its own answers, field by field. No I/O, no clock.

A field is a place, whatever its indices, and how it differs there. A look is one question answered three times: by the
control; then by the candidate and by the control again, in an order that is drawn. Both are held against the first
answer. If the sides are alike, the two were as likely to come the other way round: of the looks in which only one of
them differs in a field, each is the toss of a fair coin, whatever the field's noise and however it comes about.

What is staked on the candidate's side of that coin is the evidence against it. Its mean is at most 1 ever after (Ville
1939; Shafer 2021), and the j-th field that is met has the part 1 / j (j + 1) of it, so that of all the fields that are
proved by it, LEVEL at most are noise, in the mean: at any moment, and however they hang together (e-BH, Wang & Ramdas
2022). The look by which a field is met does not count.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from .paths import field as place_of
from .result import Difference, Result

LEVEL: Final = 0.01  # false discoveries, as a part of all
ROUNDS: Final = 3  # in which a field is confirmed that the control was never seen to differ from itself in
OFTEN: Final = 0.1  # of the looks: where the control differs so often, to ask again tells little
AGAIN: Final = 2  # looks in which it has to differ at least: once may have been a write
FIELDS: Final = 100  # remembered at most
BEFORE: Final = -1  # before the first look
LIFE: Final = 24 * 3600.0  # seconds after which all is learned anew

SURE: Final = 100 / LEVEL  # evidence that has not to grow
ODDS: Final = (0.6, 0.75, 0.9, 0.99)  # how often it may be the candidate that differs; as much is staked on each
_LOGARITHMS: Final = [(math.log(2 * p), math.log(2 * (1 - p))) for p in ODDS]


class Field(NamedTuple):
    place: str
    kind: str


Fields = frozenset[Field]


@dataclass(frozen=True, slots=True)
class Look:
    """Where the candidate differs from the control's first answer, and where the control does itself."""

    candidate: Fields
    control: Fields


class Standing(enum.Enum):
    """What a difference in a field is worth."""

    UNKNOWN = "unknown"  # nothing by itself
    NOISE = "noise"  # nothing, and it is no use to ask again: the control often differs from itself there
    BELIEVED = "believed"  # it was confirmed before, and is no noise: one round confirms it
    PROVED = "proved"  # the sides are not alike there, whether or not it shows again


@dataclass(frozen=True, slots=True)
class Known:
    """What has been seen of one field since it was met as the `number`-th, when there had been `since` looks.

    `unsteady`: the looks in which the control differed from itself. `candidate`, `control`: those in which that alone
    differed. `confirmed`: the rounds in which the candidate differed between two answers of the control that did not.
    """

    number: int
    since: int
    unsteady: int = 0
    candidate: int = 0
    control: int = 0
    confirmed: int = 0

    @property
    def evidence(self) -> float:
        """How much more has been won than was staked, if the j-th field stakes its part."""
        exponents = (won * self.candidate + lost * self.control for won, lost in _LOGARITHMS)
        whole = sum(map(math.exp, exponents)) / len(ODDS)
        return whole / (self.number * (self.number + 1))

    def won(self) -> Known:
        """What is sure is made no surer: a defect that was mended must not be believed in for long."""
        return self if self.evidence >= SURE else replace(self, candidate=self.candidate + 1)

    def lost(self) -> Known:
        return replace(self, control=self.control + 1)


class Noise:
    """What has been learned of one control on one route."""

    def __init__(self) -> None:
        self._looks = self._met = 0
        self._known: dict[Field, Known] = {}  # in the order in which they were last seen to differ
        self._bar: float | None = None  # the least evidence that proves, until some changes

    def __len__(self) -> int:
        return len(self._known)

    def standing(self, field: Field) -> Standing:
        known = self._known.get(field)
        if known is None:
            return Standing.UNKNOWN
        if known.evidence >= self._least():
            return Standing.PROVED
        if known.unsteady == 0 and known.confirmed >= ROUNDS:
            return Standing.BELIEVED
        often = known.unsteady >= max(AGAIN, OFTEN * (self._looks - known.since))
        return Standing.NOISE if often else Standing.UNKNOWN

    def meet(self, fields: Iterable[Field]) -> None:
        """They differ, in whatever way. Of too many the one goes that has told least, and of these the oldest."""
        for field in sorted(fields):
            known = self._known.pop(field, None)
            if known is None:
                self._met += 1
                known = Known(self._met, self._looks)
                if len(self._known) >= FIELDS:
                    del self._known[min(self._known, key=lambda each: _told(self._known[each]))]
                    self._bar = None
            self._known[field] = known

    def hear(self, look: Look) -> None:
        """What a look has told; of the fields that are known already also about the candidate."""
        for field in look.candidate ^ look.control:
            if (known := self._known.get(field)) is not None:
                self._known[field] = known.won() if field in look.candidate else known.lost()
                self._bar = None
        self.meet(look.candidate)
        self.differed(look.control)

    def differed(self, fields: Fields) -> None:
        """The control was asked once more, and differs from itself in these fields, or in none."""
        self.meet(fields)
        for field in fields & self._known.keys():
            known = self._known[field]
            self._known[field] = replace(known, unsteady=known.unsteady + 1)
        self._looks += 1

    def confirmed(self, fields: Fields) -> None:
        """The candidate has differed in them, and the control was the same before and after."""
        for field in fields & self._known.keys():
            known = self._known[field]
            self._known[field] = replace(known, confirmed=known.confirmed + 1)

    def afresh(self) -> Noise:
        """What to begin with when all this is old: what was noise may still be."""
        anew = Noise()
        for field, known in self._known.items():
            if known.unsteady > (AGAIN if known.since == BEFORE else 0):
                anew._met += 1
                anew._known[field] = Known(anew._met, since=BEFORE, unsteady=AGAIN)
        return anew

    def _least(self) -> float:
        """The least evidence that proves: the more fields there are with as much of it, the less is wanted of each."""
        if self._bar is None:
            every = sorted((each.evidence for each in self._known.values()), reverse=True)
            enough = (count for count, evidence in enumerate(every, 1) if evidence >= 1 / (LEVEL * count))
            self._bar = 1 / (LEVEL * max(enough, default=1))
        return self._bar


class Learned:
    """What was learned of each control on each route. After a while it is old: what is deployed changes fields."""

    def __init__(self) -> None:
        self._noise: dict[tuple[str, str], tuple[float, Noise]] = {}

    def of(self, route: str, control: str, now: float) -> Noise:
        begun, noise = self._noise.get((route, control), (now, None))
        if noise is None or now - begun >= LIFE:
            begun, noise = now, Noise() if noise is None else noise.afresh()
            self._noise[route, control] = begun, noise
        return noise


def _told(known: Known) -> int:
    return known.unsteady + known.candidate + known.confirmed


def field_of(difference: Difference) -> Field:
    return Field(place_of(difference.path), difference.kind.value)


def fields_of(result: Result) -> Fields:
    return frozenset(map(field_of, result.differences))
