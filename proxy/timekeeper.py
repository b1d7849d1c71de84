"""How long an exchange may keep us waiting: until its answer begins, between two bytes, and in all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.alarm import Alarm
from proxy.errors import ClientStalled, NoAnswer, StranglerError
from proxy.limits import Limits


class Timekeeper:
    """Says `fail`, with what happened, as soon as one of the limits is passed that the question was begun with."""

    __slots__ = ("_alarm", "_fail", "_late", "_latest", "_limits", "_loop")

    def __init__(self, fail: Callable[[StranglerError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._fail: Callable[[StranglerError], None] | None = fail
        self._late: Callable[[], StranglerError] = NoAnswer
        self._limits = Limits()
        self._latest = 0.0

    def begin(self, limits: Limits) -> None:
        self._limits, self._latest = limits, 0.0

    def await_answer(self) -> None:
        self._late = self._unanswered
        self._within(self._limits.first_byte)

    def await_upload(self) -> None:
        """It is the user who is waited for, so the total is not counted."""
        self._late, self._latest = ClientStalled, 0.0
        self._alarm.within(self._limits.stall)

    def await_more(self) -> None:
        """The answer has begun, or goes on."""
        self._late = self._silent
        self._within(self._limits.between_bytes)

    def off(self) -> None:
        self._alarm.off()

    def close(self) -> None:
        self._alarm.close()
        self._fail, self._late = None, NoAnswer

    def _within(self, seconds: float) -> None:
        total = self._limits.total
        if total is not None:
            self._latest = self._latest or self._loop.time() + total
            seconds = min(seconds, max(self._latest - self._loop.time(), 0.0))
        self._alarm.within(seconds)

    def _ring(self) -> None:
        if self._fail is None:
            return None
        if self._latest and self._loop.time() >= self._latest:
            return self._fail(NoAnswer("the whole answer did not come in the time that it may take"))
        return self._fail(self._late())

    def _unanswered(self) -> StranglerError:
        return NoAnswer(f"nothing came within {self._limits.first_byte:g} s")

    def _silent(self) -> StranglerError:
        return NoAnswer(f"nothing more came within {self._limits.between_bytes:g} s")
