"""Totals that are kept up by what moves, beside the sums made anew each time."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from flags.flag import Side
from flags.sums import STRIDE, Sums
from flags.window import NONE, Counts, Key, Second, Seconds

NATIVE = ("a", Side.NATIVE)

routes = st.sampled_from(["a", "b", "c"])
counts = st.builds(Counts, *[st.integers(0, 9)] * 4)
second = st.dictionaries(st.tuples(routes, st.sampled_from(Side)), counts, max_size=6)
seconds = st.dictionaries(st.integers(0, 5), second, max_size=5)
since = st.dictionaries(routes, st.integers(0, 6), max_size=3)


def moved(sums: Sums, seconds: Seconds, since: Mapping[str, int]) -> set[str]:
    list(sums.move(seconds, since))
    return set(sums.taken())


@given(st.lists(st.tuples(seconds, since), max_size=6))
def test_however_it_came_about_a_total_is_the_sum_of_the_seconds_that_count(
    steps: list[tuple[dict[int, dict[Key, Counts]], dict[str, int]]],
) -> None:
    sums = Sums()
    for seconds, since in steps:
        moved(sums, seconds, since)
        for route in "abc":
            for side in Side:
                counted = [
                    each[route, side]
                    for at, each in seconds.items()
                    if (route, side) in each and at >= since.get(route, at + 1)
                ]
                assert sums.of(route, side) == sum(counted, NONE)


def test_a_route_that_is_judged_anew_has_moved_and_a_silent_one_has_not() -> None:
    sums, since = Sums(), {"a": 100, "b": 100}
    assert moved(sums, {}, since) == {"a", "b"}
    assert moved(sums, {}, since) == set()
    assert moved(sums, {}, {"a": 100, "b": 101}) == {"b"}


def test_only_what_moved_is_worked_on_and_that_with_pauses() -> None:
    sums, since = Sums(), {"a": 100}
    whole: Second = {(f"route {number}", Side.LEGACY): Counts(1) for number in range(10 * STRIDE)}
    few: Second = {NATIVE: Counts(1)}
    list(sums.move({}, since))
    assert len(list(sums.move({100: whole, 101: few}, since))) == 10
    assert list(sums.move({100: whole, 101: few}, since)) == []
    assert list(sums.move({100: whole, 101: {NATIVE: Counts(2)}}, since)) == []
    assert sums.of(*NATIVE) == Counts(2)
    assert len(list(sums.move({101: few}, since))) == 10  # what left the window is taken off again
