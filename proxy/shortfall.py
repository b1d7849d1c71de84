"""How much of the shadow work is left undone at this moment, and why: of one worker, and of all of them."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flags.flag import WHOLE, percent
from proxy.exposition import Family
from shadow.yielding import Cause, Pace

STEP: Final = 10.0  # seconds that are counted together
LATELY: Final = 6  # of them: a minute, to the step
NAMED: Final = 3  # kinds of losses that words name; all of them are told beside the words
WHY: Final = {
    Cause.EVENT_LOOP.value: "the event loop comes late",
    Cause.LEGACY_SLOW.value: "legacy is slower than usual",
    Cause.CANDIDATE_BUSY.value: "a side says that it is busy",
    Cause.IN_VAIN.value: "most of what would be asked finds no room or no answer",
}

Lost = tuple[str, str]  # a route, and the reason


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Of one worker: the part of the shadow work that is done, why not all of it, and what was given up lately."""

    factor: float
    causes: frozenset[str]
    lost: Mapping[Lost, int]

    @property
    def told(self) -> dict[str, Any]:
        """As JSON knows it; `heard` is the way back."""
        lost = sorted([*lost, times] for lost, times in self.lost.items())
        return {"factor": self.factor, "causes": sorted(self.causes), "lost": lost}

    @classmethod
    def heard(cls, told: Mapping[str, Any]) -> Shortfall:
        lost = {(route, reason): times for route, reason, times in told["lost"]}
        return cls(told["factor"], frozenset(told["causes"]), lost)


class Undone:
    """Counts what is given up, for good in `drops` and for a minute here. `pace`: what shadow work goes on at."""

    def __init__(self, drops: Family, now: Callable[[], float] = time.monotonic) -> None:
        self._drops, self._now = drops, now
        self._steps: deque[tuple[int, Counter[Lost]]] = deque(maxlen=LATELY)
        self.pace = Pace()

    def dropped(self, route: str, reason: str) -> None:
        self._drops.labels(route, reason).inc()
        step = int(self._now() // STEP)
        if not self._steps or self._steps[-1][0] != step:
            self._steps.append((step, Counter()))
        self._steps[-1][1][route, reason] += 1

    @property
    def shortfall(self) -> Shortfall:
        oldest, lost = int(self._now() // STEP) - LATELY, Counter[Lost]()
        for step, counts in self._steps:
            if step > oldest:
                lost.update(counts)
        return Shortfall(self.pace.factor, frozenset(cause.value for cause in self.pace.causes), lost)


def status(workers: Sequence[Shortfall]) -> dict[str, Any]:
    """Of all workers, as the operators' port tells it. `words`: null if there is nothing to tell."""
    factors = [each.factor for each in workers]
    causes, lost = Counter[str](), Counter[Lost]()
    for each in workers:
        causes.update(each.causes)
        lost.update(each.lost)
    words = [*_yielding(factors, causes), *_given_up(lost)]
    return {
        "factor": min(factors),
        "yielding": [{"cause": cause, "workers": number} for cause, number in sorted(causes.items())],
        "givenUp": [{"route": route, "reason": why, "times": times} for (route, why), times in lost.most_common()],
        "words": "; ".join(words) or None,
    }


def _yielding(factors: Sequence[float], causes: Iterable[str]) -> Iterable[str]:
    less = [factor for factor in factors if factor < 1.0]
    if less:
        where = f" on {len(less)} of {len(factors)} workers" if len(factors) > 1 else ""
        why = " and ".join(WHY.get(cause, cause) for cause in sorted(causes))
        yet = f"because {why}" if why else "and is on its way back"
        yield f"shadow work yields{where}, down to {percent(round(min(less) * WHOLE))} of it, {yet}"


def _given_up(lost: Counter[Lost]) -> Iterable[str]:
    if lost:
        named = [f"{times} of {route} ({reason})" for (route, reason), times in lost.most_common(NAMED)]
        rest = lost.total() - sum(times for _, times in lost.most_common(NAMED))
        yield f"comparisons given up in the last minute: {', '.join(named)}{f', and {rest} more' if rest else ''}"
