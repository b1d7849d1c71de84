from __future__ import annotations

import asyncio
from math import inf

from proxy.alarm import Alarm
from tests.fidelity.wire import PATIENCE

LONG = 60.0
GRAIN = 0.002  # of the event loop's clock


class Clock:
    """When an alarm has rung, by the event loop's time, and how often."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rang = asyncio.Event()
        self.rings = 0
        self.at = inf

    def ring(self) -> None:
        self.rings, self.at = self.rings + 1, self._loop.time()
        self._rang.set()

    async def heard(self) -> float:
        async with asyncio.timeout(PATIENCE):
            await self._rang.wait()
        self._rang.clear()
        return self.at

    async def passed(self, seconds: float) -> None:
        over = asyncio.Event()
        self._loop.call_later(seconds, over.set)
        await over.wait()


async def test_it_rings_when_its_time_has_come_and_only_once() -> None:
    clock, began = Clock(), asyncio.get_running_loop().time()
    Alarm(clock.ring).within(0.02)
    assert await clock.heard() - began >= 0.02 - GRAIN
    await clock.passed(0.05)
    assert clock.rings == 1


async def test_what_is_put_off_rings_at_the_last_time_that_was_said() -> None:
    clock, began = Clock(), asyncio.get_running_loop().time()
    alarm = Alarm(clock.ring)
    for seconds in (0.01, 0.02, 0.05):
        alarm.within(seconds)
    assert await clock.heard() - began >= 0.05 - GRAIN
    assert clock.rings == 1


async def test_what_is_brought_forward_rings_at_the_earlier_time() -> None:
    clock = Clock()
    alarm = Alarm(clock.ring)
    alarm.within(LONG)
    alarm.within(0.01)
    await clock.heard()


async def test_what_is_put_off_after_it_was_off_rings_all_the_same() -> None:
    clock = Clock()
    alarm = Alarm(clock.ring)
    alarm.within(0.01)
    alarm.off()
    await clock.passed(0.03)
    assert clock.rings == 0
    alarm.within(0.01)
    await clock.heard()


async def test_it_can_be_set_again_by_what_it_rings_for() -> None:
    clock = Clock()

    def ring() -> None:
        clock.ring()
        if clock.rings == 1:
            alarm.within(0.01)

    alarm = Alarm(ring)
    alarm.within(0.01)
    await clock.heard()
    await clock.heard()
    assert clock.rings == 2


async def test_one_that_is_closed_never_rings_again_and_holds_nobody() -> None:
    clock = Clock()
    alarm = Alarm(clock.ring)
    alarm.within(0.01)
    alarm.close()
    alarm.within(0.01)
    await clock.passed(0.03)
    assert clock.rings == 0
