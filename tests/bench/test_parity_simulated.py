"""The simulation of parity runs the product's code, or its like in arrays, and finds what that finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.parity.cells import DRIFTS, STOPS, Drift, Stop, _refuted, drifting, stopping, unconfirmed, users
from bench.parity.exact import ever_wrong
from shadow.parity import ALPHA, bound, refuted

SEED, RUNS = 7, 250
MOST = 8  # of so many runs, where one in a hundred is allowed: more of them are wrong in one of 1 000 cases


@settings(max_examples=50)
@given(st.integers(1, 50_000), st.data())
def test_in_arrays_the_same_is_refuted(compared: int, data: st.DataObject) -> None:
    against = data.draw(st.integers(0, compared))
    limit = bound(compared, against)
    for rate in (limit * 0.99, min(limit * 1.01, 1.0), data.draw(st.floats(0.0001, 0.9999))):
        (found,) = _refuted(np.array([rate]), compared, np.array([against]))
        assert found == refuted(rate, compared, against)


def test_what_is_computed_is_what_can_be_counted_on_two_hands() -> None:
    first = next(compared for compared in range(1, 100) if refuted(0.5, compared, 0))
    ever = ever_wrong(0.5, first)
    assert ever.bound == pytest.approx(0.5**first)
    assert ever_wrong(0.5, first - 1).bound == 0
    assert ever.single > ever.bound


@pytest.mark.parametrize(("rate", "comparisons"), [(0.01, 2_000), (0.2, 600)])
def test_who_looks_all_the_time_is_deceived_by_the_bound_of_a_single_look_and_not_by_ours(
    rate: float, comparisons: int
) -> None:
    ever = ever_wrong(rate, comparisons)
    assert ALPHA / 4 < ever.bound <= ALPHA < 3 * ALPHA < ever.single


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.name)
def test_it_holds_for_chances_that_change(drift: Drift) -> None:
    shorter = Drift(drift.name, drift.chance, min(drift.comparisons // 2, 6_000))
    assert drifting(shorter, RUNS, SEED) <= MOST


@pytest.mark.parametrize("stop", STOPS[1:], ids=lambda stop: f"{100 * stop.rate:g} %")
def test_a_ramp_goes_on_below_what_it_asks_for_and_not_above(stop: Stop) -> None:
    found = stopping(Stop(stop.rate, stop.allowed, 8_000), RUNS, SEED)
    if stop.rate > stop.allowed:
        assert (found["went on"] <= MOST, found["median comparisons"]) == (True, None)
    else:
        assert found["median comparisons"] < 8_000


def test_without_what_could_not_be_confirmed_the_bound_would_be_wrong_more_often_than_not() -> None:
    with_them, without = unconfirmed(0.01, 0.5, 4_000, RUNS, SEED)
    assert with_them <= MOST < RUNS / 2 < without


def test_it_speaks_of_questions_and_not_of_users() -> None:
    assert users(1, RUNS, SEED, 2_000) <= MOST < users(25, RUNS, SEED, 2_000)
