from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.batched import Batched
from tests.proxy.stage import eventually

BIG = b"x" * (8 * 1024 * 1024)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Batched, socket.socket]]:
    """What writes to one end of a connection, and the other end, which reads only when it is told to."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
    with theirs:
        yield Batched(transport, loop), theirs
        transport.abort()
        await eventually(lambda: ours.fileno() < 0)


async def test_what_is_written_soon_leaves_when_the_round_of_the_loop_is_over(
    ends: tuple[Batched, socket.socket],
) -> None:
    out, theirs = ends
    out.write_soon(b"later")
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    await asyncio.sleep(0)
    assert theirs.recv(100) == b"later"


async def test_everything_leaves_in_the_order_in_which_it_was_written(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write_soon(b"1")
    out.write_soon(b"2")
    out.write_soon(b"3")
    out.write(b"4")
    out.write_soon(b"5")
    out.writelines((b"6", b"7"))
    await asyncio.sleep(0)
    assert theirs.recv(100) == b"1234567"


async def test_behind_bytes_that_are_not_taken_it_is_written_at_once_and_counts_as_them(
    ends: tuple[Batched, socket.socket],
) -> None:
    out, _ = ends
    out.write(BIG)
    unread = out.transport.get_write_buffer_size()
    assert unread > 0
    out.write_soon(b"more")
    assert (out.waiting, out.transport.get_write_buffer_size()) == (b"", unread + len(b"more"))


async def test_what_has_not_left_when_the_transport_ends_stays_with_us(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write_soon(b"never seen")
    out.transport.abort()
    assert await asyncio.get_running_loop().sock_recv(theirs, 100) == b""
    assert out.waiting == b"never seen"
