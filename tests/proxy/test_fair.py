from __future__ import annotations

import asyncio

import pytest

from proxy.fair import LATE, fair_timeout
from tests.proxy.stage import stand_still

LONG = 2 * LATE


async def test_what_does_not_come_is_late() -> None:
    with pytest.raises(TimeoutError):
        async with fair_timeout(0.01):
            await asyncio.Event().wait()


async def test_what_needs_several_rounds_of_an_event_loop_that_stood_still_is_not() -> None:
    async with fair_timeout(0.01):
        stand_still(LONG)
        for _ in range(10):
            await asyncio.sleep(0)


async def test_an_event_loop_that_stands_still_again_and_again_comes_to_an_end() -> None:
    rounds = 0

    async def never_there() -> None:
        nonlocal rounds
        async with fair_timeout(0.01):
            while True:
                rounds += 1
                stand_still(LONG)
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await never_there()
    assert rounds < 20


async def test_nothing_rings_after_the_end() -> None:
    async with fair_timeout(0.01):
        pass
    rung = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, rung.set)
    await rung.wait()
