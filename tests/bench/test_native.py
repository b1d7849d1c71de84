"""What the benchmark of both sides asks, and how it sums up."""

from __future__ import annotations

from typing import Any

import pytest

from bench.native import asked, pools, summary
from bench.native.asked import CREATE, EAGER, LEGACY, LIST, NATIVE, NATIVE_SMALL, ROUTES, SHOW, SHOW_UNREAD
from handlers.app import ROUTES as SERVED

TOKENS = {"agent": "an agent's", "admin": "an administrator's"}
PLANS = {"seeds": {"pages": 400}, "grown": {"pages": 440}}


def run(route: str, side: str, rate: float, cpu_us: float, errors: int = 0) -> dict[str, Any]:
    rest = {"p50": 1.0, "p99": 2.0, "stores_us": 100.0, "busy": 1.0, "stores_busy": 0.5}
    return {"route": route, "side": side, "rate": rate, "cpu_us": cpu_us, "errors": errors, **rest}


def figures(*more: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    rails = {EAGER: (100, 10_000.0), LEGACY: (50, 20_000.0)}
    native = {NATIVE: (1_000, 500.0), NATIVE_SMALL: (1_000, 500.0)}
    each = [
        run(route, side, *figure)
        for route in (LIST, SHOW, SHOW_UNREAD, CREATE)
        for side, figure in (rails | native).items()
    ]
    return summary.by_route([*each, *more])


def test_a_file_holds_each_request_behind_its_length() -> None:
    create = next(route for route in ROUTES if route.name == CREATE)
    written = asked.file(create, 80, 10, TOKENS, "a secret", count=2)
    length, _, rest = written.partition(b"\n")
    first, rest = rest[: int(length)], rest[int(length) :]
    assert first.startswith(
        b"POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer an agent's\r\n"
    )
    assert first.endswith(b'"conversationId": 2011}')
    assert rest.partition(b"\n")[2].endswith(b'"conversationId": 2012}')


def test_what_is_mixed_is_asked_in_turn_and_of_another_row_each_time() -> None:
    written = asked.mixed(80, 10, TOKENS, count=2)
    asked_for = [line.rpartition(b" ")[0] for line in written.split(b"\r\n") if line.endswith(b"HTTP/1.1")]
    shown = [line.split(b"\n")[-1] for line in asked_for if b"conversations/" in line]
    assert shown == [b"GET /api/v1/conversations/2011", b"GET /api/v1/conversations/2012"]
    assert len(asked_for) == 2 * len(asked.MIXED)


def test_the_sizes_of_a_pool_are_compared_by_their_medians() -> None:
    assert pools.served({"requests": 100, "errors": 10, "seconds": 3.0}) == 30.0
    ran = [
        {**run("", "", 0, 500.0, errors=1), "pool": size, "served": served}
        for size in (1, 8)
        for served in (90.0, 100.0 * size)
    ]
    figures = pools.by_size(ran)
    assert {size: (own["served"], own["errors"]) for size, own in figures.items()} == {"1": (95.0, 2), "8": (445.0, 2)}
    assert len(pools.sizes_table(figures).splitlines()) == 3


def test_what_facebook_sends_is_signed_and_carries_no_token() -> None:
    webhook = next(route for route in ROUTES if route.secret)
    raw = webhook.raw(80, 0, TOKENS, "a secret")
    assert b"X-Hub-Signature-256: sha256=" in raw
    assert b"Authorization" not in raw


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_what_is_asked_is_served(route: asked.Asked) -> None:
    path = route.path.partition("?")[0].format(row=1)
    scope = {"type": "http", "method": route.method, "path": path, "headers": []}
    assert any(each.matches(scope)[0].name == "FULL" for each in SERVED)


def test_targets_compare_with_rails_eager_variant() -> None:
    told = summary.targets(figures(), PLANS)
    assert [(target["figure"], target["met"]) for target in told.values()] == [
        *[(20.0, True), (10.0, True)] * 4,
        (1.0, True), (1.1, True), (0, True),
    ]  # fmt: skip


def test_one_failed_request_and_a_list_that_grows_miss_their_targets() -> None:
    dearer = run(LIST, NATIVE, 1_000, 700.0, errors=1)
    told = summary.targets(figures(dearer, dearer), PLANS)
    missed = {name for name, target in told.items() if not target["met"]}
    assert missed == {"failed requests", "list: processor time with all rows, of that with the seeds"}


def test_the_table_has_a_line_for_each_route_and_side() -> None:
    shown = summary.routes_table(figures())
    assert len(shown.splitlines()) == 1 + 4 * 4
    assert "list: legacy, eager" in shown
