from __future__ import annotations

import pytest

from shadow.newest import ENOUGH, FEW, OLDEST, Newest


def second(newest: Newest, number: int, of_them: int) -> float | None:
    """What is told at the end of a second with so many."""
    for each in range(number):
        newest.heard(each < of_them)
    return newest.turn()


def test_the_newest_tell_how_many_are_of_a_kind() -> None:
    newest = Newest()
    assert second(newest, ENOUGH, 5) == 5 / ENOUGH
    assert second(newest, ENOUGH, 50) == 50 / ENOUGH  # the second before is old news
    assert second(newest, 0, 0) == 50 / ENOUGH


def test_where_there_are_few_it_takes_more_seconds_to_tell() -> None:
    newest = Newest()
    told = [second(newest, ENOUGH // 4, 1) for _ in range(5)]
    assert told == [None, None, None, 4 / ENOUGH, 4 / ENOUGH]


def test_what_is_old_tells_nothing_any_more() -> None:
    newest = Newest()
    second(newest, ENOUGH, ENOUGH)
    told = [second(newest, 0, 0) for _ in range(OLDEST)]
    assert (told[-2], told[-1]) == (1.0, None)


def test_where_it_is_known_what_is_usual_a_few_tell_if_they_are_unusual_enough() -> None:
    assert second(Newest(usual=0.05), FEW - 1, FEW - 1) is None
    few = Newest(usual=0.05)
    assert second(few, FEW, FEW) == pytest.approx(0.24)  # the eighty that lack count as ever
    assert second(Newest(usual=0.05), FEW, 3) == pytest.approx(0.07)
    assert second(few, ENOUGH, 5) == 0.05
