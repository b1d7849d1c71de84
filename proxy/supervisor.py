"""Several workers on one port, kept alive and replaced one by one; the process that `strangler serve --workers` is.

They all accept from one listening socket, which this process holds open: no connection waits for a worker that is gone
or stands still while another is there, and if none is, it waits for the next one.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from flags.flag import BLOCKED
from proxy.child import Child, ending
from proxy.crowd import Crowd
from proxy.line import Heard, Word, heard
from proxy.logs import configure
from proxy.place import Place
from proxy.sections import Config
from proxy.sockets import Doors
from proxy.tasks import Tasks
from proxy.together import added, kept

log = structlog.get_logger()
READY_WITHIN = 30.0  # seconds that a worker has to take requests
OLD = 10.0  # seconds after which the end of a worker is no sign that the next one will end too
SHORTEST, LONGEST = 0.1, 5.0  # seconds of pause before a worker that keeps dying young is started again
LOOK = 0.25  # seconds between two looks whether a worker's event loop stands still
SPARE = 15.0  # seconds beyond its own limit that a worker has to end, with native inside it
NOT_REPLACED = (
    "the new worker did not become ready: the workers that are not replaced go on as they are; mend what it says and "
    "send SIGHUP again"
)


def pause(young_deaths: int) -> float:
    """Seconds until the next worker is started, after so many in a row that died young."""
    return 0.0 if young_deaths == 0 else min(LONGEST, SHORTEST * 2 ** min(young_deaths - 1, 10))


class Supervisor:
    """SIGTERM and SIGINT end it, SIGHUP replaces the workers."""

    def __init__(self, doors: Doors, workers: int) -> None:
        self._doors, self._crowd = doors, Crowd.of(workers)
        self._places = [Place(number) for number in range(1, workers + 1)]
        self._tasks = Tasks()
        self._children: set[Child] = set()
        self._ended = b""  # what workers that are no more have counted
        self._trips: set[Heard] = set()
        self._delivered: set[Heard] = set()
        self._stopping, self._renewing = asyncio.Event(), asyncio.Event()

    async def run(self) -> int:
        """Until all workers have ended; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._renewing.set)
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        living, stopping = self._tasks.start(self._live()), self._tasks.start(self._stopping.wait())
        try:
            await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
            code = 0 if self._stopping.is_set() else living.result()
            return await self._end() or code
        finally:
            await self._tasks.close()

    async def _live(self) -> int:
        """The first worker alone: what is wrong with the configuration is said once, and not once for each."""
        self._places[0].take(child := self._start(self._places[0]))
        if not await self._is_ready(child):
            log.error("the first worker did not become ready: nothing is served")
            return max(1, child.ended.result()) if child.ended.done() else 1
        for place in self._places:
            if place.child is None and not self._stopping.is_set():
                place.take(self._start(place))
            self._tasks.start(self._keep(place))
        self._tasks.start(self._watch())
        while not self._stopping.is_set():
            await self._renewing.wait()
            self._renewing.clear()
            await self._renew()
        return 0

    def _start(self, place: Place) -> Child:
        child = Child(place.worker, self._doors, self._crowd, self._stalled)
        self._children.add(child)
        self._tasks.start(self._attend(child))
        return child

    async def _is_ready(self, child: Child) -> bool:
        either: set[asyncio.Future[Any]] = {child.ready, child.ended}
        await asyncio.wait(either, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        return child.ready.done()

    async def _keep(self, place: Place) -> None:
        """Replace the worker of this place whenever it ends by itself."""
        young_deaths = 0
        while True:
            child = await place.bereft()
            if self._stopping.is_set():
                return
            young_deaths = 0 if child.age > OLD else young_deaths + 1
            wait = pause(young_deaths)
            log.error(
                "a worker ended, and its connections with it: another takes its place",
                worker=child.worker,
                pid=child.pid,
                by=ending(child.ended.result()),
                in_seconds=wait,
            )
            await self._replace(place, child, wait)

    async def _watch(self) -> None:
        """End a worker whose event loop stands still, for its users wait, and one that does not get to serve any."""
        while True:
            await asyncio.sleep(LOOK)
            for child in tuple(self._children):
                if child.stands_still(LOOK) or child.hangs(READY_WITHIN):
                    why = "its event loop stands still" if child.ready.done() else "it did not become ready in time"
                    log.error("a worker is killed: " + why, worker=child.worker, pid=child.pid)
                    child.kill()

    async def _replace(self, place: Place, child: Child, wait: float) -> None:
        while place.child is child:
            await asyncio.sleep(wait)
            if place.child is not child or self._stopping.is_set():
                return
            try:
                place.take(self._start(place))
            except OSError as error:
                log.error("no worker can be started: trying again", worker=place.worker, error=str(error))
                wait = LONGEST

    async def _renew(self) -> None:
        """Put a fresh worker in each place in turn. The first that does not become ready ends it: the rest stay."""
        log.info(
            "replacing the workers one by one: they read the configuration anew; what they listen on, and the "
            "environment, stay as they were at the start"
        )
        for place in self._places:
            renewed = await self._renewed(place)
            if self._stopping.is_set():
                return
            if not renewed:
                log.error(NOT_REPLACED, worker=place.worker)
                return
        log.info("all workers are replaced; the old ones end when they have finished")

    async def _renewed(self, place: Place) -> bool:
        try:
            child = self._start(place)
        except OSError as error:
            log.error("no worker can be started", worker=place.worker, error=str(error))
            return False
        if self._stopping.is_set() or not await self._is_ready(child):
            child.kill()
            return False
        old = place.take(child)
        if old is not None and not old.ended.done():
            old.leave()
            self._tasks.start(self._outlast([old]))
        return True

    async def _end(self) -> int:
        """Let everybody finish; 1 if somebody had to be killed."""
        self._stopping.set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)  # it is too late for that
        self._doors.public.close()  # with the workers' own ends of it closed too, new connections are refused
        children = [child for child in self._children if not child.ended.done()]
        for child in children:
            child.hang_up()
        return await self._outlast(children)

    async def _outlast(self, children: Iterable[Child]) -> int:
        """Wait for the end of workers that were told to finish, each within its own limit."""
        killed = 0
        ends = {child.ended: child for child in children}
        limit = max((child.drain for child in ends.values()), default=0.0) + SPARE
        if ends:
            await asyncio.wait(ends, timeout=limit)
        for child in ends.values():
            if not child.ended.done():
                log.error("a worker did not finish in time: killed", worker=child.worker, pid=child.pid, after=limit)
                child.kill()
                await asyncio.shield(child.ended)
                killed = 1
        return killed

    def _look(self) -> None:
        for child in self._children:
            child.look()

    async def _attend(self, child: Child) -> None:
        """Listen to a worker until it is gone; its counts stay."""
        await child.connect()
        self._tell()
        async for word, body in child.messages():
            if word is Word.EVERYONE:
                others = [other.counts for other in self._children if other is not child]
                await child.send(Word.COUNTS, added([self._ended, *others]))
            elif word is Word.TRIPS:
                self._hear(child, json.loads(body))
            elif word is Word.SHADOWS:
                self._tell()
            elif word is Word.READY:
                log.info("a worker takes requests", worker=child.worker, pid=child.pid)
                self._tell()
        await asyncio.shield(child.ended)
        self._children.discard(child)
        self._ended = kept(added([self._ended, child.counts]))
        self._tell()

    def _stalled(self, routes: Mapping[str, float]) -> None:
        self._trips |= {(route, max(time.time(), at), BLOCKED, "the watchdog") for route, at in routes.items()}
        self._tell()

    def _hear(self, child: Child, told: Mapping[str, Any]) -> None:
        """A worker's trips that the store has not heard of. One that it no longer has is delivered, for all."""
        latched = heard(told["latched"])
        self._delivered |= child.latched - latched
        self._trips = (self._trips | latched) - self._delivered
        child.latched, child.heard = latched, heard(told["heard"])
        self._tell()

    def _tell(self) -> None:
        """Every worker, those to come too, goes by all trips, and knows what shadow work the others leave undone."""
        everywhere = all(self._trips <= child.heard for child in self._children if child.serving)
        state = json.dumps({"trips": sorted(self._trips), "everywhere": everywhere}).encode()
        for child in self._children:
            child.post(Word.TRIPS, state)
            others = [other.shadows for other in self._children if other is not child and other.shadows]
            child.post(Word.SHADOWS, json.dumps(others).encode())


def supervise(config: Config, workers: int) -> int:
    """Serve with so many workers until told to stop; a ConfigError names a port that cannot be had."""
    doors = Doors.opened(config.listen, config.admin.listen)
    configure()

    async def run() -> int:
        return await Supervisor(doors, workers).run()

    return asyncio.run(run())
