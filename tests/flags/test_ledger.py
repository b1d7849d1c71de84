"""Counts that were told, by the second."""

from __future__ import annotations

from flags.flag import Side
from flags.ledger import Ledger
from flags.window import NONE, Cell, Counts

HERE: Cell = (100, "a", Side.NATIVE)
BESIDE: Cell = (100, "b", Side.NATIVE)
LATER: Cell = (101, "a", Side.NATIVE)


def test_a_cell_has_the_counts_that_were_told_last() -> None:
    ledger = Ledger()
    ledger.put({HERE: Counts(1), BESIDE: Counts(7)})
    ledger.put({HERE: Counts(2, 1)})
    assert (ledger.get(HERE), ledger.get(BESIDE), ledger.get(LATER)) == (Counts(2, 1), Counts(7), NONE)


def test_a_copy_holds_the_same_and_goes_its_own_way() -> None:
    ledger = Ledger()
    ledger.put({HERE: Counts(1), LATER: Counts(7)})
    copy = ledger.copy()
    copy.put({HERE: Counts(2)})
    assert (ledger.get(HERE), ledger.get(LATER)) == (Counts(1), Counts(7))
    assert (copy.get(HERE), copy.get(LATER)) == (Counts(2), Counts(7))


def test_a_second_is_another_object_if_and_only_if_it_moved() -> None:
    ledger = Ledger()
    ledger.put({HERE: Counts(1), LATER: Counts(1)})
    before = ledger.window(100, 101)
    ledger.put({LATER: Counts(2)})
    after = ledger.window(100, 101)
    assert after[100] is before[100]
    assert after[101] is not before[101]
    assert before[101] == {("a", Side.NATIVE): Counts(1)}


def test_what_was_read_stays_as_it_was_while_more_is_told() -> None:
    ledger = Ledger()
    ledger.put({HERE: Counts(1)})
    before = ledger.window(100, 100)[100]
    ledger.put({HERE: Counts(2)})
    ledger.put({BESIDE: Counts(3)})
    assert before == {("a", Side.NATIVE): Counts(1)}
    assert ledger.window(100, 100)[100] == {("a", Side.NATIVE): Counts(2), ("b", Side.NATIVE): Counts(3)}


def test_of_a_routes_side_there_is_one_name_in_all_seconds() -> None:
    ledger = Ledger()
    ledger.put({(second, "".join(["a", "b"]), Side.NATIVE): Counts(1) for second in (100, 101)})
    (one,), (other,) = ledger.window(100, 101).values()
    assert one is other


def test_the_window_has_the_seconds_that_were_asked_for_and_are_not_forgotten() -> None:
    ledger = Ledger()
    ledger.put({(second, "a", Side.LEGACY): Counts(1) for second in range(90, 111)})
    ledger.forget(before=96)
    assert sorted(ledger.window(95, 100)) == [96, 97, 98, 99, 100]
