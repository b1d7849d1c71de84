from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from flags.flag import Side
from proxy.limits import Limits
from proxy.native import Absent, Embedded, Remote
from proxy.sections import Config
from proxy.sides import Sides
from proxy.tasks import Tasks
from proxy.tls import server_context
from tests.fidelity.cases import answer, ask
from tests.fidelity.origin import running_origin
from tests.fidelity.wire import Gone, Whole, connected
from tests.proxy.certificates import Pair, self_signed
from tests.proxy.ends import tls_origin, unix_origin
from tests.proxy.stage import NOWHERE, eventually, settled, staged

BIG = 2 * 1024 * 1024
ROUTES = [
    {"name": "own", "match": "GET /own", "timeouts": {"first_byte": "2s", "total": "9s"}},
    {"name": "other", "match": "GET /other"},
]


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("certificates"), "side", "DNS:localhost")


def configured(tasks: Tasks, **sections: Any) -> Sides:
    return Sides.of(Config.model_validate({"legacy": {"url": NOWHERE}, "routes": ROUTES, **sections}), tasks)


async def test_legacy_alone_is_asked_by_users_and_by_the_shadow(tasks: Tasks) -> None:
    sides = configured(tasks)
    assert isinstance(sides.native, Absent)
    assert sides.dials.keys() == sides.candidates.keys() == {"legacy"}
    assert sides.pools.keys() == {"legacy", "legacy_shadow"}


async def test_an_app_in_this_process_is_asked_without_pools(tasks: Tasks) -> None:
    sides = configured(tasks, native={"app": "tests.proxy.apps:answers"})
    assert isinstance(sides.native, Embedded)
    assert sides.candidates["native"] == sides.native.asked
    assert sides.pools.keys() == {"legacy", "legacy_shadow"}


async def test_what_is_known_of_an_address_is_known_to_users_and_to_the_shadow(tasks: Tasks) -> None:
    sides = configured(tasks, native={"url": "http://127.0.0.1:9"}, shadow={"concurrency": 3, "deadline": "4s"})
    assert isinstance(sides.native, Remote)
    for side in Side:
        users, shadows = sides.pools[side.value], sides.pools[f"{side.value}_shadow"]
        assert users.dial is shadows.dial is sides.dials[side.value]
        assert shadows.limits == Limits(first_byte=4.0, connections=3, queue=3, pieces=4_096)


async def test_a_route_s_own_limits_reach_both_sides(tasks: Tasks) -> None:
    sides = configured(tasks, native={"url": "http://127.0.0.1:9", "budget": "3s"})
    assert sides.legacy.limits("own") == Limits(first_byte=2.0, total=9.0)
    assert sides.legacy.limits("other") == sides.legacy.limits("unmatched") == Limits()
    assert sides.legacy.limits("other") is sides.legacy.pool.limits  # the same ones for every route without its own
    assert sides.pools["native"].limits == Limits(first_byte=3.0)


@pytest.mark.parametrize(("target", "status"), [("/own", 504), ("/other", 200)])
async def test_a_route_s_own_time_runs_out_and_others_go_on(target: str, status: int) -> None:
    routes = [{"name": "own", "match": "GET /own", "timeouts": {"first_byte": "50ms"}}]
    async with running_origin() as origin:
        if status == 504:
            origin.begin((Whole(), Gone()))
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}, routes=routes) as stage:
            assert (await stage.user.get(target)).status_code == status


# Over TLS and unix sockets


async def test_large_bodies_pass_both_ways_over_tls(pair: Pair) -> None:
    body = os.urandom(1 << 16) * (BIG >> 16)
    async with tls_origin(pair, "localhost") as (origin, address):
        origin.begin((Whole(), answer("200 OK", b"Content-Length: %d" % BIG, body=body)))
        legacy = {"url": f"https://{address}", "ca": str(pair.certificate)}
        async with staged(legacy=legacy) as stage:
            for content in (body, _in_pieces(body)):  # with a length, and in chunks
                told = await stage.user.post("/upload", content=content)
                assert (told.status_code, told.content) == (200, body)
        assert [len(message.body) for message in origin.received] == [BIG, BIG]
        assert {bytes(message.body) for message in origin.received} == {body}


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


