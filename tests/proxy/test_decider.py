from __future__ import annotations

from collections import Counter

import pytest

from flags.decide import Decision, Reason
from flags.flag import WHOLE, Flag, Side
from proxy.decider import Decider
from proxy.exchange import UNMATCHED
from proxy.headers import Header
from proxy.routes import Route, RouteTable
from proxy.subject import Source, Subject

TABLE = RouteTable([Route.parse("read", "GET /things/{id}", "default"), Route.parse("list", "GET /things", "default")])
CLIENT = "192.0.2.7"


def decider(flag: Flag, *, ready: bool = True) -> Decider:
    return Decider(
        TABLE, {"read": flag, "list": Flag()}.__getitem__, Subject([Source("header", "x-user")]), lambda: ready
    )


def decide(flag: Flag, path: bytes = b"/things/1", *headers: Header, ready: bool = True) -> tuple[str, Decision]:
    return decider(flag, ready=ready)("GET", path, headers, CLIENT)


@pytest.mark.parametrize("path", [b"/other", b"/", b"*", b"/things/1/more"])
def test_what_no_route_matches_is_legacy_s(path: bytes) -> None:
    assert decide(Flag(native=WHOLE, shadow=WHOLE), path) == (UNMATCHED, Decision(Side.LEGACY, False, Reason.SHARE))


@pytest.mark.parametrize("path", [b"/things/1", b"/things/1?a=b", b"/things/1?"])
def test_a_query_changes_no_route(path: bytes) -> None:
    assert decide(Flag(native=WHOLE), path) == ("read", Decision(Side.NATIVE, False, Reason.SHARE))


def test_a_route_goes_by_its_own_flag() -> None:
    assert decide(Flag(native=WHOLE), b"/things") == ("list", Decision(Side.LEGACY, False, Reason.SHARE))


def test_a_subject_stays_on_its_side() -> None:
    ask = decider(Flag(native=WHOLE // 2))
    users = [(b"x-user", b"%d" % number) for number in range(1000)]
    sides = [ask("GET", b"/things/1", [user], CLIENT)[1].primary for user in users]
    assert sides == [ask("GET", b"/things/1", [user], CLIENT)[1].primary for user in users]
    assert 400 < Counter(sides)[Side.NATIVE] < 600


def test_a_part_of_the_requests_is_shadowed() -> None:
    ask = decider(Flag(shadow=WHOLE // 2))
    shadowed = Counter(ask("GET", b"/things/1", [], CLIENT)[1].shadow for _ in range(1000))
    assert 350 < shadowed[True] < 650


@pytest.mark.parametrize(("shadow", "shadowed"), [(0, False), (WHOLE, True)])
def test_no_chance_is_taken_where_all_or_none_are_shadowed(shadow: int, shadowed: bool) -> None:
    ask = decider(Flag(shadow=shadow))
    assert {ask("GET", b"/things/1", [], CLIENT)[1].shadow for _ in range(100)} == {shadowed}


def test_a_native_that_takes_no_requests_is_given_none() -> None:
    name, decision = decide(Flag(native=WHOLE), ready=False)
    assert (name, decision.primary, decision.reason) == ("read", Side.LEGACY, Reason.UNAVAILABLE)
