"""Ends of tunnels that take their time, or nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from proxy.end import End
from tests.fidelity.cases import answer, ask, length
from tests.fidelity.wire import PATIENCE, connected
from tests.proxy.slow import DeafSide, deaf
from tests.proxy.stage import eventually, settled, staged


async def joined(side: End) -> tuple[End, list[socket.socket]]:
    """The user's end of a tunnel to this one, and what each is connected to: the user's first."""
    loop, user, far = asyncio.get_running_loop(), End(), []
    for end in user, side:
        near, other = socket.socketpair()
        near.setblocking(False)
        far.append(other)
        await loop.create_connection(lambda end=end: end, sock=near)  # type: ignore[misc]  # of this round
    user.other, side.other = side, user
    return user, far


async def test_an_end_that_reads_nothing_is_let_go_once_the_other_has_ended() -> None:
    side = End()
    side.reader = 0.05
    user, far = await joined(side)
    assert side.transport is not None
    while await settled(side.transport.get_write_buffer_size, 10) == 0:
        user.data_received(bytes(16 * 1024))
    far[0].close()
    await eventually(lambda: user.transport is None)
    await eventually(lambda: side.transport is None)
    far[1].close()


class Slow(asyncio.Transport):
    """What is left to write, as it is seen at each look."""

    def __init__(self, *left: int) -> None:
        self.left, self.closing, self.aborted = [*left], False, False

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


async def test_an_end_that_reads_slowly_is_waited_for() -> None:
    end, transport = End(), Slow(3, 2, 1, 1)
    end.reader = 0.01
    end.connection_made(transport)
    end.close()
    await eventually(lambda: transport.aborted)
    assert transport.left == []
    end.connection_lost(None)


async def held_back(side: End) -> tuple[End, list[socket.socket]]:
    """A tunnel whose user has to wait for this end, which takes nothing."""
    user, far = await joined(side)
    while not user.is_held_back:
        user.data_received(bytes(16 * 1024))
        await asyncio.sleep(0)
    return user, far


async def test_who_leaves_an_end_that_takes_nothing_is_missed() -> None:
    side = End()
    side.look, side.reader = 0.001, 0.05
    user, far = await held_back(side)
    await settled(lambda: 0)  # many looks
    assert user.transport is not None
    assert user.is_held_back
    far[0].close()
    await eventually(lambda: user.transport is None and side.transport is None)
    far[1].close()


async def test_what_was_sent_ahead_of_leaving_is_passed_on_to_an_end_that_is_slow() -> None:
    loop, side = asyncio.get_running_loop(), End()
    side.look = 0.001
    user, far = await held_back(side)
    for sock in far:
        sock.setblocking(False)
    came, last = b"", bytes(range(1, 256)) * 256
    sent = far[0].send(last)
    assert sent > 0
    far[0].close()
    await eventually(lambda: side._unread > 0)  # that it has left is known, and how much there is to take
    while piece := await loop.sock_recv(far[1], 1 << 16):
        came += piece
    assert came.strip(b"\0") == last[:sent]
    await eventually(lambda: user.transport is None and side.transport is None)
    far[1].close()


async def test_an_end_that_is_slow_for_a_while_and_reads_on_is_let_be() -> None:
    loop, side = asyncio.get_running_loop(), End()
    side.look = side.reader = 0.001
    user, far = await held_back(side)
    far[1].setblocking(False)
    while user.is_held_back:
        await loop.sock_recv(far[1], 1 << 16)
    await settled(lambda: 0)  # its looks have ended
    assert None not in (user.transport, side.transport)
    far[0].close()
    while await loop.sock_recv(far[1], 1 << 16):
        pass
    await eventually(lambda: user.transport is None and side.transport is None)
    far[1].close()


UPGRADE = ask("GET /cable", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
SWITCHED = answer("101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")


async def test_a_tunnel_ends_when_its_user_leaves_though_legacy_takes_nothing() -> None:
    side = DeafSide(SWITCHED)
    async with deaf(side) as port, staged(legacy={"url": f"http://127.0.0.1:{port}"}) as stage:
        async with connected(stage.port) as user:
            await user.send(UPGRADE)
            await user.until(lambda: user.raw == SWITCHED)
            [end] = stage.server.server_state.connections
            assert isinstance(end, End)
            assert end.other is not None
            end.other.look, end.other.reader = 0.01, 0.05
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(user.send(bytes(64 * 1024 * 1024)))
                await eventually(lambda: end.is_held_back)
                user.reset()
        await eventually(lambda: stage.connections == 0)


async def test_a_refusal_that_its_user_takes_slowly_is_passed_on_whole() -> None:
    size = 32 * 1024 * 1024
    side = DeafSide(answer("404 Not Found", length(size), body=bytes(size)))
    legacy = {"between_bytes": "1s"}
    async with deaf(side) as port, staged(legacy={"url": f"http://127.0.0.1:{port}", **legacy}) as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        writer.write(UPGRADE)
        await eventually(lambda: any(isinstance(each, End) for each in stage.server.server_state.connections))
        end: Any = next(iter(stage.server.server_state.connections))
        await eventually(lambda: end.other is not None and end.other.is_held_back)
        rested = asyncio.Event()
        asyncio.get_running_loop().call_later(1.5, rested.set)
        await rested.wait()
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"\r\n\r\n")
            assert len(await reader.readexactly(size)) == size
        writer.transport.abort()
