from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.latency import BOUNDS, GROWTH, Latency

INSIDE = st.floats(BOUNDS[0], BOUNDS[-1] / GROWTH)


def observed(*seconds: float) -> Latency:
    latency = Latency()
    for each in seconds:
        latency.observe(each)
    return latency


def test_too_few_answers_tell_nothing() -> None:
    assert observed(*[0.01] * 99).quantile(0.99) is None
    assert observed(*[0.01] * 100).quantile(0.99) is not None


@given(st.lists(INSIDE, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_at_most_a_quarter_too_high_and_never_too_low(seconds: list[float], share: float) -> None:
    within = sorted(seconds)
    exact = next(value for rank, value in enumerate(within, 1) if rank >= share * len(within))
    found = observed(*seconds).quantile(share, at_least=1)
    assert found is not None
    assert exact <= found <= exact * GROWTH * (1 + 1e-9)


def test_what_lies_beyond_the_scale_counts_as_its_end() -> None:
    assert observed(*[10_000.0] * 100).quantile(0.5) == BOUNDS[-1]
    assert observed(*[0.0] * 100).quantile(0.5) == BOUNDS[0]


def test_the_past_fades() -> None:
    latency = observed(*[1.0] * 1000)
    for _ in range(10):
        latency.fade()
        for _ in range(100):
            latency.observe(0.01)
    assert latency.quantile(0.5) == pytest.approx(0.01, rel=GROWTH - 1)
    for _ in range(20):
        latency.fade()
    assert latency.quantile(0.5) == pytest.approx(0.01, rel=GROWTH - 1)  # too few to tell: the last that was known
