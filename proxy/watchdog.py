"""Notices from outside the event loop that it stands still: what blocks it keeps every user of the worker waiting."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import ref

from proxy.progress import PROGRESS
from proxy.tasks import Tasks

LOOKS = 4  # one after the other, that find that nothing has moved
FRAMES = 20  # of the stack, the innermost
STANDS_STILL = (
    "the event loop stands still, and all users of this worker with it: whatever the stack shows blocks it; run native "
    "in processes of its own (native.url), where it can block nobody but its own users"
)
NOBODY_REPLACES = (
    "; nobody replaces this process: if it does not go on, kill -9 it, start it again and roll the route back; with "
    "--workers a supervisor does that"
)
NATIVE = "native "  # what the tasks are called in which native answers, ahead of the route
RUNNERS = "asyncio.runners", "uvloop"  # the innermost Python there is while the loop itself is at work

Look = tuple[int, int, Any]  # what of the loop is compared with the time before


@dataclass(frozen=True, slots=True)
class Stall:
    """`routes`: whose handlers may hold the event loop: one if it is known, none if it is not native. `stack`: where,
    innermost last."""

    routes: tuple[str, ...]
    stack: str


class Watchdog:
    """A thread that looks whether the loop gets on, LOOKS times in each `limit` seconds, from its first round on.

    It gets on while it goes round, or is at work on something else than at the look before: thousands who come at once
    make a round long. Counted are looks and not seconds: to a process that was frozen no time has passed. `stalled` is
    called in this thread, once each time that the loop stands still.
    """

    def __init__(self, limit: float, stalled: Callable[[Stall], None]) -> None:
        self.limit, self._stalled = limit, stalled
        self._rounds = 0
        self._over = threading.Event()

    @asynccontextmanager
    async def watching(
        self, tasks: Tasks, started: Callable[[], bool], beat: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Within the block the event loop is watched, once it has `started`: what it does until then may take its time.
        `beat` is called, in the thread, with each look that finds that it gets on. `tasks` are not native's, unless
        they are called so."""
        loop, watched = asyncio.get_running_loop(), threading.get_ident()
        run = contextvars.copy_context().run  # so that our records say which worker they are of
        arguments = self._run, loop, watched, tasks, beat
        threading.Thread(target=run, args=arguments, name="watchdog", daemon=True).start()
        tasks.start(self._going_round(started))
        try:
            yield
        finally:
            self._over.set()

    async def _going_round(self, started: Callable[[], bool]) -> None:
        while True:
            if self._rounds or started():
                self._rounds += 1
            await asyncio.sleep(self.limit / LOOKS)

    def _run(self, loop: asyncio.AbstractEventLoop, watched: int, tasks: Tasks, beat: Callable[[], None]) -> None:
        seen, missed = self._look(loop), 0
        while not self._over.wait(self.limit / LOOKS):
            before, seen = seen, self._look(loop)
            missed = missed + 1 if seen == before and self._rounds and not _between(watched) else 0
            if missed == LOOKS:
                self._stalled(_stall(loop, watched, tasks))
            elif not missed and self._rounds:
                beat()

    def _look(self, loop: asyncio.AbstractEventLoop) -> Look:
        task = asyncio.current_task(loop)
        return self._rounds, PROGRESS.steps, ref(task) if task is not None else None  # none must end in this thread


def _between(watched: int) -> bool:
    """Whether no callback runs: the loop takes connections, or shakes hands with them."""
    frame = sys._current_frames().get(watched)
    return frame is not None and frame.f_globals.get("__name__") in RUNNERS


def _stall(loop: asyncio.AbstractEventLoop, watched: int, tasks: Tasks) -> Stall:
    frame = sys._current_frames().get(watched)
    stack = "".join(traceback.format_stack(frame, FRAMES)) if frame is not None else ""
    return Stall(_to_blame(loop, tasks), stack)


def _to_blame(loop: asyncio.AbstractEventLoop, tasks: Tasks) -> tuple[str, ...]:
    """The route whose task it is; for a task that somebody within native has started, every route that is there."""
    task = asyncio.current_task(loop)
    if task is None:
        return ()
    if task.get_name().startswith(NATIVE):
        return (task.get_name().removeprefix(NATIVE),)
    if task in tasks:
        return ()
    names = {each.get_name() for each in asyncio.all_tasks(loop)}
    return tuple(sorted(name.removeprefix(NATIVE) for name in names if name.startswith(NATIVE)))
