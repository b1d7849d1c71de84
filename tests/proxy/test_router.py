from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.fidelity.cases import answer, ask
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Script, Signals, Tell, Until, Whole, connected
from tests.proxy import apps
from tests.proxy.stage import NOWHERE, Stage, eventually, staged

READ = {"name": "read", "match": "GET /things/{id}"}
WRITE = {"name": "write", "match": "POST /things"}
LEGACY = answer("200 OK", b"Content-Length: 6", body=b"legacy")
BIG = 300 * 1024  # more than is kept


@asynccontextmanager
async def with_native(
    native: str | None, *legacy: Script, share: str = "100%", signals: Signals | None = None, **more: Any
) -> AsyncIterator[tuple[Stage, Origin]]:
    """A proxy ahead of a scripted legacy, and of one of the applications in `tests.proxy.apps`."""
    async with running_origin() as origin:
        origin.begin(*legacy or ((Whole(), LEGACY),), signals=signals)
        sections: dict[str, Any] = {"legacy": {"url": f"http://127.0.0.1:{origin.port}"}}
        if native is not None:
            sections["native"] = {"app": f"tests.proxy.apps:{native}", **more}
        routes = [{**READ, "share": share}, {**WRITE, "share": share}]
        async with staged(**sections, routes=routes) as stage:
            yield stage, origin


def booked(stage: Stage, route: str, side: str) -> dict[str, float]:
    """How requests decided for a side ended."""
    outcomes = ("ok", "failed", "excluded")
    found = {name: stage.metric("requests_total", route=route, side=side, outcome=name) for name in outcomes}
    return {name: number for name, number in found.items() if number}


async def test_what_no_route_matches_goes_to_legacy() -> None:
    async with with_native("answers") as (stage, origin):
        response = await stage.user.get("/other")
        assert (response.text, len(origin.received)) == ("legacy", 1)
        assert booked(stage, "unmatched", "legacy") == {"ok": 1}


async def test_a_share_of_nothing_goes_to_legacy() -> None:
    async with with_native("answers", share="0%") as (stage, _):
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert booked(stage, "read", "legacy") == {"ok": 1}


async def test_a_share_of_all_goes_to_native() -> None:
    async with with_native("answers") as (stage, origin):
        assert (await stage.user.post("/things", content=b"abc")).text == "POST /things abc"
        assert (await stage.user.get("/things/1")).text == "GET /things/1 "
        assert origin.received == []
        assert booked(stage, "write", "native") == {"ok": 1}


async def test_without_a_native_side_everything_goes_to_legacy() -> None:
    async with with_native(None) as (stage, _):
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert booked(stage, "read", "legacy") == {"ok": 1}


def hurried(native: str) -> dict[str, str]:
    """What a native that hangs is given up by. Any other may take its time, on a busy machine."""
    return {"budget": "100ms"} if native == "hangs" else {}


FAILURES = [("fails", "5xx"), ("discards", "5xx"), ("raises", "exception"), ("hangs", "timeout"), ("ends", "broken")]


@pytest.mark.parametrize(("native", "kind"), FAILURES)
async def test_a_safe_request_that_native_fails_is_answered_by_legacy_and_counted_against_native(
    native: str, kind: str
) -> None:
    async with with_native(native, **hurried(native)) as (stage, origin):
        response = await stage.user.get("/things/1")
        assert (response.status_code, response.text) == (200, "legacy")
        assert len(origin.received) == 1
        assert booked(stage, "read", "native") == {"failed": 1}
        assert booked(stage, "read", "legacy") == {}
        assert stage.metric("failures_total", route="read", side="native", kind=kind) == 1
        assert stage.metric("fallbacks_total", route="read") == 1
        assert stage.metric("answers_total", route="read", side="legacy", status="200") == 1


@pytest.mark.parametrize(
    ("native", "status", "body"),
    [
        ("fails", 500, "native fails"),
        ("raises", 500, '{"error": "native_exception"'),
        ("hangs", 504, '{"error": "native_timeout"'),
        ("ends", 502, '{"error": "native_broken"'),
    ],
)
async def test_a_write_that_native_fails_is_not_asked_again(native: str, status: int, body: str) -> None:
    async with with_native(native, **hurried(native)) as (stage, origin):
        response = await stage.user.post("/things", content=b"abc")
        assert (response.status_code, response.text[: len(body)]) == (status, body)
        assert origin.received == []
        assert booked(stage, "write", "native") == {"failed": 1}
        assert stage.metric("fallbacks_total", route="write") == 0


