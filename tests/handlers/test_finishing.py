from __future__ import annotations

import asyncio

import pytest

from handlers.finishing import Finishing


async def test_work_is_waited_for_and_its_result_handed_back() -> None:
    async def work() -> int:
        return 7

    assert await Finishing().see_through(work()) == 7


async def test_what_work_raises_reaches_who_waits() -> None:
    async def work() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await Finishing().see_through(work())


async def test_work_goes_on_when_who_waits_is_cancelled_and_closing_waits_for_it() -> None:
    finishing, begun, go_on, done = Finishing(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    waiter = asyncio.get_running_loop().create_task(finishing.see_through(work()))
    await begun.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(finishing.close())
        await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()
    assert done.is_set()


async def test_work_that_fails_when_nobody_waits_any_more_does_not_fail_the_closing() -> None:
    finishing, begun, go_on = Finishing(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        raise ValueError

    waiter = asyncio.get_running_loop().create_task(finishing.see_through(work()))
    await begun.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    go_on.set()
    await finishing.close()


async def test_work_that_does_not_end_is_ended_when_the_closing_has_waited_long_enough() -> None:
    finishing, begun, ended = Finishing(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiter = asyncio.get_running_loop().create_task(finishing.see_through(work()))
    await begun.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await finishing.close(within=0)
    assert ended.is_set()
