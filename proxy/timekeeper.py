"""How long an answer may keep us waiting: until it begins, between its bytes, and in all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.alarm import Alarm
from proxy.errors import NoAnswer, StranglerError


class Timekeeper:
    """Says `fail`, with what happened, as soon as a limit is passed. Seconds throughout."""

    __slots__ = ("_alarm", "_between", "_fail", "_late", "_latest", "_loop", "_total")

    def __init__(self, fail: Callable[[StranglerError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._fail: Callable[[StranglerError], None] | None = fail
        self._late: Callable[[], StranglerError] = NoAnswer
        self._latest = self._between = 0.0
        self._total: float | None = None

    def begin(self, between_bytes: float, total: float | None) -> None:
        """A question is asked whose answer has these limits."""
        self._between, self._total, self._latest = between_bytes, total, 0.0

    def await_answer(self, limit: float, late: Callable[[], StranglerError] | None = None) -> None:
        """`late` makes the failure if it is not the side that is waited for: then the total is not counted either."""
        if late is not None:
            self._late, self._latest = late, 0.0
            return self._alarm.within(limit)
        self._late = lambda: NoAnswer(f"nothing came within {limit:g} s")
        return self._set(limit)

    def await_more(self) -> None:
        """The answer has begun, or goes on."""
        self._late = self._silent
        self._set(self._between)

    def off(self) -> None:
        self._alarm.off()

    def close(self) -> None:
        self._alarm.close()
        self._fail, self._late = None, NoAnswer

    def _set(self, seconds: float) -> None:
        if self._total is not None:
            self._latest = self._latest or self._loop.time() + self._total
            seconds = min(seconds, max(self._latest - self._loop.time(), 0.0))
        self._alarm.within(seconds)

    def _ring(self) -> None:
        if self._fail is None:
            return None
        if self._latest and self._loop.time() >= self._latest:
            return self._fail(NoAnswer("the whole answer did not come in the time that it may take"))
        return self._fail(self._late())

    def _silent(self) -> StranglerError:
        return NoAnswer(f"nothing more came within {self._between:g} s")
