"""Who answers one request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.decide import Decision, Reason, decide
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


def test_equal_decisions_are_one_object() -> None:
    flag = Flag(native=500, shadow=500)
    assert decide(flag, 1, 1, True) is decide(flag, 2, 2, True)
