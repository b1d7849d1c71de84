"""Nobody wins by sides that are alike, whatever is drawn; and much by those that are not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.stakes import SURE, Rate, Stake


def rate(differed: int, asked: int) -> Rate:
    found = Rate()
    for number in range(asked):
        found.count(number < differed)
    return found


RATES = st.builds(lambda differed, more: rate(differed, differed + more), st.integers(0, 50), st.integers(0, 50))
CHANCES = st.floats(0.01, 0.99)


def tossed(candidate: int = 0, control: int = 0, part: float = 1e-9) -> Stake:
    stake = Stake(part)
    for alone, times in ((True, candidate), (False, control)):
        for _ in range(times):
            stake.toss(candidate=alone)
    return stake


def drawn(stake: Stake, chance: float, first: bool | None, *, both: bool) -> float:
    """What that has won, of a copy."""
    copy = replace(stake)  # its rates are not counted on: nobody has said
    copy.draw(chance, first, None, None, both=both)
    return copy.won


@given(st.integers(0, 12), st.integers(0, 12))
def test_on_the_order_nobody_wins_in_the_mean(candidate: int, control: int) -> None:
    """Whatever came before: the mean of both ways that one more look can turn out is what there was."""
    before, one, other = (tossed(candidate + up, control + down).won for up, down in ((0, 0), (1, 0), (0, 1)))
    assert (one + other) / 2 == pytest.approx(before)


@given(RATES, RATES, CHANCES, st.booleans())
def test_on_the_asking_nobody_wins_in_the_mean(candidate: Rate, control: Rate, chance: float, differs: bool) -> None:
    """Whatever the first answer is, it would have been the same by the other lot if the sides are alike."""
    stake = Stake(1e-9, asking=3.0, won=3.0, rates=(candidate, control))
    both, alone = (drawn(stake, chance, differs, both=each) for each in (True, False))
    assert chance * both + (1 - chance) * alone == pytest.approx(3.0)


@given(RATES, RATES, CHANCES)
def test_nothing_is_staked_while_the_control_seems_the_worse_one(one: Rate, other: Rate, chance: float) -> None:
    rates = tuple(sorted((one, other), key=lambda each: each.expected))
    stake = Stake(1.0, rates=(rates[0], rates[1]))
    assert [drawn(stake, chance, *each, both=True) for each in ((True,), (False,))] == [1.0, 1.0]


def test_a_control_that_agrees_where_the_candidate_never_does_tells_most() -> None:
    stake = Stake(1e-9, rates=(rate(100, 100), rate(5, 10)))
    first = {
        (both, differs): drawn(stake, 0.1, differs, both=both) for both, differs in product((True, False), repeat=2)
    }
    assert first[True, False] > 8 > 1 > first[True, True]
    assert first[False, True] > 1 > first[False, False]


def test_of_an_answer_that_nobody_gave_nothing_is_learned() -> None:
    stake = Stake(1.0, rates=(rate(9, 9), rate(0, 9)))
    assert drawn(stake, 0.1, None, both=True) == 1.0
    stake.draw(0.1, None, None, True, both=True)
    assert stake.rates == (rate(9, 9), rate(1, 10))


def test_what_is_sure_grows_no_surer_by_either() -> None:
    stake = tossed(100, part=1.0)
    assert SURE <= stake.evidence <= 2 * SURE
    stake.rates = (rate(100, 100), rate(0, 100))
    assert drawn(stake, 0.1, False, both=True) == stake.won
    assert drawn(stake, 0.1, True, both=True) < stake.won
    before = stake.won
    stake.toss(candidate=True)
    assert stake.won == before
    stake.toss(candidate=False)
    assert stake.won < before


def test_who_has_lost_everything_stays_there() -> None:
    stake = Stake(1.0, candidate=50_000, control=50_000)
    stake.toss(candidate=False)
    assert stake.won == 0.0
    stake.toss(candidate=True)
    assert stake.won == 0.0
