"""What Prometheus sees. Label sets exist from the start, so that a ratio over a quiet route is 0 and not a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from flags.flag import WHOLE, Flag, Side
from flags.window import Outcome
from proxy.exchange import UNMATCHED, Exchange
from proxy.pool import Pool

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FAILURES = ("5xx", "exception", "timeout", "refused", "broken", "saturated")
COMPARED = ("matched", "mismatched", "ignored", "unconfirmed")
STATUSES = ("200", "201", "304", "400", "401", "404", "500", "502", "503", "504")  # others appear when they occur
DROPS = (
    *("queue_full", "too_large", "encoding", "streaming", "incomplete", "unsafe_method"),
    *("no_side", "abandoned", "stopped", "fault", "journal"),
)

# Every counter would be followed by a series with the time it began, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped


class Metrics:
    """This worker's counts. `requests` go by the side that was decided, `answers` by the side that was asked last."""

    def __init__(self, routes: Iterable[str]) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"strangler_{name}", about, labels, registry=self.registry)

        self.requests = counter("requests", "Requests by decided side and outcome", "route", "side", "outcome")
        self.failures = counter("failures", "How the decided side failed", "route", "side", "kind")
        self.answers = counter("answers", "What users were answered", "route", "side", "status")
        self.fallbacks = counter("fallbacks", "Native failures answered by legacy in the same request", "route")
        self.trips = counter("trips", "Trips that this worker brought about", "route")
        self.compared = counter("comparisons", "Comparisons by candidate side", "route", "candidate", "outcome")
        self.drops = counter("shadow_drops", "Shadow work not done", "route", "reason")
        self.upgrades = counter("upgrades", "WebSocket upgrades by status answered", "status")
        self.tunnels = Gauge("strangler_tunnels", "Open WebSocket tunnels", registry=self.registry)
        self.seconds = Histogram(
            "strangler_request_seconds",
            "From decision to last byte, by decided side",
            ("route", "side"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        # `labels` takes a lock and builds strings at each call: find each child once.
        self._counter = lru_cache(maxsize=None)(lambda metric, *labels: metric.labels(*labels))
        self.upgrades.labels("101")
        for route in (*routes, UNMATCHED):
            self._prepare(route)

    def _prepare(self, route: str) -> None:
        self.fallbacks.labels(route)
        self.trips.labels(route)
        for side in Side:
            self.seconds.labels(route, side.value)
            for outcome in Outcome:
                self.requests.labels(route, side.value, outcome.value)
            for kind in FAILURES:
                self.failures.labels(route, side.value, kind)
            for compared in COMPARED:
                self.compared.labels(route, side.value, compared)
            for status in STATUSES:
                self.answers.labels(route, side.value, status)
        for reason in DROPS:
            self.drops.labels(route, reason)

    def closed(self, exchange: Exchange, outcome: Outcome) -> None:
        route, side, child = exchange.route, exchange.decision.primary.value, self._counter
        child(self.requests, route, side, outcome.value).inc()
        if outcome is not Outcome.EXCLUDED:
            child(self.seconds, route, side).observe(exchange.elapsed)
        if exchange.failure is not None:
            child(self.failures, route, side, exchange.failure).inc()
        if exchange.status:
            child(self.answers, route, exchange.asked_last.value, str(exchange.status)).inc()
        if exchange.fallback:
            child(self.fallbacks, route).inc()

    def watch(
        self,
        flags: Callable[[], Mapping[str, Flag]],
        pools: Mapping[str, Pool],
        states: Mapping[str, tuple[str, Callable[[], float]]],
    ) -> None:
        """Read these at each scrape: flags by route, pools by name, and single figures by name, each with its help."""
        self.registry.register(_Live(flags, pools, states))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Live(Collector):
    def __init__(
        self,
        flags: Callable[[], Mapping[str, Flag]],
        pools: Mapping[str, Pool],
        states: Mapping[str, tuple[str, Callable[[], float]]],
    ) -> None:
        self._flags, self._pools, self._states = flags, pools, states

    def collect(self) -> Iterable[Metric]:
        share = GaugeMetricFamily("strangler_share", "Share of subjects that native answers, 0 to 1", labels=["route"])
        shadow = GaugeMetricFamily("strangler_shadow_share", "Share of requests shadowed, 0 to 1", labels=["route"])
        tripped = GaugeMetricFamily("strangler_tripped", "1 while the route is rolled back", labels=["route"])
        for route, flag in self._flags().items():
            share.add_metric([route], 0 if flag.tripped else flag.native / WHOLE)
            shadow.add_metric([route], flag.shadow / WHOLE)
            tripped.add_metric([route], flag.tripped)
        pool = GaugeMetricFamily(
            "strangler_pool", "Connections to a side, and requests waiting for one", labels=["pool", "state"]
        )
        for name, of in self._pools.items():
            pool.add_metric([name, "busy"], of.opened - of.idle)
            pool.add_metric([name, "idle"], of.idle)
            pool.add_metric([name, "waiting"], of.waiting)
        yield from (share, shadow, tripped, pool)
        for name, (about, value) in self._states.items():
            yield GaugeMetricFamily(f"strangler_{name}", about, value=value())
