"""One tick a second: hear the fleet's flags, tell it what was counted here, judge, trip; requests read `snapshot`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType

import structlog

from flags.audit import EVIDENCE, Note
from flags.change import Change, Reach
from flags.edit import Edit, lifted, meant_for, moved
from flags.errors import Followed, UnknownRoute
from flags.flag import Flag, Trip
from flags.fleet import Fleet
from flags.held import Held
from flags.judges import Judges, undoubted
from flags.kept import Kept
from flags.latched import EVERY, Latched
from flags.rollback import Judge, Kind, Rule, Verdict
from flags.store import Store
from flags.window import Seconds, Window

TICK = 1.0  # seconds
SOMEBODY = "somebody"  # who gives an order without a name
SEEDED = "seeded from the configuration"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Loop:
    """A worker's flags, kept current and judged. Without its store the last ones hold; before any, all is legacy's.

    `worker` names this run of this process: one that starts again counts from nothing, under another name.
    `on_change` hears of each route whose flag is another on this worker: before and after. `on_trip` hears of each
    trip that this worker made. `judges`: those of routes that do not go by the rule's, `slow_over` likewise.
    `latched`: where trips of this worker outlive it. `followed`: shares are taken from elsewhere, and nobody sets them
    here. `doubt`: why native is not to be called healthy on a route, whatever it fails, or nothing.
    """

    def __init__(
        self,
        store: Store,
        routes: Iterable[str],
        rule: Rule,
        worker: str,
        *,
        judges: Mapping[str, Judge] = MappingProxyType({}),
        slow_over: Mapping[str, float] = MappingProxyType({}),
        holdbacks: Mapping[str, int] = MappingProxyType({}),
        latched: Latched | None = None,
        now: Callable[[], float] = time.time,
        on_change: Callable[[str, Flag, Flag], None] = lambda route, before, after: None,
        on_trip: Callable[[str, Trip], None] = lambda route, trip: None,
        followed: bool = False,
        doubt: Callable[[str], str] = undoubted,
    ) -> None:
        self.window = Window()
        self._store, self._now, self._on_trip = store, now, on_trip
        self._followed = followed
        self._seconds: Seconds = {}
        self._judges = Judges(rule, judges, slow_over, self.window, holdbacks, doubt)
        self._holdbacks = holdbacks
        self._held = Held(routes, on_change)
        self.decided_by = self._held.decided_by
        self._kept = Kept(latched, self._held)
        self._fleet = Fleet(store, self._held, worker, now, self.holdback)

    @property
    def snapshot(self) -> Mapping[str, Flag]:
        """The flag of every configured route; never changed, only replaced as a whole."""
        return self._held.snapshot

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The latest of each route that has native traffic."""
        return self._judges.verdicts

    @property
    def latches(self) -> Mapping[str, Trip]:
        """The trips in force on this worker only, until the store can be told."""
        return self._held.latches

    @property
    def connected(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._fleet.connected

    @property
    def seconds(self) -> Seconds:
        """The counts that the verdicts were given by: the fleet's, of the routes that have native traffic."""
        return self._seconds

    def holdback(self, route: str) -> int:
        """What of the route's subjects stays on legacy, whatever its share."""
        return self._holdbacks.get(route, 0)

    def get(self, route: str) -> Flag:
        flag = self._held.snapshot.get(route)
        if flag is None:
            raise UnknownRoute(route)
        return flag

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._always("a tick failed: the last flags hold", self._ticking))
            tasks.create_task(self._always("listening for changes failed: the tick still hears them", self._listening))

    async def refresh(self) -> None:
        """Come in step with the fleet, as far as the store answers; in bounded time, and never an error."""
        await self._fleet.refresh()

    async def tick(self) -> None:
        """Everything that happens once a second."""
        await self.refresh()
        now = self._now()
        last = int(now)
        first = self._judges.first(last)
        since, flags = self._held.judged(now), self.snapshot
        seconds = await self._fleet.counts(self.window, since, first, last)
        judged = await self._judges.judge(seconds, since, flags, last)
        failing = {route: verdict.words for route, verdict in judged.items() if verdict.kind is Kind.UNHEALTHY}
        trips = {route: _trip([flags[route]], now, words, EVIDENCE) for route, words in failing.items()}
        for route, trip in (await self._fleet.trip(flags, trips)).items():
            await self._kept.keep({route: trip})
            self._made(route, trip)
        self._seconds = seconds
        self.window.forget(first)
        await self._kept.note()

    async def seed(self, flags: Mapping[str, Flag], who: str = SOMEBODY, why: str = SEEDED) -> Collection[str]:
        """Give the fleet these flags where it has none; the routes that were written."""
        return await self._fleet.seed(flags, Note(self._now(), who, why))

    async def set(
        self,
        route: str,
        *,
        share: int | None = None,
        shadow: int | None = None,
        generation: int | None = None,
        who: str = SOMEBODY,
        why: str = "",
    ) -> Change:
        """Give native this share of the route's subjects, or shadow that one of its requests, or both in one change.

        Native's is refused while the route is tripped. `generation`: of the flag that the order is meant for.
        """
        if share is not None and self._followed:
            self.get(route)
            raise Followed(route)
        return await self.order(route, meant_for(route, generation, moved(route, share, shadow)), who, why)

    async def order(self, route: str, edit: Edit, who: str, why: str, ramp: int | None = None) -> Change:
        """Change the flag of a route on every worker as `edit` says; it may be asked more than once. `ramp`: the
        generation of the ramp of which it is a step."""
        self.get(route)
        change = await self._fleet.order(route, edit, Note(self._now(), who, why), ramp)
        return replace(change, held=self.holdback(route))

    async def reset(self, route: str, *, generation: int | None = None, who: str = SOMEBODY, why: str = "") -> Change:
        """Lift the trip. Legacy still answers everything: only a person raises a share."""
        change = await self.order(route, meant_for(route, generation, lifted), who, why)
        await self._kept.lift(route, self._now())
        return replace(change, followed=self._followed)

    async def rollback(self, route: str, why: str, who: str = SOMEBODY) -> Change:
        """Trip the route by hand: here before anything is awaited, everywhere as soon as the store hears of it."""
        (change,) = await self._roll_back([route], route, why, who)
        return change

    async def rollback_all(self, why: str, who: str = SOMEBODY) -> list[Change]:
        """Trip every route by hand, those without native traffic here too: another worker may know of a share."""
        return await self._roll_back(self.snapshot, EVERY, why, who)

    async def _roll_back(self, routes: Iterable[str], name: str, why: str, who: str) -> list[Change]:
        """`name`: what is rolled back, as it is kept on disk."""
        before = {route: self.get(route) for route in routes}
        trip = _trip(before.values(), self._now(), f"by hand: {why}", who)
        self._held.latch(dict.fromkeys(before, trip), insisted=True)
        kept, _ = await asyncio.gather(self._kept.keep({name: trip}), self.refresh())
        await self._kept.note()  # now: a process that is killed before it is noted would roll back what was reset since
        for route, flag in before.items():
            if not flag.tripped or self.get(route).trip == trip:
                self._made(route, trip)
        return [Change(route, flag, self.get(route), self._reach(route), kept=kept) for route, flag in before.items()]

    def halt(self) -> None:
        """What a signal may do: see `Kept.halt`. `take_latched` must follow."""
        self._kept.halt()

    def take_latched(self) -> float:
        """Go by the rollbacks that this machine's disk holds; of when the newest of them is, or 0."""
        untold, told = self._kept.take(), self._kept.told()
        self.adopt(told, recalled=True)
        return max((trip.at for trips in (untold, told) for trip in trips.values()), default=0.0)

    def adopt(self, trips: Mapping[str, Trip], recalled: bool = False) -> None:
        """Trip what another worker has tripped and the store may not have heard of; whoever reaches it first tells it.

        A flag that was changed after the trip was changed by somebody who knew of it. `recalled`: the store has heard
        of these, and so may have such a flag that this worker has not seen yet.
        """
        flags = self.snapshot
        due = {
            route: trip for route, trip in trips.items() if route in flags and flags[route].generation <= trip.at * 1000
        }
        for route in self._held.latch(due, recalled):
            log.warning("tripped elsewhere on this machine", route=route, reason=due[route].reason)

    def _reach(self, route: str) -> Reach:
        return Reach.WORKER if route in self.latches else Reach.FLEET

    def _made(self, route: str, trip: Trip) -> None:
        reach = self._reach(route).value
        log.warning("tripped: legacy answers this route until a reset", route=route, reason=trip.reason, reach=reach)
        self._on_trip(route, trip)

    async def _ticking(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            await self.tick()
            await asyncio.sleep(max(0.0, started + TICK - clock()))

    async def _listening(self) -> None:
        async with aclosing(self._store.changes()) as changes:
            async for _ in changes:
                await self.refresh()

    async def _always(self, failure: str, watch: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await watch()
            except Exception:
                # A fault in the watch must end neither the watch nor the traffic, which goes by the last flags.
                log.exception(failure)
            await asyncio.sleep(TICK)


def _trip(flags: Iterable[Flag], now: float, reason: str, who: str) -> Trip:
    return Trip(max((flag.trip_time(now) for flag in flags), default=now), reason, who)
