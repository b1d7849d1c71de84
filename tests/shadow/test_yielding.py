from __future__ import annotations

from itertools import pairwise

import pytest

from shadow.yielding import BOUNDS, FLOOR, STEP, Cause, Pace, paced

CALM = {Cause.EVENT_LOOP: 0.001, Cause.LEGACY_SLOW: 0.05, Cause.CANDIDATE_BUSY: 0.0, Cause.IN_VAIN: 0.01}


def strained(cause: Cause) -> dict[Cause, float]:
    return {**CALM, cause: BOUNDS[cause].high * 1.01}


def between(cause: Cause) -> dict[Cause, float]:
    low, high = BOUNDS[cause]
    return {**CALM, cause: (low + high) / 2}


def after(seconds: int, pace: Pace, seen: dict[Cause, float]) -> Pace:
    for _ in range(seconds):
        pace = paced(pace, seen)
    return pace


def test_all_of_it_is_done_while_nobody_feels_it() -> None:
    assert paced(Pace(), CALM) == paced(Pace(), {}) == Pace(1.0)


@pytest.mark.parametrize("cause", Cause)
def test_whatever_is_strained_halves_it_each_second_down_to_a_floor(cause: Cause) -> None:
    assert after(1, Pace(), strained(cause)) == Pace(0.5, frozenset({cause}))
    assert after(2, Pace(), strained(cause)) == Pace(0.25, frozenset({cause}))
    assert after(60, Pace(), strained(cause)) == Pace(FLOOR, frozenset({cause}))


@pytest.mark.parametrize("cause", Cause)
def test_between_the_bounds_it_stays_as_it_is(cause: Cause) -> None:
    assert paced(Pace(), between(cause)) == Pace()  # no cause begins there
    assert after(9, Pace(0.25, frozenset({cause})), between(cause)) == Pace(0.25, frozenset({cause}))  # and none ends


@pytest.mark.parametrize("cause", Cause)
def test_it_comes_back_by_itself_in_small_steps(cause: Cause) -> None:
    pace, factors = after(60, Pace(), strained(cause)), []
    while pace != Pace():
        pace = paced(pace, CALM)
        factors.append(pace.factor)
        assert not pace.causes
    assert all(0 < later - earlier <= STEP + 1e-9 for earlier, later in pairwise(factors))
    assert len(factors) == 20


def test_what_nobody_could_see_is_no_cause_and_keeps_none() -> None:
    assert paced(Pace(0.5, frozenset({Cause.CANDIDATE_BUSY})), {Cause.EVENT_LOOP: 0.0}) == Pace(0.55)


def test_it_comes_back_only_when_the_last_cause_is_over() -> None:
    both = {**strained(Cause.EVENT_LOOP), Cause.LEGACY_SLOW: 0.9}
    pace = paced(Pace(), both)
    assert pace == Pace(0.5, frozenset({Cause.EVENT_LOOP, Cause.LEGACY_SLOW}))
    pace = paced(pace, between(Cause.LEGACY_SLOW))
    assert pace == Pace(0.5, frozenset({Cause.LEGACY_SLOW}))
    assert paced(pace, CALM) == Pace(0.5 + STEP)


def test_it_is_never_none_of_it_and_never_more_than_all() -> None:
    assert after(1_000, Pace(), strained(Cause.EVENT_LOOP)).factor > 0
    assert after(1_000, Pace(FLOOR), CALM).factor == 1.0
