"""Sees what shadow work does to others, and paces it: ten looks at the event loop each second, and then a pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Final

import structlog

from .yielding import Cause, Pace, paced

log = structlog.get_logger()

LOOK: Final = 0.1  # seconds between two looks at how late the event loop comes
LOOKS: Final = 10  # after which there is a new pace; the typical one of them counts, for one long round is no strain


class Pacer:
    """`late`: the part of legacy's newest answers to users that took longer than usual, None if they are too few;
    called once for each pace. `told` hears of every pace."""

    def __init__(self, late: Callable[[], float | None], told: Callable[[Pace], None]) -> None:
        self.pace = Pace()
        self._late, self._told = late, told
        self._lags: list[float] = []
        self._answers = self._busy = 0

    @property
    def factor(self) -> float:
        """The part of the shadow work that is to be done."""
        return self.pace.factor

    def heard(self, busy: bool) -> None:
        """A shadow request was answered; `busy`: by a side that said so of itself."""
        self._answers += 1
        self._busy += busy

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            expected = time.monotonic() + LOOK  # the loop's own clock stands still within a round
            await asyncio.sleep(LOOK)
            self.looked(time.monotonic() - expected)

    def looked(self, lag: float) -> None:
        """The event loop came late by so many seconds."""
        self._lags.append(lag)
        if len(self._lags) == LOOKS:
            self._turn()

    def _turn(self) -> None:
        before, self.pace = self.pace, paced(self.pace, self._seen())
        self._lags, self._answers, self._busy = [], 0, 0
        if self.pace.causes - before.causes:
            causes = sorted(cause.value for cause in self.pace.causes)
            log.info("shadow work yields", factor=self.pace.factor, causes=causes)
        elif before.factor < self.pace.factor == 1.0:
            log.info("shadow work is all there again")
        self._told(self.pace)

    def _seen(self) -> dict[Cause, float]:
        seen, late = {Cause.EVENT_LOOP: median(self._lags)}, self._late()
        if late is not None:
            seen[Cause.LEGACY_SLOW] = late
        if self._answers:
            seen[Cause.CANDIDATE_BUSY] = self._busy / self._answers
        return seen
