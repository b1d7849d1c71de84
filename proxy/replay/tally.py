"""What a replay has found so far, in numbers. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from flags.flag import Side
from proxy.latency import Latency
from proxy.replay.question import Reason, Skipped
from shadow import parity
from shadow.result import Outcome

PLACES: Final = 10  # that are named of what cannot be read
UNREADABLE: Final = frozenset({Reason.MALFORMED, Reason.TOO_LONG})
SIDES: Final = tuple(side.value for side in Side)


@dataclass(slots=True)
class Heard:
    """What came back of one request to one side. `elapsed`: until the answer's last byte; None if that never came.
    `failure`: what became of it instead, or the class of a status that is the side's own fault."""

    side: str
    elapsed: float | None = None
    failure: str | None = None


@dataclass(slots=True)
class OfSide:
    latency: Latency = field(default_factory=Latency)
    failures: Counter[str] = field(default_factory=Counter)

    def hear(self, heard: Heard) -> None:
        if heard.elapsed is not None:
            self.latency.observe(heard.elapsed)
        if heard.failure is not None:
            self.failures[heard.failure] += 1

    def milliseconds(self, share: float) -> float | None:
        """An upper bound on this quantile, a quarter too high at most."""
        seconds = self.latency.quantile(share, at_least=1)
        return None if seconds is None else round(seconds * 1000, 1)


@dataclass(slots=True)
class OfRoute:
    """`outcomes` of comparisons; `uncompared`: why others were none; `covered`: differences, by the rule that says that
    they do not matter."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    uncompared: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)
    sides: dict[str, OfSide] = field(default_factory=lambda: {side: OfSide() for side in SIDES})

    @property
    def parity(self) -> parity.Tally:
        """How alike the sides are by it. What native left unanswered tells nothing of that."""
        agreed = self.outcomes[Outcome.MATCHED.value] + self.outcomes[Outcome.IGNORED.value]
        mismatched, silent = self.outcomes[Outcome.MISMATCHED.value], self.outcomes[Outcome.UNANSWERED.value]
        return parity.Tally(agreed, mismatched, self.outcomes.total() - agreed - mismatched - silent)


@dataclass(slots=True)
class Tally:
    """`places`: where the first of what cannot be read stands."""

    skipped: Counter[Reason] = field(default_factory=Counter)
    places: list[int] = field(default_factory=list)
    routes: dict[str, OfRoute] = field(default_factory=dict)

    def skip(self, skipped: Skipped) -> None:
        self.skipped[skipped.reason] += 1
        if skipped.reason in UNREADABLE and len(self.places) < PLACES:
            self.places.append(skipped.number)

    def route(self, name: str) -> OfRoute:
        return self.routes.setdefault(name, OfRoute())

    def hear(self, route: str, answers: Iterable[Heard]) -> None:
        for heard in answers:
            self.route(route).sides[heard.side].hear(heard)

    @property
    def asked(self) -> int:
        return sum(route.asked for route in self.routes.values())

    @property
    def compared(self) -> int:
        """Those that both sides have answered."""
        return sum(route.parity.compared for route in self.routes.values())

    def total(self, outcome: Outcome) -> int:
        return sum(route.outcomes[outcome.value] for route in self.routes.values())
