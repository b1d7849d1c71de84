"""Which differences are noise: what the control makes of its own answers, field by field. No I/O, no clock.

A field is a place, whatever its indices, and how it differs there. A look is one question answered three times: by the
control; then by the candidate and by the control again, in an order that is drawn. Both are held against the first
answer. If the sides are alike, the two were as likely to come the other way round: of the looks in which only one of
them differs in a field, each is the toss of a fair coin, whatever the field's noise and however it comes about. Most
comparisons ask the candidate alone; which of them ask the control as well is drawn, too.

What is won by staking on the candidate (`stakes`) is the evidence against it. The j-th field that is met has the part
1 / j (j + 1) of that, so that of all the fields that are proved LEVEL at most are noise, in the mean: at any moment,
and however they hang together (e-BH, Wang & Ramdas 2022). What a field is met by does not count.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from .paths import field as place_of
from .result import Difference, Result
from .stakes import LEVEL, Often, Stake

ROUNDS: Final = 5  # in which a field is confirmed that the control was never seen to differ from itself in
OFTEN: Final = 0.1  # of the looks: where the control differs so often, to ask again tells little
AGAIN: Final = 2  # looks in which it has to differ at least: once may have been a write
FIELDS: Final = 100  # remembered at most
BEFORE: Final = -1  # before the first look
LIFE: Final = 24 * 3600.0  # seconds after which all is learned anew

DOUBT: Final = 4.0  # times what was staked: from here on it is worth while to look more often
DOUBTED: Final = 0.5  # of the comparisons ask the control as well then


class Field(NamedTuple):
    place: str
    kind: str


Fields = frozenset[Field]


@dataclass(frozen=True, slots=True)
class Look:
    """Where the candidate differs from the control's first answer, and where the control does itself."""

    candidate: Fields
    control: Fields


@dataclass(frozen=True, slots=True)
class Lot:
    """A comparison for which it was drawn whether to ask `both` sides, with this chance, or the candidate alone.

    Where the first answer, the candidate's and the control's differ from the user's. None: nobody has said."""

    chance: float
    both: bool
    told: tuple[Fields | None, Fields | None, Fields | None]


class Standing(enum.Enum):
    """What a difference in a field is worth."""

    UNKNOWN = "unknown"  # nothing by itself
    NOISE = "noise"  # nothing, and it is no use to ask again: the control often differs from itself there
    BELIEVED = "believed"  # it was confirmed before, and is no noise: one round confirms it
    PROVED = "proved"  # the sides are not alike there, whether or not it shows again


@dataclass(slots=True)
class Known:
    """What has been seen of one field since it was met, when there had been `since` looks.

    `unsteady`: the looks in which the control differed from itself. `confirmed`: the rounds in which the candidate
    differed between two answers of the control that did not.
    """

    since: int
    stake: Stake
    unsteady: int = 0
    confirmed: int = 0

    @property
    def believed(self) -> bool:
        return self.unsteady == 0 and self.confirmed >= ROUNDS

    @property
    def told(self) -> int:
        return self.unsteady + self.stake.candidate + self.confirmed


class Noise:
    """What has been learned of one control on one route."""

    def __init__(self) -> None:
        self._looks = self._met = 0
        self._known: dict[Field, Known] = {}  # in the order in which they were last seen to differ
        self._bar: float | None = None  # the least evidence that proves, until some changes

    def __len__(self) -> int:
        return len(self._known)

    @property
    def known(self) -> Fields:
        """Of these a comparison has to tell, however much else differs: they are counted."""
        return frozenset(self._known)

    def standing(self, field: Field) -> Standing:
        known = self._known.get(field)
        if known is None:
            return Standing.UNKNOWN
        if known.stake.evidence >= 1 / (LEVEL * FIELDS) and known.stake.evidence >= self._least():
            return Standing.PROVED
        if known.believed:
            return Standing.BELIEVED
        often = known.unsteady >= max(AGAIN, OFTEN * (self._looks - known.since))
        return Standing.NOISE if often else Standing.UNKNOWN

    def often(self, fields: Iterable[Field]) -> dict[tuple[str, str], Often]:
        """What can be told of them to people."""
        return {each: self._often(known.stake) for each in fields if (known := self._known.get(each)) is not None}

    def _often(self, stake: Stake) -> Often:
        candidate, control = stake.rates
        proof = stake.evidence / self._least()
        return Often(candidate.differed, candidate.asked, control.differed, control.asked, proof)

    def chance(self, usual: float) -> float:
        """How likely a comparison is to ask the control as well: more often while that may soon prove something."""
        for each in self._known.values() if usual else ():
            if each.stake.won >= DOUBT and not each.believed and each.stake.evidence < self._least():
                return max(usual, DOUBTED)
        return usual

    def meet(self, fields: Iterable[Field]) -> None:
        """They differ, in whatever way. Of too many those go that have told least, and of these the oldest."""
        for field in sorted(fields, key=lambda each: (each not in self._known, each)):  # what is new comes last
            known = self._known.pop(field, None)
            self._known[field] = known or Known(self._looks, self._part())
        over = len(self._known) - FIELDS
        if over > 0:
            *others, _ = self._known  # the newest stays, though it has told nothing yet
            for field in sorted(others, key=lambda each: self._known[each].told)[:over]:
                del self._known[field]
            self._bar = None

    def draw(self, lot: Lot) -> None:
        """What a comparison tells of the fields that are known already, by whether it has asked both."""
        first, candidate, control = lot.told
        for field, known in self._known.items():
            known.stake.draw(
                lot.chance,
                None if first is None else field in first,
                None if candidate is None else field in candidate,
                None if control is None else field in control,
                both=lot.both,
            )
        self._bar = None

    def hear(self, look: Look) -> None:
        """What a look has told; of the fields that are known already also about the candidate."""
        for field in look.candidate ^ look.control:
            if (known := self._known.get(field)) is not None:
                known.stake.toss(candidate=field in look.candidate)
                self._bar = None
        self.meet(look.candidate)
        self.differed(look.control)

    def differed(self, fields: Fields) -> None:
        """The control was asked once more, and differs from itself in these fields, or in none."""
        self.meet(fields)
        for field in fields & self._known.keys():
            self._known[field].unsteady += 1
        self._looks += 1

    def confirmed(self, fields: Fields) -> None:
        """The candidate has differed in them, and the control was the same before and after."""
        for field in fields & self._known.keys():
            self._known[field].confirmed += 1

    def afresh(self) -> Noise:
        """What to begin with when all this is old: what was noise may still be."""
        anew = Noise()
        for field, known in self._known.items():
            if known.unsteady > (AGAIN if known.since == BEFORE else 0):
                anew._known[field] = Known(BEFORE, anew._part(), unsteady=AGAIN)
        return anew

    def _part(self) -> Stake:
        self._met += 1
        return Stake(1 / (self._met * (self._met + 1)))

    def _least(self) -> float:
        """The least evidence that proves: the more fields there are with as much of it, the less is wanted of each."""
        if self._bar is None:
            every = sorted((each.stake.evidence for each in self._known.values()), reverse=True)
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


def field_of(difference: Difference) -> Field:
    return Field(place_of(difference.path), difference.kind.value)


def fields_of(result: Result) -> Fields:
    return frozenset(map(field_of, result.differences))
