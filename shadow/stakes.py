"""What is staked on the candidate differing more often in a field than the control does, and what that wins. No I/O.

Two things are drawn, whatever anybody answers, so that sides that are alike cannot tell what comes of them:

    the order    in which both are asked again. Where only one of them differs, it is as likely to be the other
    the asking   of the control, beside the candidate or not at all. It tells nothing of how the first answer differs

Whatever is staked, the mean of what is won so is at most 1 ever after (Ville 1939). On the order that is what several
odds would have won, in the mean (Shafer 2021); on the asking what the rates so far speak for (Krichevsky & Trofimov
1981), and nothing while they speak for the candidate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

LEVEL: Final = 0.01  # false discoveries, as a part of all
SURE: Final = 100 / LEVEL  # evidence is made no surer: a defect that was mended must not be believed in for long
ODDS: Final = (0.6, 0.75, 0.9, 0.99)  # how often it may be the candidate that differs; as much is staked on each
_LOGARITHMS: Final = [(math.log(2 * p), math.log(2 * (1 - p))) for p in ODDS]


@dataclass(slots=True)
class Rate:
    """How often a side has differed from what the user was answered; `expected`: to which its next answer will."""

    differed: int = 0
    asked: int = 0
    expected: float = 0.5

    def count(self, differs: bool) -> None:
        self.differed += differs
        self.asked += 1
        self.expected = (self.differed + 0.5) / (self.asked + 1)


@dataclass(frozen=True, slots=True)
class Often:
    """In how many answers of each side a field differed from what users were told, of how many that were asked for by
    lot since the field was met. `proof`: the evidence so far, as a part of what proves."""

    candidate: int
    candidates: int
    control: int
    controls: int
    proof: float


@dataclass(slots=True)
class Stake:
    """`part`: how much of all there is to stake. `order`, `asking`: by how much each has multiplied that; `won`: both.

    `candidate`, `control`: how often that alone has differed, where the order was drawn. `rates`: the candidate's and
    the control's."""

    part: float
    order: float = 1.0
    asking: float = 1.0
    won: float = 1.0
    candidate: int = 0
    control: int = 0
    rates: tuple[Rate, Rate] = field(default_factory=lambda: (Rate(), Rate()))

    @property
    def evidence(self) -> float:
        return self.part * self.won

    def toss(self, *, candidate: bool) -> None:
        """Both were asked, in an order that was drawn, and only one of them differs."""
        if not candidate:
            self.control += 1
        elif self.evidence < SURE:
            self.candidate += 1
        exponents = (won * self.candidate + lost * self.control for won, lost in _LOGARITHMS)
        self.order = sum(map(math.exp, exponents)) / len(ODDS)
        self.won = self.order * self.asking

    def draw(
        self, chance: float, first: bool | None, candidate: bool | None, control: bool | None, *, both: bool
    ) -> None:
        """Both were to be asked with this chance, and were, or the candidate alone. Does the first answer differ from
        the user's, does the candidate's and the control's? None: nobody has said."""
        more, less = self.rates
        if first is not None and more.expected > less.expected:
            factor = _factor(chance, *_likely(first, more.expected, less.expected), both=both)
            if factor < 1 or self.evidence < SURE:
                self.asking *= factor
                self.won = self.order * self.asking
        if candidate is not None:
            more.count(candidate)
        if control is not None:
            less.count(control)


def _likely(differs: bool, candidate: float, control: float) -> tuple[float, float]:
    return (candidate, control) if differs else (1 - candidate, 1 - control)


def _factor(chance: float, candidate: float, control: float, *, both: bool) -> float:
    """How much likelier a first answer is where it was given, if it is that likely of each side."""
    either = (candidate + control) / 2  # comes first where both are asked
    return (either if both else candidate) / (chance * either + (1 - chance) * candidate)
