from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

import pytest
from starlette.types import ASGIApp

from proxy.address import Address
from proxy.crowd import AHEAD, Crowd, Share
from proxy.crowd import PATIENCE as SHORT
from proxy.server import KEEP_ALIVE, Parting, Server, listen
from proxy.tls import server_context
from proxy.websocket import UserEnd
from tests.e2e.sides import legacy
from tests.fidelity.cases import answer, ask
from tests.fidelity.origin import running_origin
from tests.fidelity.wire import PATIENCE, Hear, Peer, Signals, Tell, Whole, connected
from tests.proxy.certificates import Pair, self_signed
from tests.proxy.stage import eventually, serving, settled, staged


async def test_to_stop_is_to_finish_what_is_in_flight_and_to_take_no_more() -> None:
    signals = Signals()
    async with running_origin() as origin:
        slow = answer("200 OK", b"Content-Length: 4"), Hear("stopping"), b"done"
        origin.begin((Whole(), Tell("asked"), *slow), signals=signals)
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        async with staged(legacy=legacy) as stage, connected(stage.port) as busy:
            await busy.send(ask("GET /x"))
            await signals["asked"].wait()
            stage.server.stop()
            await eventually_refused(stage.port)
            assert busy.ended is None
            signals["stopping"].set()
            await busy.until(lambda: busy.ended is not None)
            assert busy.raw.endswith(b"done")


async def test_an_idle_user_s_next_request_is_answered_and_said_to_be_the_last() -> None:
    async with running_origin() as origin:
        for _ in range(2):
            origin.begin((Whole(), answer("200 OK", b"Content-Length: 4", body=b"done")))
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage, connected(stage.port) as idle:
            await idle.send(ask("GET /x"))
            await idle.until(lambda: idle.raw.endswith(b"done"))
            assert b"connection: close" not in idle.raw.lower()
            stage.server.stop()
            await eventually_refused(stage.port)
            idle.raw.clear()
            await idle.send(ask("GET /x"))
            await idle.until(lambda: idle.ended is not None)
            assert idle.raw.endswith(b"done")
            assert b"connection: close" in idle.raw.lower()


async def test_an_idle_user_who_asks_no_more_is_let_go() -> None:
    async with staged() as stage, connected(stage.port) as idle:
        await eventually(lambda: stage.connections == 1)
        stage.server.stop()
        await idle.until(lambda: idle.ended is not None)
        assert idle.ended == "closed"
        assert idle.raw == b""


async def test_users_who_wait_to_be_accepted_are_served_before_the_door_is_closed() -> None:
    waiting = 20
    async with running_origin() as origin:
        for _ in range(waiting):
            origin.begin((Whole(), answer("200 OK", b"Content-Length: 4", body=b"done")))
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage:
            users = [socket.create_connection(("127.0.0.1", stage.port)) for _ in range(waiting)]
            stage.server.stop()
            for user in users:
                user.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(user, ask("GET /x"))
            for user in users:
                with user:
                    assert b"done" in await all_of(user)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("tls"), "localhost", "DNS:localhost")


def secure(pair: Pair, **options: Any) -> tuple[Server, int]:
    """A server over TLS, and its port."""
    context, sock = server_context(pair.certificate, pair.key), listen(Address("127.0.0.1", 0), "listen")
    return Server(legacy, sock, ssl_context_factory=lambda *_: context, **options), sock.getsockname()[1]


@pytest.mark.parametrize("shared", [False, True], ids=["its own socket", "a shared one"])
@pytest.mark.parametrize("accepted", [True, False], ids=["under way", "not begun"])
async def test_a_user_whose_handshake_is_not_over_is_served_though_the_server_stops(
    pair: Pair, accepted: bool, shared: bool
) -> None:
    trust = ssl.create_default_context(cafile=pair.certificate)
    server, port = secure(pair, share=Share(Crowd.of(2), 1) if shared else None)
    serves = asyncio.get_running_loop().create_task(server.run_until_stopped())
    await server.serving.wait()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        if accepted:
            await eventually(lambda: len(server._meetings) == 1)
        server.stop()
        await eventually_refused(port)
        await settled(lambda: 0)  # it would have ended
        assert not serves.done()
        reader, writer = await asyncio.open_connection(sock=sock, ssl=trust, server_hostname="localhost")
        writer.write(ask("GET /x"))
        async with asyncio.timeout(PATIENCE):
            told = await reader.read()
        writer.close()
        await serves
    assert b"legacy" in told
    assert b"connection: close" in told.lower()


