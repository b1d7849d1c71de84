"""The judge by simple thresholds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.rollback import Kind, Rule, Verdict, judge
from flags.window import Counts

RULE = Rule(window=30.0, min_requests=50, max_error_rate=0.05, max_excess=0.02)


def answered(requests: int, failed: int = 0, still_open: int = 0, excluded: int = 0) -> Counts:
    return Counts(requests + still_open + excluded, requests - failed, failed, excluded)


counts = st.builds(
    lambda ok, failed, still_open, excluded: answered(ok + failed, failed, still_open, excluded),
    *[st.integers(0, 500)] * 4,
)


@pytest.mark.parametrize(
    ("native", "legacy", "expected"),
    [
        (
            answered(310, 41),
            answered(930, 3),
            Verdict(Kind.UNHEALTHY, "native failed 41 of 310 (13.2 %, allowed 5 %), legacy 3 of 930 (0.3 %) in 30 s"),
        ),
        (
            answered(310, 3),
            answered(930, 3),
            Verdict(Kind.HEALTHY, "native failed 3 of 310 (1.0 %, allowed 5 %), legacy 3 of 930 (0.3 %) in 30 s"),
        ),
        (
            answered(12, 12, still_open=4),
            answered(930, 3),
            Verdict(Kind.INCONCLUSIVE, "native answered 12 of the 50 requests needed in 30 s: 38 more, 4 still open"),
        ),
        (
            Counts(),
            answered(930),
            Verdict(Kind.INCONCLUSIVE, "native answered 0 of the 50 requests needed in 30 s: 50 more"),
        ),
        (
            answered(310, 41),
            Counts(),
            Verdict(
                Kind.UNHEALTHY,
                "native failed 41 of 310 (13.2 %, allowed 5 %) in 30 s; "
                "legacy was not asked, so native is judged by the ceiling alone",
            ),
        ),
        (
            answered(310, 41),
            answered(9, 1, still_open=3),
            Verdict(
                Kind.INCONCLUSIVE,
                "native failed 41 of 310 (13.2 %, allowed 5 %), but to compare, legacy answered 9 of the 50 requests "
                "needed in 30 s: 38 more, 3 still open",
            ),
        ),
        (
            answered(310, 41),
            Counts(asked=200),
            Verdict(
                Kind.INCONCLUSIVE,
                "native failed 41 of 310 (13.2 %, allowed 5 %), but legacy answered none of 200 in 30 s: "
                "going back might help nobody",
            ),
        ),
        (
            answered(310, 41),
            answered(930, 120),
            Verdict(
                Kind.INCONCLUSIVE,
                "native failed 41 of 310 (13.2 %, allowed 5 %), but legacy 120 of 930 (12.9 %) in 30 s: "
                "that is not 2 % worse, so going back would not help",
            ),
        ),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Verdict) else "",
)
def test_a_verdict_carries_its_numbers(native: Counts, legacy: Counts, expected: Verdict) -> None:
    assert judge(native, legacy, RULE) == expected


def test_exactly_the_ceiling_is_allowed_and_one_more_is_not() -> None:
    assert judge(answered(100, 5), answered(100), RULE).kind is Kind.HEALTHY
    assert judge(answered(100, 6), answered(100), RULE).kind is Kind.UNHEALTHY


def test_exactly_the_least_number_of_requests_is_enough() -> None:
    assert judge(answered(49, 49), answered(100), RULE).kind is Kind.INCONCLUSIVE
    assert judge(answered(50, 50), answered(100), RULE).kind is Kind.UNHEALTHY


def test_legacy_needs_as_many_requests_as_native() -> None:
    assert judge(answered(100, 50), answered(49), RULE).kind is Kind.INCONCLUSIVE
    assert judge(answered(100, 50), answered(50), RULE).kind is Kind.UNHEALTHY
    assert judge(answered(100, 50), answered(25, still_open=25), RULE).kind is Kind.INCONCLUSIVE  # half may yet fail


def test_a_legacy_that_began_to_hang_is_no_place_to_go_back_to() -> None:
    """Native fails at once in a shared outage while legacy's requests pile up, unanswered, after a good start."""
    verdict = judge(answered(310, 100), answered(600, still_open=300), RULE)
    assert verdict.kind is Kind.INCONCLUSIVE
    assert "legacy 0 of 600 (0.0 %, 300 still open)" in verdict.words


def test_a_few_open_requests_of_a_slow_legacy_do_not_hide_a_broken_native() -> None:
    assert judge(answered(310, 150), answered(900, 3, still_open=60), RULE).kind is Kind.UNHEALTHY


def test_requests_that_say_nothing_about_a_side_weigh_nothing() -> None:
    native, legacy = answered(100, 10, excluded=900), answered(100, 1, excluded=900)
    assert judge(native, legacy, RULE).kind is judge(answered(100, 10), answered(100, 1), RULE).kind is Kind.UNHEALTHY


@given(counts, counts)
def test_never_a_trip_toward_a_side_that_fails_as_much_or_more(native: Counts, legacy: Counts) -> None:
    if judge(native, legacy, RULE).kind is Kind.UNHEALTHY and legacy.asked:
        assert native.failed / native.answered > legacy.failed / legacy.answered


@given(counts, counts)
def test_never_a_trip_below_the_ceiling_or_on_too_few(native: Counts, legacy: Counts) -> None:
    if judge(native, legacy, RULE).kind is Kind.UNHEALTHY:
        assert native.answered >= RULE.min_requests
        assert native.failed > RULE.max_error_rate * native.answered


@given(counts, counts, st.integers(0, 500))
def test_legacy_getting_better_never_saves_native(native: Counts, legacy: Counts, repaired: int) -> None:
    fewer = min(repaired, legacy.failed)
    better = Counts(legacy.asked, legacy.ok + fewer, legacy.failed - fewer, legacy.excluded)
    if judge(native, legacy, RULE).kind is Kind.UNHEALTHY:
        assert judge(native, better, RULE).kind is Kind.UNHEALTHY


@given(counts, counts)
def test_a_verdict_always_says_something(native: Counts, legacy: Counts) -> None:
    verdict = judge(native, legacy, RULE)
    assert verdict.words.startswith("native ")
    assert "in 30 s" in verdict.words
