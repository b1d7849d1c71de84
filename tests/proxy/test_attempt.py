from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.fidelity.cases import answer, ask
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Hear, Signals, Whole, connected
from tests.proxy.stage import Stage, eventually, staged
from tests.proxy.test_router import LEGACY, READ, WRITE, booked

ROUTES = [{**READ, "share": "100%"}, {**WRITE, "share": "100%"}]


@asynccontextmanager
async def slow_legacy(native: str, connections: int, **more: Any) -> AsyncIterator[tuple[Stage, Origin, asyncio.Event]]:
    """A proxy ahead of a failing native and of a legacy that answers once it is told to."""
    signals = Signals()
    async with running_origin() as origin:
        origin.begin((Whole(), Hear("go"), LEGACY), signals=signals)
        sections: dict[str, Any] = {
            "legacy": {"url": f"http://127.0.0.1:{origin.port}", "connections": connections},
            "native": {"app": f"tests.proxy.{native}", **more},
        }
        async with staged(**sections, routes=ROUTES) as stage:
            yield stage, origin, signals["go"]


def withheld(stage: Stage, route: str = "read") -> dict[str, float]:
    reasons = ("begun", "ambiguous", "too_large", "cap")
    found = {reason: stage.metric("fallbacks_withheld_total", route=route, reason=reason) for reason in reasons}
    return {reason: number for reason, number in found.items() if number}


@pytest.mark.parametrize(
    ("native", "words"), [("apps:fails", "native fails"), ("apps:raises", "native_exception")], ids=["5xx", "exception"]
)
async def test_legacy_stands_in_for_so_many_at_a_time_and_the_next_is_told_of_native_s_failure(
    native: str, words: str
) -> None:
    async with slow_legacy(native, 4, fallbacks="50%") as (stage, origin, go), asyncio.TaskGroup() as tasks:
        stood_in = [tasks.create_task(stage.user.get("/things/1")) for _ in range(2)]
        await origin.until(lambda: len(origin.received) == 2)
        for number in range(1, 4):
            told = await stage.user.get("/things/1")
            assert (told.status_code, words in told.text) == (500, True)
            assert withheld(stage) == {"cap": number}
        assert len(origin.received) == stage.metric("fallbacks_open") == 2
        go.set()
        assert {(await task).text for task in stood_in} == {"legacy"}
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert booked(stage, "read", "native") == {"failed": 6}
        assert (stage.metric("fallbacks_total", route="read"), stage.metric("fallbacks_open")) == (3, 0)


async def test_a_burst_takes_no_more_places_than_there_are() -> None:
    async with slow_legacy("apps:discards", 6, fallbacks="50%") as (stage, origin, go), asyncio.TaskGroup() as tasks:
        burst = [tasks.create_task(stage.user.post("/things", content=b"abc")) for _ in range(40)]
        await eventually(lambda: sum(task.done() for task in burst) == 37)
        await origin.until(lambda: len(origin.received) == 3)
        go.set()
        texts = [(await task).text for task in burst]
        assert (texts.count("legacy"), texts.count("native discards")) == (3, 37)
        assert withheld(stage, "write") == {"cap": 37}
        assert len(origin.received) == 3


async def test_legacy_s_own_users_stand_behind_no_fallback() -> None:
    async with slow_legacy("apps:fails", 2, fallbacks="100%") as (stage, origin, go), asyncio.TaskGroup() as tasks:
        own = [tasks.create_task(stage.user.get("/other")) for _ in range(2)]
        await origin.until(lambda: len(origin.received) == 2)
        assert (await stage.user.get("/things/1")).text == "native fails"
        assert (withheld(stage), stage.strangler.legacy.pool.waiting) == ({"cap": 1}, 0)
        go.set()
        assert {(await task).text for task in own} == {"legacy"}
        assert (await stage.user.get("/things/1")).text == "legacy"


