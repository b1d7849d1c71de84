"""What the benchmark of route tables asks, and how it sums up."""

from __future__ import annotations

from typing import Any

import pytest

from bench.patterns import routes
from bench.routes.lookup import requests
from bench.routes.summary import ASGI, COUNTS, ONE, RELAY, SPREAD, figures, targets
from proxy.routes import Route, RouteTable


def run(
    round_number: int, count: int, rate: float, way: str = RELAY, asked: str = ONE, errors: int = 0
) -> dict[str, Any]:
    told = {"rate": rate, "p50": 1.0, "p99": 2.0, "cpu_us": 30.0, "busy": 1.0, "errors": errors}
    return {"round": round_number, "routes": count, "way": way, "asked": asked, **told}


def everywhere(*rates: tuple[float, float], errors: int = 0) -> list[dict[str, Any]]:
    """For each round the rates with the fewest and the most routes, the same however it is asked."""
    return [
        run(number, count, rate, way, asked, errors)
        for number, pair in enumerate(rates, 1)
        for count, rate in zip((min(COUNTS), max(COUNTS)), pair, strict=True)
        for way in (RELAY, ASGI)
        for asked in (ONE, SPREAD)
    ]


@pytest.mark.parametrize("count", COUNTS)
def test_every_route_of_a_table_is_asked_once(count: int) -> None:
    table = RouteTable([Route.parse(route["name"], route["match"]) for route in routes(count)])
    found = [table.match(method, path) for method, path in requests(count)]
    assert [route.name for route in found if route] == list(table.routes)


def test_a_ratio_is_taken_within_a_round() -> None:
    told = targets(everywhere((100.0, 96.0), (10.0, 9.7), (1000.0, 500.0)))  # the last was disturbed between the two
    name = f"requests/s with 1000 routes, of 10 ({RELAY}, {ONE})"
    assert told[name] == {"figure": 0.96, "target": 0.95, "met": True}
    assert len(told) == 5


def test_more_than_five_percent_less_does_not_do() -> None:
    told = targets(everywhere((100.0, 94.0)))
    assert [one["met"] for one in told.values()] == [False, False, False, False, True]


def test_a_failed_request_is_one_too_many() -> None:
    assert targets(everywhere((100.0, 100.0), errors=1))["failed requests"]["met"] is False


def test_medians_are_those_of_one_table_asked_in_one_way() -> None:
    runs = [run(1, 10, 5.0), run(2, 10, 7.0), run(3, 10, 6.0), run(1, 200, 1.0), run(1, 10, 9.0, way=ASGI)]
    told = figures(runs)
    assert told[f"{RELAY}, {ONE}"]["10"]["rate"] == 6.0
    assert told[f"{RELAY}, {ONE}"]["200"]["rate"] == 1.0
    assert told[f"{ASGI}, {ONE}"]["10"]["rate"] == 9.0
