"""The part of the operators' port that is about mismatches: what is open, what showed it, and what is made of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flags.audit import Note
from flags.loop import Loop
from flags.store import Store
from proxy.asked import Body, body_of, count_of, why_of
from proxy.refusals import Handler, error
from proxy.units import long_duration
from shadow.export import NotRepeatable, Written, export
from shadow.journal import Journal
from shadow.mismatch import LONGEST, MUTED, Act, Mismatch, Sample, State

PATIENCE = 2.0  # seconds that the journal has to answer
ALL = "all"
ACTS = {"resolved": State.RESOLVED, "muted": State.MUTED}
Told = dict[str, Any]


class Mismatches:
    """`rules`: by what each route is compared, as it is written."""

    def __init__(
        self,
        journal: Journal,
        loop: Loop,
        store: Store,
        rules: Mapping[str, Written],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._loop, self._store, self._rules, self._now = journal, loop, store, rules, now

    def routes(self, shown: Callable[[Handler], Handler], ordered: Callable[[Handler], Handler]) -> Sequence[Route]:
        path = "/mismatches/{id}"
        return [
            Route("/mismatches", shown(self._list)),
            Route(path, shown(self._show)),
            Route(path, ordered(self._turn), methods=["PATCH"]),
            Route(f"{path}/test", shown(self._export)),
        ]

    async def _list(self, request: Request) -> Response:
        count, route, wanted, now = count_of(request), request.query_params.get("route"), _state(request), self._now()
        if route is not None:
            self._loop.get(route)
        async with _reading():
            found = await self._journal.latest(count, route, lambda each: wanted in (None, each.state(now)))
        return JSONResponse({"mismatches": [told(each, now) for each in found]})

    async def _show(self, request: Request) -> Response:
        found = await self._found(request)
        return JSONResponse({**told(found, self._now()), "samples": [_sample(each) for each in found.samples]})

    async def _export(self, request: Request) -> Response:
        found = await self._found(request)
        try:
            test = export(found, self._rules.get(found.route, {}))
        except NotRepeatable as fault:
            return error(409, str(fault))
        return JSONResponse({"name": test.name, "text": test.text})

    async def _turn(self, request: Request) -> Response:
        order = await body_of(request, {"state", "for", "why"})
        state, now, holder = ACTS.get(str(order.get("state"))), self._now(), request.state.holder
        if state is None:
            raise HTTPException(400, f"state: one of {', '.join(ACTS)}")
        seconds, why = _for(order, state), why_of(order)
        found = await self._found(request)
        act = Act(now, holder.name, why, state, None if seconds is None else now + seconds)
        # The record comes first: if it cannot be written, nothing is changed.
        await self._store.note(found.route, Note(now, holder.name, why, _did(found, act)))
        async with _reading("it may or may not be " + state.value):
            if not await self._journal.turn(found.id, act):
                raise _unknown(found.id)
        return JSONResponse(told(await self._found(request), now))

    async def _found(self, request: Request) -> Mismatch:
        id = request.path_params["id"]
        async with _reading():
            found = await self._journal.find(id)
        if found is None:
            raise _unknown(id)
        return found


@asynccontextmanager
async def _reading(otherwise: str = "comparisons go on and are counted in the metrics") -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except (RedisError, OSError) as fault:  # TimeoutError is one
        raise HTTPException(503, f"the journal does not answer ({str(fault) or 'in time'}); {otherwise}") from None


def told(found: Mismatch, now: float) -> Told:
    """Without its samples."""
    act = found.act and {**asdict(found.act), "state": found.act.state.value}
    return {
        "id": found.id,
        "route": found.route,
        "field": found.field,
        "kind": found.kind,
        "state": found.state(now).value,
        "count": found.count,
        "first": found.first,
        "last": found.last,
        "reopened": found.reopened,
        "act": act,
    }


def _sample(sample: Sample) -> Told:
    return {
        "at": sample.at,
        "method": sample.method,
        "target": sample.target,
        "headers": list(map(list, sample.headers)),
        "credentials": list(sample.credentials),
        "others": list(sample.others),
        "repeatable": sample.repeatable,
        "requestId": sample.request_id,
        "path": sample.path,
        "often": sample.often and asdict(sample.often),
        "control": {"side": sample.control_side, "status": sample.control_status, **asdict(sample.control)},
        "candidate": {"side": sample.candidate_side, "status": sample.candidate_status, **asdict(sample.candidate)},
    }


def _state(request: Request) -> State | None:
    """The one that is asked for; None for all of them."""
    said = request.query_params.get("state", State.OPEN.value)
    try:
        return None if said == ALL else State(said)
    except ValueError:
        raise HTTPException(400, f"state: one of {', '.join([*(each.value for each in State), ALL])}") from None


def _for(order: Body, state: State) -> float | None:
    """Seconds that it is muted."""
    if state is not State.MUTED:
        if "for" in order:
            raise HTTPException(400, "for: what is resolved stays so until it is seen again, and no longer")
        return None
    try:
        return long_duration(order.get("for", f"{MUTED}d"), LONGEST)
    except ValueError as fault:
        raise HTTPException(400, f"for: {fault}") from None


def _did(found: Mismatch, act: Act) -> str:
    until = "" if act.until is None else f" for {(act.until - act.at) / 3600:g} h"
    return f"mismatch {found.id} ({found.field or 'the whole answer'}: {found.kind}) is {act.state.value}{until}"


def _unknown(id: str) -> HTTPException:
    return HTTPException(404, f"no mismatch {id[:100]} is kept here; `strangler mismatches --all` lists those that are")
