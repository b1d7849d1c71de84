from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.batched import TOGETHER, Batched
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


async def test_what_is_written_leaves_when_the_round_of_the_loop_is_over(
    ends: tuple[Batched, socket.socket],
) -> None:
    out, theirs = ends
    out.write(b"later")
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    await asyncio.sleep(0)
    assert theirs.recv(100) == b"later"


async def test_everything_leaves_in_the_order_in_which_it_was_written(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write(b"1")
    out.write(b"2")
    await asyncio.sleep(0)
    out.write(b"3")
    out.flush()
    out.write(b"4")
    await asyncio.sleep(0)
    assert theirs.recv(100) == b"1234"


async def test_pieces_of_one_round_leave_by_one_call(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
    out.write(b"ok")
    assert out.writes == 0
    await asyncio.sleep(0)
    assert (out.writes, theirs.recv(100)[-6:]) == (1, b"\r\n\r\nok")


async def test_much_leaves_at_once_behind_what_waits(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write(b"head")
    out.write(b"x" * TOGETHER)
    assert out.writes == 2
    assert theirs.recv(8) == b"headxxxx"


async def test_nothing_that_is_written_is_lost_to_a_close(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write(b"last words")
    out.close()
    assert theirs.recv(100) == b"last words"
    assert await asyncio.get_running_loop().sock_recv(theirs, 100) == b""


async def test_behind_bytes_that_are_not_taken_it_is_written_at_once_and_counts_as_them(
    ends: tuple[Batched, socket.socket],
) -> None:
    out, _ = ends
    out.write(BIG)
    unread = out.transport.get_write_buffer_size()
    assert unread > 0
    out.write(b"more")
    assert out.transport.get_write_buffer_size() == unread + len(b"more")


async def test_what_has_not_left_when_the_transport_ends_never_does(ends: tuple[Batched, socket.socket]) -> None:
    out, theirs = ends
    out.write(b"never seen")
    out.transport.abort()
    assert await asyncio.get_running_loop().sock_recv(theirs, 100) == b""
    assert out.writes == 0
