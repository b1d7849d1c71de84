"""What a share would bring, by the judge that is in force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flags.evidence.detector import Standard
from flags.evidence.forecast import Traffic, foretell
from flags.flag import WHOLE
from flags.prospect import DEFECTS, prospect
from flags.rollback import Judge, Rule, judge
from flags.window import Counts

THRESHOLD = Rule(window=30.0, min_requests=50, max_error_rate=0.05, max_excess=0.02)
EVIDENCE = replace(THRESHOLD, judge=Judge.EVIDENCE)


def test_by_evidence_it_is_what_the_evidence_foretells_at_the_share_in_force() -> None:
    standard = Standard.of_failures(EVIDENCE.max_error_rate, EVIDENCE.alpha)
    expected = [foretell(Traffic(9.8, 10.0 - 9.8), defect, standard) for defect in DEFECTS]
    assert list(prospect(WHOLE, 200, 10.0, EVIDENCE).noticed) == expected
    assert expected[-1] is not None


def test_pairs_are_reckoned_with_where_they_may_be_asked_and_are() -> None:
    rule = replace(EVIDENCE, paired=True)
    shadowed = prospect(WHOLE, 200, 10.0, rule, shadow=1)
    standard = Standard.of_failures(EVIDENCE.max_error_rate, EVIDENCE.alpha)
    assert shadowed.noticed[2] == foretell(Traffic(9.8, 10.0 - 9.8, paired=True), DEFECTS[2], standard)
    without = prospect(WHOLE, 200, 10.0, rule), prospect(WHOLE, 200, 10.0, EVIDENCE, shadow=1)
    assert without[0] == without[1] != shadowed


def test_by_thresholds_the_window_has_to_fill_with_the_defect() -> None:
    small, more, most = prospect(2_500, 200, 10.0, THRESHOLD).noticed
    assert small is None  # 1 % more is allowed
    assert more is not None
    assert most is not None
    assert 27 <= more.seconds <= 31
    assert 3 <= most.seconds <= 5
    native, legacy = Counts(75, 75 - 4, 4), Counts(225, 224, 1)  # what 5 % more comes to in a window
    assert judge(native, legacy, THRESHOLD).kind.value == "unhealthy"


@pytest.mark.parametrize(("rate", "share"), [(10.0, 100), (0.1, WHOLE)])
def test_by_thresholds_too_few_requests_in_the_window_are_never_judged(rate: float, share: int) -> None:
    assert prospect(share, 0, rate, THRESHOLD).noticed == (None, None, None)


def test_by_thresholds_native_alone_is_held_to_the_ceiling() -> None:
    rule = replace(THRESHOLD, max_excess=0.2)
    assert prospect(WHOLE, 0, 100.0, rule).noticed[1] is not None
    assert prospect(WHOLE, 200, 100.0, rule).noticed[1] is None
