"""The part of the operators' port that is about ramps: what a way up would bring, and its beginning, pause and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flags.decide import in_force
from flags.flag import WHOLE
from flags.loop import Loop
from flags.outlook import outlook
from flags.prospect import DEFECTS, Prospect, prospect
from flags.ramp import MOST_STEPS, Ramp, State
from flags.rollback import Rule
from proxy.asked import Body, body_of, generation_of, why_of
from proxy.load import Loads
from proxy.ramps import Ramps
from proxy.refusals import Handler
from proxy.units import duration
from proxy.units import share as parse_share

TURNS = {"paused": State.PAUSED, "running": State.RUNNING, "aborted": State.ABORTED}
HOLD, REQUESTS = "10m", 1_000  # where an order does not say
MOST_REQUESTS = 10**12
Told = dict[str, Any]


class Ramping:
    """`rules`: by what each route is judged. `comparable` refuses a route of which no parity can be asked."""

    def __init__(
        self,
        loop: Loop,
        ramps: Ramps,
        loads: Loads,
        rules: Mapping[str, Rule],
        comparable: Callable[[str], None] = lambda route: None,
    ) -> None:
        self._loop, self._ramps, self._loads, self._rules = loop, ramps, loads, rules
        self._comparable = comparable
        self._forecasts = ThreadPoolExecutor(1, "forecasts")  # what else waits for threads does not wait behind these

    def routes(self, shown: Callable[[Handler], Handler], ordered: Callable[[Handler], Handler]) -> Sequence[Route]:
        path = "/flags/{route:path}/ramp"
        return [
            Route(path, shown(self._show)),
            Route(path, ordered(self._begin), methods=["POST"]),
            Route(path, ordered(self._turn), methods=["PATCH"]),
        ]

    def capacity(self) -> Told:
        """Whether legacy is known to carry a rollback of everything."""
        known = self._loads.capacity
        return {"carried": known.carried, "due": known.due, "unproved": known.unproved, "words": known.words}

    def status(self, route: str) -> Told:
        """What the status says of a route more: the share in force, and the ramp that is under way."""
        ramp = self._ramps.ramps.get(route)
        share = in_force(self._loop.get(route).native, self._loop.holdback(route))
        return {"inForce": share, "ramp": self._told(route, ramp) if ramp is not None and ramp.is_open else None}

    async def outlook(self, route: str) -> Told | None:
        """What may be expected of the route's judge; None as long as native has no traffic, or that is not known."""
        flag, rate, held = self._loop.get(route), self._loads.rate(route), self._loop.holdback(route)
        if not rate or not flag.native or flag.tripped:
            return None
        asked = flag.native, held, rate, self._rules[route], flag.shadow
        found = await asyncio.get_running_loop().run_in_executor(self._forecasts, outlook, *asked)
        return {
            "rate": found.rate,
            "judge": found.judge.value,
            **_prospect(found.prospect, held),
            "needed": list(found.needed),
            "falseAlarm": found.false_alarm,
            "scarce": found.scarce,
            "words": list(found.words),
        }

    async def _show(self, request: Request) -> Response:
        """The route's ramp, and what its steps bring; or what these shares would."""
        route, said = request.path_params["route"], request.query_params.get("shares")
        self._loop.get(route)
        ramp = self._ramps.ramps.get(route)
        shares = _shares(said.split(",")) if said is not None else ramp.shares if ramp is not None else ()
        prospects = asyncio.get_running_loop().run_in_executor(self._forecasts, self._prospects, route, shares)
        return JSONResponse(
            {
                "route": route,
                "ramp": self._told(route, ramp) if ramp is not None else None,
                "rate": self._loads.rate(route),
                "prospects": await prospects,
                "capacity": self.capacity(),
            }
        )

    async def _begin(self, request: Request) -> Response:
        order = await body_of(request, {"shares", "hold", "minRequests", "parity", "generation", "why"})
        said = order.get("shares")
        if not isinstance(said, list):
            raise HTTPException(400, 'shares: a list such as ["1%", "5%", "25%"]')
        way, parity = (_shares(said), _hold(order), _requests(order)), _parity(order)
        route, meant = request.path_params["route"], (request.state.holder.name, why_of(order), generation_of(order))
        if parity:
            self._comparable(route)
        try:
            ramp = await self._ramps.begin(route, *way, *meant, parity=parity)
        except ValueError as fault:
            raise HTTPException(400, f"shares: {fault}") from None
        return self._done(request, ramp)

    async def _turn(self, request: Request) -> Response:
        order = await body_of(request, {"state", "generation", "why"})
        state = TURNS.get(str(order.get("state")))
        if state is None:
            raise HTTPException(400, f"state: one of {', '.join(TURNS)}")
        route, meant = request.path_params["route"], (request.state.holder.name, why_of(order), generation_of(order))
        return self._done(request, await self._ramps.turn(route, state, *meant))

    def _done(self, request: Request, ramp: Ramp) -> Response:
        route = request.path_params["route"]
        return JSONResponse({"route": route, "ramp": self._told(route, ramp)})

    def _told(self, route: str, ramp: Ramp) -> Told:
        return {
            "state": ramp.state.value,
            "shares": list(ramp.shares),
            "share": ramp.share,
            "step": ramp.step + 1,
            "hold": ramp.hold,
            "minRequests": ramp.min_requests,
            "parity": ramp.parity,
            "by": ramp.by,
            "at": ramp.at,
            "generation": ramp.generation,
            "words": self._ramps.words(route),
        }

    def _prospects(self, route: str, shares: Sequence[int]) -> list[Told]:
        """Nothing, as long as the route's traffic is not known."""
        rate, held = self._loads.rate(route), self._loop.holdback(route)
        judged = self._rules[route], self._loop.get(route).shadow
        return [_prospect(prospect(share, held, rate, *judged), held) for share in shares] if rate else []


def _prospect(found: Prospect, holdback: int) -> Told:
    noticed = [
        {"defect": defect, "seconds": each and each.seconds, "failed": each and each.failed}
        for defect, each in zip(DEFECTS, found.noticed, strict=True)
    ]
    return {"share": found.share, "inForce": in_force(found.share, holdback), "noticed": noticed}


def _shares(said: Sequence[object]) -> list[int]:
    if len(said) > MOST_STEPS:
        raise HTTPException(400, f"shares: a ramp has 1 to {MOST_STEPS} shares")
    try:
        return [parse_share(share) for share in said]
    except ValueError as fault:
        raise HTTPException(400, f"shares: {fault}") from None


def _hold(order: Body) -> float:
    try:
        return duration(order.get("hold", HOLD))
    except ValueError as fault:
        raise HTTPException(400, f"hold: {fault}") from None


def _parity(order: Body) -> int:
    """The mismatches that are allowed, in basis points; 0: nobody asks."""
    if "parity" not in order:
        return 0
    try:
        points = parse_share(order["parity"])
    except ValueError as fault:
        raise HTTPException(400, f"parity: {fault}") from None
    if not 0 < points < WHOLE:
        raise HTTPException(400, "parity: more than 0%, which nothing proves, and less than 100%, which says nothing")
    return points


def _requests(order: Body) -> int:
    least = order.get("minRequests", REQUESTS)
    if type(least) is not int or not 0 < least <= MOST_REQUESTS:
        raise HTTPException(400, f"minRequests: a whole number from 1 to {MOST_REQUESTS}")
    return least
