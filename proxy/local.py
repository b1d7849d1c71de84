"""A rollback without the operators' port: on this machine's disk, and told to the processes here by a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from flags.flag import Trip
from flags.latched import EVERY, Latched
from flags.loop import Loop
from proxy.presence import presence, processes

BY_HAND = "by hand, on this machine"
TAKE = signal.SIGUSR1  # each worker reads the directory anew
PATIENCE = 2.0  # seconds that a process has to say that it goes by it
LOOK = 0.005  # seconds between two looks


def roll_back(
    directory: Path,
    route: str | None,
    why: str,
    now: Callable[[], float] = time.time,
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> Mapping[int, bool]:
    """Roll a route back, or every one; for each process here, whether it goes by that now. OSError: nothing is done."""
    trip = Trip(now(), f"{BY_HAND}: {why}", BY_HAND)
    as_of = Latched(directory).keep({EVERY if route is None else route: trip})
    living = processes(directory)
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, TAKE)
    until = time.monotonic() + patience
    while waiting := [pid for pid, taken in processes(directory).items() if pid in living and taken < as_of]:
        if time.monotonic() >= until:
            break
        pause(LOOK)
    return {pid: pid not in waiting for pid in living}


@contextmanager
def obeying(directory: Path | None, loop: Loop) -> Iterator[None]:
    """Go by the rollbacks in the directory: now, and whenever the signal says that there is another."""
    if directory is None:
        yield
        return
    clock = asyncio.get_running_loop()

    def heard(number: int, frame: FrameType | None) -> None:
        # At once, between two instructions of whatever runs: a handler that blocks the loop keeps this from nobody.
        loop.halt()
        clock.call_soon_threadsafe(take)

    def take() -> None:
        mine.taken(loop.take_latched())

    before = signal.signal(TAKE, heard)
    try:
        with presence(directory) as mine:
            take()
            yield
    finally:
        signal.signal(TAKE, before)


def words(directory: Path, route: str | None, taken: Mapping[int, bool]) -> str:
    """What became of it."""
    what = "every route is" if route is None else f"{route} is"
    kept = f"{what} rolled back on this machine, and kept so in {directory}, over restarts, until a reset"
    if not taken:
        return f"{kept}. No proxy runs here with this directory: one that starts goes by it"
    done = [str(pid) for pid, is_done in taken.items() if is_done]
    hanging = [str(pid) for pid, is_done in taken.items() if not is_done]
    told = f"{kept}. {len(done)} of {len(taken)} processes here go by it ({', '.join(done) or 'none'})"
    if not hanging:
        return told
    if route is not None:
        return (
            f"{told}. {', '.join(hanging)} said nothing of it: either it hangs, or it knows no route of that name "
            "(`strangler routes` lists them). --all needs no name"
        )
    return (
        f"{told}. {', '.join(hanging)} did not answer: what hangs decides nothing, and goes by the rollback as soon as "
        f"it runs again. If users wait for it: kill -9 {' '.join(hanging)}"
    )
