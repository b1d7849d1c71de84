"""What Prometheus sees. Label sets exist from the start, so that a ratio over a quiet route is 0 and not a gap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from flags.decide import in_force
from flags.flag import WHOLE, Flag, Side
from flags.rollback import Kind, Verdict
from flags.window import Outcome
from proxy.exchange import UNMATCHED, Exchange
from proxy.exposition import Family, Histogram, row, width
from proxy.fallback import REASONS
from proxy.pool import Pool
from proxy.shortfall import Undone
from shadow.yielding import Cause, Pace

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FAILURES = ("5xx", "exception", "timeout", "refused", "broken", "saturated")
COMPARED = ("matched", "mismatched", "ignored", "noise", "unconfirmed", "unchecked", "unanswered")
STATUSES = (200, 201, 304, 400, 401, 404, 500, 502, 503, 504)  # others appear when they occur
OTHERS = "(others)"  # fields
HERE = (200, 400, 405, 408, 414, 431, 505)
UNASKED = "unasked"  # a pair: too many are under way, or the route has had enough
PAIRED = ("native_alone", "legacy_alone", "legacy_unanswered", "alike", "unknown", UNASKED)
DROPS = (
    *("queue_full", "too_large", "encoding", "streaming", "incomplete", "unsafe_method"),
    *("no_side", "spared", "paused", "abandoned", "stopped", "fault", "comparison", "journal"),
)

VERDICTS = {Kind.HEALTHY: 1.0, Kind.INCONCLUSIVE: 2.0, Kind.UNHEALTHY: 3.0}  # 0: there is nothing to judge

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
        self.forced = _counter("forced", "Requests whose side a tester demanded, by decided side", "route", "side")
        self.trips = _counter("trips", "Trips that this worker brought about", "route")
        self.compared = _counter("comparisons", "Comparisons by candidate side", "route", "candidate", "outcome")
        self.ignored = _counter("shadow_ignored", "Differences that a rule covers", "route", "rule")
        self.noise = _counter("shadow_noise", "Differences where the control differs from itself", "route", "field")
        self.drops = _counter("shadow_drops", "Shadow work not done", "route", "reason")
        self.undone = Undone(self.drops)
        about = "What native failed, asked of both sides at once, by who fails alone"
        self.pairs = _counter("shadow_pairs", about, "route", "outcome")
        self.yielding = _gauge("shadow_yielding", "1 while shadow work yields for this", "cause")
        self.upgrades = _counter("upgrades", "WebSocket upgrades by status answered", "status")
        self.here = _counter("answered_here", "What users were told without a side being asked, by status", "status")
        about = "Part of a route's questions that the sides answer differently, at most, with 99 % confidence"
        self.parity = _gauge("parity_bound", about, "route")
        self.webhook_events = _counter("webhook_events", "Trips and resets, told or given up", "webhook", "outcome")
        about = "When a webhook was last known to be told of everything; at first, when this worker began"
        self.webhook_told = _gauge("webhook_told_timestamp_seconds", about, "webhook")
        self._open_tunnels = _gauge("tunnels", "Open WebSocket tunnels")
        self.tunnels = self._open_tunnels.labels()
        self.seconds = Histogram(
            "strangler_request_seconds", "From decision to last byte, by decided side", BOUNDS, "route", "side"
        )
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)  # processor time, memory, open files
        self._live: Callable[[], Iterable[Family]] = tuple
        self.upgrades.labels("101")
        self.paced(Pace())
        for status in HERE:
            self.here.labels(str(status))
        names = (*routes, UNMATCHED)
        self._accounts = {(route, side): Account(self, route, side) for route in names for side in Side}
        for route in names[:-1]:
            self.parity.labels(route).value = 1.0
            self.noise.labels(route, OTHERS)
            for outcome in PAIRED:
                self.pairs.labels(route, outcome)
        for route in names:
            self.fallbacks.labels(route)
            self.trips.labels(route)
            for reason in DROPS:
                self.drops.labels(route, reason)
            for reason in REASONS:
                self.withheld.labels(route, reason)
            for side in Side:
                self.forced.labels(route, side.value)

    def account(self, route: str, side: Side) -> Account:
        """Where the requests are counted for which this side was decided."""
        return self._accounts[route, side]

    def closed(self, exchange: Exchange, outcome: Outcome) -> None:
        self.account(exchange.route, exchange.decision.primary).closed(exchange, outcome)

    def watch(
        self,
        flags: Callable[[], Mapping[str, Flag]],
        verdicts: Callable[[], Mapping[str, Verdict]],
        pools: Mapping[str, Pool],
        states: States,
        holdbacks: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Read these at each scrape: flags and verdicts by route, pools by name, single figures with their helps.

        `holdbacks`: what of each route always stays on legacy.
        """
        knobs = _Knobs(holdbacks)
        self._live = lambda: (
            *knobs.at(flags(), verdicts()),
            _of_pools(pools),
            _of_addresses(pools),
            *_of_states(states),
        )

    def exposition(self) -> bytes:
        return "".join([family.text() for family in self._families()]).encode() + generate_latest(self._process)

    def counted(self) -> bytes:
        """The exposition in short: without counts of 0. Added to what others counted it comes to the same."""
        return "".join([family.moved() for family in self._families()]).encode() + generate_latest(self._process)

    def covered(self, route: str, rule: str, count: int) -> None:
        """So many differences of a route's answers were covered by one of its rules."""
        self.ignored.labels(route, rule).value += count

    def paced(self, pace: Pace) -> None:
        """Shadow work goes on at this pace."""
        self.undone.pace = pace
        for cause in Cause:
            self.yielding.labels(cause.value).value = float(cause in pace.causes)

    def _families(self) -> Iterator[Family | Histogram]:
        yield from (self.requests, self.failures, self.answers, self.fallbacks, self.withheld, self.forced, self.trips)
        yield from (self.compared, self.ignored, self.drops, self.upgrades, self.here, self._open_tunnels, self.seconds)
        yield from (self.webhook_events, self.webhook_told, self.yielding, self.parity, self.noise, self.pairs)
        yield from self._live()


