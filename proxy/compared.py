"""The part of the operators' port that is about parity: what comparisons prove of a route, and beginning them anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flags.audit import Note
from flags.loop import Loop
from flags.ramp import Alike
from flags.store import Store
from proxy.asked import body_of, why_of
from proxy.parities import Parities, told
from proxy.refusals import Handler

BEGUN_ANEW = "its comparisons are counted anew"
Told = dict[str, Any]


class Compared:
    """`writes`: the routes that are never compared."""

    def __init__(
        self,
        parities: Parities,
        loop: Loop,
        store: Store,
        writes: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._parities, self._loop, self._store, self._now = parities, loop, store, now
        self._writes = frozenset(writes)

    def routes(self, shown: Callable[[Handler], Handler], ordered: Callable[[Handler], Handler]) -> Sequence[Route]:
        path = "/flags/{route:path}/parity"
        return [Route(path, shown(self._show)), Route(path, ordered(self._begin), methods=["POST"])]

    def status(self, route: str) -> Told | None:
        """What the status says of a route more; None as long as nothing was compared."""
        parity = self._parities.of(route)
        return told(parity) if parity.strata else None

    def alike(self, route: str, allowed: int) -> Alike:
        """For a ramp that goes on only where mismatches are proved to be no more than this, in basis points."""
        return self._parities.alike(route, allowed)

    def check(self, route: str) -> None:
        """Whether this route can be compared at all."""
        if route in self._writes:
            raise HTTPException(409, f"{route} writes, so it is never asked twice: nothing of it can be compared")

    async def _show(self, request: Request) -> Response:
        return self._told(self._asked(request))

    async def _begin(self, request: Request) -> Response:
        order = await body_of(request, {"why"})
        route, holder = self._asked(request), request.state.holder
        self.check(route)
        # The record comes first: if it cannot be written, nothing is changed.
        await self._store.note(route, Note(self._now(), holder.name, why_of(order), BEGUN_ANEW))
        try:
            await self._parities.begin(route)
        except (RedisError, OSError) as fault:  # TimeoutError is one
            why = f"Redis does not answer ({str(fault) or 'in time'})"
            words = f"{why}; perhaps the comparisons are counted anew, perhaps not. Ask again"
            raise HTTPException(503, words) from None
        return self._told(route)

    def _asked(self, request: Request) -> str:
        route: str = request.path_params["route"]
        self._loop.get(route)
        return route

    def _told(self, route: str) -> Response:
        return JSONResponse({"route": route, "parity": told(self._parities.of(route))})
