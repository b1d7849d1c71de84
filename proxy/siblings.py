"""The other workers of this proxy: what all have counted together, and trips that no store can carry to them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from flags.flag import Trip
from flags.loop import Loop
from proxy.line import Heard, Line, Word, heard
from proxy.metrics import Metrics
from proxy.pulse import Pulse
from proxy.shortfall import Shortfall
from proxy.tasks import Tasks
from proxy.together import added
from proxy.watchdog import Stall

EVERY = 1.0  # seconds between two reports of what is counted here: as much is lost with a worker that is killed
PATIENCE = 2.0  # seconds that the supervisor has to say what the others have counted
SPREAD_WITHIN = 1.0  # seconds that the others have to take over a trip


class Silent(Exception):
    """The supervisor does not say what the other workers have counted."""


class Siblings(Protocol):
    async def join(self, tasks: Tasks, gone: Callable[[], None]) -> None:
        """Return once it is known what the others go by; `gone` is called when there is no supervisor any more."""

    def ready(self, drain: float, watchdog: float) -> None:
        """Requests are taken. When told to stop, `drain` seconds are taken to finish; a loop that stands still for
        `watchdog` seconds is to be replaced."""

    def beat(self) -> None:
        """The event loop gets on, says another thread."""

    def stalled(self, stall: Stall) -> None:
        """It does not: have this worker replaced, and the routes that are to blame tripped, if anybody can."""

    async def leave(self) -> None:
        """Nothing is counted here any more."""

    async def exposition(self) -> bytes:
        """The metrics of all workers."""

    async def spread(self) -> bool:
        """Tell the others of the trips in force here; whether every one of them now goes by them."""

    def shortfalls(self) -> list[Shortfall]:
        """How much of its shadow work each worker leaves undone, this one first."""


class NoSiblings:
    """One worker is the whole proxy."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def join(self, tasks: Tasks, gone: Callable[[], None]) -> None:
        return

    def ready(self, drain: float, watchdog: float) -> None:
        return

    def beat(self) -> None:
        return

    def stalled(self, stall: Stall) -> None:
        return

    async def leave(self) -> None:
        return

    async def exposition(self) -> bytes:
        return self._metrics.exposition()

    async def spread(self) -> bool:
        return False

    def shortfalls(self) -> list[Shortfall]:
        return [self._metrics.undone.shortfall]


class Supervised:
    """One of several workers. What was shown of its counts its supervisor has heard of first: no sum ever falls."""

    def __init__(self, line: Line, pulse: Pulse, loop: Loop, metrics: Metrics) -> None:
        self._line, self._pulse, self._loop, self._metrics = line, pulse, loop, metrics
        self._asked: deque[asyncio.Future[bytes]] = deque()
        self._heard: set[Heard] = set()
        self._told: Any = None
        self._undone: dict[str, Any] | None = None  # as the others have heard of it
        self._others: list[Shortfall] = []
        self._met, self._spread = asyncio.Event(), asyncio.Condition()
        self._state: dict[str, Any] = {"trips": [], "everywhere": True}

    async def join(self, tasks: Tasks, gone: Callable[[], None]) -> None:
        tasks.start(self._listen(gone))
        await self._met.wait()
        tasks.start(self._report())

    def ready(self, drain: float, watchdog: float) -> None:
        self._line.post(Word.READY, json.dumps({"drain": drain, "watchdog": watchdog}).encode())

    def beat(self) -> None:
        self._pulse.beat()

    def stalled(self, stall: Stall) -> None:
        flags = self._loop.snapshot
        self._pulse.stalled({route: flags[route].trip_time(0.0) for route in stall.routes if route in flags})

    async def leave(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._count()
                await self._line.close()

    async def exposition(self) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE):
                own = self._metrics.exposition()
                await self._count()
                self._asked.append(answer)
                await self._line.send(Word.EVERYONE)
                return added([own, await answer])
        except TimeoutError:
            raise Silent(f"the supervisor did not answer within {PATIENCE:g} s") from None

    async def spread(self) -> bool:
        mine = _trips(self._loop.latches)
        with suppress(TimeoutError):
            async with asyncio.timeout(SPREAD_WITHIN), self._spread:
                await self._tell_trips()
                await self._spread.wait_for(lambda: self._state["everywhere"] and mine <= heard(self._state["trips"]))
                return True
        return False

    def shortfalls(self) -> list[Shortfall]:
        return [self._metrics.undone.shortfall, *self._others]

    async def _report(self) -> None:
        while True:
            await self._count()
            await self._tell_trips()
            await self._tell_shortfall()
            await asyncio.sleep(EVERY)

    async def _listen(self, gone: Callable[[], None]) -> None:
        async for word, body in self._line.messages():
            if word is Word.COUNTS and self._asked:
                answer = self._asked.popleft()
                if not answer.done():
                    answer.set_result(body)
            elif word is Word.TRIPS:
                await self._hear(json.loads(body))
            elif word is Word.SHADOWS:
                self._others = [Shortfall.heard(told) for told in json.loads(body)]
        self._met.set()
        gone()

    async def _count(self) -> None:
        await self._line.send(Word.COUNTS, self._metrics.counted())

    async def _hear(self, state: Mapping[str, Any]) -> None:
        """Take over trips, each only once: one that is lifted again here has been delivered, or was reset."""
        new = heard(state["trips"]) - self._heard
        self._heard |= new
        self._loop.adopt({route: Trip(at, reason, who) for route, at, reason, who in new})
        await self._tell_trips()
        async with self._spread:
            self._state = dict(state)
            self._spread.notify_all()
        self._met.set()

    async def _tell_trips(self) -> None:
        latched = _trips(self._loop.latches)
        self._heard |= latched
        told = {"latched": sorted(latched), "heard": sorted(self._heard)}
        if told != self._told:
            self._told = told
            await self._line.send(Word.TRIPS, json.dumps(told).encode())

    async def _tell_shortfall(self) -> None:
        told = self._metrics.undone.shortfall.told
        if told != self._undone:
            self._undone = told
            await self._line.send(Word.SHADOWS, json.dumps(told).encode())


def _trips(latches: Mapping[str, Trip]) -> set[Heard]:
    return {(route, trip.at, trip.reason, trip.who) for route, trip in latches.items()}
