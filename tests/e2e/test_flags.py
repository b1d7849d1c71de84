"""Flags in real processes: what is ordered at one proxy holds at every one of them, and what trips stays tripped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flags.flag import bucket
from tests.e2e.conftest import start_side
from tests.e2e.proxies import Proxy, running, serving, until

NATIVE = {"app": "tests.e2e.sides:native"}
SUBJECTS = [f"user-{number}" for number in range(60)]


def config(origin: str, redis: str, native: dict[str, str] = NATIVE) -> dict[str, Any]:
    return {
        "legacy": {"url": origin},
        "native": native,
        "redis": redis,
        "subject": ["header:X-User"],
        "rollback": {"window": "30s", "min_requests": 10, "judge": "threshold"},
        "routes": [
            {"name": "things.list", "match": "GET /things", "share": "50%"},
            {"name": "things.show", "match": "GET /things/{id}"},
        ],
    }


def side(proxy: Proxy, subject: str = "somebody", path: str = "/things") -> str:
    """Who answers this subject."""
    answer = proxy.users.get(path, headers={"X-User": subject}).raise_for_status()
    told: str = answer.json()["side"]
    return told


def sides(proxy: Proxy) -> dict[str, str]:
    return {subject: side(proxy, subject) for subject in SUBJECTS}


def has_share(proxy: Proxy, route: str, points: int) -> bool:
    return bool(proxy.route(route)["share"] == points)


def until_share(proxy: Proxy, route: str, points: int) -> None:
    until(proxy, lambda: has_share(proxy, route, points))


@pytest.fixture
def pair(tmp_path: Path, origin: str, flags_redis: str) -> Iterator[tuple[Proxy, Proxy]]:
    """Two proxies of one fleet."""
    with running(tmp_path, config(origin, flags_redis)) as one, running(tmp_path, config(origin, flags_redis)) as other:
        yield one, other


def test_a_share_set_at_one_proxy_moves_the_users_of_another_without_a_restart(pair: tuple[Proxy, Proxy]) -> None:
    one, other = pair
    assert side(other) == "legacy"
    told = one.order("set", "things.list", "100%")
    assert "native answers 100 %" in told.out
    assert "on every worker" in told.out
    assert side(one) == "native"
    until(other, lambda: has_share(other, "things.list", 10_000))
    assert side(other) == "native"
    assert side(other, path="/things/1") == "legacy"


def test_the_same_subject_is_answered_by_the_same_side_at_every_proxy(pair: tuple[Proxy, Proxy]) -> None:
    one, other = pair
    one.order("set", "things.list", "40%")
    until(other, lambda: has_share(other, "things.list", 4_000))
    first = sides(one)
    assert set(first.values()) == {"legacy", "native"}
    assert sides(other) == first
    assert sides(one) == first

    other.order("set", "things.list", "70%")
    until(one, lambda: has_share(one, "things.list", 7_000))
    now = sides(one)
    assert [subject for subject, side in first.items() if side == "native" and now[subject] != "native"] == []
    assert list(now.values()).count("native") > list(first.values()).count("native")


def test_one_order_sends_every_route_of_the_fleet_back_to_legacy(pair: tuple[Proxy, Proxy]) -> None:
    one, other = pair
    one.order("set", "things.list", "100%")
    one.order("set", "things.show", "100%")
    until(other, lambda: side(other) == side(other, path="/things/1") == "native")

    told = one.order("rollback", "--all", "--why", "strange orders")
    assert told.out.count("legacy answers everything until a reset") == 2
    assert {side(one), side(one, path="/things/1")} == {"legacy"}
    until(other, lambda: all(other.route(name)["trip"] for name in ("things.list", "things.show")))
    assert {side(other), side(other, path="/things/1")} == {"legacy"}
    assert "strange orders" in other.order("status").out


def test_a_missing_flag_is_a_share_of_0_whatever_the_configuration_would_seed(pair: tuple[Proxy, Proxy]) -> None:
    one, other = pair
    assert has_share(one, "things.list", 0)
    assert set(sides(one).values()) == {"legacy"}
    assert "things.list" in one.order("seed").out
    until(other, lambda: has_share(other, "things.list", 5_000))
    assert set(sides(other).values()) == {"legacy", "native"}
    assert "nothing" in other.order("seed").out


ROUNDS = 10


def test_of_two_operators_at_once_who_rolls_back_always_wins_and_both_proxies_agree(pair: tuple[Proxy, Proxy]) -> None:
    one, other = pair
    with ThreadPoolExecutor(2) as operators:
        for _ in range(ROUNDS):
            share = operators.submit(one.admin.patch, "/flags/things.list", json={"share": "100%"})
            back = operators.submit(other.admin.post, "/flags/things.list/rollback", json={"why": "strange"})
            assert share.result().status_code in (200, 409)
            assert back.result().status_code == 200
            until(one, lambda: bool(one.route("things.list")["trip"]))
            assert {side(one), side(other)} == {"legacy"}
            one.order("reset", "things.list")
            until(other, lambda: other.route("things.list")["trip"] is None)


def test_of_two_operators_who_have_seen_the_same_one_moves_it_and_the_other_hears_of_it(
    pair: tuple[Proxy, Proxy],
) -> None:
    with ThreadPoolExecutor(2) as operators:
        for number in range(ROUNDS):
            wanted = dict(zip((f"{2 * number + 1}%", f"{2 * number + 2}%"), pair, strict=True))
            seen = pair[0].route("things.list")
            asked = {
                share: operators.submit(
                    proxy.admin.patch, "/flags/things.list", json={"share": share, "generation": seen["generation"]}
                )
                for share, proxy in wanted.items()
            }
            answers = {share: answer.result().status_code for share, answer in asked.items()}
            assert sorted(answers.values()) == [200, 409]
            (won,) = (share for share, status in answers.items() if status == 200)
            for proxy in pair:
                until_share(proxy, "things.list", int(won.rstrip("%")) * 100)


@pytest.mark.parametrize("place", ["in the proxy's process", "behind an address"])
def test_a_native_that_fails_is_tripped_and_stays_at_zero_until_it_is_reset(
    place: str, tmp_path: Path, origin: str, flags_redis: str
) -> None:
    if place == "behind an address":
        with start_side("failing", tmp_path) as failing:
            trip_and_reset(tmp_path, config(origin, flags_redis, {"url": failing.url}))
    else:
        trip_and_reset(tmp_path, config(origin, flags_redis, {"app": "tests.e2e.sides:failing"}))


def test_users_whom_native_fails_prove_it_and_one_of_them_does_not(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    settings = config(origin, flags_redis, {"app": "tests.e2e.sides:failing"}) | {"rollback": {"max_error_rate": "2%"}}
    with running(tmp_path, settings) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "50%")

        def failed_all_the_while() -> bool:
            side(proxy, SUBJECTS[3])
            side(proxy, SUBJECTS[4])
            return proxy.metric("strangler_requests_total", side="native", outcome="failed") >= 50

        assert {bucket("default", subject) < 5_000 for subject in SUBJECTS[3:5]} == {True, False}
        until(proxy, failed_all_the_while)
        assert proxy.route("things.list")["trip"] is None

        def tripped() -> bool:
            assert set(sides(proxy).values()) == {"legacy"}
            return bool(proxy.route("things.list")["trip"])

        until(proxy, tripped)
        reason = proxy.route("things.list")["trip"]["reason"]
        assert re.fullmatch(
            r"native failed \d+ of \d+ subjects, legacy 0 of \d+; e-value .* ≥ .* \(rule [AB]\)", reason
        )


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("refusing", r"native answered 401 to \d+ of \d+ subjects, legacy to \d+ of \d+; e-value .* \(rule D: 401\)"),
        ("dawdling", r"native was slower than 150 ms for \d+ of \d+ subjects, legacy for \d+ of .* \(rule C\)"),
    ],
)
def test_users_whom_native_refuses_or_keeps_waiting_prove_it_too(
    native: str, reason: str, tmp_path: Path, origin: str, flags_redis: str
) -> None:
    settings = config(origin, flags_redis, {"app": f"tests.e2e.sides:{native}"})
    with running(tmp_path, settings | {"rollback": {"slow_over": "150ms"}}) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "25%")

        def tripped() -> bool:
            for subject in SUBJECTS:
                assert proxy.users.get("/things", headers={"X-User": subject}).status_code in (200, 401)
            return bool(proxy.route("things.list")["trip"])

        until(proxy, tripped)
        assert re.fullmatch(reason, proxy.route("things.list")["trip"]["reason"])


def trip_and_reset(directory: Path, settings: dict[str, Any]) -> None:
    with running(directory, settings) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "100%")

        def tripped() -> bool:
            assert side(proxy) == "legacy"  # users are answered all the while
            return bool(proxy.route("things.list")["trip"])

        until(proxy, tripped)
        failed = proxy.metric("strangler_requests_total", side="native", outcome="failed")
        assert failed >= 10
        assert proxy.metric("strangler_fallbacks_total") == failed
        assert proxy.metric("strangler_trips_total", route="things.list") == 1
        reason = proxy.route("things.list")["trip"]["reason"]
        assert "native failed" in reason
        assert {side(proxy) for _ in range(20)} == {"legacy"}
        assert proxy.metric("strangler_requests_total", side="native") == failed

    with serving(proxy.config, proxy.service.port, proxy.admin.base_url.port) as again:
        assert again.route("things.list")["trip"]["reason"] == reason
        assert reason in again.order("status").out
        assert side(again) == "legacy"

        refused = again.strangler("set", "things.list", "5%")
        assert refused.code == 1
        assert "tripped" in refused.err

        assert "0 %" in again.order("reset", "things.list").out
        assert again.route("things.list")["trip"] is None
        assert has_share(again, "things.list", 0)
        again.order("set", "things.list", "5%")
        assert has_share(again, "things.list", 500)
