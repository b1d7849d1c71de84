"""Counts by the second of the decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.complaint import ALONE, complaint
from flags.flag import Side
from flags.window import NONE, Cell, Cells, Counts, Outcome, Window

ROUTE = "messages.create"
NATIVE: Cell = (100, ROUTE, Side.NATIVE)

counts = st.builds(Counts, *[st.integers(0, 1000)] * 4, resting=st.integers(0, 1000), pairs=st.integers(0, 9))
cells = st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]), st.sampled_from(Side))
events = st.lists(st.tuples(cells, st.none() | st.sampled_from(Outcome)))


def record(window: Window, cell: Cell, outcome: Outcome | None) -> None:
    if outcome is None:
        window.asked(*cell)
    else:
        window.closed(*cell, outcome)


def taken(window: Window, *routes: str) -> Cells:
    """All that moved."""
    cells: dict[Cell, Counts] = {}
    while (more := window.take(routes or [ROUTE], 100)) is not None:
        cells |= more
    return cells


def test_what_is_neither_answered_nor_excluded_is_open() -> None:
    counted = Counts(asked=10, ok=4, failed=2, excluded=1)
    assert (counted.answered, counted.open, counted.waiting) == (6, 3, 3)


def test_what_is_open_for_its_user_to_go_on_keeps_nobody_waiting() -> None:
    counted = Counts(asked=10, ok=4, failed=2, excluded=1, resting=2)
    assert (counted.open, counted.waiting) == (3, 1)


def test_a_request_that_rests_is_counted_in_its_second_until_it_goes_on() -> None:
    window = Window()
    tally = window.tally(ROUTE, Side.NATIVE)
    for second in (100, 101):
        tally.asked(second)
        tally.rests(second, 1)
    assert taken(window) == {NATIVE: Counts(1, resting=1), (101, ROUTE, Side.NATIVE): Counts(1, resting=1)}
    tally.rests(100, -1)
    assert taken(window) == {NATIVE: Counts(1)}
    window.forget(before=101)
    tally.rests(100, 1)
    assert taken(window) == {}


def test_a_pair_is_counted_in_the_second_of_what_it_asks_though_nobody_asked_that_side_in_it() -> None:
    window = Window()
    native, legacy = (window.tally(ROUTE, side) for side in (Side.NATIVE, Side.LEGACY))
    for subject in (7, 7, 8):
        native.asked(101, subject)
    native.asked(100, 7)
    for tally in (native, legacy):
        tally.paired(100, 1)
    asked = {NATIVE: Counts(1, subjects=1, pairs=1), (100, ROUTE, Side.LEGACY): Counts(pairs=1)}
    assert taken(window) == {**asked, (101, ROUTE, Side.NATIVE): Counts(3, subjects=2)}
    native.complained(100, ALONE, 7)
    native.paired(100, -1)
    legacy.paired(100, -1)
    ended = {NATIVE: Counts(1, subjects=1, complaints=frozenset([complaint(ALONE, 7)]))}
    assert taken(window) == {**ended, (100, ROUTE, Side.LEGACY): Counts()}
    legacy.complained(100, ALONE, 8)
    assert taken(window) == {(100, ROUTE, Side.LEGACY): Counts(complaints=frozenset([complaint(ALONE, 8)]))}
    window.forget(before=101)
    for tally in (native, legacy):
        tally.paired(100, -1)
    assert taken(window) == {}


def test_what_is_told_of_whom_native_failed_before_counts_no_more() -> None:
    window = Window()
    native = window.tally(ROUTE, Side.NATIVE)
    native.spent = {7}
    native.asked(100, 7)
    taken(window)
    native.complained(100, ALONE, 7)
    assert taken(window) == {}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_end_is_booked_in_the_second_of_its_decision(outcome: Outcome) -> None:
    window = Window()
    window.asked(*NATIVE)
    window.asked(101, ROUTE, Side.NATIVE)
    window.closed(*NATIVE, outcome)
    assert window.cells() == {
        NATIVE: Counts(1, outcome is Outcome.OK, outcome is Outcome.FAILED, outcome is Outcome.EXCLUDED),
        (101, ROUTE, Side.NATIVE): Counts(1),
    }


def test_an_end_whose_second_is_forgotten_counts_nowhere() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.forget(before=101)
    window.closed(*NATIVE, Outcome.FAILED)
    assert window.cells() == taken(window) == {}


def test_forgetting_keeps_the_second_that_it_names() -> None:
    window = Window()
    for second in (99, 100, 101):
        window.asked(second, ROUTE, Side.LEGACY)
    window.forget(before=100)
    assert sorted(second for second, _, _ in window.cells()) == [100, 101]


def test_what_was_taken_is_taken_again_when_it_moves_and_then_in_full() -> None:
    window = Window()
    window.asked(*NATIVE)
    assert taken(window) == {NATIVE: Counts(asked=1)}
    assert taken(window) == {}
    window.closed(*NATIVE, Outcome.OK)
    assert taken(window) == {NATIVE: Counts(asked=1, ok=1)}


def test_an_end_in_an_earlier_second_is_taken_too() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.asked(101, ROUTE, Side.NATIVE)
    taken(window)
    window.closed(*NATIVE, Outcome.FAILED)
    assert taken(window) == {NATIVE: Counts(asked=1, failed=1)}


def test_no_more_is_taken_at_once_than_was_asked_for() -> None:
    window = Window()
    for second in range(100, 107):
        window.asked(second, ROUTE, Side.NATIVE)
    sizes = [len(window.take([ROUTE], 3) or {}) for _ in range(4)]
    assert sizes == [3, 3, 1, 0]
    assert window.take([ROUTE], 3) is None


def test_what_moved_of_a_route_that_nobody_judges_is_passed_over() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.asked(100, "another", Side.LEGACY)
    assert taken(window, "another") == {(100, "another", Side.LEGACY): Counts(1)}
    assert taken(window) == {}
    window.closed(*NATIVE, Outcome.OK)
    assert taken(window) == {NATIVE: Counts(asked=1, ok=1)}  # it is judged from now on


def test_what_is_forgotten_is_not_taken() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.forget(before=200)
    assert window.cells() == taken(window) == {}


def test_a_second_that_begins_again_has_nothing_of_what_it_was() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.forget(before=200)
    window.asked(*NATIVE)  # the clock was set back
    assert window.cells() == taken(window) == {NATIVE: Counts(1)}


@given(st.lists(events, max_size=5), st.integers(1, 4))
def test_all_that_was_taken_together_holds_everything_however_it_is_cut(
    batches: list[list[tuple[Cell, Outcome | None]]], limit: int
) -> None:
    window, fleet = Window(), dict[Cell, Counts]()
    for batch in batches:
        for cell, outcome in batch:
            record(window, cell, outcome)
        while (cells := window.take(["a", "b"], limit)) is not None:
            fleet |= cells
    assert fleet == window.cells()


@given(counts, counts, counts)
def test_counts_add_up_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert (a + b) + c == c + (b + a)
    assert (a + b).moved(b, c) == a + c


def test_a_subject_is_counted_once_a_second_however_often_it_asks() -> None:
    window = Window()
    for subject in (1, 1, 2, None):
        window.asked(*NATIVE, subject)
    window.asked(101, ROUTE, Side.NATIVE, 1)
    assert [counts.subjects for counts in window.cells().values()] == [2, 1]


def test_a_subject_that_was_failed_is_named_once_and_counts_no_more_once_it_is_spent() -> None:
    window = Window()
    for _ in range(2):
        window.asked(*NATIVE, 7)
        window.closed(*NATIVE, Outcome.FAILED, 7)
    window.tally(ROUTE, Side.NATIVE).spent = {7}
    window.asked(101, ROUTE, Side.NATIVE, 7)
    window.closed(101, ROUTE, Side.NATIVE, Outcome.EXCLUDED, 7)
    first, second = window.cells().values()
    assert (first.subjects, first.complaints) == (1, {7})
    assert (second.asked, second.subjects) == (1, 0)


def test_a_subject_whose_request_says_nothing_does_not_count() -> None:
    window = Window()
    window.asked(*NATIVE, 7)
    window.closed(*NATIVE, Outcome.EXCLUDED, 7)
    assert window.cells()[NATIVE].subjects == 0


def test_what_two_workers_tell_of_a_second_holds_each_complaint_once() -> None:
    one, two = Counts(3, 1, 2, 0, 3, frozenset({1, 2})), Counts(2, 1, 1, 0, 2, frozenset({2}))
    assert Counts().told(Counts(), one).told(Counts(), two) == Counts(5, 2, 3, 0, 5, frozenset({1, 2}))
    assert one.told(one, one) == one


def test_of_what_one_worker_alone_has_told_nothing_is_kept_twice() -> None:
    one, two = Counts(3, 2, 1, 0, 3, frozenset({1})), Counts(5, 3, 2, 0, 4, frozenset({1, 2}))
    assert NONE.told(NONE, one) is one
    assert one.told(one, two) is two


def test_a_complaint_is_booked_in_the_second_of_its_decision_unless_its_subject_is_spent() -> None:
    window = Window()
    tally = window.tally(ROUTE, Side.NATIVE)
    tally.spent = {8}
    for subject in (7, 8):
        window.asked(*NATIVE, subject)
        window.asked(101, ROUTE, Side.NATIVE, subject)
        tally.complained(100, 404, subject)
        window.closed(*NATIVE, Outcome.OK, subject)
    assert window.cells()[NATIVE].complaints == {complaint(404, 7)}
    window.forget(before=101)
    tally.complained(100, 404, 7)
    assert sorted(second for second, _, _ in window.cells()) == [101]
