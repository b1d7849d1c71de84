"""The alerts: sound, about metrics that exist, fired by what they name and by nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from demo.service import run
from demo.stack import INHERITED
from proxy.metrics import Metrics
from tests.dashboards.grafana import DASHBOARDS, METRIC

PROMETHEUS = DASHBOARDS / "prometheus"
RUNBOOK = DASHBOARDS.parent / "docs" / "runbook.md"


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = pytest.mark.parametrize("alert", rules("alerts.yml"), ids=lambda alert: alert["alert"])


def anchors() -> set[str]:
    """The runbook's headings as a link names them."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower().replace("'", "-")).replace(" ", "-") for heading in headings}


def test_each_alert_is_fired_by_what_it_names_and_by_nothing_else() -> None:
    run("promtool", ["promtool", "test", "rules", "alerts_test.yml"], environment=INHERITED, directory=PROMETHEUS)


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in cases for case in test.get("alert_rule_test", ()) if case.get("exp_alerts")}
    assert fired == {alert["alert"] for alert in rules("alerts.yml")}


def test_no_rule_reads_a_metric_that_nobody_writes() -> None:
    metrics = Metrics(["read"])
    metrics.watch(dict, dict, {}, {})
    exposed = set(re.findall(r"^# TYPE (\S+) ", metrics.exposition().decode(), re.MULTILINE))
    states = {"strangler_native_ready", "strangler_store_connected"}  # tests/dashboards/test_queries.py reads them
    states |= {"strangler_rollback_unproved"}  # that one too
    states |= {"strangler_unleash_connected", "strangler_unleash_refused"}  # tests/e2e/test_unleash.py does
    read = {
        name
        for file in ("alerts.yml", "recording.yml")
        for rule in rules(file)
        for name in METRIC.findall(rule["expr"])
    }
    assert read
    assert read <= exposed | states


@ALERTS
def test_an_alert_says_what_happened_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    told = alert["annotations"]
    assert told["description"].endswith(".")
    path, _, anchor = told["runbook_url"].partition("#")
    assert path == "docs/runbook.md"
    assert anchor in anchors()


def test_the_example_of_alertmanager_knows_every_severity_and_names_no_alert_that_is_not() -> None:
    example = yaml.safe_load((DASHBOARDS / "alertmanager" / "alertmanager.yml").read_text())
    receivers = {receiver["name"] for receiver in example["receivers"]}
    assert {example["route"]["receiver"], *(route["receiver"] for route in example["route"]["routes"])} == receivers
    named = set(re.findall(r"Strangler\w+", yaml.safe_dump(example["inhibit_rules"])))
    assert named <= {alert["alert"] for alert in rules("alerts.yml")}
