"""The trips of this worker on this machine's disk: written as they are made, obeyed as they are found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec

import structlog

from flags.flag import Trip
from flags.held import Held
from flags.latched import EVERY, Latched

WITHIN = 1.0  # seconds that a rollback has to be written, before its order is answered without that
P = ParamSpec("P")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Kept:
    """`latched` is None where no directory is named: then nothing is kept, and nothing found.

    The disk has a thread of its own: nothing is written behind what others compute or look up, and all of it in turn.
    """

    def __init__(self, latched: Latched | None, held: Held) -> None:
        self._latched, self._held = latched, held
        self._disk = ThreadPoolExecutor(1, "rollbacks")
        self._untold: dict[str, Trip] = {}  # the store may not have heard of these; as they are called on disk

    def halt(self) -> None:
        """Let legacy answer what is rolled back here, before anything else runs; `take` must follow.

        A signal may come in the middle of anything: this takes no lock, logs nothing and changes one thing alone.
        """
        if self._latched is not None:
            self._held.halt(self._latched.read(self._held.flags, told=False))

    def take(self) -> Mapping[str, Trip]:
        """Go by the trips that the store has not heard of, whatever it says; they are returned."""
        untold = self._latched.read([*self._held.flags, EVERY], told=False) if self._latched is not None else {}
        every = untold.pop(EVERY, None)
        self._untold |= {route: trip for route, trip in untold.items() if trip != every}
        if every is not None:
            self._untold[EVERY] = every
        self._held.latch(untold, insisted=True)
        self._held.go_on()
        return untold

    def told(self) -> Mapping[str, Trip]:
        """Those that it has heard of: flags that were changed after them are newer."""
        return self._latched.read(self._held.flags, told=True) if self._latched is not None else {}

    async def keep(self, trips: Mapping[str, Trip]) -> bool | None:
        """Whether the disk holds them now; None if none is asked to. One for `EVERY` route is one file: a thousand take
        longer than it may."""
        if self._latched is None:
            return None
        if not await _done(self._write(self._latched.keep, trips)):
            return False
        self._untold |= trips
        return True

    async def note(self) -> None:
        """What is latched here no longer the store has heard of: who changes its flag from now on knows of it."""
        latches = self._held.latches
        waiting = latches.keys() | ({EVERY} if latches else ())
        told = {name: trip for name, trip in self._untold.items() if name not in waiting}
        if told and self._latched is not None and await _done(self._write(self._latched.keep, told, self._held.flags)):
            self._untold = {name: trip for name, trip in self._untold.items() if told.get(name) != trip}

    async def lift(self, route: str, at: float) -> None:
        """The route was reset."""
        self._untold.pop(route, None)
        if self._latched is not None:
            await _done(asyncio.shield(self._write(self._latched.lift, route, at)))  # when the disk goes on, if not now

    def _write(self, write: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> Awaitable[object]:
        return asyncio.get_running_loop().run_in_executor(self._disk, partial(write, *arguments, **named))


async def _done(writing: Awaitable[object]) -> bool:
    """Whether it was written; a disk that hangs keeps nobody, and a trip holds in memory all the same."""
    try:
        async with asyncio.timeout(WITHIN):
            await writing
    except OSError as error:  # TimeoutError is one
        log.error(
            "a rollback cannot be kept on disk: it holds until this process ends", error=str(error) or "no answer"
        )
        return False
    return True
