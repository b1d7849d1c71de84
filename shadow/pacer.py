"""Sees what shadow work does to others, and paces it: ten looks at the event loop each second, and then a pace."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

import structlog

from .newest import Newest
from .yielding import Cause, Pace, paced

log = structlog.get_logger()

LOOK: Final = 0.1  # seconds between two looks at how late the event loop comes
LOOKS: Final = 10  # in a second, after which there is a new pace; fewer where they come late. The typical one counts
NEWEST: Final = 10  # questions, however old, that tell whether it is over that most are in vain: few are asked then
LEARNS: Final = 60  # paces after which whoever answers too seldom to tell what is usual is not waited for


class Pacer:
    """`late`: the part of legacy's newest answers to users that took longer than usual, None if they are too few or
    nobody knows yet what is usual; called once for each pace. `told` hears of every pace."""

    def __init__(self, late: Callable[[], float | None], told: Callable[[Pace], None]) -> None:
        self.pace = self._bearable = Pace()
        self._late, self._told = late, told
        self._lags, self._vain, self._newest = list[float](), Newest(), deque[bool](maxlen=NEWEST)
        self._answers = self._busy = self._learning = 0

    @property
    def factor(self) -> float:
        """The part of the shadow work that is to be done."""
        return self.pace.factor

    @property
    def bearable(self) -> float:
        """The part that others can bear, answered or not: for whoever asks because there may be no answer."""
        return self._bearable.factor

    @property
    def at_once(self) -> float:
        """The part of what may be under way. Nothing beside the first while it is learned what legacy is like: what
        is slow because of us must not pass for usual."""
        return 0.0 if self._learning else self.pace.factor

    def heard(self, busy: bool) -> None:
        """A shadow request was answered; `busy`: by a side that said so of itself."""
        self._answers += 1
        self._busy += busy

    def asked(self, vain: bool) -> None:
        """A shadow request is over; `vain`: without a whole answer, or it was never sent for want of room."""
        if not self._learning:  # else there is little room, whatever the side can take
            self._vain.heard(vain)
            self._newest.append(vain)

    async def run(self) -> None:
        """Until cancelled."""
        self._learning = LEARNS
        while True:
            expected = time.monotonic() + LOOK  # the loop's own clock stands still within a round
            await asyncio.sleep(LOOK)
            self.looked(time.monotonic() - expected)

    def looked(self, lag: float) -> None:
        """The event loop came late by so many seconds."""
        self._lags.append(lag)
        if len(self._lags) * LOOK + sum(self._lags) >= LOOKS * LOOK:  # by the clock: no later for who is late already
            self._turn()

    def _turn(self) -> None:
        before, seen = self.pace, self._seen()
        self.pace = paced(self.pace, seen)
        self._bearable = paced(self._bearable, {cause: seen[cause] for cause in seen if cause is not Cause.IN_VAIN})
        self._lags, self._answers, self._busy = [], 0, 0
        if self.pace.causes - before.causes:
            causes = sorted(cause.value for cause in self.pace.causes)
            log.info("shadow work yields", factor=self.pace.factor, causes=causes)
        elif before.factor < self.pace.factor == 1.0:
            log.info("shadow work is all there again")
        self._told(self.pace)

    def _seen(self) -> dict[Cause, float]:
        seen, late, vain = {Cause.EVENT_LOOP: median(self._lags)}, self._late(), self._vain.turn()
        if vain is None and Cause.IN_VAIN in self.pace.causes:
            vain = sum(self._newest) / len(self._newest)
        self._learning = max(0, self._learning - 1)
        if late is not None:
            seen[Cause.LEGACY_SLOW], self._learning = late, 0
        if vain is not None:
            seen[Cause.IN_VAIN] = vain
        if self._answers:
            seen[Cause.CANDIDATE_BUSY] = self._busy / self._answers
        return seen
