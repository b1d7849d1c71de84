"""How long the event loop is held at a time, while something goes on beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Holds:
    """The longest rounds of the loop: by processor time, which is what they held the loop for themselves, and on the
    wall, where others may have had the core, or the interpreter's lock. And how many rounds there were."""

    busy: float = 0.0
    wall: float = 0.0
    rounds: int = 0


@contextmanager
def watched() -> Iterator[Holds]:
    """The rounds of the running loop, while the block lasts."""
    loop, holds = asyncio.get_running_loop(), Holds()
    going = True
    busy, wall = time.thread_time(), time.perf_counter()

    def tick() -> None:
        nonlocal busy, wall
        then_busy, then_wall = busy, wall
        busy, wall = time.thread_time(), time.perf_counter()
        holds.busy, holds.wall = max(holds.busy, busy - then_busy), max(holds.wall, wall - then_wall)
        holds.rounds += 1
        if going:
            loop.call_soon(tick)

    loop.call_soon(tick)
    try:
        yield holds
    finally:
        going = False


async def while_repeated(work: Callable[[], Awaitable[object]], times: int) -> tuple[Holds, list[float]]:
    """The rounds of the loop during the work, and how long each piece of it took."""
    await work()  # whatever is done but once
    took = []
    with watched() as holds:
        for _ in range(times):
            since = time.perf_counter()
            await work()
            took.append(time.perf_counter() - since)
            await asyncio.sleep(0)  # work that waits for nothing is a round all the same
    await asyncio.sleep(0)
    return holds, took
