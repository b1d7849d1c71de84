"""What Prometheus sees. Label sets exist from the start, so that a ratio over a quiet route is 0 and not a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from flags.flag import WHOLE, Flag, Side
from flags.window import Outcome
from proxy.exchange import UNMATCHED, Exchange
from proxy.exposition import Durations, Family, Histogram, Number
from proxy.fallback import REASONS
from proxy.pool import Pool

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FAILURES = ("5xx", "exception", "timeout", "refused", "broken", "saturated")
COMPARED = ("matched", "mismatched", "ignored", "unconfirmed")
STATUSES = (200, 201, 304, 400, 401, 404, 500, 502, 503, 504)  # others appear when they occur
DROPS = (
    *("queue_full", "too_large", "encoding", "streaming", "incomplete", "unsafe_method"),
    *("no_side", "abandoned", "stopped", "fault", "journal"),
)

States = Mapping[str, tuple[str, Callable[[], float]]]


def _counter(name: str, about: str, *labels: str) -> Family:
    return Family("counter", f"strangler_{name}_total", about, *labels)


def _gauge(name: str, about: str, *labels: str) -> Family:
    return Family("gauge", f"strangler_{name}", about, *labels)


class Metrics:
    """This worker's counts. `requests` go by the side that was decided, `answers` by the side that was asked last."""

    def __init__(self, routes: Iterable[str]) -> None:
        self.requests = _counter("requests", "Requests by decided side and outcome", "route", "side", "outcome")
        self.failures = _counter("failures", "How the decided side failed", "route", "side", "kind")
        self.answers = _counter("answers", "What users were answered", "route", "side", "status")
        self.fallbacks = _counter("fallbacks", "Native failures answered by legacy in the same request", "route")
        self.withheld = _counter("fallbacks_withheld", "Native failures that legacy was not asked", "route", "reason")
        self.trips = _counter("trips", "Trips that this worker brought about", "route")
        self.compared = _counter("comparisons", "Comparisons by candidate side", "route", "candidate", "outcome")
        self.drops = _counter("shadow_drops", "Shadow work not done", "route", "reason")
        self.upgrades = _counter("upgrades", "WebSocket upgrades by status answered", "status")
        self._open_tunnels = _gauge("tunnels", "Open WebSocket tunnels")
        self.tunnels = self._open_tunnels.labels()
        self.seconds = Histogram(
            "strangler_request_seconds", "From decision to last byte, by decided side", BOUNDS, "route", "side"
        )
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)  # processor time, memory, open files
        self._live: Callable[[], Iterable[Family]] = tuple
        self.upgrades.labels("101")
        names = (*routes, UNMATCHED)
        self._accounts = {route: {side: _Account(self, route, side) for side in Side} for route in names}
        for route in names:
            self.fallbacks.labels(route)
            self.trips.labels(route)
            for reason in DROPS:
                self.drops.labels(route, reason)
            for reason in REASONS:
                self.withheld.labels(route, reason)

    def closed(self, exchange: Exchange, outcome: Outcome) -> None:
        accounts, decided, asked_last = self._accounts[exchange.route], exchange.decision.primary, exchange.asked_last
        account = accounts[decided]
        account.ended[outcome].value += 1.0
        if outcome is not Outcome.EXCLUDED:
            account.seconds.observe(exchange.elapsed)
        if exchange.failure is not None:
            self.failures.labels(exchange.route, decided.value, exchange.failure).inc()
        status = exchange.status
        if status:
            answer = accounts[asked_last].answers.get(status)
            if answer is None:
                answer = self.answers.labels(exchange.route, asked_last.value, str(status))
            answer.value += 1.0
        if asked_last is not decided:
            self.fallbacks.labels(exchange.route).inc()
        if exchange.withheld is not None:
            self.withheld.labels(exchange.route, exchange.withheld).inc()

    def watch(self, flags: Callable[[], Mapping[str, Flag]], pools: Mapping[str, Pool], states: States) -> None:
        """Read these at each scrape: flags by route, pools by name, and single figures by name, each with its help."""
        self._live = lambda: (*_of_flags(flags()), _of_pools(pools), _of_addresses(pools), *_of_states(states))

    def exposition(self) -> bytes:
        return "".join([family.text() for family in self._families()]).encode() + generate_latest(self._process)

    def counted(self) -> bytes:
        """The exposition in short: without counts of 0. Added to what others counted it comes to the same."""
        return "".join([family.moved() for family in self._families()]).encode() + generate_latest(self._process)

    def _families(self) -> Iterator[Family | Histogram]:
        yield from (self.requests, self.failures, self.answers, self.fallbacks, self.withheld, self.trips)
        yield from (self.compared, self.drops, self.upgrades, self._open_tunnels, self.seconds)
        yield from self._live()


class _Account:
    """The numbers of one route and side that most requests move, found once."""

    __slots__ = ("answers", "ended", "seconds")

    def __init__(self, metrics: Metrics, route: str, side: Side) -> None:
        name = side.value
        self.ended: dict[Outcome, Number] = {o: metrics.requests.labels(route, name, o.value) for o in Outcome}
        self.answers: dict[int, Number] = {s: metrics.answers.labels(route, name, str(s)) for s in STATUSES}
        self.seconds: Durations = metrics.seconds.labels(route, name)
        for kind in FAILURES:
            metrics.failures.labels(route, name, kind)
        for compared in COMPARED:
            metrics.compared.labels(route, name, compared)


def _of_flags(flags: Mapping[str, Flag]) -> tuple[Family, Family, Family]:
    share = _gauge("share", "Share of subjects that native answers, 0 to 1", "route")
    shadow = _gauge("shadow_share", "Share of requests shadowed, 0 to 1", "route")
    tripped = _gauge("tripped", "1 while the route is rolled back", "route")
    for route, flag in flags.items():
        share.labels(route).value = 0.0 if flag.tripped else flag.native / WHOLE
        shadow.labels(route).value = flag.shadow / WHOLE
        tripped.labels(route).value = float(flag.tripped)
    return share, shadow, tripped


def _of_pools(pools: Mapping[str, Pool]) -> Family:
    found = _gauge("pool", "Connections to a side, and requests waiting for one", "pool", "state")
    for name, pool in pools.items():
        for state, number in (("busy", pool.opened - pool.idle), ("idle", pool.idle), ("waiting", pool.waiting)):
            found.labels(name, state).value = float(number)
    return found


def _of_addresses(pools: Mapping[str, Pool]) -> Family:
    found = _gauge("upstream_up", "1 while an address of a side takes connections", "side", "address")
    for side, up in {pool.dial.side: pool.dial.up for pool in pools.values()}.items():
        for address, is_up in up.items():
            found.labels(side, address).value = float(is_up)
    return found


def _of_states(states: States) -> Iterator[Family]:
    for name, (about, value) in states.items():
        found = _gauge(name, about)
        found.labels().value = float(value())
        yield found
