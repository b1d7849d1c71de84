"""The operators' port: health and metrics for machines, flags, their audit and mismatches for people and their tools.

`/healthz`, `/readyz` and `/metrics` ask for no token. Readiness speaks of this process alone: were it to depend on
legacy, native or Redis, a balancer would empty its pool just when the proxy's own answers are needed most.
`admin.openapi.yaml`, beside this module, says what is asked and answered; `/openapi.json` is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flags.change import Change, Reach
from flags.flag import Flag
from flags.loop import Loop
from flags.store import Store
from proxy import shortfall, told
from proxy.asked import MOST, body_of, count_of, generation_of, share_of, why_of
from proxy.churn import Concern
from proxy.compared import Compared
from proxy.events import Events
from proxy.mismatches import Mismatches
from proxy.ramping import Ramping
from proxy.refusals import Handler, answered, error, refused
from proxy.roles import Role
from proxy.siblings import Siblings
from proxy.tokens import Tokens
from proxy.webhooks import Webhook

__all__ = ["MOST", "Admin", "Tokens"]

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE = 2.0  # seconds that what lies in Redis, flags aside, has to be read
DOCUMENT = Path(__file__).with_name("admin.openapi.yaml")


class Admin:
    """Answers in JSON; an order answers with what became of it, in `changes` (what happened) and `reach` (how far)."""

    def __init__(
        self,
        loop: Loop,
        store: Store,
        seeds: Mapping[str, Flag],
        siblings: Siblings,
        mismatches: Mismatches,
        tokens: Tokens,
        stopping: asyncio.Event,
        webhooks: Sequence[Webhook],
        ready: Callable[[], bool],
        native_ready: Callable[[], bool],
        source: Callable[[], dict[str, Any] | None] = lambda: None,
        concerns: Callable[[], Iterable[Concern]] = tuple,
        *,
        ramping: Ramping,
        compared: Compared,
    ) -> None:
        self._loop, self._store, self._seeds, self._siblings = loop, store, seeds, siblings
        self._mismatches = mismatches
        self._tokens, self._ready, self._native_ready, self._source = tokens, ready, native_ready, source
        self._concerns, self._ramping, self._compared = concerns, ramping, compared
        self.events, self._hooks = Events(store, stopping), webhooks

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", answered(self._healthz)),
                Route("/readyz", answered(self._readyz)),
                Route("/metrics", answered(self._exposition)),
                Route("/openapi.json", self._shown(self._description)),
                Route("/flags", self._shown(self._status)),
                Route("/flags/{route:path}/outlook", self._shown(self._outlook)),
                *self._ramping.routes(self._shown, self._ordered),
                *self._compared.routes(self._shown, self._ordered),
                Route("/flags/{route:path}", self._ordered(self._set), methods=["PATCH"]),
                Route("/flags/{route:path}/reset", self._ordered(self._reset), methods=["POST"]),
                Route("/flags/{route:path}/rollback", self._ordered(self._rollback), methods=["POST"]),
                Route("/rollback", self._ordered(self._rollback_all), methods=["POST"]),
                Route("/seed", self._ordered(self._seed), methods=["POST"]),
                Route("/audit", self._shown(self._audit)),
                Route("/events", self._shown(self._listening)),
                Route("/webhooks", self._shown(self._webhooks)),
                *self._mismatches.routes(self._shown, self._ordered),
            ],
            exception_handlers={HTTPException: refused},
        )

    def _shown(self, handler: Handler) -> Handler:
        return self._guarded(handler, Role.VIEWER)

    def _ordered(self, handler: Handler) -> Handler:
        return self._guarded(handler, Role.OPERATOR)

    def _guarded(self, handler: Handler, role: Role) -> Handler:
        async def guarded(request: Request) -> Response:
            request.state.holder = self._tokens.admit(request, role)
            return await handler(request)

        return answered(guarded)

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        ready = self._ready()
        return JSONResponse({"status": "ready" if ready else "stopping"}, 200 if ready else 503)

    async def _exposition(self, request: Request) -> Response:
        return Response(await self._siblings.exposition(), media_type=EXPOSITION)

    async def _description(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(description))

    async def _status(self, request: Request) -> Response:
        routes = [self._route_status(route, flag) for route, flag in self._loop.snapshot.items()]
        states = {"storeConnected": self._loop.connected, "nativeReady": self._native_ready()}
        subjects = [told.concern(each) for each in self._concerns()]
        more = {"unleash": self._source(), "subjects": subjects, "capacity": self._ramping.capacity()}
        more["shadowing"] = shortfall.status(self._siblings.shortfalls())
        return JSONResponse({**states, **more, "routes": routes})

    async def _outlook(self, request: Request) -> Response:
        route = request.path_params["route"]
        status = self._route_status(route, self._loop.get(route))
        return JSONResponse({**status, "outlook": await self._ramping.outlook(route)})

    def _route_status(self, route: str, flag: Flag) -> dict[str, Any]:
        verdict, here = self._loop.verdicts.get(route), route in self._loop.latches
        found = {"onThisWorkerOnly": here, "verdict": told.verdict(verdict), **self._ramping.status(route)}
        return {"route": route, **told.flag(flag), **found, "parity": self._compared.status(route)}

    async def _set(self, request: Request) -> Response:
        order = await body_of(request, {"share", "shadow", "generation", "why"})
        share, shadow = share_of(order, "share"), share_of(order, "shadow")
        if share is None and shadow is None:
            return error(400, 'say what to change: {"share": "5%"} or {"shadow": "10%"}')
        route = request.path_params["route"]
        if shadow:
            self._compared.check(route)
        change = await self._loop.set(
            route,
            share=share,
            shadow=shadow,
            generation=generation_of(order),
            who=request.state.holder.name,
            why=why_of(order),
        )
        return _done([change])

    async def _reset(self, request: Request) -> Response:
        order, route = await body_of(request, {"generation", "why"}), request.path_params["route"]
        generation, who = generation_of(order), request.state.holder.name
        return _done([await self._loop.reset(route, generation=generation, who=who, why=why_of(order))])

    async def _rollback(self, request: Request) -> Response:
        why, who = why_of(await body_of(request)), request.state.holder.name
        return await self._tripped([await self._loop.rollback(request.path_params["route"], why, who)])

    async def _rollback_all(self, request: Request) -> Response:
        return await self._tripped(
            await self._loop.rollback_all(why_of(await body_of(request)), request.state.holder.name)
        )

    async def _tripped(self, changes: list[Change]) -> Response:
        """What the store could not carry to the other workers of this proxy is told to them here."""
        if any(change.reach is Reach.WORKER for change in changes) and await self._siblings.spread():
            changes = [replace(c, reach=Reach.PROXY) if c.reach is Reach.WORKER else c for c in changes]
        return _done(changes)

    async def _seed(self, request: Request) -> Response:
        return JSONResponse({"seeded": sorted(await self._loop.seed(self._seeds, request.state.holder.name))})

    async def _audit(self, request: Request) -> Response:
        records = await self._store.audit(count_of(request), self._asked_of(request))
        return JSONResponse({"audit": [told.record(record) for record in records]})

    async def _listening(self, request: Request) -> Response:
        reader = await self.events.reader(request.headers.get("last-event-id"))
        return Response(media_type="text/event-stream") if request.method == "HEAD" else reader

    async def _webhooks(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE):
                return JSONResponse({"webhooks": [await hook.told() for hook in self._hooks]})
        except (RedisError, OSError) as fault:  # TimeoutError is one
            why = str(fault) or "no answer in time"
            return error(503, f"what webhooks were told cannot be read ({why}); they are told as soon as it can")

    def _asked_of(self, request: Request) -> str | None:
        """The route that a question is about, if it is about one."""
        route = request.query_params.get("route")
        if route is not None:
            self._loop.get(route)
        return route


@cache
def description() -> Any:
    """What the port says of itself."""
    return yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


def _done(changes: Iterable[Change]) -> Response:
    return JSONResponse({"changes": [told.change(change) for change in changes]})
