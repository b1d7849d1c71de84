"""What users send and what legacy answers, minute by minute, over all workers: whether a rollback would fit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import structlog

from flags.capacity import DAY, Capacity, Load, capacity
from flags.errors import StoreUnavailable
from flags.flag import Side
from flags.store import Store
from flags.window import Outcome
from proxy.exchange import UNMATCHED
from proxy.exposition import Number
from proxy.metrics import Metrics

EVERY = 10.0  # seconds between two looks
LOOKS = 30  # over which a route's rate is taken
LATE = 3  # minutes of which other workers may have more to say
ANSWERED = ("matched", "ignored", "noise", "unconfirmed")  # comparisons; a mismatch may be that legacy refused

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Loads:
    """`worker` names this run of this process, whose counts begin with it."""

    def __init__(
        self, store: Store, worker: str, metrics: Metrics, routes: Iterable[str], now: Callable[[], float] = time.time
    ) -> None:
        self._store, self._worker, self._now = store, worker, now
        names = (*routes, UNMATCHED)
        self._sent = {route: [number for side in Side for number in _of(metrics, route, side)] for route in names}
        self._answered = [number for route in names for number in _by_legacy(metrics, route)]
        self._before = Load()
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque([(now(), self._by_route())], maxlen=LOOKS + 1)
        self._own: dict[int, Load] = {}  # by minute
        self._fleet: dict[int, Load] = {}

    @property
    def capacity(self) -> Capacity:
        return capacity(self._fleet, _minute(self._now()))

    def rate(self, route: str) -> float | None:
        """Requests a second of the whole fleet, as this worker's part of them tells; None while nothing is known."""
        (began, first), (ended, last) = self._looks[0], self._looks[-1]
        minutes = self._own.keys() & self._fleet.keys()
        own, fleet = (sum(loads[minute].sent for minute in minutes) for loads in (self._own, self._fleet))
        if ended <= began or not own:
            return None
        return (last[route] - first[route]) / (ended - began) * max(fleet / own, 1.0)

    async def run(self) -> None:
        """Look until cancelled, at whole tens of seconds: so none falls into two minutes."""
        while True:
            try:
                await self.look()
            except StoreUnavailable:
                pass  # the flags' loop says that it is away
            except Exception:
                log.exception("the loads could not be looked at: the last ones hold")
            await asyncio.sleep(EVERY - self._now() % EVERY)

    async def look(self) -> None:
        """Count, tell, and hear what the others have told."""
        now, by_route = self._now(), self._by_route()
        self._looks.append((now, by_route))
        count = Load(int(_sum(self._answered)), int(sum(by_route.values())))
        before, self._before = self._before, count
        minute = _minute(now - EVERY / 2)  # when what came since the last look did, taken together
        since = Load(count.answered - before.answered, count.sent - before.sent)
        self._own = _kept({**self._own, minute: self._own.get(minute, Load()) + since}, minute)
        told = {at: load for at, load in self._own.items() if at > minute - LATE}
        await self._store.carry(self._worker, told)
        first = minute - (LATE if self._fleet else DAY) + 1
        self._fleet = _kept({**self._fleet, **await self._store.carried(first, minute)}, minute)

    def _by_route(self) -> Mapping[str, float]:
        return {route: _sum(numbers) for route, numbers in self._sent.items()}


def _of(metrics: Metrics, route: str, side: Side) -> list[Number]:
    """The requests that were decided for a side."""
    return [metrics.requests.labels(route, side.value, outcome.value) for outcome in Outcome]


def _by_legacy(metrics: Metrics, route: str) -> list[Number]:
    """What legacy certainly answered: to users, and to be compared. Of a comparison that failed, or of an answer in
    native's place, nobody knows that here: too little is claimed rather than too much."""
    compared = [metrics.compared.labels(route, Side.LEGACY.value, outcome) for outcome in ANSWERED]
    return [metrics.requests.labels(route, Side.LEGACY.value, Outcome.OK.value), *compared]


def _sum(numbers: Iterable[Number]) -> float:
    return sum([number.value for number in numbers])


def _minute(at: float) -> int:
    return int(at // 60)


def _kept(loads: dict[int, Load], minute: int) -> dict[int, Load]:
    return {at: load for at, load in loads.items() if at > minute - DAY}
