"""Who answers one request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.decide import Decision, Reason, decide, forced, in_force, paired
from flags.flag import WHOLE, Flag, Side, Trip, bucket

TRIP = Trip(1.0, "native failed 41 of 310")
places = st.integers(0, WHOLE - 1)
shares = st.integers(0, WHOLE)


@pytest.mark.parametrize(
    ("flag", "place", "draw", "ready", "expected"),
    [
        (Flag(), 0, 0, True, Decision(Side.LEGACY, False, Reason.SHARE)),
        (Flag(native=500), 499, 0, True, Decision(Side.NATIVE, False, Reason.SHARE)),
        (Flag(native=500), 500, 0, True, Decision(Side.LEGACY, False, Reason.SHARE)),
        (Flag(native=WHOLE), WHOLE - 1, 0, True, Decision(Side.NATIVE, False, Reason.SHARE)),
        (Flag(native=500, shadow=100), 0, 99, True, Decision(Side.NATIVE, True, Reason.SHARE)),
        (Flag(native=500, shadow=100), 0, 100, True, Decision(Side.NATIVE, False, Reason.SHARE)),
        (Flag(shadow=WHOLE), 0, WHOLE - 1, True, Decision(Side.LEGACY, True, Reason.SHARE)),
        (Flag(native=500), 0, 0, False, Decision(Side.LEGACY, False, Reason.UNAVAILABLE)),
        (Flag(native=500), 500, 0, False, Decision(Side.LEGACY, False, Reason.SHARE)),
        (Flag(native=500, shadow=WHOLE), 0, 0, False, Decision(Side.LEGACY, False, Reason.UNAVAILABLE)),
        (Flag(trip=TRIP), 0, 0, True, Decision(Side.LEGACY, False, Reason.TRIPPED)),
        (Flag(trip=TRIP, shadow=100), 0, 99, True, Decision(Side.LEGACY, True, Reason.TRIPPED)),
        (Flag(trip=TRIP, shadow=100), 0, 99, False, Decision(Side.LEGACY, False, Reason.TRIPPED)),
        (Flag(native=WHOLE, trip=TRIP), 0, 0, True, Decision(Side.LEGACY, False, Reason.TRIPPED)),
    ],
)
def test_a_decision_says_who_answers_whether_it_is_shadowed_and_why(
    flag: Flag, place: int, draw: int, ready: bool, expected: Decision
) -> None:
    assert decide(flag, place, draw, ready) == expected


@given(st.text(), shares, shares, places)
def test_who_is_native_at_a_share_is_native_at_every_greater_one(subject: str, one: int, other: int, draw: int) -> None:
    place = bucket("default", subject)
    before, after = (decide(Flag(native=share), place, draw, True).primary for share in sorted((one, other)))
    assert after is Side.NATIVE or before is Side.LEGACY


@given(st.text(), shares, places, places)
def test_a_subject_keeps_its_side_whatever_is_drawn(subject: str, share: int, one: int, other: int) -> None:
    flag, place = Flag(native=share, shadow=5_000), bucket("default", subject)
    assert decide(flag, place, one, True).primary is decide(flag, place, other, True).primary


@given(shares, shares, places, places, st.booleans())
def test_a_tripped_route_sends_nothing_to_native(native: int, shadow: int, place: int, draw: int, ready: bool) -> None:
    assert decide(Flag(native, shadow, TRIP), place, draw, ready).primary is Side.LEGACY


@given(shares, shares, places, places)
def test_native_is_neither_asked_nor_shadowed_while_it_is_not_ready(
    native: int, shadow: int, place: int, draw: int
) -> None:
    decision = decide(Flag(native, shadow), place, draw, native_ready=False)
    assert (decision.primary, decision.shadow) == (Side.LEGACY, False)


@given(shares, places, shares)
def test_what_is_held_back_is_legacy_s_whatever_the_share_and_nobody_else_moves(
    share: int, place: int, holdback: int
) -> None:
    held = decide(Flag(native=share), place, 0, True, holdback).primary
    if place >= WHOLE - holdback:
        assert held is Side.LEGACY
    else:
        assert held is decide(Flag(native=share), place, 0, True).primary
    assert (held is Side.NATIVE) is (place < in_force(share, holdback))


def test_equal_decisions_are_one_object() -> None:
    flag = Flag(native=500, shadow=500)
    assert decide(flag, 1, 1, True) is decide(flag, 2, 2, True)


@pytest.mark.parametrize(
    ("flag", "side", "ready", "expected"),
    [
        (Flag(), Side.NATIVE, True, Decision(Side.NATIVE, False, Reason.FORCED, forced_by="anna")),
        (Flag(native=WHOLE), Side.LEGACY, True, Decision(Side.LEGACY, False, Reason.FORCED, forced_by="anna")),
        (Flag(shadow=100), Side.NATIVE, True, Decision(Side.NATIVE, True, Reason.FORCED, forced_by="anna")),
        (Flag(shadow=100), Side.LEGACY, True, Decision(Side.LEGACY, True, Reason.FORCED, forced_by="anna")),
        (Flag(trip=TRIP), Side.NATIVE, True, Decision(Side.LEGACY, False, Reason.TRIPPED, forced_by="anna")),
        (Flag(), Side.NATIVE, False, Decision(Side.LEGACY, False, Reason.UNAVAILABLE, forced_by="anna")),
        (Flag(), Side.LEGACY, False, Decision(Side.LEGACY, False, Reason.FORCED, forced_by="anna")),
    ],
)
def test_a_demanded_side_answers_whatever_the_share_unless_it_is_tripped_or_not_there(
    flag: Flag, side: Side, ready: bool, expected: Decision
) -> None:
    assert forced(flag, side, "anna", 99, ready) == expected


@given(shares, shares, places, st.sampled_from(Side), st.booleans())
def test_no_demand_opens_a_tripped_route(native: int, shadow: int, draw: int, side: Side, ready: bool) -> None:
    assert forced(Flag(native, shadow, TRIP), side, "anna", draw, ready).primary is Side.LEGACY


@pytest.mark.parametrize(
    ("share", "shadow", "holdback", "asked"),
    [
        (WHOLE, 1, 200, True),
        (5_001, WHOLE, 0, True),
        (5_000, WHOLE, 0, False),
        (WHOLE, 1, 5_000, False),
        (WHOLE, 0, 0, False),
    ],
)
def test_what_native_fails_is_put_to_both_where_it_has_more_than_half_and_is_shadowed(
    share: int, shadow: int, holdback: int, asked: bool
) -> None:
    assert paired(share, shadow, holdback) is asked
