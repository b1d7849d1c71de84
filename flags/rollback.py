"""Is native fit to go on answering? A judge by simple thresholds. No I/O, no clock."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flags.window import Counts


class Kind(enum.Enum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INCONCLUSIVE = "inconclusive"


class Judge(enum.Enum):
    EVIDENCE = "evidence"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route may get away with: rates lie in 0–1, the window is in seconds.

    By evidence: `alpha`, the chance in a day of a trip for nothing, takes the place of `window`. Answers that took more
    than `slow_over` seconds are late, of which native may have `max_excess` more. `paired`: where there are shadows,
    what native fails may be put to both sides at once.
    """

    window: float
    min_requests: int
    max_error_rate: float
    max_excess: float
    alpha: float = 0.01
    judge: Judge = Judge.THRESHOLD
    slow_over: float = 0.5
    paired: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Kind
    words: str


def judge(native: Counts, legacy: Counts, rule: Rule) -> Verdict:
    """Unhealthy if native fails beyond its ceiling and clearly more than legacy does, or could turn out to.

    Both need `min_requests` in the window; a legacy that is not asked at all holds nothing up. Whom it keeps waiting
    weighs as if it had failed him: while it hangs, going back would help nobody. In good times they are a handful.
    """
    if native.answered < rule.min_requests:
        return Verdict(Kind.INCONCLUSIVE, _too_few("native", native, native.answered, rule))
    rate = native.failed / native.answered
    seen = f"native failed {_of(native)} ({_rate(rate)}, allowed {_limit(rule.max_error_rate)})"
    within = f"in {rule.window:g} s"
    if rate <= rule.max_error_rate:
        return Verdict(Kind.HEALTHY, f"{seen}, {_legacy(legacy)} {within}")
    if legacy.asked == 0:
        return Verdict(
            Kind.UNHEALTHY, f"{seen} {within}; legacy was not asked, so native is judged by the ceiling alone"
        )
    if legacy.answered == 0:
        return Verdict(Kind.INCONCLUSIVE, f"{seen}, but {_legacy(legacy)} {within}: going back might help nobody")
    weighing = legacy.answered + legacy.waiting
    if weighing < rule.min_requests:
        return Verdict(Kind.INCONCLUSIVE, f"{seen}, but to compare, {_too_few('legacy', legacy, weighing, rule)}")
    excess = rate - (legacy.failed + legacy.waiting) / weighing
    if excess > rule.max_excess:
        return Verdict(Kind.UNHEALTHY, f"{seen}, {_legacy(legacy)} {within}")
    alike = f"that is not {_limit(rule.max_excess)} worse, so going back would not help"
    return Verdict(Kind.INCONCLUSIVE, f"{seen}, but {_legacy(legacy)} {within}: {alike}")


def _too_few(side: str, counts: Counts, weighing: int, rule: Rule) -> str:
    needed = f"{rule.min_requests} requests needed in {rule.window:g} s"
    still = f", {counts.open} still open" if counts.open else ""
    return f"{side} answered {counts.answered} of the {needed}: {rule.min_requests - weighing} more{still}"


def _legacy(legacy: Counts) -> str:
    if legacy.asked == 0:
        return "legacy was not asked"
    if legacy.answered == 0:
        return f"legacy answered none of {legacy.asked}"
    still = f", {legacy.open} still open" if legacy.open else ""
    return f"legacy {_of(legacy)} ({_rate(legacy.failed / legacy.answered)}{still})"


def _of(counts: Counts) -> str:
    return f"{counts.failed} of {counts.answered}"


def _rate(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _limit(rate: float) -> str:
    return f"{100 * rate:g} %"
