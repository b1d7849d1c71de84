"""What a worker goes by when its store forgets, rewrites history, or is away."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import BLOCKED, WHOLE, Flag, Trip
from flags.held import Held, adopt

ROUTE = "messages.create"
TRIP = Trip(1.0, "native failed 41 of 310")

shares = st.integers(0, WHOLE)
flags = st.builds(Flag, shares, shares, st.none() | st.just(TRIP), st.integers(0, 5))


def holding(flag: Flag, now: float = 100.0) -> Held:
    held = Held([ROUTE], lambda route, before, after: None)
    held.adopt({ROUTE: flag}, now)
    return held


@given(flags, flags)
def test_an_older_generation_is_never_adopted(held: Flag, seen: Flag) -> None:
    if seen.generation < held.generation:
        assert adopt(held, seen) == held


@given(flags, flags)
def test_a_newer_generation_always_is(held: Flag, seen: Flag) -> None:
    if seen.generation > held.generation:
        assert adopt(held, seen) == seen


@given(flags, flags)
def test_a_share_rises_and_a_trip_ends_only_by_a_newer_generation(held: Flag, seen: Flag) -> None:
    adopted = adopt(held, seen)
    if adopted.generation == held.generation:
        assert adopted.tripped >= held.tripped
        assert adopted.native <= held.native or (adopted.tripped and not held.tripped)


@given(st.lists(flags, min_size=1).flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_workers_agree_in_whatever_order_and_however_often_they_hear(heard: tuple[list[Flag], list[Flag]]) -> None:
    one, other = heard
    assert functools.reduce(adopt, one) == functools.reduce(adopt, [*other, *one])


@given(flags)
def test_a_store_that_was_wiped_takes_nothing_away(flag: Flag) -> None:
    held = replace(flag, generation=flag.generation + 1)
    worker = holding(held)
    worker.adopt({}, now=200.0)
    worker.adopt({ROUTE: Flag()}, now=200.0)
    assert worker.snapshot == {ROUTE: held}


def test_before_anything_is_heard_every_share_is_nothing() -> None:
    assert Held(["a", "b"], lambda *_: None).snapshot == {"a": Flag(), "b": Flag()}


def test_routes_that_are_not_configured_are_passed_over() -> None:
    held = holding(Flag(generation=1))
    held.adopt({"another": Flag(native=5, generation=3)}, now=1.0)
    assert list(held.snapshot) == [ROUTE]


def test_a_latch_wins_over_whatever_the_store_says_until_it_is_lifted() -> None:
    held = holding(Flag(native=2_500, shadow=300, generation=1))
    held.latch({ROUTE: TRIP})
    held.adopt({ROUTE: Flag(native=5_000, shadow=400, generation=9)}, now=101.0)
    assert held.snapshot == {ROUTE: Flag(native=0, shadow=400, trip=TRIP, generation=9)}
    held.lift({ROUTE: TRIP})
    assert held.snapshot == {ROUTE: Flag(native=5_000, shadow=400, generation=9)}


def test_a_recalled_latch_ends_when_a_flag_is_seen_that_was_changed_after_it() -> None:
    for generation, is_over in ((999, False), (1_000, False), (1_001, True)):  # it was made in millisecond 1 000
        held = Held([ROUTE, "another"], lambda *_: None)
        held.latch({ROUTE: TRIP}, recalled=True)
        held.adopt({"another": Flag(native=500, generation=9_000)}, now=101.0)
        assert held.snapshot[ROUTE].trip == TRIP
        seen = Flag(native=500, generation=generation)
        held.adopt({ROUTE: seen}, now=102.0)
        assert held.latches == ({} if is_over else {ROUTE: TRIP})
        assert held.snapshot[ROUTE] == (seen if is_over else seen.after(TRIP))


def test_who_trips_a_route_again_that_a_recalled_latch_holds_trips_it_whatever_is_seen_later() -> None:
    held, again, newer = Held([ROUTE], lambda *_: None), Trip(2.0, "by hand"), Flag(native=500, generation=9_000)
    held.latch({ROUTE: TRIP}, recalled=True)
    assert held.latch({ROUTE: TRIP}) == set()  # another worker of this machine has recalled it, too
    assert held.latch({ROUTE: again}) == {ROUTE}
    assert held.latch({ROUTE: TRIP}, recalled=True) == set()
    held.adopt({ROUTE: newer}, now=101.0)
    assert held.snapshot[ROUTE] == newer.after(again)


def test_a_latch_that_took_another_ones_place_is_not_lifted_with_it() -> None:
    held, blocked = holding(Flag(native=500, shadow=300, generation=1)), Trip(2.0, BLOCKED)
    held.latch({ROUTE: TRIP})
    held.latch({ROUTE: blocked})
    held.lift({ROUTE: TRIP})
    assert held.latches == {ROUTE: blocked}


def test_a_tripped_route_keeps_its_first_reason() -> None:
    held = holding(Flag(native=2_500, generation=1))
    held.latch({ROUTE: TRIP})
    held.latch({ROUTE: Trip(2.0, "another")})
    assert held.latches == {ROUTE: TRIP}
    assert holding(Flag(trip=TRIP, generation=1)).latches == {}


@pytest.mark.parametrize("before", [None, TRIP])
def test_what_blocks_a_worker_is_not_shadowed_either_though_it_had_tripped_before(before: Trip | None) -> None:
    blocked = Trip(2.0, BLOCKED)
    held = holding(Flag(shadow=300, trip=before, generation=1))
    held.latch({ROUTE: blocked})
    assert held.snapshot == {ROUTE: Flag(trip=blocked, generation=1)}
    held.latch({ROUTE: Trip(3.0, BLOCKED)})
    assert held.latches == {ROUTE: blocked}


def test_a_snapshot_that_was_handed_out_does_not_change() -> None:
    held = holding(Flag(native=2_500, generation=1))
    snapshot = held.snapshot
    held.latch({ROUTE: TRIP})
    held.adopt({ROUTE: Flag(native=1, generation=5)}, now=101.0)
    assert snapshot == {ROUTE: Flag(native=2_500, generation=1)}


def test_each_change_is_told_once_with_before_and_after() -> None:
    told: list[tuple[str, Flag, Flag]] = []
    held = Held([ROUTE, "another"], lambda *change: told.append(change))
    flag = Flag(native=5, generation=1)
    held.adopt({ROUTE: flag}, now=1.0)
    held.adopt({ROUTE: flag}, now=2.0)
    held.latch({ROUTE: TRIP})
    assert told == [(ROUTE, Flag(), flag), (ROUTE, flag, replace(flag, native=0, trip=TRIP))]


@pytest.mark.parametrize("known", [{}, {ROUTE: Flag(native=9_000, generation=3)}])
def test_what_the_store_lost_is_written_back_as_it_was(known: dict[str, Flag]) -> None:
    flag = Flag(native=2_500, generation=4)
    assert holding(flag).lost(known) == {ROUTE: flag}


def test_of_one_generation_the_safer_flag_is_written_back_as_a_newer_one() -> None:
    tripped = Flag(trip=TRIP, generation=4)
    assert holding(tripped).lost({ROUTE: Flag(native=9_000, generation=4)}) == {ROUTE: replace(tripped, generation=5)}


@pytest.mark.parametrize("known", [Flag(native=2_500, generation=4), Flag(native=1, generation=5)])
def test_a_store_that_knows_as_much_or_more_has_lost_nothing(known: Flag) -> None:
    assert holding(Flag(native=2_500, generation=4)).lost({ROUTE: known}) == {}


def test_a_latched_route_is_not_written_back_for_the_store_is_to_hear_its_trip() -> None:
    held = holding(Flag(native=2_500, generation=4))
    held.latch({ROUTE: TRIP})
    assert held.lost({}) == {}


def test_evidence_counts_from_the_whole_second_after_the_last_change() -> None:
    held = holding(Flag(native=2_500, generation=4), now=100.7)
    assert held.judged(now=130.0) == {ROUTE: 101}
    held.adopt({ROUTE: Flag(native=5_000, generation=5)}, now=140.2)
    assert held.judged(now=150.0) == {ROUTE: 141}


def test_hearing_the_same_flag_again_does_not_restart_the_evidence() -> None:
    flag = Flag(native=2_500, generation=4)
    held = holding(flag, now=100.7)
    held.adopt({ROUTE: flag}, now=120.0)
    assert held.judged(now=130.0) == {ROUTE: 101}


def test_only_routes_with_native_traffic_are_judged() -> None:
    assert holding(Flag(generation=1)).judged(now=130.0) == {}
    assert holding(Flag(native=5, trip=TRIP, generation=1)).judged(now=130.0) == {}
    held = holding(Flag(native=5, generation=1))
    held.latch({ROUTE: TRIP})
    assert held.judged(now=130.0) == {}


def test_a_clock_that_is_set_back_does_not_postpone_the_judgement() -> None:
    held = holding(Flag(native=5, generation=1), now=10_000.0)
    assert held.judged(now=100.0) == {ROUTE: 101}
    assert held.judged(now=130.0) == {ROUTE: 101}


def test_what_is_judged_is_the_same_object_until_a_flag_changes_or_the_clock_is_set_back() -> None:
    held = holding(Flag(native=2_500, generation=4))
    judged = held.judged(now=500.0)
    assert held.judged(now=501.0) is judged
    held.adopt({ROUTE: Flag(native=5_000, generation=5)}, now=502.0)
    later = held.judged(now=502.0)
    assert later == {ROUTE: 503}
    assert held.judged(now=100.0) == {ROUTE: 101}


def test_a_snapshot_is_replaced_only_by_a_change() -> None:
    flag = Flag(native=2_500, generation=4)
    held = holding(flag)
    snapshot = held.snapshot
    held.adopt({ROUTE: replace(flag)}, now=101.0)
    held.lift({ROUTE: TRIP})
    assert held.snapshot is snapshot


def test_what_is_halted_stays_so_through_other_changes_and_tells_of_itself_once_it_is_latched() -> None:
    told: list[tuple[str, bool]] = []
    held = Held(["one", "other"], lambda route, before, after: told.append((route, after.tripped)))
    held.adopt({"one": Flag(native=500, generation=1), "other": Flag(native=500, generation=1)}, 1.0)
    told.clear()
    trip = Trip(2.0, "by hand")
    held.halt({"one": trip})
    assert held.snapshot["one"].trip == trip
    held.adopt({"one": Flag(native=600, generation=2), "other": Flag(native=600, generation=2)}, 3.0)
    assert (held.snapshot["one"].trip, held.snapshot["other"].native) == (trip, 600)
    held.latch({"one": trip})
    held.go_on()
    assert held.snapshot["one"].trip == trip
    assert told == [("one", False), ("other", False), ("one", True)]


@pytest.mark.parametrize("latched", [False, True])
@given(flags)
def test_requests_are_decided_by_the_flags_of_the_snapshot(latched: bool, flag: Flag) -> None:
    held = Held([ROUTE, "other"], lambda route, before, after: None)
    held.adopt({ROUTE: flag}, now=100.0)
    if latched:
        held.latch({ROUTE: TRIP})
    for route, known in held.snapshot.items():
        decided_by = held.decided_by(route)
        assert replace(decided_by, generation=0, source=None) == replace(known, generation=0, source=None)
    held.latch({"other": TRIP})
    assert held.decided_by("other").trip == TRIP
    held.lift({"other": TRIP})
    assert held.decided_by("other") == Flag()


def test_who_halts_again_halts_what_was_halted_before_too_for_its_first_reason() -> None:
    held = Held(["one", "other", "third"], lambda route, before, after: None)
    held.adopt(dict.fromkeys(held.flags, Flag(native=500, generation=1)), 1.0)
    first, later = Trip(2.0, "by hand"), Trip(3.0, "again")
    held.halt({"one": first})
    held.halt({"one": later, "other": later})
    assert [held.decided_by(route).trip for route in held.flags] == [first, later, None]
    assert {route: held.decided_by(route) for route in held.flags} == held.snapshot
    held.go_on()
    assert {route: held.decided_by(route).native for route in held.flags} == dict.fromkeys(held.flags, 500)
