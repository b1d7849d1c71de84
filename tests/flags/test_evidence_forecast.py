"""How long a defect would go unnoticed, by the code that judges."""

from __future__ import annotations

import pytest

from flags.evidence.detector import Standard
from flags.evidence.forecast import Foretold, Traffic, foretell

STANDARD = Standard.of_failures(0.02, 0.01)


def test_half_of_a_tenth_of_the_traffic_is_noticed_in_seconds() -> None:
    foretold = foretell(Traffic(native=2.5, legacy=7.5), 0.5, STANDARD)
    assert foretold is not None
    assert 3 <= foretold.seconds <= 9
    assert 3 <= foretold.failed <= 12


def test_the_smaller_the_defect_the_longer_it_takes_and_the_less_traffic_too() -> None:
    took = []
    for native, defect in [(25.0, 0.5), (2.5, 0.5), (2.5, 0.05), (0.25, 0.05)]:
        foretold = foretell(Traffic(native, 3 * native), defect, STANDARD)
        assert foretold is not None
        took.append(foretold.seconds)
    assert took == sorted(took)
    assert took[0] < 5
    assert took[-1] > 600


@pytest.mark.parametrize(("native", "legacy", "defect"), [(2.5, 7.5, 0.0), (0.001, 0.01, 0.5), (0.0, 10.0, 0.5)])
def test_what_is_not_found_in_hours_is_not_foretold(native: float, legacy: float, defect: float) -> None:
    assert foretell(Traffic(native, legacy), defect, STANDARD) is None


def test_a_whole_share_is_held_to_the_ceiling() -> None:
    assert foretell(Traffic(native=10, legacy=0), 0.5, STANDARD) == Foretold(seconds=3, failed=10)
    assert foretell(Traffic(native=10, legacy=0), 0.01, STANDARD) is None


def test_pairs_stand_in_for_users_of_legacy_where_these_are_few_and_pairs_are_not() -> None:
    by_users, by_pairs = (foretell(Traffic(9.8, 0.2, paired=paired), 0.5, STANDARD) for paired in (False, True))
    assert by_users is not None
    assert by_pairs is not None
    assert by_pairs.seconds < 8 < 30 < by_users.seconds
