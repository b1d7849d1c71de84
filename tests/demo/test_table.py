from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from demo import table
from demo.claims import Chapter, Tripped
from demo.log import Failure, Seen
from demo.sight import Route, Served, Sight, Trip

QUIET = Served(0, 0, ())
SLOW = Served(90, 10, ((1.0, 0.0), (2.5, 100.0), (math.inf, 100.0)))
QUICK = Served(40, 0, ((0.01, 38.0), (0.025, 40.0), (math.inf, 40.0)))
STATE = "inconclusive"
ROUTE = Route("conversations.list", 0.25, 1.0, None, STATE, SLOW, QUICK, matched=3, mismatched=12)


def shown(what: RenderableType, width: int = 80) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width).print(what)
    return output.getvalue().splitlines()


def row(route: Route, seconds: float = 10.0) -> list[str]:
    return shown(table.routes(Sight(0.0, {route.name: route}, True, seconds)))[-1].split()


def test_a_row_tells_rate_failures_and_p95_of_both_sides() -> None:
    assert row(ROUTE) == ["conversations.list", "25%", "100%", "14.0", "10", "2.4", "s", "0", "10", "ms", "12", STATE]


def test_a_side_that_answered_nothing_has_no_figures() -> None:
    assert row(replace(ROUTE, native=QUIET))[7:9] == ["·", "12"]


def test_a_table_of_no_time_at_all_has_no_rate() -> None:
    assert row(replace(ROUTE, legacy=QUIET, native=QUIET), seconds=0.0)[3] == "0.0"


def test_a_small_share_is_not_rounded_away() -> None:
    assert row(replace(ROUTE, share=0.0005))[1] == "0.05%"


@pytest.mark.parametrize(
    ("route", "state"),
    [
        (replace(ROUTE, trip=Trip(0.0, "it failed"), share=0.0), "TRIPPED"),
        (replace(ROUTE, share=0.0), "legacy"),
        (replace(ROUTE, verdict=None), "not judged"),
        (replace(ROUTE, verdict="healthy"), "healthy"),
    ],
)
def test_the_state_is_one_word_or_two(route: Route, state: str) -> None:
    assert table.state(route).plain == state


def test_the_widest_row_fits_a_terminal_of_eighty_columns() -> None:
    busy = Served(900, 999, SLOW.buckets)
    widest = replace(ROUTE, share=1.0, legacy=busy, native=busy, mismatched=999)
    unshadowed = replace(widest, name="conversations.update", shadow=0.0)
    for route in (widest, unshadowed):
        assert_fits(shown(table.routes(Sight(0.0, {route.name: route}, True, 10.0))))


def assert_fits(lines: list[str]) -> None:
    assert "…" not in "".join(lines)
    assert max(len(line) for line in lines) <= 80


def test_routes_that_nobody_moved_share_a_row() -> None:
    still = replace(ROUTE, name="a", share=0.0, shadow=0.0, legacy=QUICK, native=QUIET)
    routes = {name: replace(still, name=name) for name in "ab"} | {ROUTE.name: ROUTE}
    lines = [line.split() for line in shown(table.routes(Sight(0.0, routes, True, 10.0)))]
    assert lines[-2][0] == ROUTE.name
    assert lines[-1] == ["2", "more", "0%", "0%", "8.0", "0", "10", "ms", "·", "0", "legacy"]
    del routes[ROUTE.name]
    assert shown(table.routes(Sight(0.0, routes, True, 10.0)))[-1].split()[:4] == ["2", "routes", "0%", "8.0"]


def test_the_summary_has_a_row_for_each_chapter() -> None:
    calm = Chapter("Everything on legacy", Seen(800, 90), 0, 0, 0)
    failure = Failure("a", "POST", "create", "native_broken")
    broken = Chapter(
        "A bug in a native write", Seen(300, 40, (failure,)), 77, 50, 1, "messages.create", Tripped("m", 1.52, "…")
    )
    lines = [line.split() for line in shown(table.summary([calm, broken]))]
    assert lines[-2] == ["Everything", "on", "legacy", "0", "of", "800", "0", "of", "90", "0", "0"]
    assert lines[-1][-10:] == ["0", "of", "300", "1", "of", "40", "77", "1", "1.5", "s"]
