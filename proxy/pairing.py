"""What native failed, put to both sides at once, and booked: evidence where hardly anybody asks legacy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

from flags.complaint import ALONE
from flags.decide import paired
from flags.flag import Flag, Side
from flags.rollback import Judge
from flags.window import Tally
from proxy.config import Config
from proxy.judged import rules_of
from proxy.metrics import UNASKED, Metrics
from shadow.ask import Sign
from shadow.pacer import Pacer
from shadow.pairs import Alone, Listener, Pairs, Question

_CALLED = {
    Alone.CONTROL: "native_alone",
    Alone.CANDIDATE: "legacy_alone",
    Alone.SILENT: "legacy_unanswered",
    Alone.NEITHER: "alike",
    Alone.UNKNOWN: "unknown",
}


class Pairing:
    """`wanted`: whether pairs of a route are to be asked at all. What comes of one is booked in the second in which the
    request was decided, and is open until then."""

    def __init__(self, pairs: Pairs, wanted: Callable[[str], bool], metrics: Metrics) -> None:
        self.pairs, self._wanted, self._metrics = pairs, wanted, metrics

    def ask(self, question: Question, second: int, subject: int, native: Tally, legacy: Tally) -> None:
        """Of a subject that was failed before nothing more counts, and of a second that is forgotten."""
        if subject in native.spent or second not in native.entries or not self._wanted(question.route):
            return
        harmful = True

        def harmless() -> None:
            nonlocal harmful
            if harmful:
                harmful = False
                legacy.paired(second, -1)

        def told(who: Alone) -> None:
            if who is Alone.CONTROL:
                native.complained(second, ALONE, subject)
            elif who in (Alone.CANDIDATE, Alone.SILENT):
                legacy.complained(second, ALONE, subject)
            harmless()
            native.paired(second, -1)
            self._count(question.route, _CALLED[who])

        if self.pairs.ask(question, Listener(harmless, told)):
            native.paired(second, 1)
            legacy.paired(second, 1)
        else:
            self._count(question.route, UNASKED)

    async def run(self) -> None:
        """Until cancelled; what is under way is given up then."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.pairs.close()

    def _count(self, route: str, outcome: str) -> None:
        self._metrics.pairs.labels(route, outcome).inc()


def pairing_of(
    config: Config,
    candidates: Mapping[str, ASGIApp],
    flag: Callable[[str], Flag],
    metrics: Metrics,
    sign: Sign,
    pacer: Pacer,
) -> Pairing | None:
    """None without a native side."""
    if Side.NATIVE.value not in candidates:
        return None
    may = {route for route, rule in rules_of(config).items() if rule.paired and rule.judge is Judge.EVIDENCE}
    limits, holdbacks = config.shadow.limits, config.holdbacks

    def wanted(route: str) -> bool:
        return route in may and paired(flag(route).native, flag(route).shadow, holdbacks.get(route, 0))

    pairs = Pairs(
        candidates[Side.NATIVE.value],
        candidates[Side.LEGACY.value],
        limit=limits.body,
        deadline=limits.deadline,
        patience=limits.patience,
        sign=sign,
        heard=pacer.heard,
        pace=lambda: pacer.bearable,
    )
    return Pairing(pairs, wanted, metrics)