async def test_a_write_that_native_discarded_is_asked_again_whole() -> None:
    async with with_native("discards") as (stage, origin):
        response = await stage.user.post("/things", content=b"abc" * 1000)
        assert (response.status_code, response.text) == (200, "legacy")
        assert [message.body for message in origin.received] == [b"abc" * 1000]
        assert booked(stage, "write", "native") == {"failed": 1}


async def test_a_chunked_write_that_native_discarded_is_asked_again_whole() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"abc"

    async with with_native("discards") as (stage, origin):
        assert (await stage.user.post("/things", content=parts())).text == "legacy"
        assert [message.body for message in origin.received] == [b"abc" * 10]


async def test_a_body_too_large_to_be_kept_is_not_asked_again() -> None:
    async with with_native("discards") as (stage, origin):
        response = await stage.user.post("/things", content=bytes(BIG))
        assert (response.status_code, response.text) == (500, "native discards")
        assert origin.received == []


@pytest.mark.parametrize("native", ["answers", "discards"])
async def test_native_s_word_to_the_proxy_never_reaches_a_user(native: str) -> None:
    async with with_native(native) as (stage, _):
        for response in (
            await stage.user.get("/things/1"),
            await stage.user.post("/things", content=b"abc"),
            await stage.user.post("/things", content=bytes(BIG)),
        ):
            assert "x-strangler-discarded" not in response.headers


async def test_a_user_s_forged_word_reaches_no_side() -> None:
    async with with_native(None) as (stage, origin):
        await stage.user.get("/other", headers={"X-Strangler-Shadow": "forged", "X-Strangler-Discarded": "1"})
        [came] = origin.received
        told = [header for header in came.headers if header[0].lower().startswith(b"x-strangler")]
        assert told == [(b"x-strangler-compared", b"1")]  # that is all its mark means


async def test_an_answer_that_native_breaks_off_breaks_off_for_the_user() -> None:
    async with with_native("raises_late") as (stage, origin):
        with pytest.raises(httpx.RemoteProtocolError):
            await stage.user.get("/things/1")
        assert origin.received == []
        await eventually(lambda: booked(stage, "read", "native") == {"failed": 1})
        assert stage.metric("failures_total", route="read", side="native", kind="exception") == 1


async def test_when_both_sides_fail_the_user_hears_of_legacy_and_native_is_blamed() -> None:
    async with with_native("raises", (Whole(), Close())) as (stage, _):
        response = await stage.user.get("/things/1")
        assert (response.status_code, response.json()["error"]) == (502, "legacy_broken")
        assert response.headers["x-request-id"] == response.json()["requestId"]
        assert booked(stage, "read", "native") == {"failed": 1}
        assert stage.metric("failures_total", route="read", side="native", kind="exception") == 1


async def test_legacy_s_users_do_not_notice_that_native_hangs() -> None:
    async with with_native("hangs", budget="3s") as (stage, _), asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(stage.user.get(f"/things/{number}")) for number in range(20)]
        await eventually(lambda: len(stage.server.server_state.tasks) == len(hanging))
        for _ in range(20):
            assert (await stage.user.get("/other")).text == "legacy"
        assert not any(task.done() for task in hanging)
        assert {(await task).text for task in hanging} == {"legacy"}


async def test_a_native_that_clings_to_its_request_is_left_behind_and_heard_no_more() -> None:
    apps.let_go.clear()
    async with with_native("ends_late", budget="50ms") as (stage, _):
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert booked(stage, "read", "native") == {"failed": 1}
        apps.let_go.set()
        await eventually(lambda: len(stage.strangler.tasks) == stage.at_rest)


async def test_a_user_who_stops_in_the_middle_of_an_upload_is_told_so_and_blames_nobody() -> None:
    async with with_native(None) as (stage, _), connected(stage.port) as user:
        pool = stage.strangler.legacy.pool
        pool.limits = replace(pool.limits, stall=0.05)  # of what belongs to no route
        await user.send(ask("POST /other", b"Content-Length: 6") + b"abc")
        await user.until(lambda: b"client_stalled" in user.raw)
        assert user.raw.startswith(b"HTTP/1.1 408 ")
        await eventually(lambda: booked(stage, "unmatched", "legacy") == {"excluded": 1})
        assert pool.opened == 0


