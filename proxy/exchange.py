"""The record of one served request, and what it says about the side that was chosen. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from flags.decide import Decision
from flags.flag import Side
from flags.window import Outcome
from proxy.errors import Refused

UNMATCHED = "unmatched"  # the name under which requests outside every route are counted


@dataclass(slots=True)  # not frozen: one is made for every request, and frozen it would take three times as long
class Exchange:
    """One request as it was served. Nobody changes it.

    `second` is the wall-clock second of the decision, `elapsed` seconds from then to the last byte, `waited` seconds
    from the end of the user's request on, or None if the user never ended it. `status` is what
    the user was answered (0: nothing), `asked_last` the side whose answer, or failure to give one, that was. `failure`
    says how the side that was *decided* failed, whoever answered in the end; `withheld` why legacy was not asked it.
    """

    route: str
    decision: Decision
    second: int
    elapsed: float
    status: int
    asked_last: Side
    failure: str | None = None
    left: bool = False
    waited: float | None = None
    withheld: str | None = None

    @property
    def fallback(self) -> bool:
        return self.asked_last is not self.decision.primary


PATIENCE = 1.0  # seconds of waiting after which leaving is our failure, while legacy's own pace is not known


def outcome(exchange: Exchange, usual: float | None, slow_over: float) -> Outcome:
    """`usual`: legacy's p99 for this route in seconds, if known; `slow_over`: those after which an answer is late.

    Who waits longer than both and leaves was failed. By the p99 of a legacy of milliseconds alone, every user who
    changes his mind would be held against whichever side is slower, quick as it may be.
    """
    if exchange.failure == Refused.kind and exchange.decision.primary is Side.NATIVE:
        return Outcome.EXCLUDED  # it is being deployed: whoever comes next finds it unavailable, which is no failure
    if exchange.failure is not None:
        return Outcome.FAILED
    if exchange.left:
        patience = max(PATIENCE if usual is None else usual, slow_over)
        return Outcome.FAILED if exchange.waited is not None and exchange.waited > patience else Outcome.EXCLUDED
    return Outcome.OK
