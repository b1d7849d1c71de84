from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flags.decide import Decision, Reason
from flags.flag import Flag, Side, Trip
from flags.rollback import Kind, Verdict
from flags.window import Outcome
from proxy.address import Address
from proxy.dial import Dial
from proxy.exchange import UNMATCHED, Exchange
from proxy.fallback import REASONS
from proxy.metrics import COMPARED, DROPS, FAILURES, STATUSES, Metrics
from proxy.pool import Limits, Pool
from shadow.yielding import Cause, Pace
from tests.proxy.process import PROCESS, without_process

SERVED = Exchange("read", Decision(Side.NATIVE, False, Reason.SHARE), 1, 0.5, 200, Side.NATIVE)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["read", "write"])


def series(metrics: Metrics) -> Series:
    """All but what is told of the process."""
    return {key: value for key, value in _samples(metrics.exposition()) if key[0] not in PROCESS}


def _samples(exposition: bytes) -> Iterator[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            yield (sample.name, tuple(sorted(sample.labels.items()))), sample.value


def changed(before: Series, after: Series) -> Series:
    return {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key, 0.0)}


def named(found: Series, name: str) -> list[dict[str, str]]:
    return [dict(labels) for (of, labels) in found if of == name]


def test_every_series_of_a_route_is_there_before_its_first_request(metrics: Metrics) -> None:
    found = series(metrics)
    sides = {"legacy", "native"}
    for route in ("read", "write", UNMATCHED):
        for name, label, values in (
            ("strangler_requests_total", "outcome", {"ok", "failed", "excluded"}),
            ("strangler_failures_total", "kind", set(FAILURES)),
            ("strangler_comparisons_total", "outcome", set(COMPARED)),
            ("strangler_answers_total", "status", {str(status) for status in STATUSES}),
        ):
            here = [labels for labels in named(found, name) if labels["route"] == route]
            assert {labels[label] for labels in here} == values
            assert len(here) == len(values) * len(sides)
        assert {"route": route} in named(found, "strangler_fallbacks_total")
        withheld = named(found, "strangler_fallbacks_withheld_total")
        assert {labels["reason"] for labels in withheld if labels["route"] == route} == set(REASONS)
        assert {"route": route} in named(found, "strangler_trips_total")
        assert {"route": route, "side": "native", "le": "+Inf"} in named(found, "strangler_request_seconds_bucket")
        assert {x["reason"] for x in named(found, "strangler_shadow_drops_total") if x["route"] == route} == set(DROPS)
    assert all(value == 0 for (name, _), value in found.items() if name.endswith("_total"))


