"""The operators' port of a real process: who is let in, and what a balancer is told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.service import LOOPBACK, free_port
from tests.e2e.proxies import Proxy, running, strangler, until

ROUTE = {"name": "things.list", "match": "GET /things"}
EMPTY = {"Authorization": "Bearer"}
BARE = {"Authorization": "first-token"}
OPEN_TO_MACHINES = ["/healthz", "/readyz", "/metrics"]
GUARDED = [
    ("GET", "/flags"),
    ("PATCH", "/flags/things.list"),
    ("POST", "/flags/things.list/reset"),
    ("POST", "/flags/things.list/rollback"),
    ("POST", "/rollback"),
    ("POST", "/seed"),
    ("GET", "/mismatches"),
    ("GET", "/mismatches/0123456789ab"),
    ("PATCH", "/mismatches/0123456789ab"),
    ("GET", "/mismatches/0123456789ab/test"),
    ("GET", "/audit"),
    ("GET", "/events"),
    ("GET", "/webhooks"),
    ("GET", "/openapi.json"),
]


def nowhere() -> str:
    """An address where nobody listens."""
    return f"{LOOPBACK}:{free_port()}"


def config(**more: Any) -> dict[str, Any]:
    return {"legacy": {"url": f"http://{nowhere()}"}, "routes": [ROUTE], **more}


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path, config()) as proxy:
        yield proxy


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("first-token\nsecond-token\n")
    return path


@pytest.fixture
def locked(tmp_path: Path, tokens: Path) -> Iterator[Proxy]:
    """A proxy whose operators have tokens."""
    with running(tmp_path, config(admin={"tokens": str(tokens)})) as proxy:
        yield proxy


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_right_token_nothing_is_told_or_done(locked: Proxy) -> None:
    for method, path in GUARDED:
        for headers in ({}, bearer("wrong-token"), bearer("first-toke"), EMPTY, BARE):
            answer = locked.admin.request(method, path, headers=headers, json={})
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "token" in answer.json()["error"]
    assert locked.metric("strangler_trips_total") == 0
    for path in OPEN_TO_MACHINES:
        assert locked.admin.get(path).status_code == 200


def test_every_token_of_the_file_opens(locked: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locked.admin.get("/flags", headers=bearer("second-token")).status_code == 200
    assert locked.order("status")  # the command reads the same file
    monkeypatch.setenv("STRANGLER_TOKEN", "wrong")
    refused = locked.strangler("status")
    assert refused.code == 1
    assert "STRANGLER_TOKEN" in refused.err
    admin = f"{LOOPBACK}:{locked.admin.base_url.port}"
    assert strangler("status", "--admin", admin).code == 1
    monkeypatch.setenv("STRANGLER_TOKEN", "second-token")
    assert strangler("status", "--admin", admin).code == 0


def test_tokens_can_be_changed_while_the_proxy_runs(locked: Proxy, tokens: Path) -> None:
    tokens.write_text("third-token\n")
    assert locked.admin.get("/flags", headers=bearer("first-token")).status_code == 401
    assert locked.admin.get("/flags", headers=bearer("third-token")).status_code == 200


@pytest.mark.parametrize("fate", ["emptied", "removed", "blank lines", "not text"])
def test_a_tokens_file_that_is_lost_lets_nobody_in(fate: str, locked: Proxy, tokens: Path) -> None:
    contents = {"emptied": b"", "blank lines": b"\n \n", "not text": b"\xff\xfe"}
    tokens.unlink() if fate == "removed" else tokens.write_bytes(contents[fate])
    for headers in (bearer("first-token"), EMPTY, {}):
        answer = locked.admin.post("/rollback", headers=headers)
        assert answer.status_code == 503
        assert str(tokens) in answer.json()["error"]
    assert locked.metric("strangler_trips_total") == 0
    told = locked.strangler("status")
    assert told.code == 2
    assert "admin.tokens" in told.err


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example", "192.0.2.1", "localhost@x.example"])
def test_a_page_that_reaches_the_port_under_another_name_is_refused(host: str, proxy: Proxy) -> None:
    for method, path in GUARDED:
        answer = proxy.admin.request(method, path, headers={"Host": host}, json={})
        assert answer.status_code == 403, path
        assert "loopback" in answer.json()["error"]
    assert proxy.metric("strangler_trips_total") == 0


def test_a_page_on_this_machine_is_refused_too(proxy: Proxy) -> None:
    for origin in ("http://rebound.example", "http://127.0.0.1:3000", "null"):
        assert proxy.admin.post("/rollback", headers={"Origin": origin}).status_code == 403
    assert proxy.metric("strangler_trips_total") == 0
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert proxy.admin.get("/flags", headers={"Host": f"{host}:{proxy.admin.base_url.port}"}).status_code == 200


def test_an_open_port_without_tokens_is_never_opened(tmp_path: Path, tokens: Path) -> None:
    path = tmp_path / "config.yaml"
    for listen in ("0.0.0.0:9901", "[::]:9901", "192.0.2.1:9901", "operators.example:9901"):
        path.write_text(f"legacy: {{url: http://{nowhere()}}}\nadmin: {{listen: '{listen}'}}\n")
        for command in ("serve", "check"):
            refused = strangler(command, "--config", path)
            assert refused.code == 2
            assert "admin.listen" in refused.err
            assert "tokens" in refused.err
        path.write_text(f"legacy: {{url: http://{nowhere()}}}\nadmin: {{listen: '{listen}', tokens: {tokens}}}\n")
        assert strangler("check", "--config", path).code == 0


def test_a_proxy_is_ready_though_all_that_it_needs_is_down(tmp_path: Path) -> None:
    """Were it not, a balancer would take every proxy away, just when their answers are needed most."""
    down = config(native={"url": f"http://{nowhere()}"}, redis=f"redis://{nowhere()}/1")
    with running(tmp_path, down) as proxy:
        assert proxy.admin.get("/readyz").json() == {"status": "ready"}
        assert proxy.admin.get("/healthz").status_code == 200
        assert proxy.metric("strangler_store_connected") == 0
        assert proxy.metric("strangler_native_ready") == 0
        answer = proxy.users.get("/things")
        assert (answer.status_code, answer.json()["error"]) == (502, "legacy_refused")

        assert "does not answer" in proxy.order("status").out
        refused = proxy.strangler("set", "things.list", "5%")
        assert refused.code == 1
        assert "store" in refused.err
        rolled_back = proxy.order("rollback", "things.list", "--why", "to be safe")
        assert "on this worker only" in rolled_back.out
        assert "should this process end before that, it is lost" in rolled_back.out
        assert "to be safe" in proxy.order("status").out


async def test_a_proxy_that_stops_says_so_and_finishes_what_it_has(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")
        writer.close()

    async with await asyncio.start_server(slow, LOOPBACK, 0) as legacy:
        port = legacy.sockets[0].getsockname()[1]
        with running(tmp_path, config(legacy={"url": f"http://{LOOPBACK}:{port}"})) as proxy:
            async with httpx.AsyncClient(base_url=proxy.url, timeout=60) as user, asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(user.get("/things"))
                await arrived.wait()
                proxy.service.process.send_signal(signal.SIGTERM)
                until(proxy, lambda: proxy.admin.get("/readyz").status_code == 503)
                assert proxy.admin.get("/readyz").json() == {"status": "stopping"}
                assert proxy.admin.get("/healthz").status_code == 200
                release.set()
            assert asked.result().text == "done"
            assert await asyncio.to_thread(proxy.service.process.wait, 30) == 0