# Where an account's numbers lie: first, and on one line of the processor's cache, what most requests move.
_OK, _OFTEN, _SECONDS = 0, 1, 2
_ENDED = {Outcome.OK: _OK, Outcome.FAILED: _SECONDS + width(BOUNDS), Outcome.EXCLUDED: _SECONDS + width(BOUNDS) + 1}
_ANSWERS = {STATUSES[0]: _OFTEN, **{s: place for place, s in enumerate(STATUSES[1:], _ENDED[Outcome.EXCLUDED] + 1)}}
_PLACES = max(_ANSWERS.values()) + 1


class Account:
    """The numbers of one route and side, in a row of their own."""

    __slots__ = ("_metrics", "_route", "_row", "_side")

    def __init__(self, metrics: Metrics, route: str, side: Side) -> None:
        self._metrics, self._route, self._side = metrics, route, side
        self._row, name = row(_PLACES), side.value
        for outcome, place in _ENDED.items():
            metrics.requests.lay(self._row, place, route, name, outcome.value)
        for status in STATUSES:
            metrics.answers.lay(self._row, _ANSWERS[status], route, name, str(status))
        metrics.seconds.lay(self._row, _SECONDS, route, name)
        for kind in FAILURES:
            metrics.failures.labels(route, name, kind)
        for compared in COMPARED:
            metrics.compared.labels(route, name, compared)

    def closed(self, exchange: Exchange, outcome: Outcome) -> None:
        """A request has ended for which this side was decided."""
        numbers, seconds = self._row, exchange.elapsed
        numbers[_ENDED[outcome]] += 1.0
        if outcome is not Outcome.EXCLUDED:
            numbers[_SECONDS] += seconds
            numbers[_SECONDS + 1 + bisect_left(BOUNDS, seconds)] += 1.0
        if exchange.asked_last is self._side:
            self.answered(exchange.status)
        else:
            self._metrics.account(self._route, exchange.asked_last).answered(exchange.status)
            self._metrics.fallbacks.labels(self._route).inc()
        if exchange.failure is not None:
            self._metrics.failures.labels(self._route, self._side.value, exchange.failure).inc()
        if exchange.withheld is not None:
            self._metrics.withheld.labels(self._route, exchange.withheld).inc()

    def answered(self, status: int) -> None:
        """A user had this from this side; 0 is nothing."""
        place = _ANSWERS.get(status)
        if place is not None:
            self._row[place] += 1.0
        elif status:
            self._metrics.answers.labels(self._route, self._side.value, str(status)).inc()


class _Knobs:
    """What is told of each route's flag and verdict. Kept, for to make the labels takes longer than all the rest."""

    def __init__(self, holdbacks: Mapping[str, int]) -> None:
        self._holdbacks = holdbacks
        self._share = _gauge("share", "Share of subjects that native answers, 0 to 1", "route")
        self._shadow = _gauge("shadow_share", "Share of requests shadowed, 0 to 1", "route")
        self._tripped = _gauge("tripped", "1 while the route is rolled back", "route")
        about = "What the evidence says: 0 nothing to judge, 1 healthy, 2 inconclusive, 3 unhealthy"
        self._verdict = _gauge("verdict", about, "route")

    def at(self, flags: Mapping[str, Flag], verdicts: Mapping[str, Verdict]) -> tuple[Family, ...]:
        for route, flag in flags.items():
            verdict = verdicts.get(route)
            share = in_force(flag.native, self._holdbacks.get(route, 0))
            self._share.labels(route).value = 0.0 if flag.tripped else share / WHOLE
            self._shadow.labels(route).value = flag.shadow / WHOLE
            self._tripped.labels(route).value = float(flag.tripped)
            self._verdict.labels(route).value = VERDICTS[verdict.kind] if verdict is not None else 0.0
        return self._share, self._shadow, self._tripped, self._verdict


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
