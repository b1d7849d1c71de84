from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay.pace import Pace, per_second


@pytest.mark.parametrize(("text", "rate"), [("20/s", 20.0), ("90/m", 1.5), ("1800/h", 0.5), ("0.5/s", 0.5)])
def test_a_rate_is_written_with_its_unit(text: str, rate: float) -> None:
    assert per_second(text) == rate


@pytest.mark.parametrize("text", ["", "20", "20/d", "0/s", "0.0/m", "-1/s", "1e3/s", "20 /s", "/s", "٣/s"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 20/s"):
        per_second(text)


@given(
    st.floats(0.1, 1000),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), min_size=1, max_size=40),
)
def test_in_no_time_is_more_spent_than_the_rate_allows(
    rate: float, slack: float, asked: list[tuple[float, int]]
) -> None:
    """`asked`: how much later than it is due each is asked, and how many more it turns out to cost."""
    pace, now, log = Pace(rate, slack), 0.0, []
    for late, count in asked:
        now += pace.wait(now) + late
        pace = pace.spent(now, count)
        log.append((now, count))
    for first, (began, _) in enumerate(log):
        spent = 0
        for ended, count in log[first:]:
            spent += 1  # what is found to be due beside it is a debt, which the next one waits for
            assert spent <= rate * (ended - began + slack) * (1 + 1e-9) + 1
            spent += count - 1


def test_what_is_never_late_keeps_the_rate_exactly() -> None:
    pace, now = Pace(20.0, slack=0.1), 5.0
    for _ in range(101):
        now += pace.wait(now)
        pace = pace.spent(now)
    assert now == pytest.approx(5.0 + 100 / 20 - 0.1)


def test_a_timer_that_is_late_by_less_than_the_slack_costs_nothing() -> None:
    pace, now = Pace(20.0, slack=0.1), 0.0
    for _ in range(201):
        now += pace.wait(now) + 0.03
        pace = pace.spent(now)
    assert now == pytest.approx(200 / 20, abs=0.11)


def test_a_longer_pause_is_not_made_up_for() -> None:
    pace = Pace(10.0, slack=0.1).spent(0.0)
    pace = pace.spent(60.0)
    assert pace.wait(60.0) == 0.0
    assert pace.spent(60.0).wait(60.0) == pytest.approx(0.1)
