"""Parity at the operators' port: what is told of it, and beginning it anew."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shadow.parity import Parity, Stratum, Tally, bound
from shadow.tallies import MemoryTallies
from tests.proxy.test_admin import ROUTES, Port

ROUTE, WRITES = ROUTES
PATH = f"/flags/{ROUTE}/parity"


@pytest.fixture
async def port() -> Port:
    port = Port()
    await port.loop.refresh()
    await port.tallies.tell({(ROUTE, ""): {Stratum(200, "agent"): Tally(8_000, 3)}}, 90.0)
    await port.parities.look()
    return port


async def test_a_route_tells_what_was_compared_and_what_that_proves(port: Port) -> None:
    status, told = await port.ask("GET", PATH)
    assert (status, told["route"]) == (200, ROUTE)
    assert (told["parity"]["compared"], told["parity"]["bound"], told["parity"]["since"]) == (
        8_003, bound(8_003, 3), 90.0
    )  # fmt: skip
    status, told = await port.ask("GET", f"/flags/{WRITES}/parity")
    assert (status, told["parity"]["bound"], told["parity"]["strata"], told["parity"]["since"]) == (200, 1.0, [], None)
    assert (await port.ask("GET", "/flags/nowhere/parity"))[0] == 404


async def test_the_status_tells_it_of_each_route_that_was_compared(port: Port) -> None:
    _, told = await port.ask("GET", "/flags")
    compared, other = told["routes"]
    assert compared["parity"]["words"] == "mismatches ≤ 0.18 % (99 %): 3 of 8 003 compared"
    assert other["parity"] is None
    _, told = await port.ask("GET", f"/flags/{ROUTE}/outlook")
    assert told["parity"] == compared["parity"]


async def test_begun_anew_it_knows_nothing_and_the_audit_tells_who_did_it(port: Port) -> None:
    status, told = await port.ask("POST", PATH, json={"why": "release 12"})
    assert (status, told["parity"]["compared"]) == (200, 0)
    (record,) = await port.store.audit(9, ROUTE)
    assert (record.words, record.note.who, record.note.why) == (
        "its comparisons are counted anew", "this machine", "release 12"
    )  # fmt: skip
    assert (await port.ask("POST", "/flags/nowhere/parity", json={}))[0] == 404
    assert (await port.ask("POST", PATH, json={"share": "5%"}))[0] == 400


async def test_if_redis_does_not_answer_nobody_is_told_that_it_was_done() -> None:
    class Away(MemoryTallies):
        async def begin(self, route: str) -> None:
            raise ConnectionRefusedError("nobody listens")

    port = Port(tallies=Away())
    await port.loop.refresh()
    status, told = await port.ask("POST", PATH, json={})
    assert (status, "perhaps not" in told["error"]) == (503, True)


async def test_a_ramp_that_asks_for_it_says_what_is_still_needed(port: Port) -> None:
    order = {"shares": ["1%", "5%"], "parity": "0.1%"}
    status, told = await port.ask("POST", f"/flags/{ROUTE}/ramp", json=order)
    assert (status, told["ramp"]["parity"]) == (200, 10)
    assert "mismatches of 0.1 % at most: they are ≤ 0.18 % after 8 003 comparisons" in told["ramp"]["words"]
    _, told = await port.ask("GET", "/audit")
    assert any(each["words"].endswith("and mismatches of 0.1 % at most") for each in told["audit"])


@pytest.mark.parametrize("parity", ["0%", "100%", "101%", "lots", 5, None, "0.001%"])
async def test_a_parity_that_proves_nothing_or_cannot_be_proved_is_refused(port: Port, parity: object) -> None:
    order: Mapping[str, object] = {"shares": ["1%"], "parity": parity}
    status, told = await port.ask("POST", f"/flags/{ROUTE}/ramp", json=order)
    assert (status, told["error"].startswith("parity: ")) == (400, True)
    assert port.ramps.ramps == {}


async def test_of_a_route_that_is_never_compared_none_can_be_asked(port: Port) -> None:
    path = f"/flags/{WRITES}/ramp"
    status, told = await port.ask("POST", path, json={"shares": ["1%"], "parity": "1%"})
    assert (status, "never asked twice" in told["error"]) == (409, True)
    assert (await port.ask("POST", path, json={"shares": ["1%"]}))[0] == 200
    for method, path, order in (
        ("PATCH", f"/flags/{WRITES}", {"shadow": "100%"}),
        ("PATCH", f"/flags/{WRITES}", {"shadow": "1%", "share": "5%"}),
        ("POST", f"/flags/{WRITES}/parity", {}),
    ):
        status, told = await port.ask(method, path, json=order)
        assert (status, "never asked twice" in told["error"]) == (409, True)
    assert (port.loop.get(WRITES).native, port.loop.get(WRITES).shadow) == (100, 0)
    assert (await port.ask("PATCH", f"/flags/{WRITES}", json={"shadow": "0%"}))[0] == 200


def test_nothing_is_known_of_a_route_that_was_never_compared() -> None:
    assert Port().parities.of(ROUTE) == Parity()
