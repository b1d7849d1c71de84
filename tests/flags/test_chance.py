"""How often thresholds err: next to nothing where chance is next to nothing, and every day where four failures do.

That it is no less than what is simulated stands beside the simulation, in tests/bench.
"""

from __future__ import annotations

import pytest

from flags.chance import false_alarm
from flags.evidence.forecast import Traffic
from flags.rollback import Rule

RULE = Rule(window=30.0, min_requests=50, max_error_rate=0.05, max_excess=0.02)


@pytest.mark.parametrize(
    ("native", "legacy", "least", "most"),
    [
        (0.0, 10.0, 0.0, 0.0),
        (0.25, 0.75, 0.0, 1e-9),  # never as many requests as are needed
        (2.5, 7.5, 0.99, 1.0),
        (25.0, 75.0, 0.0, 0.01),
        (2.5, 0.0, 0.99, 1.0),  # nobody is left on legacy
    ],
)
def test_the_fewer_requests_are_enough_the_more_often_it_is_chance(
    native: float, legacy: float, least: float, most: float
) -> None:
    assert least <= false_alarm(Traffic(native, legacy), RULE) <= most


def test_where_nothing_ever_fails_nothing_is_chance() -> None:
    assert false_alarm(Traffic(10.0, 10.0, baseline=0.0), RULE) == 0.0


def test_the_longer_it_is_judged_the_likelier_it_errs() -> None:
    traffic = Traffic(5.0, 5.0)
    assert 0 < false_alarm(traffic, RULE, within=3600) < false_alarm(traffic, RULE) < 1
