"""The conversation with the store: hear what the fleet goes by, tell it what only this worker knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from flags.store import Store, Write
from flags.window import Cell, Counts, Seconds, Window

ATTEMPTS = 5  # times that somebody else may change a flag first until we give way
KEEP = 60  # seconds that counts outlive the window they are judged in: clocks differ, and answers come late
BATCH = 250  # cells that are told at a time: neither the event loop nor the store is held for long

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Fleet:
    """Keeps `held` in step with the store. One conversation at a time, for each acts on what the one before heard."""

    def __init__(
        self,
        store: Store,
        held: Held,
        worker: str,
        now: Callable[[], float],
        holdback: Callable[[str], int] = lambda route: 0,
    ) -> None:
        self.connected = False
        self._holdback = holdback
        self._store, self._held, self._worker, self._now = store, held, worker, now
        self._own, self._untold = Ledger(), dict[Cell, Counts]()
        self._talking = asyncio.Lock()
        self._complained = False

    async def refresh(self) -> None:
        """Hear all flags and deliver what the store lacks; while it is away, go on with what is held."""
        async with self._talking:
            with suppress(StoreUnavailable):
                await self._converse()

    async def order(self, route: str, edit: Callable[[Flag], Flag], note: Note, ramp: int | None = None) -> Change:
        """Change a flag for every worker; an `edit` that does not like what it finds raises. `ramp`: see the store."""
        async with self._talking:
            await self._converse()
            with self._noting():
                return await self._apply(route, edit, note, ramp)

    async def seed(self, flags: Mapping[str, Flag], note: Note) -> Collection[str]:
        """Write the flags that the fleet has none of; the routes that were written."""
        async with self._talking:
            # A store that was wiped gets back what is held first, or the seeds would take its place.
            await self._converse()
            written = set[str]()
            with self._noting():
                for held in sorted(set(map(self._holdback, flags))):
                    alike = {route: flag for route, flag in flags.items() if self._holdback(route) == held}
                    written |= set(await self._store.seed(alike, replace(note, held=held)))
            await self._converse()
            return written

    async def trip(self, judged: Mapping[str, Flag], trips: Mapping[str, Trip]) -> Mapping[str, Trip]:
        """Trip on evidence about the flags `judged`, first here and then everywhere, all in one go: where native is
        down, all its routes fail at once. Those that were made: a flag that is another by now is left alone."""
        async with self._talking:
            made = {route: trip for route, trip in trips.items() if self._held.snapshot[route] == judged[route]}
            self._held.latch(made)
            stale: Collection[str] = ()
            if made and self.connected:
                with suppress(StoreUnavailable), self._noting():
                    stale = await self._trip_all(made, judged)
                    self._held.lift(made)
            return {route: trip for route, trip in made.items() if route not in stale}

    async def counts(self, window: Window, routes: Collection[str], first: int, last: int) -> Seconds:
        """The fleet's counts for the seconds from `first` to `last`; while the store is away, this worker's own."""
        self._own.forget(first)
        if self._untold:  # the store was away
            self._untold = {cell: counts for cell, counts in self._untold.items() if cell[0] >= first}
        breath = Breath()
        while (taken := window.take(routes, BATCH)) is not None:
            self._own.put(taken)
            self._untold.update(taken)
            await breath.taken()
        if self.connected and routes:
            with suppress(StoreUnavailable), self._noting():
                await self._tell(last - first + KEEP)
                return await self._store.window(first, last)
        return self._own.window(first, last)

    async def _tell(self, keep: int) -> None:
        """Tell the store what it has not heard; if that fails, all of it is said again."""
        untold, breath = iter(self._untold.items()), Breath()
        while batch := dict(islice(untold, BATCH)):
            await self._store.report(self._worker, batch, keep)
            await breath.taken()
        self._untold = {}

    async def _converse(self) -> None:
        with self._noting():
            seen = await self._store.flags()
            self._held.adopt(seen, self._now())
            await self._give_back(self._held.lost(seen))
            await self._deliver()

    async def _give_back(self, lost: Mapping[str, Flag]) -> None:
        for route in lost:
            log.warning("the store held an older flag: ours is written back", route=route)
        why = "the store held an older flag: the one that was in force is written back"
        note = Note(self._now(), f"worker {self._worker}", why)
        await self._write_all([Write(route, flag.generation - 1, flag, note) for route, flag in lost.items()])

    async def _deliver(self) -> None:
        """Tell of the trips that the store has not heard of, all in one go: it may be a thousand at once."""
        for _ in range(ATTEMPTS):
            latches, flags = self._held.latches, self._held.flags
            untold = {route: trip for route, trip in latches.items() if flags[route].after(trip) is not flags[route]}
            stale = await self._trip_all(untold, flags)
            self._held.lift({route: trip for route, trip in latches.items() if route not in stale})
            if not stale:
                return
        # Somebody keeps changing these: they stay tripped here, and the next conversation tries again.

    async def _trip_all(self, trips: Mapping[str, Trip], flags: Mapping[str, Flag]) -> Collection[str]:
        return await self._write_all([
            Write(route, flags[route].generation, self._tripped(flags[route], trip), of_trip(trip))
            for route, trip in trips.items()
        ])  # fmt: skip

    def _tripped(self, flag: Flag, trip: Trip) -> Flag:
        """No older than the trip, though the clock was set back since: whoever changes it later is newer than both."""
        return replace(flag.after(trip), generation=flag.next_generation(max(self._now(), trip.at)))

    async def _apply(self, route: str, edit: Callable[[Flag], Flag], note: Note, ramp: int | None = None) -> Change:
        for _ in range(ATTEMPTS):
            before = self._held.flags[route]
            after = edit(before)
            if after == before:
                return Change(route, before, before)
            after = replace(after, generation=before.next_generation(self._now()))
            if await self._write(route, before.generation, after, note, ramp):
                return Change(route, before, after)
        raise Stale(route, self._held.flags[route])

    async def _write(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> bool:
        """Whether `flag` is now the fleet's; if somebody was first, we go by theirs."""
        try:
            await self._store.change(route, expected, flag, replace(note, held=self._holdback(route)), ramp)
        except Stale as stale:
            self._held.adopt({route: stale.current}, self._now())
            return False
        self._held.adopt({route: flag}, self._now())
        return True

    async def _write_all(self, writes: Sequence[Write]) -> Collection[str]:
        """Make these flags the fleet's; the routes of which somebody was first, and we go by theirs."""
        if not writes:
            return ()
        held = [replace(each, note=replace(each.note, held=self._holdback(each.route))) for each in writes]
        stood = await self._store.change_all(held)
        self._held.adopt({each.route: stood.get(each.route, each.flag) for each in writes}, self._now())
        return stood.keys()

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
