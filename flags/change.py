"""What became of an operator's order, in words. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flags.flag import Flag, percent


class Reach(enum.Enum):
    FLEET = "on every worker"
    PROXY = (
        "on every worker of this proxy: the store cannot be reached, and hears of it when it is back; "
        "should this proxy end before that, it is lost"
    )
    WORKER = (
        "on this worker only: the store cannot be reached, and hears of it when it is back; "
        "should this process end before that, it is lost"
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One route's flag, before and after."""

    route: str
    before: Flag
    after: Flag
    reach: Reach = Reach.FLEET

    @property
    def words(self) -> str:
        return f"{self.route}: {self._what()}"

    def _what(self) -> str:
        before, after = self.before, self.after
        if after.trip is not None and not before.tripped:
            return f"tripped ({after.trip.reason}); legacy answers everything until a reset, {self.reach.value}"
        if after.trip is not None and before.shadow == after.shadow:
            held = f"it is tripped already ({after.trip.reason}) and legacy answers everything, {self.reach.value}"
            return f"nothing changed: {held}"
        if before.tripped and not after.tripped:
            return (
                f"reset, {self.reach.value}; legacy still answers everything: native's share is 0 % until you raise it"
            )
        if before.native != after.native:
            return f"native answers {percent(after.native)} (it was {percent(before.native)}), {self.reach.value}"
        if before.shadow != after.shadow:
            return f"{percent(after.shadow)} is shadowed (it was {percent(before.shadow)}), {self.reach.value}"
        return f"nothing changed: native answers {percent(after.native)}, {percent(after.shadow)} is shadowed"
