"""The bound on the rate of mismatches: that it holds whenever anybody looks, and what it says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.parity import (
    ALPHA,
    MIXTURE,
    OTHERS,
    STRATA,
    Parity,
    Stratum,
    Tally,
    bound,
    exceeded,
    needed,
    number,
    rate,
    refuted,
)
from shadow.result import Outcome

AGENT, NOBODY = Stratum(200, "agent"), Stratum(404, "")


def test_what_is_staked_is_no_more_than_there_is() -> None:
    assert sum(math.exp(staked) for *_, staked in MIXTURE) + 0.5 == pytest.approx(1.0)


@pytest.mark.parametrize("chance", [0.5, 0.1, 0.01, 0.005])
def test_whoever_looks_after_each_comparison_is_told_too_little_with_one_chance_in_a_hundred(chance: float) -> None:
    """Not simulated: the chance of each number of mismatches that was never refuted, comparison by comparison."""
    alive, lost, most = [1.0], 0.0, -1
    for compared in range(1, 1_500):
        alive = [
            (alive[at] * (1 - chance) if at < len(alive) else 0.0) + (alive[at - 1] * chance if at else 0.0)
            for at in range(len(alive) + (alive[-1] > 1e-12))
        ]
        while most + 1 < len(alive) and refuted(chance, compared, most + 1):
            most += 1
        for at in range(most + 1):
            lost, alive[at] = lost + alive[at], 0.0
    assert ALPHA / 10 < lost <= ALPHA  # and it is no more careful than it has to be


@pytest.mark.parametrize("chance", [0.3, 0.05])
def test_more_than_there_are_is_proved_with_one_chance_in_a_hundred_too(chance: float) -> None:
    alive, lost, least = [1.0], 0.0, 1
    for compared in range(1, 800):
        alive = [
            (alive[at] * (1 - chance) if at < len(alive) else 0.0) + (alive[at - 1] * chance if at else 0.0)
            for at in range(len(alive) + 1)
        ]
        while least <= compared and not exceeded(chance, compared, least):
            least += 1
        for at in range(least, len(alive)):
            lost, alive[at] = lost + alive[at], 0.0
    assert ALPHA / 10 < lost <= ALPHA


def test_many_mismatches_are_proved_and_few_are_not() -> None:
    assert exceeded(0.05, 100, 25)
    assert not exceeded(0.05, 100, 8)
    assert not exceeded(0.05, 100, 0)
    assert not exceeded(1.0, 100, 100)


def _rising(before: int, against: int) -> float:
    return 0.002 if before < 300 else 0.05


def _falling(before: int, against: int) -> float:
    return 0.1 / (1 + before / 50)


def _spiteful(before: int, against: int) -> float:
    """It agrees until it is nearly believed, and then no longer."""
    return 0.0 if before and bound(before, against) > 0.02 else 0.2


@pytest.mark.parametrize("chance", [_rising, _falling, _spiteful])
def test_it_holds_for_the_mean_so_far_though_the_chance_is_another_each_time(
    chance: Callable[[int, int], float],
) -> None:
    draw, runs, wrong = random.Random(20_261_123), 300, 0  # noqa: S311  # chance, not secrecy
    for _ in range(runs):
        expected, against = 0.0, 0
        for before in range(600):
            now = chance(before, against)
            expected += now
            against += draw.random() < now
            if before % 8 == 7 and refuted(expected / (before + 1), before + 1, against):
                wrong += 1
                break
    assert wrong <= 8  # of 300: 3 in the mean, and more than 8 in one of 250 cases


@given(st.integers(1, 10**6), st.data())
def test_the_bound_lies_above_what_was_seen_and_just_where_it_is_refuted(compared: int, data: st.DataObject) -> None:
    against = data.draw(st.integers(0, compared))
    found = bound(compared, against)
    assert against / compared <= found <= 1
    if found < 1:
        assert refuted(found, compared, against)
        assert not refuted(found * (1 - 2e-4), compared, against)


@given(st.integers(1, 10**5), st.data())
def test_one_that_agrees_lowers_it_and_one_that_does_not_raises_it(compared: int, data: st.DataObject) -> None:
    against = data.draw(st.integers(0, compared))
    found = bound(compared, against)
    assert bound(compared + 1, against) <= found * (1 + 1e-4)
    assert bound(compared + 1, against + 1) >= found * (1 - 1e-4)


def test_without_mismatches_five_in_as_many_as_were_compared_are_refuted() -> None:
    for compared in (100, 10_000, 1_000_000):
        assert 4.6 < bound(compared, 0) * compared < 5.0  # 4.6 is what a single look would refute, and no fewer


@pytest.mark.parametrize("tally", [Tally(), Tally(10), Tally(8_117, 3), Tally(90, 10), Tally(0, 5)])
@pytest.mark.parametrize("allowed", [0.001, 0.05, 0.5])
def test_so_many_more_are_needed_and_one_less_would_not_do(tally: Tally, allowed: float) -> None:
    more = needed(tally, allowed)
    assert more is not None
    assert refuted(allowed, tally.compared + more, tally.against)
    if more:
        assert not refuted(allowed, tally.compared + more - 1, tally.against)


def test_nothing_shows_that_there_are_none_and_everybody_knows_that_there_are_no_more_than_all() -> None:
    assert needed(Tally(10**6), 0.0) is None
    assert needed(Tally(), 1.0) == 0
    assert not refuted(0.0, 10**6, 0)
    assert not refuted(1.0, 0, 0)
    assert refuted(1.0, 1, 0)
    assert bound(0, 0) == bound(3, 3) == 1.0
    assert bound(40, 39) == 1.0  # though not all of them were


@pytest.mark.parametrize(
    ("outcome", "tally"),
    [
        (Outcome.MATCHED, Tally(agreed=1)),
        (Outcome.IGNORED, Tally(agreed=1)),
        (Outcome.NOISE, Tally(agreed=1)),
        (Outcome.MISMATCHED, Tally(mismatched=1)),
        (Outcome.UNCONFIRMED, Tally(unconfirmed=1)),
        (Outcome.UNCHECKED, Tally(unconfirmed=1)),
        (Outcome.UNANSWERED, Tally()),
    ],
)
def test_what_was_not_confirmed_counts_against_it_and_what_nobody_answered_not_at_all(
    outcome: Outcome, tally: Tally
) -> None:
    assert Tally.of(outcome) == tally
    assert tally.against == tally.mismatched + tally.unconfirmed


def test_the_whole_is_told_first_and_then_where_it_is_least_sure() -> None:
    parity = Parity(1_000.0, {AGENT: Tally(8_086, 3), NOBODY: Tally(31)})
    assert parity.whole == Tally(8_117, 3)
    assert parity.widest == NOBODY
    assert parity.words == ("mismatches ≤ 0.18 % (99 %): 3 of 8 120 compared; least sure: 404, 31 compared, ≤ 23 %")


def test_what_could_not_be_confirmed_is_told_with_what_it_costs() -> None:
    words = Parity(1_000.0, {AGENT: Tally(9_900, 0, 100)}).words
    assert words == (
        "mismatches ≤ 1.5 % (99 %): 0 of 10 000 compared, and 100 unconfirmed that count, too (≤ 0.050 % if not)"
    )


def test_nothing_is_told_of_what_was_not_compared() -> None:
    assert (Parity().words, Parity().bound, Parity().confirmed, Parity().widest) == (
        "nothing has been compared", 1.0, 1.0, None
    )  # fmt: skip


def test_all_strata_hold_together_so_that_each_is_told_more_cautiously() -> None:
    parity = Parity(1_000.0, {AGENT: Tally(1_000)})
    assert parity.bound_of(AGENT) == bound(1_000, 0, ALPHA / (STRATA + 1)) > parity.bound


@pytest.mark.parametrize(
    ("stratum", "words"), [(AGENT, "200 for agent"), (NOBODY, "404"), (OTHERS, "all others"), ((0, "x"), "0 for x")]
)
def test_a_stratum_is_called_by_what_was_answered_to_whom(stratum: Sequence[object], words: str) -> None:
    assert str(Stratum(*stratum)) == words  # type: ignore[arg-type]  # the pair above is one, and a tuple to pytest


@pytest.mark.parametrize(
    ("part", "words"),
    [
        *((1.0, "100 %"), (0.999, "100 %"), (0.2251, "23 %"), (0.0123, "1.3 %")),
        *((0.0012, "0.12 %"), (0.00012, "0.012 %"), (0.1, "10 %"), (0.0, "0 %")),
    ],
)
def test_a_rate_has_two_digits_and_is_never_rounded_down(part: float, words: str) -> None:
    assert rate(part) == words


def test_numbers_are_told_in_threes() -> None:
    assert (number(7), number(8_120), number(1_000_000)) == ("7", "8 120", "1 000 000")
