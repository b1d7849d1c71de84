"""How alike the sides answer on each route: what comparisons told here goes into the fleet's, and what these prove."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError

from flags.breath import Breath
from flags.flag import WHOLE
from flags.ramp import Alike, span
from proxy.exposition import Family
from proxy.sections import RouteConfig
from proxy.subject import Source, Subject
from shadow.experiment import Experiment
from shadow.parity import ALPHA, NOTHING, PLAIN, Parity, Stratum, Tally, exceeded, needed, number, rate
from shadow.result import Outcome
from shadow.tallies import Store

EVERY = 2.0  # seconds between two looks
PATIENCE = 1.0  # seconds that the store has to answer
LATELY = 60.0  # seconds over which the pace of comparisons is taken, or up to twice that
UNKNOWN_USER = 401  # who is told so may have said that he is anybody
OTHER = "other"  # a role that is not told apart, or no plain word: it may be a name, an address, anything

Told = dict[str, Any]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NOTHING_KNOWN = Parity()


class Parities:
    """`bounds`: what is proved of each route, for Prometheus. `source`: where a request says as whom it is asked, which
    counts where no side does. `roles`: those that are told apart; if none is named, all that are plain words.
    `allowed`: the part of confirmed mismatches from which on native is not called healthy.

    `clock` is one that nobody sets.
    """

    def __init__(
        self,
        store: Store,
        bounds: Family,
        source: Source | None = None,
        roles: Collection[str] = (),
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
        allowed: float = 1.0,
    ) -> None:
        self._allowed = allowed
        self._store, self._bounds, self._now, self._clock, self._patience = store, bounds, now, clock, patience
        self._asked_as = Subject([source]) if source is not None else None
        self._roles = frozenset(roles)
        self._counted: dict[tuple[str, str], dict[Stratum, Tally]] = {}
        self._known: Mapping[str, Parity] = {}
        self._paces: dict[str, _Pace] = {}
        self._complained = False

    def ended(self, experiment: Experiment, outcome: Outcome, said: str = "") -> None:
        """A comparison has ended. `said`: as whom it was asked, as the sides say."""
        tally = Tally.of(outcome)
        if tally is not NOTHING:
            strata = self._counted.setdefault((experiment.route, experiment.epoch), {})
            stratum = Stratum(experiment.control.status, self._role_of(experiment, said))
            strata[stratum] = strata.get(stratum, NOTHING) + tally

    async def run(self) -> None:
        """Tell and hear until cancelled; what was counted since the last look is told at the end."""
        try:
            while True:
                await self._look_in_any_case()
                await asyncio.sleep(EVERY)
        finally:
            await self._look_in_any_case()

    async def look(self) -> None:
        """Everything that happens at each look. What cannot be told now is told at the next one."""
        counted, self._counted = self._counted, {}
        async with asyncio.timeout(self._patience):
            await self._store.tell(counted, self._now())
        async with asyncio.timeout(self._patience):
            heard = await self._store.hear()
        before, breath, clock = self._known, Breath(), self._clock()
        for route in heard.keys() - self._paces.keys():
            self._paces[route] = _Pace.at(clock)
        self._known = heard
        for route, parity in heard.items():
            if parity is not before.get(route):
                self._bounds.labels(route).value = parity.bound
                self._paces[route].see(clock, parity.whole.compared)
                await breath.taken()
        for route in before.keys() - heard.keys():
            self._bounds.labels(route).value = 1.0

    async def begin(self, route: str) -> None:
        """Forget what was compared; Redis' own errors if it does not answer.

        What was asked before any worker heard of it counts in the epoch that is over, and so no more, whenever it ends.
        """
        async with asyncio.timeout(self._patience):
            await self._store.begin(route)
        with suppress(RedisError, OSError):  # it is done, and every worker sees it at its next look
            await self.look()

    def of(self, route: str) -> Parity:
        return self._known.get(route, _NOTHING_KNOWN)

    def epoch(self, route: str) -> str:
        """Which what is asked now will count in."""
        return self.of(route).epoch

    def doubt(self, route: str) -> str:
        """Why native is not to be called healthy, whatever it fails; nothing if there is no reason."""
        whole = self.of(route).whole
        if not whole.mismatched or not exceeded(self._allowed, whole.compared, whole.mismatched):
            return ""
        seen = f"{number(whole.mismatched)} of {number(whole.compared)} answers"
        return f"it answers otherwise than legacy: {seen}, proved to be more than {rate(self._allowed)}"

    def alike(self, route: str, allowed: int) -> Alike:
        """For a ramp that goes on only where mismatches are proved to be no more than this, in basis points."""
        parity, part = self.of(route), allowed / WHOLE
        whole, bound = parity.whole, parity.bound
        if not whole.compared:
            return Alike(1.0, "nothing has been compared, so shadow it")
        more = needed(whole, part)
        told = f"they are ≤ {rate(bound)} after {number(whole.compared)} comparisons"
        if not more:
            return Alike(bound, told)
        pace = self._paces[route].a_second(self._clock(), whole.compared)
        takes = f", in about {span(more / pace)} at this rate" if pace else ", and lately there were none"
        return Alike(bound, f"{told}, and {number(more)} more that agree would do{takes}")

    def _role_of(self, experiment: Experiment, said: str) -> str:
        if experiment.control.status == UNKNOWN_USER:
            return ""
        if not said and self._asked_as is not None:
            said = self._asked_as.of(experiment.scope["headers"], "")
        known = said in self._roles if self._roles else PLAIN.fullmatch(said)
        return said if not said or known else OTHER

    async def _look_in_any_case(self) -> None:
        try:
            await self.look()
        except (RedisError, OSError) as fault:  # TimeoutError is one
            if not self._complained:
                why = str(fault) or "no answer in time"
                log.warning("tallies of comparisons cannot be told: they are kept until they can", error=why)
            self._complained = True
        except Exception:
            log.exception("tallies of comparisons could not be told: what was known of them stays")
        else:
            self._complained = False


@dataclass(slots=True)
class _Pace:
    """How many comparisons there were at two moments; the later becomes the earlier when it is old."""

    earlier: tuple[float, int]
    later: tuple[float, int]

    @classmethod
    def at(cls, clock: float) -> _Pace:
        return cls((clock, -1), (clock, -1))

    def see(self, clock: float, compared: int) -> None:
        if self.later[1] < 0 or compared < self.later[1]:  # the first look, or they were begun anew
            self.earlier = self.later = clock, compared
        elif clock - self.later[0] >= LATELY:
            self.earlier, self.later = self.later, (clock, compared)

    def a_second(self, clock: float, compared: int) -> float:
        since, before = self.earlier
        return max(0.0, compared - before) / (clock - since) if clock > since else 0.0


def digest_of(route: RouteConfig, source: Source | None, roles: Collection[str] = ()) -> str:
    """Of what a tally depends on: what the route is, by which rules its answers are compared, and what is a role."""
    said = route.match, route.compare.written(route.ignore), str(source), *sorted(roles)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


def told(parity: Parity) -> Told:
    whole = parity.whole
    strata = [
        {
            "status": stratum.status or None,
            "role": stratum.role or None,
            "words": str(stratum),
            **_counts(tally),
            "bound": parity.bound_of(stratum),
        }
        for stratum, tally in sorted(parity.strata.items())
    ]
    return {
        "bound": parity.bound,
        "confirmed": parity.confirmed,
        "confidence": 1 - ALPHA,
        "since": parity.begun,
        **_counts(whole),
        "strata": strata,
        "words": parity.words,
    }


def _counts(tally: Tally) -> Told:
    return {"compared": tally.compared, "mismatched": tally.mismatched, "unconfirmed": tally.unconfirmed}
