from __future__ import annotations

import asyncio

from demo.shift import Shift


async def test_whoever_thinks_stops_when_the_shift_is_over() -> None:
    shift = Shift(think=3600.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(shift.pause())
        tasks.create_task(shift.pause(think=7200.0))
        shift.end()
    assert shift.over


async def test_a_pause_is_over_before_the_shift() -> None:
    shift = Shift(think=0.001)
    async with asyncio.timeout(10):
        await shift.pause()
        await Shift(think=3600.0).pause(think=0.001)
    assert not shift.over
