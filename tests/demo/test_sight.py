from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.sight import Served, Trip, quantile, read

EXPOSITION = """\
# TYPE strangler_requests_total counter
strangler_requests_total{route="list",side="legacy",outcome="ok"} 90.0
strangler_requests_total{route="list",side="legacy",outcome="failed"} 1.0
strangler_requests_total{route="list",side="legacy",outcome="excluded"} 5.0
strangler_requests_total{route="list",side="native",outcome="ok"} 8.0
strangler_requests_total{route="list",side="native",outcome="failed"} 2.0
strangler_requests_total{route="show",side="native",outcome="ok"} 1000.0
# TYPE strangler_comparisons_total counter
strangler_comparisons_total{route="list",candidate="native",outcome="matched"} 70.0
strangler_comparisons_total{route="list",candidate="legacy",outcome="matched"} 7.0
strangler_comparisons_total{route="list",candidate="native",outcome="mismatched"} 3.0
strangler_comparisons_total{route="list",candidate="native",outcome="unconfirmed"} 4.0
# TYPE strangler_request_seconds histogram
strangler_request_seconds_bucket{route="list",side="native",le="0.01"} 5.0
strangler_request_seconds_bucket{route="list",side="native",le="0.1"} 10.0
strangler_request_seconds_bucket{route="list",side="native",le="+Inf"} 10.0
strangler_request_seconds_count{route="list",side="native"} 10.0
# TYPE strangler_native_ready gauge
strangler_native_ready 1.0
"""


def flags(*routes: str, **changes: object) -> dict[str, object]:
    told = {"share": 3000, "inForce": 2500, "shadow": 10_000, "trip": None, "verdict": None, **changes}
    return {"storeConnected": True, "routes": [{"route": route, **told} for route in routes or ("list",)]}


def test_a_sight_holds_the_flags_and_the_counts_of_both_sides() -> None:
    sight = read(EXPOSITION, flags(verdict={"kind": "healthy", "words": "…"}), at=7.0)
    route = sight.routes["list"]
    assert (sight.at, sight.native_ready) == (7.0, True)
    assert (route.share, route.shadow, route.trip, route.verdict) == (0.25, 1.0, None, "healthy")
    assert (route.legacy.answered, route.legacy.failed) == (91, 1)
    assert (route.native.answered, route.native.failed) == (10, 2)
    assert route.native.buckets == ((0.01, 5.0), (0.1, 10.0), (math.inf, 10.0))


def test_comparisons_count_whichever_side_was_the_candidate() -> None:
    route = read(EXPOSITION, flags(), at=0.0).routes["list"]
    assert (route.matched, route.mismatched) == (77, 3)


def test_a_tripped_route_has_no_share_whatever_its_flag_says() -> None:
    route = read(EXPOSITION, flags(trip={"at": 3.5, "reason": "it failed"}), at=0.0).routes["list"]
    assert (route.share, route.trip) == (0, Trip(3.5, "it failed"))


def test_a_route_without_counts_is_all_zero() -> None:
    route = read("", flags("quiet"), at=0.0).routes["quiet"]
    assert (route.legacy, route.native) == (Served(0, 0, ()), Served(0, 0, ()))


def test_between_two_sights_only_what_happened_there_counts() -> None:
    early = read(EXPOSITION, flags(share=500), at=10.0)
    late = read(EXPOSITION.replace(" 90.0", " 95.0").replace(" 10.0", " 16.0"), flags(), at=12.5)
    between = late.since(early)
    route = between.routes["list"]
    assert between.seconds == 2.5
    assert route.share == 0.25
    assert (route.legacy.ok, route.native.answered, route.matched) == (5, 0, 0)
    assert route.native.buckets == ((0.01, 0.0), (0.1, 6.0), (math.inf, 6.0))


def test_a_sight_sums_over_its_routes() -> None:
    sight = read(EXPOSITION, flags("list", "show"), at=0.0)
    assert (sight.native_answers, sight.matched, sight.mismatched) == (1010, 77, 3)


@pytest.mark.parametrize(
    ("rank", "expected"),
    [(0.5, 0.01), (0.75, 0.055), (1.0, 0.1)],
)
def test_a_quantile_lies_between_the_bounds_of_its_bucket(rank: float, expected: float) -> None:
    assert quantile(rank, ((0.01, 5.0), (0.1, 10.0), (math.inf, 10.0))) == pytest.approx(expected)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile(0.95, ((1.0, 1.0), (math.inf, 10.0))) == 1.0


@pytest.mark.parametrize("buckets", [(), ((1.0, 0.0), (math.inf, 0.0))])
def test_nothing_has_no_quantile(buckets: tuple[tuple[float, float], ...]) -> None:
    assert quantile(0.95, buckets) is None


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_higher_quantile_is_never_lower(counts: list[int], a: float, b: float) -> None:
    buckets = tuple((bound, float(sum(counts[: n + 1]))) for n, bound in enumerate((0.1, 1.0, math.inf)))
    low, high = (quantile(rank, buckets) for rank in sorted((a, b)))
    assert low is not None
    assert high is not None
    assert low <= high
