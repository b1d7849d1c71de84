from __future__ import annotations

import pytest

from bench.patterns import PATH, routes
from proxy.routes import Route, RouteTable


@pytest.mark.parametrize("count", [10, 200, 1000])
def test_there_are_as_many_routes_as_asked_and_each_matches_something_else(count: int) -> None:
    listed = routes(count)
    assert len(listed) == count
    assert len({route["match"] for route in listed}) == count


@pytest.mark.parametrize("count", [10, 1000])
def test_the_path_that_is_asked_for_is_a_route_in_every_table(count: int) -> None:
    table = RouteTable([Route.parse(route["name"], route["match"]) for route in routes(count)])
    found = table.match("GET", PATH.encode())
    assert found is not None
    assert found.pattern == "/api/v1/conversations/{id}/messages"