def test_a_request_is_counted_where_it_was_decided_and_where_it_was_answered(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.closed(replace(SERVED, asked_last=Side.LEGACY, failure="timeout"), Outcome.FAILED)
    moved = changed(before, series(metrics))
    native = (("route", "read"), ("side", "native"))
    assert moved["strangler_requests_total", (("outcome", "failed"), *native)] == 1
    assert moved["strangler_failures_total", (("kind", "timeout"), *native)] == 1
    assert moved["strangler_answers_total", (("route", "read"), ("side", "legacy"), ("status", "200"))] == 1
    assert moved["strangler_fallbacks_total", (("route", "read"),)] == 1
    assert moved["strangler_request_seconds_count", native] == 1
    assert moved["strangler_request_seconds_sum", native] == 0.5


def test_a_request_that_nobody_waited_for_is_no_answer_and_has_no_duration(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.closed(replace(SERVED, status=0, left=True), Outcome.EXCLUDED)
    moved = changed(before, series(metrics))
    assert moved == {("strangler_requests_total", (("outcome", "excluded"), ("route", "read"), ("side", "native"))): 1}


def test_a_failure_that_legacy_was_not_asked_is_counted_by_the_reason(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.closed(replace(SERVED, status=504, failure="timeout", withheld="ambiguous"), Outcome.FAILED)
    moved = changed(before, series(metrics))
    assert moved["strangler_fallbacks_withheld_total", (("reason", "ambiguous"), ("route", "read"))] == 1
    assert ("strangler_fallbacks_total", (("route", "read"),)) not in moved


def test_a_failure_of_a_kind_that_is_new_appears_when_it_occurs(metrics: Metrics) -> None:
    metrics.closed(replace(SERVED, failure="overload"), Outcome.FAILED)
    labels = (("kind", "overload"), ("route", "read"), ("side", "native"))
    assert series(metrics)["strangler_failures_total", labels] == 1


def test_what_other_rooms_count_is_under_the_labels_that_they_name(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.compared.labels("read", "native", "matched").inc()
    metrics.drops.labels("write", "queue_full").inc()
    metrics.trips.labels("read").inc()
    metrics.upgrades.labels("502").inc()
    metrics.tunnels.inc()
    metrics.tunnels.inc()
    metrics.tunnels.dec()
    assert changed(before, series(metrics)) == {
        ("strangler_comparisons_total", (("candidate", "native"), ("outcome", "matched"), ("route", "read"))): 1,
        ("strangler_shadow_drops_total", (("reason", "queue_full"), ("route", "write"))): 1,
        ("strangler_trips_total", (("route", "read"),)): 1,
        ("strangler_upgrades_total", (("status", "502"),)): 1,
        ("strangler_tunnels", ()): 1,
    }


def test_a_status_that_is_rare_appears_when_it_occurs(metrics: Metrics) -> None:
    metrics.closed(replace(SERVED, status=418), Outcome.OK)
    metrics.closed(replace(SERVED, status=418), Outcome.OK)
    labels = (("route", "read"), ("side", "native"), ("status", "418"))
    assert series(metrics)["strangler_answers_total", labels] == 2


def test_the_short_text_holds_all_that_is_not_zero(metrics: Metrics) -> None:
    metrics.closed(replace(SERVED, failure="timeout", asked_last=Side.LEGACY), Outcome.FAILED)
    whole, short = without_process(metrics.exposition()), without_process(metrics.counted())
    assert [line for line in whole if line in short] == short
    assert {line for line in whole if not line.endswith(" 0.0") and not line.startswith("#")} <= set(short)
    assert 'strangler_requests_total{outcome="ok",route="read",side="native"} 0.0' not in short


@pytest.mark.parametrize("told", [Metrics.exposition, Metrics.counted])
def test_what_the_process_uses_is_told_too(told: Callable[[Metrics], bytes], metrics: Metrics) -> None:
    found = {name: value for (name, _), value in _samples(told(metrics)) if not name.startswith("strangler_")}
    assert found.keys() == PROCESS
    assert found["process_open_fds"] == len(os.listdir("/proc/self/fd"))
    assert found["process_max_fds"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert found["process_virtual_memory_bytes"] > found["process_resident_memory_bytes"] > 0


def test_why_shadow_work_yields_is_told_of_every_cause_there_is(metrics: Metrics) -> None:
    def told() -> dict[str, float]:
        return {
            dict(labels)["cause"]: value
            for (name, labels), value in series(metrics).items()
            if name == "strangler_shadow_yielding"
        }

    quiet = {cause.value: 0.0 for cause in Cause}
    assert told() == quiet
    metrics.paced(Pace(0.5, frozenset({Cause.LEGACY_SLOW})))
    assert told() == {**quiet, "legacy_slow": 1.0}
    metrics.paced(Pace(0.55))
    assert told() == quiet


def test_flags_pools_and_states_are_read_at_each_scrape(metrics: Metrics) -> None:
    flags = {"read": Flag(native=2500, shadow=10_000), "write": Flag(native=500, trip=Trip(1.0, "too many errors"))}
    pool, queued = Pool(Dial("legacy", [Address("127.0.0.1", 1)]), Limits()), [3]
    metrics.watch(lambda: flags, dict, {"legacy": pool}, {"shadow_queue": ("Waiting", lambda: queued[0])})
    found = series(metrics)
    assert found["strangler_share", (("route", "read"),)] == 0.25
    assert found["strangler_shadow_share", (("route", "read"),)] == 1
    assert found["strangler_share", (("route", "write"),)] == 0  # tripped: whatever the flag says
    assert found["strangler_tripped", (("route", "write"),)] == 1
    assert found["strangler_shadow_queue", ()] == 3
    assert {labels["state"] for labels in named(found, "strangler_pool")} == {"busy", "idle", "waiting"}
    queued[0], flags["read"], pool.opened = 4, Flag(), 2
    found = series(metrics)
    assert (found["strangler_shadow_queue", ()], found["strangler_share", (("route", "read"),)]) == (4, 0)
    assert found["strangler_pool", (("pool", "legacy"), ("state", "busy"))] == 2


def test_the_share_that_is_told_is_the_one_in_force(metrics: Metrics) -> None:
    flags = {"read": Flag(native=10_000), "write": Flag(native=500)}
    metrics.watch(lambda: flags, dict, {}, {}, {"read": 200, "write": 200})
    found = series(metrics)
    assert [found["strangler_share", (("route", route),)] for route in flags] == [0.98, 0.05]


def test_a_verdict_is_told_for_every_route_as_a_number(metrics: Metrics) -> None:
    flags, verdicts = {"read": Flag(native=2500), "write": Flag()}, {"read": Verdict(Kind.INCONCLUSIVE, "too few")}
    metrics.watch(lambda: flags, lambda: verdicts, {}, {})

    def told(route: str) -> float:
        return series(metrics)["strangler_verdict", (("route", route),)]

    assert (told("read"), told("write")) == (2, 0)
    verdicts["read"] = Verdict(Kind.UNHEALTHY, "native failed 41 of 310")
    assert told("read") == 3
    verdicts["read"] = Verdict(Kind.HEALTHY, "native failed 0 of 310")
    assert told("read") == 1


async def test_each_address_of_a_side_is_up_or_down_once_however_many_pools_lead_there(metrics: Metrics) -> None:
    nobody, path = Address("127.0.0.1", 1), Address("", 0, path="/run/puma.sock")
    dial = Dial("legacy", [nobody, path])
    metrics.watch(dict, dict, {"legacy": Pool(dial, Limits()), "legacy_shadow": Pool(dial, Limits())}, {})

    await dial.look([nobody])
    told = {labels: value for (name, labels), value in series(metrics).items() if name == "strangler_upstream_up"}
    assert told == {
        (("address", str(nobody)), ("side", "legacy")): 0,
        (("address", str(path)), ("side", "legacy")): 1,
    }
