"""The dashboard as Prometheus gets to know it: a list of queries, with Grafana's variables filled in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent.parent.parent / "dashboards"
METRIC = re.compile(r"\b(?:strangler|process)_[a-z0-9_]+")
OF_HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, where it stands, and how its series are called."""

    place: str
    expression: str
    legend: str

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(METRIC.findall(self.expression))

    @property
    def labels(self) -> frozenset[str]:
        """The labels that the legend speaks of."""
        return frozenset(re.findall(r"\{\{(\w+)\}\}", self.legend))

    def filled(self, route: str = ".+", within: str = "10m") -> str:
        """As Grafana would ask it, of a time that outlasts the tests."""
        filled = self.expression.replace("$route", route)
        for name in ("$__rate_interval", "$__range", "$__interval"):
            filled = filled.replace(name, within)
        return filled


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DASHBOARDS / "grafana" / "strangler.json").read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    return [
        Query(f"{panel['title']} {target['refId']}", target["expr"], target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]


def marks() -> list[Query]:
    """What is marked on every graph: Grafana calls these annotations."""
    every = dashboard()["annotations"]["list"]
    return [Query(f"annotation {mark['name']}", mark["expr"], mark["textFormat"]) for mark in every]
