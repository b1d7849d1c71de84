"""One question, put to both sides as often as it takes to tell a difference between them from what else moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from .ask import SILENT
from .noise import ROUNDS, Fields, Look, Lot, Noise, Standing, field_of, fields_of
from .observation import Observation
from .result import Outcome, Result

Ask = Callable[[], Awaitable[Observation]]
Compare = Callable[[Observation, Observation], Awaitable[Result]]
NOWHERE: Fields = frozenset()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question, and how they compare."""

    control: Observation
    candidate: Observation
    result: Result

    @property
    def fields(self) -> Fields:
        return fields_of(self.result)

    def only(self, fields: Fields) -> Pair:
        """With what they differ in there."""
        differences = tuple(each for each in self.result.differences if field_of(each) in fields)
        return replace(self, result=replace(self.result, differences=differences))


@dataclass(frozen=True, slots=True)
class Ruling:
    """What has come of a question, field by field. `first`: the answers before anybody was asked again."""

    outcome: Outcome
    first: Pair
    mismatched: tuple[Pair, ...] = ()
    unconfirmed: Fields = NOWHERE
    noise: Fields = NOWHERE


@dataclass(frozen=True, slots=True)
class Inquiry:
    """`draw`: the toss of a coin. `again`: whether both sides may be asked again."""

    control: Ask
    candidate: Ask
    compare: Compare
    noise: Noise
    draw: Callable[[], bool]
    again: Callable[[], bool]

    async def rule(self, control: Observation, *, twice: bool, chance: float) -> Ruling:
        """`twice`: whether the control is asked beside the candidate, so that noise shows before it is in doubt; which
        was drawn with this chance."""
        candidate, repeated, closed = await self._both() if twice else (await self.candidate(), None, True)
        pair = await self._compared(control, candidate)
        moved = await self._moved(control, repeated)
        differs = pair.fields if _says(candidate) else None
        self.noise.draw(Lot(chance, twice, (differs if closed else moved, differs, moved)))
        if candidate.error in SILENT:  # what it would have said nobody knows
            return Ruling(Outcome.UNANSWERED, pair)
        if candidate.wrote:  # that cannot come of what others do meanwhile
            return Ruling(Outcome.MISMATCHED, pair, (pair,))
        if repeated is not None and repeated.wrote:
            return await self._unrepeatable(pair, repeated)
        if moved is not None:
            self.noise.hear(Look(pair.fields, moved))
        if pair.result.outcome is not Outcome.MISMATCHED:
            return Ruling(pair.result.outcome, pair)
        noise = self._that_are({Standing.NOISE}, pair.fields)
        suspected = pair.fields - noise
        if not suspected:  # nor is there anything that was not told: what is noise was known, and took no room from it
            return Ruling(Outcome.NOISE, pair, noise=noise)
        self.noise.meet(suspected)
        if not self.again():
            proved = self._that_are({Standing.PROVED}, suspected)
            outcome = Outcome.MISMATCHED if proved else Outcome.UNCHECKED
            return Ruling(outcome, pair, (pair.only(proved),) if proved else (), noise=noise)
        reference = await self.control()
        if reference.wrote:
            return await self._unrepeatable(pair, reference)
        found = await self._confirmed(reference, suspected)
        unconfirmed = suspected.difference(*(each.fields for each in found))
        if proved := self._that_are({Standing.PROVED}, unconfirmed):
            found.append(pair.only(proved))
        outcome = Outcome.MISMATCHED if found else Outcome.UNCONFIRMED
        return Ruling(outcome, pair, tuple(found), unconfirmed - proved, noise)

    async def _unrepeatable(self, first: Pair, control: Observation) -> Ruling:
        """The control tries more than to read, as it may for users: to ask it again tells nothing but that."""
        outcome = first.result.outcome
        outcome = Outcome.UNCHECKED if outcome is Outcome.MISMATCHED else outcome
        return Ruling(outcome, first, (await self._compared(control, first.candidate),))

    async def _confirmed(self, reference: Observation, suspected: Fields) -> list[Pair]:
        """The answers that confirm what was suspected.

        Where the data changes all the time, every second pair has a write in between. A control that agrees with itself
        in a field, before the candidate and after, is one that did not move there.
        """
        found: list[Pair] = []
        for _ in range(ROUNDS):
            if not reference.complete:
                break
            pair, steady, reference = await self._round(reference, suspected)
            if told := self._that_are({Standing.BELIEVED, Standing.PROVED}, steady):
                found.append(pair.only(told))
            suspected = steady - told
            if not suspected:
                break
        return found

    async def _round(self, reference: Observation, suspected: Fields) -> tuple[Pair, Fields, Observation]:
        """Both asked once more: where the candidate differs and the control does not, and what that has said last."""
        candidate, control, closed = await self._both()
        pair = await self._compared(reference, candidate)
        if candidate.error in SILENT or control.error in SILENT or control.wrote:  # what nobody has said is no evidence
            return pair, NOWHERE, control
        moved = fields_of(await self.compare(reference, control))
        self.noise.hear(Look(pair.fields, moved))
        steady = suspected & pair.fields - moved if control.complete else NOWHERE
        if steady and not closed:
            control = await self.control()
            moved = fields_of(await self.compare(reference, control))
            if control.error not in SILENT:
                self.noise.differed(moved)
            steady = steady - moved if control.complete else NOWHERE
        self.noise.confirmed(steady)
        return pair, steady, control

    async def _both(self) -> tuple[Observation, Observation, bool]:
        """What the candidate and the control say, in an order that is drawn, and whether the control came last."""
        if self.draw():
            return await self.candidate(), await self.control(), True
        control = await self.control()
        return await self.candidate(), control, False

    async def _moved(self, control: Observation, repeated: Observation | None) -> Fields | None:
        """Where the control differs from itself, if it was asked again and has said so."""
        return None if repeated is None or not _says(repeated) else fields_of(await self.compare(control, repeated))

    def _that_are(self, standings: set[Standing], fields: Fields) -> Fields:
        return frozenset(each for each in fields if self.noise.standing(each) in standings)

    async def _compared(self, control: Observation, candidate: Observation) -> Pair:
        return Pair(control, candidate, await self.compare(control, candidate))


def _says(answer: Observation) -> bool:
    """Whether it is known what the side says to those who read."""
    return answer.error not in SILENT and not answer.wrote
