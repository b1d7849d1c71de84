"""Counts by the second of the decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import Side
from flags.window import Cell, Counts, Outcome, Window, totals

ROUTE = "messages.create"
NATIVE: Cell = (100, ROUTE, Side.NATIVE)

counts = st.builds(Counts, *[st.integers(0, 1000)] * 4)
cells = st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]), st.sampled_from(Side))
events = st.lists(st.tuples(cells, st.none() | st.sampled_from(Outcome)))


def record(window: Window, cell: Cell, outcome: Outcome | None) -> None:
    if outcome is None:
        window.asked(*cell)
    else:
        window.closed(*cell, outcome)


def test_what_is_neither_answered_nor_excluded_is_open() -> None:
    counted = Counts(asked=10, ok=4, failed=2, excluded=1)
    assert (counted.answered, counted.open) == (6, 3)


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
    assert window.cells() == window.pending([ROUTE]) == {}


def test_forgetting_keeps_the_second_that_it_names() -> None:
    window = Window()
    for second in (99, 100, 101):
        window.asked(second, ROUTE, Side.LEGACY)
    window.forget(before=100)
    assert sorted(second for second, _, _ in window.cells()) == [100, 101]


def test_what_was_delivered_is_pending_again_when_it_moves_and_then_in_full() -> None:
    window = Window()
    window.asked(*NATIVE)
    window.delivered(window.pending([ROUTE]))
    assert window.pending([ROUTE]) == {}
    window.closed(*NATIVE, Outcome.OK)
    assert window.pending([ROUTE]) == {NATIVE: Counts(asked=1, ok=1)}


def test_what_moves_while_a_delivery_is_under_way_stays_pending() -> None:
    window = Window()
    window.asked(*NATIVE)
    under_way = window.pending([ROUTE])
    window.asked(*NATIVE)
    window.delivered(under_way)
    assert window.pending([ROUTE]) == {NATIVE: Counts(asked=2)}


def test_what_was_forgotten_during_a_delivery_does_not_come_back() -> None:
    window = Window()
    window.asked(*NATIVE)
    under_way = window.pending([ROUTE])
    window.forget(before=200)
    window.delivered(under_way)
    assert window.cells() == window.pending([ROUTE]) == {}


def test_a_second_that_begins_again_during_a_delivery_has_nothing_of_it() -> None:
    window = Window()
    window.asked(*NATIVE)
    under_way = window.pending([ROUTE])
    window.forget(before=200)
    window.asked(100, "another", Side.NATIVE)  # the clock was set back
    window.delivered(under_way)
    assert window.cells() == window.pending(["another"]) == {(100, "another", Side.NATIVE): Counts(1)}


def test_routes_that_are_not_asked_about_stay_pending() -> None:
    window = Window()
    window.asked(*NATIVE)
    assert window.pending(["another"]) == {}
    assert window.pending([ROUTE]) == {NATIVE: Counts(asked=1)}


@given(st.lists(events, max_size=5))
def test_deliveries_together_hold_everything_however_they_are_cut(
    batches: list[list[tuple[Cell, Outcome | None]]],
) -> None:
    window, fleet = Window(), dict[Cell, Counts]()
    for batch in batches:
        for cell, outcome in batch:
            record(window, cell, outcome)
        pending = window.pending(["a", "b"])
        fleet |= pending
        window.delivered(pending)
    assert fleet == window.cells()


@given(counts, counts, counts)
def test_counts_add_up_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert (a + b) + c == c + (b + a)


def test_totals_begin_for_each_route_at_its_own_second() -> None:
    seen = {(second, route, Side.NATIVE): Counts(asked=1) for second in range(100, 110) for route in ("a", "b", "c")}
    assert totals(seen, {"a": 105, "b": 109}) == {("a", Side.NATIVE): Counts(5), ("b", Side.NATIVE): Counts(1)}


@given(st.dictionaries(cells, counts), st.integers(0, 6))
def test_totals_are_the_sum_of_the_cells_that_count(seen: dict[Cell, Counts], since: int) -> None:
    for side in Side:
        expected = [
            count for (second, route, where), count in seen.items() if (route, where) == ("a", side) and second >= since
        ]
        assert totals(seen, {"a": since}).get(("a", side), Counts()) == sum(expected, Counts())
