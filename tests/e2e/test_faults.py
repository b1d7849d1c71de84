"""What users and operators see when something around the proxy is gone, hangs, or is wrong from the start."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.service import LOOPBACK, free_port, launch
from tests.contract.redis_process import RedisProcess, redis_process
from tests.e2e.conftest import start_side
from tests.e2e.proxies import ROOT, STRANGLER, Proxy, environment, running, until

ROUTES = [{"name": "things.list", "match": "GET /things"}, {"name": "things.create", "match": "POST /things"}]


def side(proxy: Proxy) -> str:
    told: str = proxy.users.get("/things").raise_for_status().json()["side"]
    return told


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process() as server:
        yield server


def config(origin: str, redis: RedisProcess | None = None, native: str = "native", **more: Any) -> dict[str, Any]:
    sections = {"legacy": {"url": origin}, "native": {"app": f"tests.e2e.sides:{native}", **more}, "routes": ROUTES}
    return sections if redis is None else {**sections, "redis": redis.url(1)}


def test_a_redis_that_is_absent_at_the_start_leaves_everything_to_legacy_until_it_comes(
    tmp_path: Path, origin: str, redis: RedisProcess
) -> None:
    redis.kill()
    with running(tmp_path, config(origin, redis)) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        assert side(proxy) == "legacy"
        assert proxy.metric("strangler_store_connected") == 0
        assert proxy.strangler("set", "things.list", "100%").code == 1
        assert side(proxy) == "legacy"
        redis.start()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        proxy.order("set", "things.list", "100%")
        assert side(proxy) == "native"


@pytest.mark.parametrize("fate", ["killed", "frozen"])
def test_a_redis_that_is_lost_while_serving_changes_nothing_for_users(
    fate: str, tmp_path: Path, origin: str, redis: RedisProcess
) -> None:
    with running(tmp_path, config(origin, redis)) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "100%")
        assert side(proxy) == "native"

        redis.kill() if fate == "killed" else redis.pause()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 0)
        assert {side(proxy) for _ in range(50)} == {"native"}
        told = proxy.strangler("set", "things.list", "0%")
        assert (told.code, "traffic goes on as it did" in told.err) == (1, True)
        assert side(proxy) == "native"
        assert proxy.admin.get("/readyz").status_code == 200

        redis.start() if fate == "killed" else redis.resume()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        assert side(proxy) == "native"
        proxy.order("set", "things.list", "0%")
        assert side(proxy) == "legacy"


def test_an_operator_can_roll_back_while_redis_is_away(tmp_path: Path, origin: str, redis: RedisProcess) -> None:
    with running(tmp_path, config(origin, redis)) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "100%")
        redis.kill()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 0)
        proxy.strangler("rollback", "things.list", "--why", "Redis is gone and native looks odd")
        assert side(proxy) == "legacy"
        redis.start()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        assert side(proxy) == "legacy"
        assert proxy.route("things.list")["trip"]["reason"].endswith("Redis is gone and native looks odd")


def test_a_legacy_that_hangs_or_is_gone_is_told_of_and_found_again_when_it_is_back(tmp_path: Path) -> None:
    with start_side("legacy", tmp_path) as legacy:
        settings = {"legacy": {"url": legacy.url, "first_byte": "5s"}, "routes": ROUTES}
        with running(tmp_path, settings) as proxy:
            assert side(proxy) == "legacy"
            legacy.pause()
            assert problem(proxy) == (504, "legacy_timeout")
            legacy.resume()
            assert side(proxy) == "legacy"
            legacy.kill()
            assert problem(proxy) == (502, "legacy_refused")
            assert proxy.admin.get("/readyz").status_code == 200
            for kind in ("timeout", "refused"):
                assert proxy.metric("strangler_failures_total", side="legacy", kind=kind) == 1


def problem(proxy: Proxy) -> tuple[int, str]:
    response = proxy.users.get("/things")
    told = response.json()
    assert response.headers["x-request-id"] == told["requestId"]
    return response.status_code, told["error"]


@pytest.mark.parametrize("native", ["failing", "hanging"])
def test_a_native_that_fails_fails_no_reader(native: str, tmp_path: Path, origin: str) -> None:
    settings = config(origin, native=native, budget="50ms" if native == "hanging" else "30s")
    with running(tmp_path, settings) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "100%")
        assert {side(proxy) for _ in range(10)} == {"legacy"}
        kind = "5xx" if native == "failing" else "timeout"
        assert proxy.metric("strangler_failures_total", side="native", kind=kind) == 10


FAULTY = """\
listen: 127.0.0.1
legacy: {url: http://127.0.0.1:3000, first_bite: 30s}
native: {}
routes:
  - {name: a, match: GET /a, share: 101%}
  - {name: a, match: GRAB /b}
"""
PLACES = ["listen", "legacy.first_bite", "native", "routes[0].share", "routes[1].match", "routes[1].name"]


def refused(directory: Path, text: str) -> tuple[int, str]:
    """How `strangler serve` ends with this configuration, and what it says."""
    path, log = directory / "refused.yaml", directory / "refused.log"
    path.write_text(text)
    command = [*STRANGLER, "serve", "--config", path]
    service = launch("strangler", command, port=0, log=log, environment=environment({}), directory=ROOT)
    return service.process.wait(30), log.read_text()


def test_a_faulty_configuration_starts_nothing_and_names_every_fault_at_its_place(tmp_path: Path) -> None:
    code, said = refused(tmp_path, FAULTY)
    assert code == 2
    assert "has 6 faults; nothing was started or changed:" in said
    assert sorted(line.split(":")[0].strip() for line in said.splitlines()[1:]) == sorted(PLACES)


@pytest.mark.parametrize("place", ["listen", "admin.listen"])
def test_a_port_in_use_is_a_fault_at_its_place(place: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        ports = {"listen": free_port(), "admin.listen": free_port(), place: taken.getsockname()[1]}
        code, said = refused(
            tmp_path,
            f"listen: 127.0.0.1:{ports['listen']}\nadmin: {{listen: 127.0.0.1:{ports['admin.listen']}}}\n"
            "legacy: {url: http://127.0.0.1:3000}\n",
        )
    assert code == 2
    assert f"{place}: cannot listen on 127.0.0.1:{ports[place]}: Address already in use" in said


def test_a_native_application_that_cannot_be_imported_is_a_fault_at_its_place(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    code, said = refused(
        tmp_path,
        f"listen: 127.0.0.1:{port}\nadmin: {{listen: 127.0.0.1:{admin}}}\nlegacy: {{url: http://127.0.0.1:3000}}\n"
        "native: {app: nowhere.app:app}\n",
    )
    assert code == 2
    assert "native.app: cannot import nowhere.app:app: ModuleNotFoundError: No module named 'nowhere'" in said