async def test_a_safe_request_is_compared_with_its_body_or_not_at_all() -> None:
    async with running_origin() as origin:
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        native = {"app": "tests.proxy.apps:greets"}
        routes = [{**READ, "share": "100%", "shadow": "100%"}]
        async with staged(legacy=legacy, native=native, routes=routes) as stage:
            await stage.user.request("GET", "/things/1", content=b"{}")  # which native does not read
            await stage.user.get("/things/2")
            await eventually(lambda: len(origin.received) == 1)
            assert b"/things/2 " in origin.received[0].start


async def test_the_budget_does_not_run_while_native_waits_for_the_user() -> None:
    head = ask("POST /things", b"Content-Length: 6")
    async with with_native("answers", budget="2s") as (stage, _), connected(stage.port) as user:
        await user.send(head + b"abc")
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(2.2, passed.set)
        await passed.wait()
        await user.send(b"def")
        await user.until(lambda: b"POST /things abcdef" in user.raw)
        assert b" 200 OK" in user.raw
        assert booked(stage, "write", "native") == {"ok": 1}


@pytest.mark.parametrize("native", ["answers", "raises"])
async def test_a_user_who_leaves_during_an_upload_is_not_native_s_failure(native: str) -> None:
    async with with_native(native) as (stage, _):
        async with connected(stage.port) as user:
            await user.send(ask("POST /things", b"Content-Length: 6") + b"abc")
            await eventually(lambda: len(stage.server.server_state.tasks) == 1)
        await eventually(lambda: booked(stage, "write", "native") == {"excluded": 1})


async def test_a_user_who_leaves_a_stream_ends_it() -> None:
    async with with_native("streams") as (stage, _):
        async with connected(stage.port) as user:
            await user.send(ask("GET /things/1"))
            await user.until(lambda: b"xxx" in user.raw)
        await eventually(lambda: booked(stage, "read", "native") == {"excluded": 1})
        assert stage.connections == 0


async def test_a_user_who_leaves_before_legacy_has_answered_is_nobody_s_failure() -> None:
    signals = Signals()
    async with with_native(None, (Whole(), Tell("asked"), Gone()), signals=signals) as (stage, origin):
        async with connected(stage.port) as user:
            await user.send(ask("GET /things/1"))
            await signals["asked"].wait()
        await origin.until(lambda: origin.open == 0)
        await eventually(lambda: booked(stage, "read", "legacy") == {"excluded": 1})
        assert stage.metric("answers_total", route="read", side="legacy", status="0") == 0


LEGACY_FAILURES: dict[str, tuple[Script, dict[str, Any], int, str]] = {
    "closes": ((Whole(), Close()), {}, 502, "broken"),
    "hangs": ((Whole(), Gone()), {"first_byte": "50ms"}, 504, "timeout"),
}


@pytest.mark.parametrize("habit", LEGACY_FAILURES)
async def test_legacy_s_failures_are_told_in_json_and_counted_apart(habit: str) -> None:
    script, knobs, status, kind = LEGACY_FAILURES[habit]
    async with running_origin() as origin:
        origin.begin(script)
        legacy = {"url": f"http://127.0.0.1:{origin.port}", **knobs}
        async with staged(legacy=legacy, routes=[READ]) as stage:
            response = await stage.user.get("/things/1", headers={"X-Request-Id": "r-1"})
            assert (response.status_code, response.json()) == (status, {"error": f"legacy_{kind}", "requestId": "r-1"})
            assert (response.headers["x-request-id"], response.headers["cache-control"]) == ("r-1", "no-store")
            assert stage.metric("failures_total", route="read", side="legacy", kind=kind) == 1
            assert booked(stage, "read", "legacy") == {"failed": 1}


async def test_a_legacy_that_is_not_there_is_502() -> None:
    async with staged(legacy={"url": NOWHERE}, routes=[READ]) as stage:
        response = await stage.user.get("/things/1")
        assert (response.status_code, response.json()["error"]) == (502, "legacy_refused")
        assert stage.metric("failures_total", route="read", side="legacy", kind="refused") == 1


async def test_a_saturated_legacy_is_503_and_says_when_to_come_back() -> None:
    signals = Signals()
    async with running_origin() as origin:
        origin.begin((Whole(), Hear("go"), LEGACY), signals=signals)
        legacy = {"url": f"http://127.0.0.1:{origin.port}", "connections": 1, "queue": 0}
        async with staged(legacy=legacy, routes=[READ]) as stage, asyncio.TaskGroup() as tasks:
            served = tasks.create_task(stage.user.get("/things/1"))
            await origin.until(lambda: len(origin.received) == 1)
            response = await stage.user.get("/things/1")
            assert (response.status_code, response.json()["error"]) == (503, "legacy_saturated")
            assert response.headers["retry-after"] == "1"
            assert stage.metric("failures_total", route="read", side="legacy", kind="saturated") == 1
            signals["go"].set()
            assert (await served).text == "legacy"


