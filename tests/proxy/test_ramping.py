"""Ramps at the operators' port: what is asked, what is ordered, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from flags.flag import WHOLE, Flag
from flags.loop import Loop
from flags.prospect import DEFECTS, prospect
from flags.rollback import Rule
from flags.store.memory import MemoryStore
from proxy.load import EVERY, Loads
from proxy.metrics import Metrics
from proxy.ramping import Ramping
from proxy.ramps import Ramps
from proxy.refusals import answered
from tests.proxy.test_admin import ROUTES, Port
from tests.proxy.threads import all_threads_busy

ROUTE = ROUTES[0]
PATH = f"/flags/{ROUTE}/ramp"
WAY_UP: dict[str, Any] = {"shares": ["1%", "5%", "100%"], "hold": "90s", "minRequests": 200}


@pytest.fixture
async def port() -> Port:
    port = Port()
    await port.loop.refresh()
    return port


async def begun(port: Port, **changes: Any) -> dict[str, Any]:
    status, told = await port.ask("POST", PATH, json=WAY_UP | changes)
    assert status == 200, told
    ramp: dict[str, Any] = told["ramp"]
    return ramp


async def test_a_ramp_begins_with_its_first_share_in_force_and_says_what_it_waits_for(port: Port) -> None:
    ramp = await begun(port)
    assert (ramp["state"], ramp["shares"], ramp["share"], ramp["step"]) == ("running", [100, 500, WHOLE], 100, 1)
    assert (ramp["hold"], ramp["minRequests"]) == (90.0, 200)
    assert ramp["words"].startswith("running, step 1 of 3, 1 %; goes on to 5 % after ")
    assert port.loop.get(ROUTE).native == 100
    _, told = await port.ask("GET", "/flags")
    shown, other = told["routes"]
    assert (shown["share"], shown["inForce"], shown["ramp"]["state"]) == (100, 100, "running")
    assert (other["ramp"], told["capacity"]["unproved"]) == (None, False)


async def test_what_is_not_said_of_it_has_its_default(port: Port) -> None:
    status, told = await port.ask("POST", PATH, json={"shares": ["5%"]})
    assert status == 200
    assert (told["ramp"]["hold"], told["ramp"]["minRequests"]) == (600.0, 1000)


async def test_it_is_paused_resumed_and_aborted_and_afterwards_only_its_route_still_tells_of_it(port: Port) -> None:
    await begun(port)
    for state in ("paused", "running", "aborted"):
        status, told = await port.ask("PATCH", PATH, json={"state": state})
        assert (status, told["ramp"]["state"]) == (200, state)
    _, told = await port.ask("GET", "/flags")
    assert told["routes"][0]["ramp"] is None
    _, told = await port.ask("GET", PATH)
    assert told["ramp"]["state"] == "aborted"
    assert port.loop.get(ROUTE).native == 100
    status, told = await port.ask("PATCH", PATH, json={"state": "running"})
    assert (status, "no ramp is under way" in told["error"]) == (409, True)


async def test_an_order_says_why_and_for_which_it_is_meant_and_the_audit_tells_of_it(port: Port) -> None:
    ramp = await begun(port, why="ticket 3", generation=0)
    assert (await port.ask("PATCH", PATH, json={"state": "paused", "generation": ramp["generation"] - 1}))[0] == 409
    order = {"state": "aborted", "why": "incident 7", "generation": ramp["generation"]}
    status, told = await port.ask("PATCH", PATH, json=order)
    assert (status, told["ramp"]["words"]) == (200, "aborted at step 1 of 3, 1 %: by this machine: incident 7")
    assert told["ramp"]["generation"] > ramp["generation"]
    status, told = await port.ask("POST", PATH, json={**WAY_UP, "generation": 0})
    assert (status, told["flag"]["share"]) == (409, 100)
    _, told = await port.ask("GET", "/audit")
    aborted, moved, began = told["audit"]
    assert (aborted["who"], aborted["why"], aborted["what"]) == ("this machine", "incident 7", "changed")
    assert aborted["words"] == "its ramp is aborted at step 1 of 3, 1 %"
    assert (began["why"], moved["who"]) == ("ticket 3", "ramp of this machine")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generation": "5"}, "generation: the whole number"),
        ({"shares": "1%"}, "shares: a list"),
        ({"shares": []}, "a ramp has 1 to 100 shares"),
        ({"shares": ["1%"] * 101}, "shares: a ramp has 1 to 100 shares"),
        ({"shares": ["0%"]}, "above 0 %"),
        ({"shares": ["1"]}, 'shares: "1" has no unit'),
        ({"shares": [1]}, "shares: "),
        ({"shares": ["5%", "5%"]}, "a ramp only raises"),
        ({"hold": "10"}, "hold: "),
        ({"hold": None}, "hold: "),
        ({"hold": "25h"}, "hold: "),
        ({"minRequests": 0}, "minRequests: "),
        ({"minRequests": True}, "minRequests: "),
        ({"minRequests": "200"}, "minRequests: "),
        ({"every": "10m"}, "every: nobody knows what this means"),
    ],
)
async def test_a_way_up_that_nobody_can_mean_is_refused_in_words(
    changes: dict[str, Any], words: str, port: Port
) -> None:
    status, told = await port.ask("POST", PATH, json=WAY_UP | changes)
    assert status == 400
    assert words in told["error"]
    assert port.loop.get(ROUTE) == Flag()


@pytest.mark.parametrize("state", [None, "stopped", "done", "gone", ["paused"]])
async def test_a_turn_that_there_is_not_is_refused(state: Any, port: Port) -> None:
    await begun(port)
    status, told = await port.ask("PATCH", PATH, json={"state": state})
    assert (status, told["error"]) == (400, "state: one of paused, running, aborted")


async def test_what_stands_in_the_way_of_one_is_a_conflict(port: Port) -> None:
    await begun(port)
    assert (await port.ask("POST", PATH, json=WAY_UP))[0] == 409
    await port.words("POST", f"/flags/{ROUTE}/rollback", {"why": "incident 7"})
    await port.ramps.look()
    _, told = await port.ask("GET", PATH)
    assert told["ramp"]["words"] == "stopped at step 1 of 3, 1 %: the route tripped: by hand: incident 7"
    status, told = await port.ask("POST", PATH, json=WAY_UP)
    assert (status, "incident 7" in told["error"]) == (409, True)


async def test_a_route_that_there_is_not_is_404(port: Port) -> None:
    for method, body in (("GET", None), ("POST", WAY_UP), ("PATCH", {"state": "paused"})):
        assert (await port.ask(method, "/flags/no.such/ramp", json=body))[0] == 404


async def test_a_route_without_one_and_without_traffic_has_nothing_to_tell(port: Port) -> None:
    status, told = await port.ask("GET", PATH)
    assert (status, told["ramp"], told["rate"], told["prospects"]) == (200, None, None, [])
    status, told = await port.ask("GET", PATH, params={"shares": "1%,5"})
    assert (status, 'shares: "5" has no unit' in told["error"]) == (400, True)
    status, told = await port.ask("GET", PATH, params={"shares": ",".join(["1%"] * 101)})
    assert (status, told["error"]) == (400, "shares: a ramp has 1 to 100 shares")


async def test_before_the_move_it_is_told_how_soon_a_defect_would_be_noticed_at_each_share() -> None:
    now, store, metrics, rule = [29_000_000 * 60.0], MemoryStore(), Metrics(ROUTES), Rule(30, 50, 0.05, 0.02)
    loop = Loop(store, ROUTES, rule, "worker", holdbacks={ROUTE: 200})
    loads = Loads(store, "worker", metrics, ROUTES, lambda: now[0])
    for _ in range(6):
        metrics.requests.labels(ROUTE, "legacy", "ok").value += 20 * EVERY
        now[0] += EVERY
        await loads.look()
    ramping = Ramping(loop, Ramps(store, loop), loads, dict.fromkeys(ROUTES, rule))
    transport = httpx.ASGITransport(Starlette(routes=ramping.routes(answered, answered)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        with all_threads_busy():
            told = (await client.get(PATH, params={"shares": "25%,100%"})).json()
    assert told["rate"] == pytest.approx(20.0)
    quarter, whole = told["prospects"]
    assert (quarter["share"], quarter["inForce"], whole["share"], whole["inForce"]) == (2_500, 2_500, WHOLE, 9_800)
    assert [each["defect"] for each in quarter["noticed"]] == list(DEFECTS)
    expected = prospect(WHOLE, 200, 20.0, rule).noticed[-1]
    assert expected is not None
    assert whole["noticed"][-1] == {"defect": 0.5, "seconds": expected.seconds, "failed": expected.failed}
    assert quarter["noticed"][0] == {"defect": 0.01, "seconds": None, "failed": None}
    assert told["capacity"]["words"].startswith("legacy lately carried 20 requests/s")
