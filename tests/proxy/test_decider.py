from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from flags import flag as flags
from flags.decide import Decision, Reason
from flags.flag import WHOLE, Flag, Side
from proxy.decider import Decider, never_yielding, unwatched
from proxy.exchange import UNMATCHED
from proxy.forcing import Force
from proxy.headers import Header
from proxy.routes import Route, RouteTable
from proxy.subject import Source, Subject

TABLE = RouteTable([Route.parse("read", "GET /things/{id}", "default"), Route.parse("list", "GET /things", "default")])
CLIENT = "192.0.2.7"


def decider(
    flag: Flag,
    *,
    ready: bool = True,
    chooses: Callable[[str, str, str], bool] = lambda *_: False,
    saw: Callable[[int, int, str], None] = unwatched,
    pace: Callable[[], float] = never_yielding,
) -> Decider:
    subject = Subject([Source("header", "x-user")])
    flags = {"read": flag, "list": Flag()}
    return Decider(TABLE, flags.__getitem__, subject, lambda: ready, chooses, saw, pace=pace)


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


@pytest.mark.parametrize(("shadow", "pace"), [(WHOLE, 0.25), (WHOLE // 2, 0.5), (WHOLE // 4, 1.0)])
def test_of_what_is_to_be_shadowed_a_part_is_while_shadow_work_yields(shadow: int, pace: float) -> None:
    ask = decider(Flag(shadow=shadow), pace=lambda: pace)
    shadowed = Counter(ask("GET", b"/things/1", [], CLIENT)[1].shadow for _ in range(2000))
    assert 350 < shadowed[True] < 650


def test_who_demands_a_side_is_shadowed_no_more_than_others_while_shadow_work_yields() -> None:
    ask, forces = decider(Flag(shadow=WHOLE), pace=lambda: 0.25), [Force(Side.NATIVE, frozenset(), 2**40, "anna")]
    shadowed = Counter(ask("GET", b"/things/1", [], CLIENT, forces)[1].shadow for _ in range(2000))
    assert 350 < shadowed[True] < 650


def test_a_native_that_takes_no_requests_is_given_none() -> None:
    name, decision = decide(Flag(native=WHOLE), ready=False)
    assert (name, decision.primary, decision.reason) == ("read", Side.LEGACY, Reason.UNAVAILABLE)


@pytest.mark.parametrize("group", ["another journey", ""])
def test_a_share_from_elsewhere_is_counted_in_the_group_that_it_names(group: str) -> None:
    ask = decider(Flag(native=2_500, source=flags.Source(7, group)))
    for subject in map(str, range(200)):
        taken = flags.bucket(group, subject) < 2_500
        decided = ask("GET", b"/things/1", [(b"x-user", subject.encode())], CLIENT)[1].primary
        assert decided is (Side.NATIVE if taken else Side.LEGACY)


def test_a_share_from_elsewhere_that_names_no_group_is_counted_in_the_route_s() -> None:
    own, named = decider(Flag(native=2_500)), decider(Flag(native=2_500, source=flags.Source(7)))
    users = [(b"x-user", b"%d" % number) for number in range(200)]
    assert [own("GET", b"/things/1", [user], CLIENT) for user in users] == [
        named("GET", b"/things/1", [user], CLIENT) for user in users
    ]


def test_rules_choose_by_route_subject_and_address_whoever_s_place_it_is() -> None:
    asked: list[tuple[str, str, str]] = []

    def chooses(*asking: str) -> bool:
        route, subject, address = asking
        asked.append((route, subject, address))
        return subject == "ada"

    ask = decider(Flag(native=WHOLE, source=flags.Source(7, rules="a1")), chooses=chooses)
    sides = [ask("GET", b"/things/1", [(b"x-user", user)], CLIENT)[1].primary for user in (b"ada", b"bob")]
    assert sides == [Side.NATIVE, Side.LEGACY]
    assert asked == [("read", "ada", CLIENT), ("read", "bob", CLIENT)]


SHARED = Flag(native=WHOLE)
BY_RULES = Flag(native=WHOLE, source=flags.Source(7, rules="a1"))


@pytest.mark.parametrize("flag", [SHARED, BY_RULES], ids=["a share", "rules"])
def test_whom_a_whole_share_or_rules_choose_is_held_back_all_the_same(flag: Flag) -> None:
    subject = Subject([Source("header", "x-user")])
    found = {"read": flag, "list": Flag()}.__getitem__
    ask = Decider(TABLE, found, subject, lambda: True, lambda *_: True, holdbacks={"read": 1_000})
    for user in map(str, range(300)):
        decided = ask("GET", b"/things/1", [(b"x-user", user.encode())], CLIENT)[1].primary
        assert decided is (Side.LEGACY if flags.bucket("default", user) >= 9_000 else Side.NATIVE)


def test_a_trip_asks_no_rules() -> None:
    def chooses(*_: str) -> bool:
        raise AssertionError

    tripped = Flag(shadow=WHOLE, trip=flags.Trip(1.0, "x"), source=flags.Source(7, rules="a1"))
    assert decider(tripped, chooses=chooses)("GET", b"/things/1", [], CLIENT)[1].primary is Side.LEGACY


@pytest.mark.parametrize("native", [1, WHOLE // 2, WHOLE])
def test_whose_request_it_is_is_told_where_native_is_judged_and_the_same_for_the_same_user(native: int) -> None:
    ask = decider(Flag(native=native))
    told = [ask("GET", b"/things/1", [(b"x-user", user)], CLIENT)[1] for user in (b"a", b"a", b"b")]
    assert told[0].subject == told[1].subject != told[2].subject
    assert None not in {each.subject for each in told}


def test_nobodys_name_is_asked_for_where_native_answers_nothing() -> None:
    assert decide(Flag(shadow=WHOLE))[1].subject is None


def force(side: Side, *routes: str) -> Force:
    return Force(side, frozenset(routes), 1, "anna")


@pytest.mark.parametrize(
    ("forces", "side", "by"),
    [
        ((force(Side.NATIVE),), Side.NATIVE, "anna"),
        ((force(Side.NATIVE, "read", "list"),), Side.NATIVE, "anna"),
        ((force(Side.NATIVE, "list"),), Side.LEGACY, None),
        ((force(Side.NATIVE, "list"), force(Side.LEGACY, "read"), force(Side.NATIVE)), Side.LEGACY, "anna"),
    ],
)
def test_the_first_token_that_is_about_the_route_says_who_answers_and_whose_it_is(
    forces: tuple[Force, ...], side: Side, by: str | None
) -> None:
    name, decision = decider(Flag())("GET", b"/things/1", [], CLIENT, forces)
    assert (name, decision.primary, decision.forced_by) == ("read", side, by)


def test_a_demand_finds_no_side_outside_routes() -> None:
    ask = decider(Flag(native=WHOLE))
    assert ask("GET", b"/other", [], CLIENT, (force(Side.NATIVE),))[1].primary is Side.LEGACY


def test_what_a_tester_asks_is_nobody_s_evidence() -> None:
    heard: list[tuple[int, int, str]] = []
    ask = decider(Flag(native=WHOLE), saw=lambda *told: heard.append(told))
    assert ask("GET", b"/things/1", [], CLIENT, (force(Side.NATIVE),))[1].subject is None
    assert heard == []


def test_a_part_of_what_testers_ask_is_shadowed_as_of_everybody() -> None:
    ask = decider(Flag(shadow=WHOLE // 2))
    shadowed = Counter(ask("GET", b"/things/1", [], CLIENT, (force(Side.NATIVE),))[1].shadow for _ in range(1000))
    assert 350 < shadowed[True] < 650


def test_each_subject_that_is_looked_for_is_told_with_its_place_and_address() -> None:
    heard: list[tuple[int, int, str]] = []
    ask = decider(Flag(native=1), saw=lambda *told: heard.append(told))
    ask("GET", b"/things/1", [(b"x-user", b"ada")], CLIENT)
    ask("GET", b"/things/1", [], CLIENT)
    ask("GET", b"/things", [(b"x-user", b"ada")], CLIENT)
    assert heard == [(0, flags.mark("ada"), CLIENT), (1, flags.mark(CLIENT), CLIENT)]