async def test_a_slow_user_holds_a_tls_side_back(pair: Pair) -> None:
    size, poured = 64 * 1024 * 1024, 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal poured
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("200 OK", b"Content-Length: %d" % size))
        with suppress(ConnectionError):
            while poured < size:
                writer.write(bytes(1 << 16))
                await writer.drain()
                poured += 1 << 16
        writer.close()

    server = await asyncio.start_server(pours, "127.0.0.1", 0, ssl=server_context(pair.certificate, pair.key))
    async with server:
        legacy = {"url": f"https://localhost:{server.sockets[0].getsockname()[1]}", "ca": str(pair.certificate)}
        async with staged(legacy=legacy) as stage:
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
            writer.write(ask("GET /large"))
            await reader.readline()
            assert 0 < await settled(lambda: poured) < size // 4
            writer.transport.abort()
            await eventually(lambda: stage.connections == 0)


@pytest.mark.parametrize("says_so", [True, False])
async def test_an_answer_that_ends_with_its_tls_connection_is_whole_only_if_the_side_says_so(
    pair: Pair, says_so: bool
) -> None:
    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("200 OK", body=b"all of it?"))
        if not says_so:  # cut off by somebody between us, who cannot forge what TLS says
            await asyncio.sleep(0)  # until it is written
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
                below.shutdown(socket.SHUT_WR)
        writer.close()

    server = await asyncio.start_server(ends, "127.0.0.1", 0, ssl=server_context(pair.certificate, pair.key))
    async with server:
        legacy = {"url": f"https://localhost:{server.sockets[0].getsockname()[1]}", "ca": str(pair.certificate)}
        async with staged(legacy=legacy) as stage:
            if says_so:
                assert (await stage.user.get("/x")).text == "all of it?"
            else:
                with pytest.raises(httpx.RemoteProtocolError):
                    await stage.user.get("/x")


async def test_connections_by_tls_and_unix_are_kept_and_counted(pair: Pair, tmp_path: Path) -> None:
    async with tls_origin(pair, "localhost") as (secure, address), unix_origin(tmp_path) as (local, path):
        for origin, legacy in (
            (secure, {"url": f"https://{address}", "ca": str(pair.certificate)}),
            (local, {"url": str(path)}),
        ):
            async with staged(legacy=legacy) as stage:
                for method in ("GET", "POST", "GET"):
                    assert (await stage.user.request(method, "/x")).text == "ok"
                assert (origin.accepted, stage.metric("pool", pool="legacy", state="idle")) == (1, 1)


async def test_a_request_without_host_gets_one_that_names_no_socket(tmp_path: Path) -> None:
    async with unix_origin(tmp_path) as (origin, path), staged(legacy={"url": str(path)}) as stage:
        async with connected(stage.port) as user:
            await user.send(b"GET /x HTTP/1.0\r\n\r\n")
            await user.until(lambda: user.ended is not None)
        [came] = origin.received
        assert came.values(b"host") == [b"localhost"]


async def test_a_certificate_that_is_not_to_be_trusted_is_no_side(pair: Pair) -> None:
    async with tls_origin(pair, "localhost") as (_, address), staged(legacy={"url": f"https://{address}"}) as stage:
        told = await stage.user.get("/x")
        assert (told.status_code, told.json()["error"]) == (502, "legacy_refused")


# Several addresses


@contextmanager
def serving(directory: Path, port: int) -> Iterator[Service]:
    """An application in a process of its own, which tells what it was asked."""
    command = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--port", str(port)]
    service = launch(
        f"application at {port}",
        [*command, "tests.proxy.apps:answers"],
        port=port,
        log=directory / f"{port}.log",
        environment=os.environ,
    )
    with service:
        await_ready(service, lambda: _answers(service))
        yield service


def _answers(service: Service) -> bool:
    try:
        return httpx.get(service.url).status_code == 200
    except httpx.TransportError:
        return False


async def test_no_request_fails_when_one_of_two_addresses_dies_and_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()) as one, serving(tmp_path, free_port()) as two:
        async with staged(legacy={"url": [one.url, two.url]}) as stage:
            dial, told, over = stage.strangler.sides.dials["legacy"], Counter[int](), asyncio.Event()

            async def asking() -> None:
                while not over.is_set():
                    told[(await stage.user.get("/x")).status_code] += 1

            async with asyncio.TaskGroup() as users:
                for _ in range(8):
                    users.create_task(asking())
                await eventually(lambda: told.total() > 50)
                one.kill()
                for _ in range(8):  # who need more connections than are left
                    users.create_task(asking())
                await eventually(lambda: told.total() > 100 and not dial.up[f"{LOOPBACK}:{one.port}"])
                with serving(tmp_path, one.port):
                    await eventually(lambda: all(dial.up.values()))
                    over.set()
            assert told.keys() == {200}
