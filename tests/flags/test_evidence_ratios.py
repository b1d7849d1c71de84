"""How much likelier counts are if native is worse: the means that false alarms are bounded by, computed in full."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evidence.ratios import ALONE, EXCESS, FEW, ODDS, SILENT, Trial, above, alone, alternatives, worse


def drawn(native: int, legacy: int, failed: int) -> list[tuple[float, Trial]]:
    """Each way in which the failures can fall, with its chance if they fall as subjects do."""
    every = math.comb(native + legacy, failed)
    return [
        (math.comb(native, own) * math.comb(legacy, failed - own) / every, Trial(native, own, legacy, failed - own))
        for own in range(max(0, failed - legacy), min(failed, native) + 1)
    ]


def means(ways: list[tuple[float, Trial]]) -> list[float]:
    return [math.fsum(chance * math.exp(worse(trial)[place]) for chance, trial in ways) for place in range(len(ODDS))]


@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_the_mean_is_one_while_failures_fall_as_subjects_do(native: int, legacy: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, min(native + legacy, FEW)))
    assert means(drawn(native, legacy, failed)) == pytest.approx([1.0] * len(ODDS))


@pytest.mark.parametrize(("native", "legacy"), [(10, 500), (100, 100), (500, 60), (3, 900)])
@pytest.mark.parametrize("failed", [FEW + 1, 100, 160])
def test_the_mean_is_no_more_than_one_where_counts_are_scaled_down(native: int, legacy: int, failed: int) -> None:
    if failed <= native + legacy:
        assert max(means(drawn(native, legacy, failed))) <= 1 + 1e-9


@pytest.mark.parametrize("ceiling", [0.0, 0.02, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("part", [0.1, 0.5, 1.0])
def test_the_mean_is_no_more_than_one_up_to_the_ceiling(ceiling: float, part: float) -> None:
    rate, against = ceiling * part, alternatives(ceiling)
    for place in range(len(EXCESS)):
        mean = math.fsum(
            math.comb(12, failed)
            * rate**failed
            * (1 - rate) ** (12 - failed)
            * math.exp(above(Trial(12, failed), against)[place])
            for failed in range(13)
        )
        assert mean <= 1 + 1e-9


def test_above_a_ceiling_of_everything_there_is_nothing() -> None:
    assert alternatives(1.0) == ()
    assert above(Trial(10, 10), alternatives(1.0)) == []


def test_one_side_alone_says_nothing_of_which_is_worse() -> None:
    assert worse(Trial(10, 10)) is worse(Trial(0, 0, 10, 10)) is worse(Trial(10, 0, 10, 0)) is SILENT


@pytest.mark.parametrize(("native", "legacy"), [(5, 5), (9, 1), (1, 9), (80, 400)])
def test_each_failure_of_native_speaks_against_it_and_each_of_legacy_for_it(native: int, legacy: int) -> None:
    for own, others in product(range(native), range(legacy)):
        here = worse(Trial(native, own, legacy, others))
        if own + others < FEW:
            assert all(
                more > now for more, now in zip(worse(Trial(native, own + 1, legacy, others)), here, strict=True)
            )
            assert all(
                less < now for less, now in zip(worse(Trial(native, own, legacy, others + 1)), here, strict=True)
            )


def test_thousands_of_failures_in_one_second_are_counted_in_no_time_and_beyond_doubt() -> None:
    assert min(worse(Trial(5_000, 2_500, 15_000, 75))) > 10
    assert max(worse(Trial(5_000, 2_500, 15_000, 15_000))) < 0


def test_trials_add_up() -> None:
    assert Trial(1, 2, 3, 4, 5, 6) + Trial(10, 20, 30, 40, 50, 60) == Trial(11, 22, 33, 44, 55, 66)


@pytest.mark.parametrize("theirs", [0.5, 0.6, 0.9])
@pytest.mark.parametrize("discordant", [1, 7])
def test_the_mean_of_pairs_is_no_more_than_one_while_legacy_is_as_likely_to_fail_alone(
    discordant: int, theirs: float
) -> None:
    for place in range(len(ALONE)):
        mean = math.fsum(
            math.comb(discordant, own)
            * (1 - theirs) ** own
            * theirs ** (discordant - own)
            * math.exp(alone(Trial(native_alone=own, legacy_alone=discordant - own))[place])
            for own in range(discordant + 1)
        )
        assert mean == pytest.approx(1.0) if theirs == 0.5 else mean < 1
