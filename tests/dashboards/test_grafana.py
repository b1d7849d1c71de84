"""The dashboard's JSON by itself: whole, readable, and laid out without accidents."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from tests.dashboards.grafana import dashboard, marks, panels, queries

COLUMNS = 24
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
SHOWN = pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    apart = (
        one["x"] + one["w"] <= other["x"]
        or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"]
        or other["y"] + other["h"] <= one["y"]
    )
    return not apart


def test_no_two_panels_share_an_id_a_title_or_a_place() -> None:
    every = dashboard()["panels"]
    for what in ("id", "title"):
        assert [value for value, count in Counter(panel[what] for panel in every).items() if count > 1] == []
    assert [(a["title"], b["title"]) for a, b in combinations(every, 2) if overlap(a["gridPos"], b["gridPos"])] == []


def test_every_line_of_the_grid_is_full() -> None:
    lines: Counter[int] = Counter()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        for line in range(at["y"], at["y"] + at["h"]):
            lines[line] += at["w"]
    assert {line: width for line, width in lines.items() if width != COLUMNS} == {}
    assert sorted(lines) == list(range(len(lines)))


@SHOWN
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith((".", "?"))
    assert panel["datasource"] == PROMETHEUS
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults.get("unit") or panel["type"] == "state-timeline"
    assert defaults["thresholds"]["steps"][0]["value"] is None
    for target in panel["targets"]:
        assert target["datasource"] == PROMETHEUS
        assert target["legendFormat"]


def test_the_variables_are_a_data_source_and_routes() -> None:
    source, route = dashboard()["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (route["name"], route["multi"], route["includeAll"], route["allValue"]) == ("route", True, True, ".+")
    assert route["query"]["query"] == "label_values(strangler_requests_total, route)"


def test_every_query_about_routes_obeys_the_variable() -> None:
    by_route = [query for query in (*queries(), *marks()) if "route" in query.labels]
    assert by_route
    assert [query.place for query in by_route if query.expression.count('route=~"$route"') < len(query.metrics)] == []


def test_a_ratio_never_divides_by_nothing() -> None:
    ratios = [query for query in queries() if " / " in query.expression]
    assert len(ratios) >= 4
    assert [query.place for query in ratios if " / clamp_min(" not in query.expression] == []
