"""What is seen of the proxy at its operators' port, as records, and what happened between two of them. No I/O."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
Buckets = tuple[tuple[float, float], ...]  # (upper bound in seconds, requests up to it)


@dataclass(frozen=True, slots=True)
class Served:
    """The requests of one side."""

    ok: int
    failed: int
    buckets: Buckets

    @property
    def answered(self) -> int:
        return self.ok + self.failed

    def __add__(self, more: Served) -> Served:
        buckets = Counter(dict(self.buckets))
        buckets.update(dict(more.buckets))
        return Served(self.ok + more.ok, self.failed + more.failed, tuple(sorted(buckets.items())))

    def __sub__(self, earlier: Served) -> Served:
        before = dict(earlier.buckets)
        buckets = tuple((bound, count - before.get(bound, 0)) for bound, count in self.buckets)
        return Served(self.ok - earlier.ok, self.failed - earlier.failed, buckets)


NOBODY = Served(0, 0, ())


@dataclass(frozen=True, slots=True)
class Trip:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its flag, as it is, and its counts, since the proxy started or between two sights."""

    name: str
    share: float
    shadow: float
    trip: Trip | None
    verdict: str | None
    legacy: Served
    native: Served
    matched: int
    mismatched: int

    def since(self, earlier: Route) -> Route:
        return Route(
            self.name,
            self.share,
            self.shadow,
            self.trip,
            self.verdict,
            self.legacy - earlier.legacy,
            self.native - earlier.native,
            self.matched - earlier.matched,
            self.mismatched - earlier.mismatched,
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """All routes, at one moment; after `since`, what happened in the `seconds` between two."""

    at: float
    routes: Mapping[str, Route]
    native_ready: bool
    seconds: float = 0.0

    def since(self, earlier: Sight) -> Sight:
        routes = {name: route.since(earlier.routes[name]) for name, route in self.routes.items()}
        return Sight(self.at, routes, self.native_ready, self.at - earlier.at)

    @property
    def native_answers(self) -> int:
        return sum(route.native.answered for route in self.routes.values())

    @property
    def matched(self) -> int:
        return sum(route.matched for route in self.routes.values())

    @property
    def compared(self) -> int:
        return self.matched + self.mismatched

    @property
    def mismatched(self) -> int:
        return sum(route.mismatched for route in self.routes.values())


def read(exposition: str, flags: Mapping[str, Any], at: float) -> Sight:
    """The sight that the answers of `/metrics` and `/flags` make."""
    samples: Samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }
    routes = {flag["route"]: _route(flag, samples) for flag in flags["routes"]}
    return Sight(at, routes, _value(samples, "strangler_native_ready") == 1)


def quantile(rank: float, buckets: Buckets) -> float | None:
    """The value below which this part of the requests lies, interpolated within its bucket; None without requests."""
    whole = buckets[-1][1] if buckets else 0
    if whole == 0:
        return None
    wanted, low, below = rank * whole, 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            return low if math.isinf(bound) else low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return low


def _route(flag: Mapping[str, Any], samples: Samples) -> Route:
    name, trip, verdict = flag["route"], flag["trip"], flag["verdict"]
    legacy, native = (_served(samples, name, side) for side in ("legacy", "native"))
    compared = {
        outcome: sum(
            _value(samples, "strangler_comparisons_total", route=name, candidate=side, outcome=outcome)
            for side in ("legacy", "native")
        )
        for outcome in ("matched", "mismatched")
    }
    return Route(
        name,
        0 if trip else flag["inForce"] / 10_000,
        flag["shadow"] / 10_000,
        Trip(trip["at"], trip["reason"]) if trip else None,
        verdict["kind"] if verdict else None,
        legacy,
        native,
        int(compared["matched"]),
        int(compared["mismatched"]),
    )


def _served(samples: Samples, route: str, side: str) -> Served:
    of = {"route": route, "side": side}
    ok, failed = (_value(samples, "strangler_requests_total", **of, outcome=outcome) for outcome in ("ok", "failed"))
    buckets = [
        (float(dict(labels)["le"]), count)
        for (name, labels), count in samples.items()
        if name == "strangler_request_seconds_bucket" and of.items() <= dict(labels).items()
    ]
    return Served(int(ok), int(failed), tuple(sorted(buckets)))


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)
