"""Carries the routes' ramps on: hears them, watches what is in force, takes the steps that are due.

Every worker does. None needs to lead: a step is written by compare-and-set before the share is moved, and who finds it
written but not moved, because its author died in between, moves it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from flags.audit import Note
from flags.errors import Followed, Overtaken, Refused, Stale, StoreUnavailable, Tripped
from flags.flag import Flag, Side, percent
from flags.loop import Loop
from flags.ramp import Alike, Ramp, State, Watch, Watched, began, onward, raised, stands, told, turned
from flags.store import Store
from flags.window import NONE

EVERY = 1.0  # seconds between two looks
SETTLED = 30  # seconds after which hardly any request of a second is still open

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class NotNow(Refused):
    """The ramp is not as the order takes it to be."""


class Ramps:
    """`ramps` are the fleet's, each route's latest. `ready`: whether native takes requests of this worker; `alike`: how
    alike the sides answer on a route, asked with what a ramp allows. `clock` is one that nobody sets."""

    def __init__(
        self,
        store: Store,
        loop: Loop,
        *,
        followed: bool = False,
        ready: Callable[[], bool] = lambda: True,
        alike: Callable[[str, int], Alike] = lambda route, allowed: Alike(),
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        every: float = EVERY,
    ) -> None:
        self.ramps: Mapping[str, Ramp] = {}
        self._store, self._loop, self._followed, self._ready = store, loop, followed, ready
        self._now, self._clock, self._alike = now, clock, alike
        self._watches: dict[str, Watch] = {}
        self._every = every
        self._talking = asyncio.Lock()  # each conversation with the store acts on what the one before heard

    async def run(self) -> None:
        """Carry on until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable:
                pass  # the loop says that it is away: nothing is raised without it
            except Exception:
                log.exception("a ramp could not be carried on: its share stays")
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Everything that happens once a second."""
        async with self._talking:
            await self._hear()
            under_way = [route for route, ramp in self.ramps.items() if ramp.is_open and route in self._loop.snapshot]
            if under_way:
                await self._loop.refresh()  # what a ramp has moved is heard of no later than the ramp
            self._watches = {route: watch for route, watch in self._watches.items() if route in under_way}
            for route in under_way:
                if self._loop.connected:
                    await self._carry_on(route)

    def words(self, route: str) -> str | None:
        """Where the route's ramp stands, as this worker sees it; None: it never had one."""
        ramp = self.ramps.get(route)
        return None if ramp is None else told(ramp, self._loop.verdicts.get(route), self._watched(route))

    async def begin(
        self,
        route: str,
        shares: Sequence[int],
        hold: float,
        min_requests: int,
        who: str,
        why: str = "",
        generation: int | None = None,
        *,
        parity: int = 0,
    ) -> Ramp:
        """A new way up, from the share that is in force; ValueError if these are no steps of one.

        `generation`: of the flag that the order is meant for.
        """
        async with self._talking:
            await self._hear()
            await self._loop.refresh()
            flag, before, now = self._loop.get(route), self.ramps.get(route), self._now()
            self._check(route, flag, before)
            if generation not in (None, flag.generation):
                raise Stale(route, flag)
            known = before.generation if before is not None else 0
            ramp = Ramp(tuple(shares), hold, min_requests, who, flag.generation, now, generation=known, parity=parity)
            if ramp.share < flag.native:
                share = percent(flag.native)
                raise NotNow(
                    f"{route}: native answers {share} already, and a ramp only raises; nothing changed. Begin it at "
                    f"{share} or above, or set the share first"
                )
            await self._order(route, known, ramp.into(State.RUNNING, now), self._note(route, who, why, began(ramp)))
            await self._move(route)
            return self.ramps[route]

    async def turn(self, route: str, state: State, who: str, why: str = "", generation: int | None = None) -> Ramp:
        """Pause, resume or abort: the share stays where it is. `generation`: of the ramp that is meant."""
        self._loop.get(route)
        async with self._talking:
            await self._hear()
            ramp = self.ramps.get(route)
            if ramp is None or not ramp.is_open:
                raise NotNow(f"{route}: no ramp is under way here; nothing changed")
            if generation not in (None, ramp.generation):
                at = f"at generation {ramp.generation} now"
                raise NotNow(f"{route}: its ramp is {at}, and nothing changed; look and try again")
            if ramp.state is not state:
                after = ramp.into(state, self._now(), f"by {who}: {why}" if why else f"by {who}")
                await self._order(route, ramp.generation, after, self._note(route, who, why, turned(after)))
            return self.ramps[route]

    def _check(self, route: str, flag: Flag, before: Ramp | None) -> None:
        if self._followed:
            raise Followed(route)
        if flag.trip is not None:
            raise Tripped(route, flag.trip)
        if before is not None and before.is_open:
            raise NotNow(f"{route}: a ramp is {before.state.value} here; nothing changed. Abort it first")

    async def _hear(self) -> None:
        """A store that was emptied, or restored from the past, is told what is held."""
        seen = await self._store.ramps()
        lost = {r: ramp for r, ramp in self.ramps.items() if r not in seen or seen[r].generation < ramp.generation}
        self.ramps = {**seen, **lost}
        for route, ramp in lost.items():
            log.warning("the store held an older ramp: ours is written back", route=route)
            await self._store.ramp(route, ramp.generation - 1, ramp)

    async def _carry_on(self, route: str) -> None:
        ramp, flag = self.ramps[route], self._loop.get(route)
        self._watch(route, ramp, flag)
        after = onward(ramp, flag, self._loop.verdicts.get(route), self._watched(route), self._now())
        if after is not ramp:
            over = None if after.is_open else self._note(route, f"ramp of {ramp.by}", "", turned(after))
            if not await self._write(route, ramp.generation, after, over):
                return  # somebody was first: the next look hears of it
            log.info("a ramp goes on" if after.is_open else "a ramp is over", route=route, words=self.words(route))
        await self._move(route)

    async def _move(self, route: str) -> None:
        """Let the share be the step's, unless that has been done, or somebody has changed the flag since."""
        ramp, flag = self.ramps[route], self._loop.get(route)
        if raised(ramp, flag) != flag:
            why = f"step {ramp.step + 1} of {len(ramp.shares)}"
            edit, who = functools.partial(raised, ramp), f"ramp of {ramp.by}"
            with suppress(Stale, Overtaken, StoreUnavailable):  # the next look tries again, or hears why not
                await self._loop.order(route, edit, who, why, ramp.generation)

    def _watch(self, route: str, ramp: Ramp, flag: Flag) -> None:
        watch, now = self._watches.get(route), int(self._now())
        if not stands(ramp, flag):
            self._watches.pop(route, None)
            return
        if watch is None or watch.generation != flag.generation:
            watch = self._watches[route] = Watch(flag.generation, self._clock(), now + 1, self._ready())
        watch.first = min(watch.first, now + 1)  # a clock that was set back must not keep it waiting
        seconds, native = self._loop.seconds, (route, Side.NATIVE)
        lately = [second for second in range(now - SETTLED, now + 1) if second in seconds]
        answered = {second: seconds[second].get(native, NONE).answered for second in lately}
        watch.see(self._clock(), answered, self._ready())

    def _watched(self, route: str) -> Watched:
        watch, ramp = self._watches.get(route), self.ramps.get(route)
        watched = Watched() if watch is None else watch.watched
        asks = ramp is not None and ramp.is_open and ramp.parity
        return replace(watched, alike=self._alike(route, asks)) if asks else watched

    def _note(self, route: str, who: str, why: str, did: str) -> Note:
        return Note(self._now(), who, why, did, self._loop.holdback(route))

    async def _order(self, route: str, expected: int, ramp: Ramp, note: Note) -> None:
        if not await self._write(route, expected, ramp, note):
            raise NotNow(
                f"{route}: somebody else changed its ramp first, and nothing else was changed; look and try again"
            )
        log.info("a ramp is " + ramp.state.value, route=route, words=self.words(route))

    async def _write(self, route: str, expected: int, ramp: Ramp, note: Note | None) -> bool:
        """Whether the fleet has this one now."""
        written = await self._store.ramp(route, expected, ramp, note)
        if written:
            self.ramps = {**self.ramps, route: ramp}
        return written
