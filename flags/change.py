"""What became of an operator's order, in words. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flags.decide import in_force
from flags.flag import Flag, percent


class Reach(enum.Enum):
    FLEET = "on every worker"
    PROXY = "on every worker of this proxy: the store cannot be reached, and hears of it when it is back"
    WORKER = "on this worker only: the store cannot be reached, and hears of it when it is back"


@dataclass(frozen=True, slots=True)
class Change:
    """One route's flag, before and after.

    `followed`: its share is taken from Unleash. `kept`: whether this machine's disk has it, so that it outlives the
    process; None if it was not asked to. `held`: what of the route's subjects stays on legacy, whatever its share.
    """

    route: str
    before: Flag
    after: Flag
    reach: Reach = Reach.FLEET
    followed: bool = False
    kept: bool | None = None
    held: int = 0

    @property
    def words(self) -> str:
        return f"{self.route}: {self._what()}"

    @property
    def _where(self) -> str:
        place: str = self.reach.value
        if self.kept is False:
            place += "; this machine's disk did not take it in time"
        if self.reach is Reach.FLEET:
            return f"{place}: who starts again has it from Redis, or not at all" if self.kept is False else place
        if self.kept:
            return f"{place}; until then this machine's disk has it, over a restart too"
        ends = "proxy" if self.reach is Reach.PROXY else "process"
        return f"{place}; should this {ends} end before that, it is lost"

    def _what(self) -> str:
        before, after, where = self.before, self.after, self._where
        if after.trip not in (None, before.trip):
            return f"tripped ({after.trip.reason}); legacy answers everything until a reset, {where}"
        if after.trip is not None and before.shadow == after.shadow:
            held = f"it is tripped already ({after.trip.reason}) and legacy answers everything, {where}"
            return f"nothing changed: {held}"
        if before.tripped and not after.tripped:
            if self.followed:
                return f"reset, {where}; from now on native's share is what Unleash says"
            return f"reset, {where}; legacy still answers everything: native's share is 0 % until you raise it"
        if moved := moves(before, after, self.held):
            return ", ".join([*moved, where])
        return f"nothing changed: native answers {_whom(after, self.held)}, {percent(after.shadow)} is shadowed"


def moves(before: Flag, after: Flag, held: int = 0) -> list[str]:
    """The shares that are others now, where `held` of the subjects stay on legacy in any case."""
    moved = []
    if (before.native, before.source) != (after.native, after.source):
        moved.append(f"native answers {_whom(after, held)} (it was {_whom(before, held)})")
        if in_force(after.native, held) < after.native and not after.by_rules:
            moved.append(f"{percent(held)} is held back as control ({percent(after.native)} asked)")
    if before.shadow != after.shadow:
        moved.append(f"{percent(after.shadow)} is shadowed (it was {percent(before.shadow)})")
    return moved


def _whom(flag: Flag, held: int) -> str:
    return "whom Unleash's rules choose" if flag.by_rules else percent(in_force(flag.native, held))
