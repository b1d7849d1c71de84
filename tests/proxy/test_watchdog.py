"""An event loop that is blocked, seen from outside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.progress import PROGRESS
from proxy.tasks import Tasks
from proxy.watchdog import LOOKS, NATIVE, Stall, Watchdog
from tests.proxy.stage import eventually

LIMIT = 0.1


class Watched:
    """This test's event loop. `stalls` are what was noticed of it, `beats` how often it was seen to go round."""

    def __init__(self, tasks: Tasks, limit: float = LIMIT) -> None:
        self.tasks, self.stalls, self.beats = tasks, list[Stall](), 0
        self._noticed = threading.Event()
        self._watchdog = Watchdog(limit, self._stalled)

    @asynccontextmanager
    async def __call__(self, started: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
        async with self._watchdog.watching(self.tasks, started, self._beat):
            yield

    async def block(self, seconds: float = 30.0) -> bool:
        """Block the event loop until that is noticed; False if nobody does."""
        noticed = self._noticed.wait(seconds)
        self._noticed.clear()
        return noticed

    def _beat(self) -> None:
        self.beats += 1

    def _stalled(self, stall: Stall) -> None:
        self.stalls.append(stall)
        self._noticed.set()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    tasks = Tasks()
    yield Watched(tasks)
    await tasks.close()


async def test_what_blocks_the_event_loop_is_noticed_with_the_route_that_is_to_blame(watched: Watched) -> None:
    async with watched():
        await eventually(lambda: watched.beats > 0)
        assert await watched.tasks.start(watched.block(), f"{NATIVE}things.list")
    [stall] = watched.stalls
    assert stall.routes == ("things.list",)
    assert "noticed = self._noticed.wait(seconds)" in stall.stack


async def test_what_is_no_route_s_is_no_route_s_fault(watched: Watched) -> None:
    async with watched():
        await eventually(lambda: watched.beats > 0)
        asyncio.get_running_loop().call_soon(watched._noticed.wait, 30)
        await eventually(lambda: len(watched.stalls) == 1)
        before = watched.beats
        await eventually(lambda: watched.beats > before)
        watched._noticed.clear()
        assert await watched.tasks.start(watched.block())
    assert [stall.routes for stall in watched.stalls] == [(), ()]


async def test_who_blocks_in_a_task_of_its_own_is_sought_among_all_of_native_that_are_there(watched: Watched) -> None:
    async def elsewhere() -> None:
        async with asyncio.TaskGroup() as children:
            children.create_task(watched.block(), name="a child")

    async with watched():
        await eventually(lambda: watched.beats > 0)
        over = asyncio.Event()
        waiting = [watched.tasks.start(over.wait(), f"{NATIVE}{name}") for name in ("things.show", "things.show")]
        await watched.tasks.start(elsewhere(), f"{NATIVE}things.list")
        over.set()
        await asyncio.gather(*waiting)
    assert [stall.routes for stall in watched.stalls] == [("things.list", "things.show")]


async def test_a_long_round_of_short_steps_is_no_stall(watched: Watched) -> None:
    """As when thousands come at once: no timer of the loop is heard before all of them were."""

    def step() -> None:
        PROGRESS.steps += 1
        threading.Event().wait(LIMIT / LOOKS / 4)

    async def task() -> None:
        threading.Event().wait(LIMIT / LOOKS / 4)

    async with watched():
        await eventually(lambda: watched.beats > 0)
        for _ in range(12 * LOOKS):
            asyncio.get_running_loop().call_soon(step)
        await asyncio.sleep(0)
        await asyncio.gather(*(watched.tasks.start(task(), f"{NATIVE}things.list") for _ in range(12 * LOOKS)))
    assert watched.stalls == []
    assert watched.beats > LOOKS


async def test_a_loop_that_goes_round_is_left_alone(watched: Watched) -> None:
    watched = Watched(watched.tasks, limit=5 * LIMIT)
    async with watched():
        await eventually(lambda: watched.beats > 2 * LOOKS)
    assert watched.stalls == []


async def test_it_is_told_of_once_each_time(watched: Watched) -> None:
    async with watched():
        for _ in range(2):
            before = watched.beats
            await eventually(lambda before=before: watched.beats > before)  # type: ignore[misc]  # of this round
            assert await watched.block()
            assert not await watched.block(LIMIT * 4)
    assert len(watched.stalls) == 2


async def test_what_blocks_it_before_it_has_started_may_take_its_time(watched: Watched) -> None:
    async with watched(lambda: False):
        assert not await watched.block(LIMIT * 4)
        assert watched.beats == 0
