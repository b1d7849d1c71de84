"""The conversation with the store: hear what the fleet goes by, tell it what only this worker knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice

import structlog

from flags.audit import Note, of_trip
from flags.breath import Breath
from flags.change import Change
from flags.errors import Stale, StoreUnavailable
from flags.flag import Flag, Trip
from flags.held import Held
from flags.ledger import Ledger
from flags.store import Store
from flags.window import Seconds, Window

ATTEMPTS = 5  # times that somebody else may change a flag first until we give way
KEEP = 60  # seconds that counts outlive the window they are judged in: clocks differ, and answers come late
BATCH = 250  # cells that are told at a time: neither the event loop nor the store is held for long

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Fleet:
    """Keeps `held` in step with the store. One conversation at a time, for each acts on what the one before heard."""

    def __init__(self, store: Store, held: Held, worker: str, now: Callable[[], float]) -> None:
        self.connected = False
        self._store, self._held, self._worker, self._now = store, held, worker, now
        self._own, self._untold = Ledger(), Ledger()
        self._talking = asyncio.Lock()
        self._complained = False

    async def refresh(self) -> None:
        """Hear all flags and deliver what the store lacks; while it is away, go on with what is held."""
        async with self._talking:
            with suppress(StoreUnavailable):
                await self._converse()

    async def order(self, route: str, edit: Callable[[Flag], Flag], note: Note) -> Change:
        """Change a flag for every worker; an `edit` that does not like what it finds raises."""
        async with self._talking:
            await self._converse()
            with self._noting():
                return await self._apply(route, edit, note)

    async def seed(self, flags: Mapping[str, Flag], note: Note) -> Collection[str]:
        """Write the flags that the fleet has none of; the routes that were written."""
        async with self._talking:
            # A store that was wiped gets back what is held first, or the seeds would take its place.
            await self._converse()
            with self._noting():
                written = await self._store.seed(flags, note)
            await self._converse()
            return written

    async def trip(self, route: str, judged: Flag, trip: Trip) -> bool:
        """Trip on evidence about the flag `judged`, first here and then everywhere; false if that flag is no more."""
        async with self._talking:
            if self._held.snapshot[route] != judged:
                return False
            self._held.latch([route], trip)
            if not self.connected:
                return True
            with suppress(StoreUnavailable), self._noting():
                flag = replace(judged.after(trip), generation=judged.next_generation(self._now()))
                written = await self._write(route, judged.generation, flag, of_trip(trip))
                self._held.lift(route)
                return written
        return True

    async def counts(self, window: Window, routes: Collection[str], first: int, last: int) -> Seconds:
        """The fleet's counts for the seconds from `first` to `last`; while the store is away, this worker's own."""
        self._own.forget(first)
        self._untold.forget(first)
        breath = Breath()
        while (taken := window.take(routes, BATCH)) is not None:
            self._own.put(taken)
            self._untold.put(taken)
            await breath.taken()
        if self.connected and routes:
            with suppress(StoreUnavailable), self._noting():
                await self._tell(last - first + KEEP)
                return await self._store.window(first, last)
        return self._own.window(first, last)

    async def _tell(self, keep: int) -> None:
        """Tell the store what it has not heard; if that fails, all of it is said again."""
        untold, breath = self._untold.cells(), Breath()
        while batch := dict(islice(untold, BATCH)):
            await self._store.report(self._worker, batch, keep)
            await breath.taken()
        self._untold = Ledger()

    async def _converse(self) -> None:
        with self._noting():
            seen = await self._store.flags()
            self._held.adopt(seen, self._now())
            for route, flag in self._held.lost(seen).items():
                log.warning("the store held an older flag: ours is written back", route=route)
                why = "the store held an older flag: the one that was in force is written back"
                await self._write(route, flag.generation - 1, flag, Note(self._now(), f"worker {self._worker}", why))
            for route, trip in self._held.latches.items():
                await self._deliver(route, trip)

    async def _deliver(self, route: str, trip: Trip) -> None:
        # If somebody keeps changing the flag, it stays tripped here, and the next conversation tries again.
        with suppress(Stale):
            await self._apply(route, lambda flag: flag.after(trip), of_trip(trip))
            self._held.lift(route)

    async def _apply(self, route: str, edit: Callable[[Flag], Flag], note: Note) -> Change:
        for _ in range(ATTEMPTS):
            before = self._held.flags[route]
            after = edit(before)
            if after == before:
                return Change(route, before, before)
            after = replace(after, generation=before.next_generation(self._now()))
            if await self._write(route, before.generation, after, note):
                return Change(route, before, after)
        raise Stale(route, self._held.flags[route])

    async def _write(self, route: str, expected: int, flag: Flag, note: Note) -> bool:
        """Whether `flag` is now the fleet's; if somebody was first, we go by theirs."""
        try:
            await self._store.change(route, expected, flag, note)
        except Stale as stale:
            self._held.adopt({route: stale.current}, self._now())
            return False
        self._held.adopt({route: flag}, self._now())
        return True

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Whether the store answers, said once each time that changes."""
        try:
            yield
        except StoreUnavailable as error:
            self.connected = False
            if not self._complained:
                self._complained = True
                log.warning("the flags' store does not answer: the last flags hold, trips act here", error=str(error))
            raise
        self.connected = True
        if self._complained:
            self._complained = False
            log.warning("the flags' store answers again: this worker is in step with the fleet")
