"""Sums of e-values begun every second."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evidence.detector import DAY, DOUBT, MOST, REST, Evidence, Standard, advance, bar, begin
from flags.evidence.ratios import Trial

STANDARD = Standard.of_failures(0.02, 0.01)
WELL, BROKEN = Trial(3, 0, 8, 0), Trial(3, 2, 8, 0)

trials = st.builds(
    lambda native, failed, legacy, others: Trial(native, min(failed, native), legacy, min(others, legacy)),
    *[st.integers(0, 30)] * 4,
)


def after(*seconds: Trial, standard: Standard = STANDARD) -> Evidence:
    evidence = begin(0, standard)
    for second, trial in enumerate(seconds, 1):
        evidence = advance(evidence, second, trial, standard)
    return evidence


def test_all_that_is_begun_in_a_day_and_was_there_before_is_what_the_bar_is_set_by() -> None:
    assert bar(0.01) == (REST + DAY) / 0.01
    parts = [
        (REST + DAY) / needed
        for needed in (STANDARD.above, STANDARD.worse, Standard.of_late_answers(0.01, 0.02).worse)
        + (Standard.of_a_status(0.01).worse,) * 8
    ]
    assert sum(parts) == pytest.approx(0.01)


def test_the_sums_stay_where_they_are_while_nobody_asks() -> None:
    evidence = after(Trial(), Trial(), Trial())
    assert sum(evidence.above) == pytest.approx(REST)
    assert sum(evidence.worse) == pytest.approx(REST)


@given(st.lists(trials, max_size=8), st.integers(1, 5000), trials)
def test_a_stretch_without_requests_is_as_many_seconds_without_them(seen: list[Trial], idle: int, then: Trial) -> None:
    evidence = after(*seen)
    slowly = evidence
    for second in range(evidence.second + 1, evidence.second + 1 + min(idle, 50)):
        slowly = advance(slowly, second, Trial(), STANDARD)
    last = slowly.second + 1
    at_once, step_by_step = advance(evidence, last, then, STANDARD), advance(slowly, last, then, STANDARD)
    assert at_once.above == pytest.approx(step_by_step.above)
    assert at_once.worse == pytest.approx(step_by_step.worse)


def test_what_was_proved_fades_within_hours() -> None:
    proved = after(*[BROKEN] * 10)
    a_day_later = advance(proved, proved.second + 86_400, Trial(), STANDARD)
    assert sum(proved.worse) > 1000 * REST
    assert a_day_later.worse_at(a_day_later.second) < sum(proved.worse) / 50


def test_healthy_traffic_ends_all_doubt_and_failures_raise_it_again() -> None:
    well = after(*[WELL] * 100)
    assert sum(well.above) < DOUBT
    assert well.meanwhile is None
    broken = well
    for second in range(101, 104):
        broken = advance(broken, second, BROKEN, STANDARD)
    assert broken.doubted
    assert sum(broken.above) > DOUBT
    assert broken.seen.native_failed == 6


def test_a_defect_is_found_sooner_after_a_change_than_after_a_quiet_day() -> None:
    at_once = after(*[BROKEN] * 3)
    later = after(*[WELL] * 2000, *[BROKEN] * 3)
    assert sum(at_once.above) > 10 * sum(later.above)


def test_beside_a_legacy_that_fails_alike_nothing_is_proved_however_long_it_lasts() -> None:
    evidence = after(*[WELL] * 100, *[Trial(30, 15, 90, 45)] * 600)
    assert sum(evidence.above) >= STANDARD.above
    assert sum(evidence.meanwhile or ()) < 1
    assert sum(evidence.worse) < STANDARD.worse / 100


@given(st.lists(trials | st.just(Trial(1_000_000, 1_000_000, 10, 0)), max_size=40))
def test_no_sum_is_ever_infinite_negative_or_nothing(seen: list[Trial]) -> None:
    evidence = after(*seen)
    for levels in (evidence.above, evidence.worse, evidence.meanwhile or ()):
        assert all(0 <= level <= MOST and math.isfinite(level) for level in levels)
    recovered = advance(evidence, evidence.second + 1, Trial(), STANDARD)
    assert min(recovered.above) > 0
    assert recovered.worse_at(recovered.second) > 0


def test_where_no_ceiling_is_set_only_the_comparison_counts() -> None:
    late = Standard.of_late_answers(0.01, 0.02)
    evidence = after(*[BROKEN] * 20, standard=late)
    assert evidence.above == ()
    assert evidence.meanwhile is None
    assert sum(evidence.worse) > late.worse
