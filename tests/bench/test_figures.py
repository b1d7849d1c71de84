from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import medians, met, quantile, ratio, table

values = st.lists(st.floats(0, 1e6), min_size=1)


def test_a_quantile_is_one_of_the_values() -> None:
    ten = [float(value) for value in range(1, 11)]
    assert [quantile(ten, part) for part in (0.0, 0.5, 0.9, 0.99, 1.0)] == [1, 5, 9, 10, 10]


@given(values, st.floats(0, 1))
def test_as_many_values_as_asked_lie_at_or_below_a_quantile(measured: list[float], part: float) -> None:
    found = quantile(measured, part)
    assert found in measured
    assert sum(value <= found for value in measured) >= part * len(measured)


def test_nothing_measured_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        quantile([], 0.5)


def test_each_figure_has_its_own_median() -> None:
    runs = [{"rate": 1, "p99": 9.0}, {"rate": 2, "p99": 7.0}, {"rate": 3, "p99": 8.0}]
    assert medians(runs, ["rate", "p99"]) == {"rate": 2, "p99": 8.0}


def test_a_ratio_to_nothing_is_no_number() -> None:
    assert ratio(1, 3) == 0.333
    assert math.isnan(ratio(1, 0))


@pytest.mark.parametrize(
    ("figure", "bounds", "holds"),
    [
        (0.45, {"least": 0.45}, True),
        (0.44, {"least": 0.45}, False),
        (16.0, {"most": 16.0}, True),
        (16.1, {"most": 16.0}, False),
        (math.nan, {"most": 16.0}, False),
    ],
)
def test_a_target_holds_at_its_bound_and_not_beyond(figure: float, bounds: dict[str, float], holds: bool) -> None:
    assert met(figure, **bounds)["met"] is holds


def test_a_target_without_a_bound_is_none() -> None:
    with pytest.raises(ValueError, match="bound"):
        met(1.0)


def test_a_table_aligns_names_left_and_figures_right() -> None:
    assert table([("", "requests/s", "p50"), ("nginx", 61_234.5, 0.5123), ("x", None, math.nan)]).splitlines() == [
        "       requests/s    p50",
        "nginx      61,234  0.512",
        "x               -      -",
    ]