async def test_a_share_of_nothing_asks_legacy_nothing() -> None:
    async with slow_legacy("apps:fails", 256, fallbacks="0%") as (stage, origin, _):
        assert (await stage.user.get("/things/1")).text == "native fails"
        assert (withheld(stage), origin.received) == ({"cap": 1}, [])


async def test_a_user_who_leaves_while_legacy_stands_in_leaves_the_place_too() -> None:
    async with slow_legacy("apps:fails", 1) as (stage, origin, go):
        async with connected(stage.port) as user:
            await user.send(ask("GET /things/1"))
            await origin.until(lambda: len(origin.received) == 1)
            assert stage.metric("fallbacks_open") == 1
        await eventually(lambda: stage.metric("fallbacks_open") == 0)
        go.set()
        assert (await stage.user.get("/things/1")).text == "legacy"


async def test_what_is_kept_for_legacy_has_a_limit_of_its_own() -> None:
    async with slow_legacy("apps:discards", 4, keep="1KiB") as (stage, origin, go):
        go.set()
        assert (await stage.user.post("/things", content=bytes(1025))).text == "native discards"
        assert (withheld(stage, "write"), origin.received) == ({"too_large": 1}, [])
        assert (await stage.user.post("/things", content=bytes(1024))).text == "legacy"


async def test_a_body_that_is_kept_for_legacy_may_be_too_large_to_be_compared() -> None:
    async with running_origin() as origin:
        origin.begin((Whole(), LEGACY))
        sections: dict[str, Any] = {
            "legacy": {"url": f"http://127.0.0.1:{origin.port}"},
            "native": {"app": "tests.proxy.apps:answers"},
            "shadow": {"body": "1KiB"},
            "routes": [{**READ, "share": "100%", "shadow": "100%"}],
        }
        async with staged(**sections) as stage:
            assert (await stage.user.request("GET", "/things/1", content=bytes(1025))).status_code == 200
            assert (await stage.user.request("GET", "/things/2", content=bytes(900))).status_code == 200
            await eventually(lambda: len(origin.received) == 1)
            assert b"/things/2 " in origin.received[0].start


async def discards_early(scope: Scope, receive: Receive, send: Send) -> None:
    """Says that nothing was kept, and reads on."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    discarded = (b"x-strangler-discarded", b"1")
    await send({"type": "http.response.start", "status": 500, "headers": [discarded]})
    await Request(scope, receive).body()
    await send({"type": "http.response.body", "body": b"discarded"})


async def test_a_body_that_outgrows_what_is_kept_after_native_has_failed_is_not_asked_again() -> None:
    async with slow_legacy("test_attempt:discards_early", 1, keep="1KiB") as (stage, origin, go):
        go.set()
        told = await stage.user.post("/things", content=bytes(2000))
        assert (told.status_code, told.json()["error"]) == (502, "native_5xx")
        assert (withheld(stage, "write"), origin.received) == ({"too_large": 1}, [])
        assert stage.metric("fallbacks_open") == 0
        assert (await stage.user.post("/things", content=bytes(1000))).text == "legacy"


async def test_every_failure_of_native_is_a_fallback_or_withheld() -> None:
    oops = answer("500 Internal Server Error", b"Content-Length: 4", body=b"oops")
    async with running_origin() as origin:
        origin.begin((Whole(), oops))
        sections = {"legacy": {"url": f"http://127.0.0.1:{origin.port}"}, "native": {"app": "tests.proxy.apps:fails"}}
        async with staged(**sections, routes=ROUTES) as stage:
            told: list[httpx.Response] = [
                await stage.user.get("/things/1"),
                await stage.user.post("/things", content=b"abc"),
                await stage.user.get("/things/2"),
            ]
            assert [response.text for response in told] == ["oops", "native fails", "oops"]
            failed = sum(booked(stage, route, "native")["failed"] for route in ("read", "write"))
            fallbacks = sum(stage.metric("fallbacks_total", route=route) for route in ("read", "write"))
            assert (failed, fallbacks, withheld(stage), withheld(stage, "write")) == (3, 2, {}, {"ambiguous": 1})