async def test_an_error_of_legacy_s_own_passes_as_it_is_and_counts_as_a_failure() -> None:
    oops = answer("500 Internal Server Error", b"Content-Length: 4", body=b"oops")
    async with with_native(None, (Whole(), oops)) as (stage, _):
        response = await stage.user.get("/things/1")
        assert (response.status_code, response.text) == (500, "oops")
        assert stage.metric("failures_total", route="read", side="legacy", kind="5xx") == 1


@asynccontextmanager
async def with_remote(*native: Script, share: str = "100%", **more: Any) -> AsyncIterator[tuple[Stage, Origin, Origin]]:
    """A proxy ahead of two scripted sides, native by its URL."""
    async with running_origin() as legacy, running_origin() as candidate:
        legacy.begin((Whole(), LEGACY))
        candidate.begin(*native)
        routes = [{**READ, "share": share}, {**WRITE, "share": share}]
        sections = {
            "legacy": {"url": f"http://127.0.0.1:{legacy.port}"},
            "native": {"url": f"http://127.0.0.1:{candidate.port}", **more},
        }
        async with staged(**sections, routes=routes) as stage:
            yield stage, legacy, candidate


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ((Whole(), Close()), "broken"),
        ((Whole(), Gone()), "timeout"),
        ((Whole(), answer("503 Down", b"Content-Length: 0")), "5xx"),
    ],
    ids=["closes", "hangs", "answers 503"],
)
async def test_a_remote_native_that_fails_a_safe_request_is_stood_in_for(script: Script, kind: str) -> None:
    async with with_remote(script, **hurried("hangs" if kind == "timeout" else "")) as (stage, legacy, _):
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert len(legacy.received) == 1
        assert stage.metric("failures_total", route="read", side="native", kind=kind) == 1


async def test_a_write_that_a_remote_native_has_seen_is_not_asked_again() -> None:
    async with with_remote((Whole(), Close())) as (stage, legacy, _):
        response = await stage.user.post("/things", content=b"abc")
        assert (response.status_code, response.json()["error"]) == (502, "native_broken")
        assert legacy.received == []


async def test_a_write_that_a_remote_native_discarded_is_asked_again_whole() -> None:
    gone = answer("500 Oops", b"X-Strangler-Discarded: 1", b"Content-Length: 0")
    async with with_remote((Whole(), gone)) as (stage, legacy, candidate):
        assert (await stage.user.post("/things", content=b"abc")).text == "legacy"
        assert [message.body for message in (*candidate.received, *legacy.received)] == [b"abc", b"abc"]


async def test_an_answer_that_a_remote_native_discards_early_takes_the_rest_of_the_body_to_legacy() -> None:
    gone = answer("500 Oops", b"X-Strangler-Discarded: 1", b"Content-Length: 0")
    async with with_remote((Until(b"abc"), gone)) as (stage, legacy, _), connected(stage.port) as user:
        await user.send(ask("POST /things", b"Content-Length: 6") + b"abc")
        await legacy.until(lambda: len(legacy.received) == 1)
        await user.send(b"def")
        await user.until(lambda: user.raw.endswith(b"legacy"))
        await legacy.until(lambda: legacy.finished == 1)
        assert [message.body for message in legacy.received] == [b"abcdef"]


async def test_a_write_that_a_remote_native_does_not_take_goes_to_legacy_and_so_does_what_follows() -> None:
    async with running_origin() as legacy, AsyncExitStack() as there:
        legacy.begin((Whole(), LEGACY))
        candidate = await there.enter_async_context(running_origin())
        sections = {
            "legacy": {"url": f"http://127.0.0.1:{legacy.port}"},
            "native": {"url": f"http://127.0.0.1:{candidate.port}"},
        }
        async with staged(**sections, routes=[{**WRITE, "share": "100%"}]) as stage:
            await there.aclose()
            assert (await stage.user.post("/things", content=b"abc")).text == "legacy"
            assert not stage.strangler.native.ready
            failed = booked(stage, "write", "native")
            assert (await stage.user.post("/things", content=b"def")).text == "legacy"
            assert booked(stage, "write", "native") == failed  # not ready: nobody's failure
            assert [message.body for message in legacy.received] == [b"abc", b"def"]
