"""The operators' port: health and metrics for machines, flags and mismatches for people and their tools.

`/healthz`, `/readyz` and `/metrics` ask for no token. Readiness speaks of this process alone: were it to depend on
legacy, native or Redis, a balancer would empty its pool just when the proxy's own answers are needed most.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import structlog
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flags.change import Change, Reach
from flags.errors import Refused, Stale, StoreUnavailable, UnknownRoute
from flags.flag import Flag
from flags.loop import Loop
from proxy.roles import Role
from proxy.siblings import Siblings, Silent
from proxy.tokens import Tokens
from proxy.units import share as parse_share
from shadow.journal import Entry, Journal

__all__ = ["MOST", "Admin", "Tokens"]

log = structlog.get_logger()
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
MOST = 1000  # mismatches in one answer
PATIENCE = 2.0  # seconds that the journal has to be read
Handler = Callable[[Request], Awaitable[Response]]


class Admin:
    """Answers in JSON; an order answers with what became of it, in `changes` (what happened) and `reach` (how far)."""

    def __init__(
        self,
        loop: Loop,
        seeds: Mapping[str, Flag],
        siblings: Siblings,
        journal: Journal,
        tokens: Tokens,
        ready: Callable[[], bool],
        native_ready: Callable[[], bool],
        source: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._loop, self._seeds, self._siblings, self._journal = loop, seeds, siblings, journal
        self._tokens, self._ready, self._native_ready, self._source = tokens, ready, native_ready, source

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", _answered(self._healthz)),
                Route("/readyz", _answered(self._readyz)),
                Route("/metrics", _answered(self._exposition)),
                Route("/flags", self._shown(self._status)),
                Route("/flags/{route:path}", self._ordered(self._set), methods=["PATCH"]),
                Route("/flags/{route:path}/reset", self._ordered(self._reset), methods=["POST"]),
                Route("/flags/{route:path}/rollback", self._ordered(self._rollback), methods=["POST"]),
                Route("/rollback", self._ordered(self._rollback_all), methods=["POST"]),
                Route("/seed", self._ordered(self._seed), methods=["POST"]),
                Route("/mismatches", self._shown(self._mismatches)),
            ],
            exception_handlers={HTTPException: _told},
        )

    def _shown(self, handler: Handler) -> Handler:
        return self._guarded(handler, Role.VIEWER)

    def _ordered(self, handler: Handler) -> Handler:
        return self._guarded(handler, Role.OPERATOR)

    def _guarded(self, handler: Handler, role: Role) -> Handler:
        async def guarded(request: Request) -> Response:
            request.state.holder = self._tokens.admit(request, role)
            return await handler(request)

        return _answered(guarded)

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        ready = self._ready()
        return JSONResponse({"status": "ready" if ready else "stopping"}, 200 if ready else 503)

    async def _exposition(self, request: Request) -> Response:
        return Response(await self._siblings.exposition(), media_type=EXPOSITION)

    async def _status(self, request: Request) -> Response:
        routes = [self._route_status(route, flag) for route, flag in self._loop.snapshot.items()]
        states = {"storeConnected": self._loop.connected, "nativeReady": self._native_ready()}
        return JSONResponse({**states, "unleash": self._source(), "routes": routes})

    def _route_status(self, route: str, flag: Flag) -> dict[str, Any]:
        verdict = self._loop.verdicts.get(route)
        return {
            "route": route,
            "share": flag.native,
            "shadow": flag.shadow,
            "byRules": flag.by_rules,
            "generation": flag.generation,
            "trip": flag.trip and {"at": flag.trip.at, "reason": flag.trip.reason},
            "onThisWorkerOnly": route in self._loop.latches,
            "verdict": verdict and {"kind": verdict.kind.value, "words": verdict.words},
        }

    async def _set(self, request: Request) -> Response:
        order = await _body(request)
        route, changes = request.path_params["route"], []
        share, shadow = _share(order, "share"), _share(order, "shadow")
        if share is None and shadow is None:
            return _error(400, 'say what to change: {"share": "5%"} or {"shadow": "10%"}')
        if share is not None:
            changes.append(await self._loop.set_share(route, share))
        if shadow is not None:
            changes.append(await self._loop.set_shadow(route, shadow))
        return _done(changes)

    async def _reset(self, request: Request) -> Response:
        return _done([await self._loop.reset(request.path_params["route"])])

    async def _rollback(self, request: Request) -> Response:
        return await self._tripped([await self._loop.rollback(request.path_params["route"], await _why(request))])

    async def _rollback_all(self, request: Request) -> Response:
        return await self._tripped(await self._loop.rollback_all(await _why(request)))

    async def _tripped(self, changes: list[Change]) -> Response:
        """What the store could not carry to the other workers of this proxy is told to them here."""
        if any(change.reach is Reach.WORKER for change in changes) and await self._siblings.spread():
            changes = [replace(c, reach=Reach.PROXY) if c.reach is Reach.WORKER else c for c in changes]
        return _done(changes)

    async def _seed(self, request: Request) -> Response:
        return JSONResponse({"seeded": sorted(await self._loop.seed(self._seeds))})

    async def _mismatches(self, request: Request) -> Response:
        count, route = request.query_params.get("count", "20"), request.query_params.get("route")
        if route is not None:
            self._loop.get(route)
        if not re.fullmatch("0*[1-9][0-9]{0,17}", count):
            return _error(400, "count must be a whole number above 0")
        try:
            async with asyncio.timeout(PATIENCE):
                entries = await self._journal.latest(min(int(count), MOST), route)
        except (RedisError, OSError) as error:  # TimeoutError is one
            return _error(
                503, f"the journal cannot be read ({error}); comparisons go on and are counted in the metrics"
            )
        return JSONResponse({"mismatches": [_mismatch(entry) for entry in entries]})


def _answered(handler: Handler) -> Handler:
    """What goes wrong is told in JSON too."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPException:
            raise
        except UnknownRoute as error:
            return _error(404, str(error))
        except (Refused, Stale) as error:
            return _error(409, str(error))
        except StoreUnavailable as error:
            return _error(
                503,
                f"the flags' store did not answer ({error}): the change may or may not have arrived, and until it "
                "does traffic goes on as it did; look at `strangler status`",
            )
        except Silent as error:
            return _error(
                503,
                f"{error}: without the other workers' counts the sum would fall, as if all began anew; ask again",
            )
        except Exception:
            log.exception("the operators' port failed", method=request.method, path=request.url.path)
            return _error(
                500,
                "this failed inside the proxy, whose log says why; an order may or may not have been taken: look at "
                "`strangler status`",
            )

    return answered


def _mismatch(entry: Entry) -> dict[str, Any]:
    found = [{**asdict(difference), "kind": difference.kind.value} for difference in entry.differences]
    return {**asdict(entry), "differences": found}


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
        json.dumps(body, ensure_ascii=False).encode()  # half a character, as in "\\ud800", could not be told again
    except (ValueError, RecursionError):  # deeper than anybody means it
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return body


async def _why(request: Request) -> str:
    why = (await _body(request)).get("why") if await request.body() else None
    return why if isinstance(why, str) and why else "no reason given"


def _share(order: Mapping[str, Any], key: str) -> int | None:
    if order.get(key) is None:
        return None
    try:
        return parse_share(order[key])
    except ValueError as error:
        raise HTTPException(400, f"{key}: {error}") from None


def _done(changes: Iterable[Change]) -> Response:
    return JSONResponse(
        {"changes": [{"route": c.route, "words": c.words, "reach": c.reach.name.lower()} for c in changes]}
    )


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
