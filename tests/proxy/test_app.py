"""The composition: what a configuration becomes, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Message, Scope
from structlog.testing import capture_logs

from demo.service import LOOPBACK, free_port
from proxy.app import Strangler
from proxy.churn import MANY
from proxy.config import Config, load
from proxy.native import Absent, Embedded, Remote

ROUTES = """
routes:
  - {name: things.show, match: "GET /things/{id}"}
  - {name: things.list, match: GET /things"""
SHARES = ", share: 5%, shadow: 10%"
EMBEDDED = "native: {app: 'tests.e2e.sides:native'}"


def configured(directory: Path, *sections: str, shares: str = SHARES) -> Config:
    path = directory / "config.yaml"
    path.write_text("\n".join([f"legacy: {{url: 'http://{nowhere()}'}}", f"{ROUTES}{shares}}}", *sections]))
    return load(path, {})


def nowhere() -> str:
    return f"{LOOPBACK}:{free_port()}"


async def asked(app: ASGIApp, path: str) -> int:
    """The status of the answer to a request without a body."""
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"example")],
        "client": ("192.0.2.1", 1),
        "extensions": {},
    }
    await app(scope, receive, send)
    status: int = answer[0]["status"]
    return status


async def test_without_redis_the_shares_of_the_configuration_are_in_force_at_once(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        flag = strangler.loop.get("things.list")
        assert (flag.native, flag.shadow) == (500, 1_000)
        assert strangler.loop.get("things.show").native == 0
        assert strangler.loop.connected


async def test_with_a_redis_that_does_not_answer_everything_is_legacy_s(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED, f"redis: 'redis://{nowhere()}/1'"))
    with capture_logs() as logs:
        async with strangler.running():
            assert {flag.native for flag in strangler.loop.snapshot.values()} == {0}
            assert not strangler.loop.connected
            assert b"strangler_store_connected 0.0" in strangler.metrics.exposition()
    assert any("store does not answer" in record["event"] for record in logs)


@pytest.mark.parametrize(
    ("section", "kind", "pools"),
    [
        ("", Absent, {"legacy", "legacy_shadow"}),
        (EMBEDDED, Embedded, {"legacy", "legacy_shadow"}),
        (f"native: {{url: 'http://{LOOPBACK}:9'}}", Remote, {"legacy", "legacy_shadow", "native", "native_shadow"}),
        (
            f"native: {{app: 'no_such:app', url: 'http://{LOOPBACK}:9'}}",
            Remote,
            {"legacy", "legacy_shadow", "native", "native_shadow"},
        ),
    ],
)
async def test_comparisons_have_pools_of_their_own_and_an_address_wins_over_an_application(
    section: str, kind: type, pools: set[str], tmp_path: Path
) -> None:
    strangler = Strangler(configured(tmp_path, section, "shadow: {concurrency: 3}", shares=""))
    assert isinstance(strangler.native, kind)
    assert strangler.pools.keys() == pools
    assert {pool.limits.connections for name, pool in strangler.pools.items() if name.endswith("_shadow")} == {3}


async def test_what_is_rolled_back_is_logged_and_counted(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        with capture_logs() as logs:
            await strangler.loop.rollback("things.list", "strange orders")
    (change,) = [record for record in logs if record["event"] == "flag changed"]
    assert (change["route"], change["tripped"], change["was_share"], change["share"]) == ("things.list", True, 500, 0)
    assert b'strangler_trips_total{route="things.list"} 1.0' in strangler.metrics.exposition()
    assert b'strangler_tripped{route="things.list"} 1.0' in strangler.metrics.exposition()


async def test_a_request_goes_to_the_side_that_its_flag_names_and_is_booked_there(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        await strangler.loop.set("things.list", share=10_000)
        async with asyncio.timeout(30):
            while not strangler.native.ready:  # noqa: ASYNC110  # readiness is looked at, nobody waits for it
                await asyncio.sleep(0)
        assert await asked(strangler.app, "/things") == 200
        assert await asked(strangler.app, "/things/1") == 502
        assert await asked(strangler.app, "/elsewhere") == 502
    told = strangler.metrics.exposition().decode()
    for side, route, outcome in (
        ("native", "things.list", "ok"),
        ("legacy", "things.show", "failed"),
        ("legacy", "unmatched", "failed"),
    ):
        assert f'strangler_requests_total{{outcome="{outcome}",route="{route}",side="{side}"}} 1.0' in told


async def test_nothing_is_left_of_one_that_has_stopped(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED, f"redis: 'redis://{nowhere()}/1'"))
    async with strangler.running():
        assert len(strangler.tasks) > 0
    assert len(strangler.tasks) == 0
    assert all(pool.closed and pool.opened == 0 for pool in strangler.pools.values())
    assert strangler.runner.pending == 0


async def test_one_that_leaves_its_place_to_another_says_what_holds_for_the_proxy(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        strangler.leave()
        assert strangler.stopping.is_set()
        assert await asked(strangler.admin, "/readyz") == 200


async def test_it_is_ready_until_it_is_told_to_stop(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        assert await asked(strangler.admin, "/readyz") == 200
        strangler.stopping.set()
        assert await asked(strangler.admin, "/readyz") == 503
        assert await asked(strangler.admin, "/healthz") == 200


async def test_subjects_that_are_everybody_are_told_of_to_operators_and_in_the_metrics(tmp_path: Path) -> None:
    strangler = Strangler(configured(tmp_path, EMBEDDED))
    async with strangler.running():
        for _ in range(MANY):
            strangler.ways.decide("GET", b"/things", [], "192.0.2.1")
        transport = httpx.ASGITransport(strangler.admin)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9901") as operator:
            told = (await operator.get("/flags")).json()
        assert [(each["source"], each["kind"]) for each in told["subjects"]] == [("address", "collapse")]
        assert b"strangler_subject_concerns 1.0" in strangler.metrics.exposition()
