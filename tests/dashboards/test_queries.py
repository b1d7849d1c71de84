"""Every query of the dashboard, asked of a real Prometheus that scrapes a real proxy over real sides."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest
import yaml

from demo.service import LOOPBACK, Service, await_ready, free_port, launch, run
from demo.stack import INHERITED, Application
from tests.dashboards.grafana import DASHBOARDS, OF_HISTOGRAM, Query, marks, queries
from tests.e2e.proxies import Proxy, running, until
from tests.parity import tokens

BUSY, QUIET, TRIPPED, UNMATCHED = "conversations.list", "messages.list", "messages.create", "unmatched"
ROUTES = {BUSY, QUIET, TRIPPED, UNMATCHED}
SIDES = {"legacy", "native"}
CONFIG = {
    "shadow": {"queue": 1},
    "routes": [
        {"name": BUSY, "match": "GET /api/v1/conversations", "shadow": "100%"},
        {"name": QUIET, "match": "GET /api/v1/conversations/{id}/messages"},
        {"name": TRIPPED, "match": "POST /api/v1/messages"},
    ],
}
ROUNDS = 20
QUERIES = queries()
NOT_SHOWN = {
    "process_virtual_memory_bytes",  # addresses that are reserved say nothing of memory that is used
    "process_start_time_seconds",  # of several workers the oldest one's: their starts are in the log
}
BY_ROUTE = [query for query in QUERIES if "route" in query.labels]

Series = dict[frozenset[tuple[str, str]], float]


@dataclass(frozen=True, slots=True)
class Prometheus:
    service: Service
    client: httpx.Client

    def ask(self, expression: str) -> Series:
        """The value of each series, by its labels."""
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        return {frozenset(each["metric"].items()): float(each["value"][1]) for each in answer["data"]["result"]}

    def await_that(self, expression: str) -> None:
        """Return once the expression holds."""
        await_ready(self.service, lambda: bool(self.ask(expression)), within=60)


@pytest.fixture(scope="module")
def proxy(rails: Service, application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("sight")
    (directory / "secret").write_text("0123456789abcdef" * 2)
    hook = {"url": f"http://{LOOPBACK}:{free_port()}/hook", "secret": str(directory / "secret")}  # nobody is there
    sides = {"legacy": {"url": rails.url}, "native": {"app": "handlers.app:app"}}
    with running(directory, {**CONFIG, **sides, "webhooks": [hook]}, application.environment()) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        yield proxy


@pytest.fixture(scope="module")
def prometheus(
    proxy: Proxy, application: Application, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus with our own example of a configuration, after traffic over both sides, a comparison and a trip."""
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((DASHBOARDS / "prometheus" / "prometheus.yml").read_text())
    # The tests have no time to lose; but what takes longer than this has failed, and its series are gone for a while.
    config["global"]["scrape_interval"] = "2s"
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{LOOPBACK}:{proxy.admin.base_url.port}"]
    itself = {"job_name": "prometheus", "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]}
    config["scrape_configs"].append(itself)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    service = launch(
        "prometheus",
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        port=port,
        log=directory / "prometheus.log",
        environment=INHERITED,
    )
    with service, httpx.Client(base_url=service.url, timeout=30) as client:
        await_ready(service, lambda: _is_ready(client))
        prometheus = Prometheus(service, client)
        prometheus.await_that("strangler_requests_total")  # a first scrape, so that what follows is an increase
        make_traffic(proxy, application)
        prometheus.await_that(f'sum(rate(strangler_requests_total{{route="{BUSY}"}}[10m])) > 0')
        prometheus.await_that(f"sum(strangler_comparisons_total) >= {2 * ROUNDS}")
        prometheus.await_that("sum(increase(strangler_trips_total[10m])) > 0")
        prometheus.await_that('process_open_fds{job="prometheus"}')
        yield prometheus


def make_traffic(proxy: Proxy, application: Application) -> None:
    agent = {"Authorization": tokens.authorizations(application.jwt_secret, int(time.time()))["agent"]}
    for asked, share in enumerate(("0%", "100%")):
        proxy.order("set", BUSY, share)
        for each in range(ROUNDS):
            path = f"/api/v1/conversations?limit={each + 1}"
            assert proxy.users.get(path, headers=agent).status_code == 200
            until(proxy, partial(_has_compared, proxy, ROUNDS * asked + each + 1))
    assert proxy.users.get("/nowhere").status_code == 404
    proxy.order("rollback", TRIPPED)


def _has_compared(proxy: Proxy, number: int) -> bool:
    return proxy.metric("strangler_comparisons_total") == number


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def place(query: Query) -> str:
    return query.place


def values(series: Series, **labels: str) -> list[float]:
    return [value for found, value in series.items() if labels.items() <= dict(found).items()]


@pytest.mark.parametrize("query", QUERIES, ids=place)
def test_a_query_returns_series_with_the_labels_of_its_legend_and_no_gaps(query: Query, prometheus: Prometheus) -> None:
    series = prometheus.ask(query.filled())
    assert series
    for labels, value in series.items():
        assert value >= 0, f"{labels}: {value} would be a gap"
        assert query.labels <= dict(labels).keys()


@pytest.mark.parametrize("query", BY_ROUTE, ids=place)
def test_a_query_by_route_shows_quiet_routes_as_zero_and_only_chosen_ones(query: Query, prometheus: Prometheus) -> None:
    configured = ROUTES if "_total" in query.expression or "_seconds" in query.expression else ROUTES - {UNMATCHED}
    assert {dict(labels)["route"] for labels in prometheus.ask(query.filled())} == configured
    quiet = prometheus.ask(query.filled(route=QUIET))
    assert {dict(labels)["route"] for labels in quiet} == {QUIET}
    unknown = "_bound" in query.expression  # of what nobody has compared, anything may be true
    assert set(quiet.values()) == {1.0 if unknown else 0.0}
    chosen = prometheus.ask(query.filled(route=f"({re.escape(BUSY)}|{re.escape(QUIET)})".replace("\\", "\\\\")))
    assert {dict(labels)["route"] for labels in chosen} == {BUSY, QUIET}


@pytest.mark.parametrize("query", marks(), ids=place)
def test_a_trip_is_marked_on_every_graph(query: Query, prometheus: Prometheus) -> None:
    series = prometheus.ask(query.filled())
    assert [dict(labels) for labels in series] == [{"route": TRIPPED}]


def test_the_figures_are_those_of_the_traffic(prometheus: Prometheus) -> None:
    def shown(title: str, **labels: str) -> list[float]:
        query = next(query for query in queries() if query.place == f"{title} A")
        return values(prometheus.ask(query.filled()), **labels)

    for side in sorted(SIDES):
        (rate,) = shown("Requests by side", route=BUSY, side=side)
        assert rate > 0
        assert shown("Error rate", route=BUSY, side=side) == [0]
        half, most, nearly_all = (
            shown(f"Duration, {name}", route=BUSY, side=side)[0] for name in ("p50", "p95", "p99")
        )
        assert 0 < half <= most <= nearly_all
    assert shown("Share of native", route=BUSY) == [1]
    assert shown("Share shadowed", route=BUSY) == [1]
    assert shown("Routes tripped") == [1]
    assert shown("Trips over time", route=TRIPPED) == [1]
    assert shown("Trips", route=TRIPPED)[0] > 0
    assert shown("Flags' store") == shown("Native") == [1]
    assert shown("Mismatches") == shown("Users answered 5xx") == [0]
    assert shown("Comparisons by outcome", outcome="matched")[0] > 0
    assert shown("Answers by status", status="200")[0] > 0
    assert shown("Answers by status", status="404")[0] > 0
    assert len(shown("Connections to the sides", pool="legacy")) == 2
    assert shown("Memory")[0] > 10_000_000
    assert 0 < shown("Open files")[0] < 1


def test_the_routes_to_choose_from_are_those_of_the_configuration(prometheus: Prometheus) -> None:
    answer = prometheus.client.get("/api/v1/label/route/values", params={"match[]": "strangler_requests_total"})
    assert set(answer.json()["data"]) == ROUTES


@pytest.mark.parametrize("query", [query for query in QUERIES if "process_" in query.expression], ids=place)
def test_a_query_about_processes_speaks_of_proxies_only(query: Query, proxy: Proxy, prometheus: Prometheus) -> None:
    """Whatever else is scraped tells of its process by the same names: here Prometheus itself does."""
    for metric in (metric for metric in query.metrics if metric.startswith("process_")):
        assert {dict(labels)["job"] for labels in prometheus.ask(metric)} == {"strangler", "prometheus"}
    series = prometheus.ask(query.filled())
    assert [dict(labels)["instance"] for labels in series] == [f"{LOOPBACK}:{proxy.admin.base_url.port}"]


def test_every_metric_of_the_proxy_is_on_the_dashboard_and_no_other(proxy: Proxy) -> None:
    exposed = set(re.findall(r"^# TYPE (\S+) ", proxy.admin.get("/metrics").text, re.MULTILINE))
    shown = {metric for query in (*queries(), *marks()) for metric in query.metrics}
    assert {OF_HISTOGRAM.sub("", metric) for metric in shown} == exposed - NOT_SHOWN
    assert exposed >= NOT_SHOWN


def test_the_example_of_a_prometheus_configuration_is_sound() -> None:
    example = DASHBOARDS / "prometheus" / "prometheus.yml"
    run("promtool", ["promtool", "check", "config", example], environment=INHERITED, directory=DASHBOARDS)
