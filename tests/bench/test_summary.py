from __future__ import annotations

from typing import Any

from bench.passthrough import summary


def run(
    peer: str, rate: float, p50: float = 1.0, p99: float = 2.0, busy: float = 1.0, errors: int = 0
) -> dict[str, Any]:
    used = {"cpu_us": busy / rate * 1e6, "busy": busy, "origin_busy": 0.5, "wrk_busy": 0.5, "others_busy": 0.0}
    return {"load": "c=32", "peer": peer, "rate": rate, "p50": p50, "p90": p99, "p99": p99, "errors": errors, **used}


def peers(**changed: dict[str, Any]) -> dict[str, dict[str, float]]:
    runs = {
        summary.DIRECT: run(summary.DIRECT, 90_000, p50=0.1),
        summary.NGINX: run(summary.NGINX, 60_000, p50=0.3),
        summary.RELAY: run(summary.RELAY, 30_000, p50=0.5),
        summary.AIOHTTP: run(summary.AIOHTTP, 10_000),
        summary.FASTAPI: run(summary.FASTAPI, 500),
    } | changed
    return summary.by_peer(runs.values(), "c=32")


def test_medians_are_taken_by_peer_and_load_and_errors_are_summed() -> None:
    runs = [run("nginx", rate, errors=1) for rate in (3.0, 1.0, 2.0)] + [{**run("nginx", 9.0), "load": "c=1"}]
    found = summary.by_peer(runs, "c=32")
    assert (found["nginx"]["rate"], found["nginx"]["errors"]) == (2.0, 3)


def test_targets_compare_with_nginx_and_the_python_proxies() -> None:
    told = summary.targets(peers(), peers())
    assert [(target["figure"], target["met"]) for target in told.values()] == [
        (0.5, True), (1.0, True), (2.0, True), (60.0, True), (3.0, True), (0, True),
    ]  # fmt: skip


def test_one_failed_request_misses_the_target() -> None:
    told = summary.targets(peers(), peers(**{summary.RELAY: run(summary.RELAY, 30_000, p50=0.5, errors=1)}))
    assert told["failed requests"] == {"figure": 1, "target": 0, "met": False}


def test_two_workers_may_cost_a_tenth_more() -> None:
    each = summary.CORE_EACH
    runs = [
        {"round": round_, "cores": cores, "workers": number, "cpu_us": cost, "errors": 0}
        for round_, cores, *costs in ((1, each, 20.0, 22.0), (2, each, 40.0, 44.0), (1, summary.ONE_CORE, 20.0, 25.0))
        for number, cost in enumerate(costs, 1)
    ]
    told = summary.workers_target(runs)
    assert told["processor time a request with 2 workers, of 1"] == {"figure": 1.1, "target": 1.1, "met": True}
    assert told["the same where both have one core"] == {"figure": 1.25, "target": 1.1, "met": False}


def test_a_proxy_that_the_load_cannot_keep_busy_is_remarked() -> None:
    assert summary.remarks(peers()) == []
    (remark,) = summary.remarks(peers(nginx=run("nginx", 60_000, busy=0.8)))
    assert remark == ("nginx had its core only 80% busy: the load was the limit, and it can do about 75,000 requests/s")


def test_a_machine_that_was_not_left_alone_is_remarked() -> None:
    quiet, busy = {"others_busy": 0.05}, {"others_busy": 0.6}
    assert summary.disturbances([quiet] * 9 + [busy]) == []
    assert summary.disturbances([quiet] * 8 + [busy] * 2) == [
        "something else took up to 0.60 cores in most runs: measure again when the machine is quiet"
    ]


def test_tables_have_a_row_for_each_peer_and_target() -> None:
    assert len(summary.peers_table(peers()).splitlines()) == 1 + 5
    missed = summary.targets_table({"failed requests": {"figure": 1, "target": 0, "met": False}}).splitlines()
    assert missed[1].split() == ["failed", "requests", "1", "0", "NO"]
