"""What a judge may be expected to do at a route's traffic, in words and numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flags.outlook import by_thresholds, days, outlook
from flags.prospect import prospect
from flags.rollback import Judge, Rule

EVIDENCE = Rule(30.0, 50, 0.02, 0.02, 0.01, Judge.EVIDENCE)
THRESHOLD = Rule(30.0, 50, 0.05, 0.02, 0.01, Judge.THRESHOLD)


def test_a_busy_route_is_told_when_each_defect_would_be_noticed_and_how_often_its_judge_errs() -> None:
    found = outlook(2_500, 200, 10.0, EVIDENCE)
    noticed, errs = found.words
    assert noticed.startswith("at 10 requests/s, 25 % of them native's, a defect would be noticed: of 1 % in about ")
    assert noticed.endswith(" failed)")
    assert errs == "judged by evidence, a route on which nothing is wrong goes back on 1 % of days at most"
    assert found.needed == (1, 1, 1)


def test_a_route_with_little_traffic_is_told_how_much_more_it_takes() -> None:
    found = outlook(2_500, 200, 0.05, EVIDENCE)
    assert found.prospect.noticed[1] is None
    factor = found.needed[1]
    assert f"of 5 % not within 6 h (it takes {factor} times the traffic)" in found.words[0]
    assert prospect(2_500, 200, 0.05 * factor, EVIDENCE).noticed[1] is not None
    assert prospect(2_500, 200, 0.05 * factor / 2, EVIDENCE).noticed[1] is None


def test_what_no_traffic_would_bring_to_light_is_said_without_any() -> None:
    found = outlook(2_500, 200, 10.0, THRESHOLD)
    assert found.needed[0] == 0  # 1 % lies within the thresholds
    assert "of 1 % not within 6 h, of 5 %" in found.words[0]


def test_thresholds_say_how_often_they_err_at_this_traffic() -> None:
    assert outlook(2_500, 200, 10.0, THRESHOLD).words[1].endswith("goes back on every day at most")
    assert outlook(2_500, 200, 100.0, THRESHOLD).false_alarm < 0.01


def test_where_legacy_is_hardly_asked_a_larger_holdback_is_said_to_help() -> None:
    found = outlook(10_000, 200, 10.0, EVIDENCE)
    assert found.scarce
    assert found.words[2] == (
        "legacy is asked 0.2 times a second, which is little to compare with: with a holdback of 10 % one of 50 % "
        "would be noticed in about 11 s (44 failed)"
    )
    assert outlook(10_000, 1_000, 10.0, EVIDENCE).prospect.noticed[2] == found.with_ample


def test_where_legacy_is_hardly_asked_shadows_help_if_there_may_be_any() -> None:
    paired = replace(EVIDENCE, paired=True)
    alone, shadowed = outlook(10_000, 200, 10.0, paired), outlook(10_000, 200, 10.0, paired, shadow=1)
    assert alone.words[2].endswith(", or with a shadow share one of 50 % would be noticed in about 6 s (28 failed)")
    assert shadowed.prospect.noticed[2] == alone.with_pairs
    assert (shadowed.scarce, shadowed.with_pairs, len(shadowed.words)) == (False, None, 2)
    assert max(shadowed.needed) <= max(alone.needed)


def test_what_no_holdback_of_that_size_brings_to_light_is_not_promised() -> None:
    assert outlook(10_000, 200, 0.001, EVIDENCE).words[2].endswith("which is little to compare with")


@pytest.mark.parametrize(
    ("share", "holdback", "rate", "rule"),
    [
        (10_000, 200, 100.0, EVIDENCE),
        (9_000, 200, 1.0, EVIDENCE),
        (10_000, 0, 10.0, EVIDENCE),
        (10_000, 200, 10.0, THRESHOLD),
    ],
    ids=["legacy is asked enough", "enough of it is legacy's", "nobody is compared", "judged by thresholds"],
)
def test_nothing_is_said_where_a_larger_holdback_is_not_what_is_wanting(
    share: int, holdback: int, rate: float, rule: Rule
) -> None:
    found = outlook(share, holdback, rate, rule)
    assert (found.scarce, len(found.words)) == (False, 2)


def test_what_is_held_back_is_no_native_traffic() -> None:
    assert outlook(10_000, 200, 10.0, EVIDENCE).share == 9_800


def test_the_more_requests_are_needed_the_less_often_thresholds_err() -> None:
    few, many = by_thresholds(THRESHOLD), by_thresholds(Rule(60.0, 200, 0.05, 0.02))
    assert list(few) == [1, 10, 100]
    assert few[10] > 0.9
    assert many[10] < 0.1


@pytest.mark.parametrize(
    ("chance", "said"),
    [(1.0, "every day"), (0.127, "13 % of days"), (0.01, "1 % of days"), (0.0, "less than 1 day in 1000")],
)
def test_chances_are_said_in_days(chance: float, said: str) -> None:
    assert days(chance) == said