async def test_who_leaves_amid_a_handshake_is_not_waited_for(pair: Pair) -> None:
    server, port = secure(pair)
    async with serving(server):
        await server.serving.wait()
        for last in (b"", b"no TLS\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                await eventually(lambda: len(server._meetings) == 1)
                sock.sendall(last)
            await eventually(lambda: len(server._meetings) == 0)


@pytest.mark.parametrize("accepted", [True, False], ids=["under way", "not begun"])
async def test_a_handshake_that_never_ends_holds_a_server_up_no_longer_than_an_idle_user(
    pair: Pair, accepted: bool
) -> None:
    server, port = secure(pair, drain=0.1)
    serves = asyncio.get_running_loop().create_task(server.run_until_stopped())
    await server.serving.wait()
    with socket.create_connection(("127.0.0.1", port)):
        if accepted:
            await eventually(lambda: len(server._meetings) == 1)
        server.stop()
        async with asyncio.timeout(PATIENCE):
            await serves


async def test_a_user_who_never_says_goodbye_holds_a_server_up_no_longer_than_an_idle_one(pair: Pair) -> None:
    server, port = secure(pair, drain=3600.0)
    serves = asyncio.get_running_loop().create_task(server.run_until_stopped())
    await server.serving.wait()
    trust = ssl.create_default_context(cafile=pair.certificate)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
    writer.write(ask("GET /x"))
    assert b"200" in await reader.readline()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reader's transport can
    server.stop()
    async with asyncio.timeout(PATIENCE):
        await serves
    writer.transport.abort()


async def test_an_app_s_own_server_parts_from_its_users_in_the_same_way() -> None:
    sock = listen(Address("127.0.0.1", 0), "listen")
    port, server = sock.getsockname()[1], Server(legacy, sock)
    async with serving(server), connected(port) as idle, connected(port) as new:
        await server.serving.wait()
        await idle.send(ask("GET /x"))
        await idle.until(lambda: b"legacy" in idle.raw)
        idle.raw.clear()
        await eventually(lambda: len(server.server_state.connections) == 2)
        server.stop()
        await eventually_refused(port)
        for user in (idle, new):
            await user.send(ask("GET /x"))
            await parted(user)
            assert b"legacy" in user.raw
            assert b"connection: close" in user.raw.lower()


async def test_servers_at_one_socket_share_its_users_evenly_until_one_of_them_stops() -> None:
    sock, crowd = listen(Address("127.0.0.1", 0), "listen"), Crowd.of(2)
    # On a busy machine either may come late, and this is of who comes.
    own, others = (Share(crowd, number, patience=PATIENCE) for number in (1, 2))
    port, one, other = sock.getsockname()[1], *(Server(legacy, sock.dup(), share=share) for share in (own, others))
    sock.close()
    async with AsyncExitStack() as open_:
        for server in (one, other):
            await open_.enter_async_context(serving(server))
            await server.serving.wait()
        users = [await open_.enter_async_context(connected(port)) for _ in range(24)]
        await eventually(lambda: counted(one) + counted(other) == 24)
        shares = counted(one), counted(other)
        one.stop()
        await eventually(lambda: one._sock.fileno() < 0)
        others.patience = SHORT
        late = [await open_.enter_async_context(connected(port)) for _ in range(8)]
        for user in (*users, *late):
            await user.send(ask("GET /x"))
            await user.until(partial(contains, user.raw))
        taken = counted(other)
    # Out here, for so many groups of tasks, each in another, would make a failure that takes hours to tell.
    assert abs(shares[0] - shares[1]) <= AHEAD
    assert taken == shares[1] + 8


def contains(raw: bytearray) -> bool:
    return b"legacy" in raw


def counted(server: Server) -> int:
    return len(server.server_state.connections)


async def test_the_head_and_the_body_of_an_app_s_answer_leave_together() -> None:
    sock = listen(Address("127.0.0.1", 0), "listen")
    port, server = sock.getsockname()[1], Server(legacy, sock)
    async with serving(server), connected(port) as user:
        await user.send(ask("GET /x"))
        await user.until(lambda: b"legacy" in user.raw)
        [connection] = server.server_state.connections
        assert cast(Parting, connection).out.writes == 1


async def test_what_is_no_request_is_refused_behind_the_answers_to_those_before_it() -> None:
    sock = listen(Address("127.0.0.1", 0), "listen")
    port, server = sock.getsockname()[1], Server(legacy, sock)
    async with serving(server), connected(port) as user:
        await user.send(ask("GET /x"))
        await user.until(lambda: b"legacy" in user.raw)
        [connection] = server.server_state.connections
        cast(Parting, connection).out.write(b"the end of an answer")
        cast(Parting, connection).send_400_response("no request")
        await parted(user)
        assert user.raw.index(b"the end of an answer") < user.raw.index(b"no request")


async def parted(user: Peer) -> None:
    await user.until(lambda: user.ended is not None)


async def all_of(user: socket.socket) -> bytes:
    """What comes until the other end closes."""
    received = b""
    while part := await asyncio.get_running_loop().sock_recv(user, 4096):
        received += part
    return received


async def test_tunnels_end_one_after_another_in_the_second_half_of_the_time() -> None:
    ended: list[float] = []
    loop = asyncio.get_running_loop()
    server = Server(cast(ASGIApp, None), listen(Address("127.0.0.1", 0), "listen"), drain=2.0)
    task = loop.create_task(server.run_until_stopped())
    await server.serving.wait()
    tunnels = [socket.socketpair() for _ in range(10)]
    for near, _ in tunnels:
        near.setblocking(False)
        await loop.create_connection(partial(Tunnel, server, ended), sock=near)
    server.stop()
    began = loop.time()
    await task
    for _, far in tunnels:
        far.close()
    assert len(ended) == len(tunnels)
    assert min(ended) - began >= 1.0
    assert len({round(at, 2) for at in ended}) > 3


class Tunnel(UserEnd):
    """A user's end that notes when it ends."""

    def __init__(self, server: Server, ended: list[float]) -> None:
        self._server, self._ended = server, ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().__init__(
            cast(asyncio.Transport, transport), cast(set[object], self._server.server_state.connections), self._note
        )

    def _note(self) -> None:
        self._ended.append(asyncio.get_running_loop().time())


async def eventually_refused(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        writer.close()
        await writer.wait_closed()


async def test_a_caller_on_this_machine_is_believed_no_more_than_any_other() -> None:
    async with running_origin() as origin:
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage:
            claims = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
            assert (await stage.user.get("/x", headers=claims)).status_code == 200
        [told] = origin.received
        assert told.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert told.values(b"x-forwarded-proto") == [b"http"]


async def test_idle_connections_are_kept_longer_than_balancers_keep_them() -> None:
    async with staged() as stage:
        assert stage.server.config.timeout_keep_alive == KEEP_ALIVE > 60
