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
AGAINST: Final = (Outcome.MISMATCHED, Outcome.UNCHECKED, Outcome.UNANSWERED)
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
    """`outcomes` of comparisons; `failed_alone`: how many of the unconfirmed ones began with this side failing and
    the other not; `uncompared`: why others were none; `unjournalled`: mismatches of which the journal knows nothing;
    `covered`: differences, by the rule that says that they do not matter."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failed_alone: Counter[str] = field(default_factory=Counter)
    uncompared: Counter[str] = field(default_factory=Counter)
    unjournalled: int = 0
    covered: Counter[str] = field(default_factory=Counter)
    sides: dict[str, OfSide] = field(default_factory=lambda: {side: OfSide() for side in SIDES})

    @property
    def parity(self) -> parity.Tally:
        """How alike the sides are by it. What native left unanswered tells nothing of that."""
        return sum((parity.Tally.of(outcome) * self.outcomes[outcome.value] for outcome in Outcome), parity.NOTHING)

    @property
    def answered(self) -> int:
        """How many native had to answer."""
        return self.parity.compared + self.outcomes[Outcome.UNANSWERED.value]

    @property
    def against(self) -> int:
        """How many of those speak against native. A side that fails now and then does not when it is asked again."""
        failed = self.failed_alone[Side.NATIVE.value] - self.failed_alone[Side.LEGACY.value]
        return sum(self.outcomes[outcome.value] for outcome in AGAINST) + max(failed, 0)


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
    def unreadable(self) -> int:
        return sum(self.skipped[reason] for reason in UNREADABLE)

    @property
    def compared(self) -> int:
        """Those that both sides have answered."""
        return sum(route.parity.compared for route in self.routes.values())

    @property
    def mismatched(self) -> int:
        return sum(route.outcomes[Outcome.MISMATCHED.value] for route in self.routes.values())

    @property
    def against(self) -> float:
        """The part of what native had to answer that speaks against it."""
        answered = sum(route.answered for route in self.routes.values())
        return sum(route.against for route in self.routes.values()) / answered if answered else 0.0

    @property
    def unproved(self) -> list[str]:
        """The routes that were asked, and of which nothing was compared."""
        return sorted(name for name, route in self.routes.items() if route.asked and not route.parity.compared)
