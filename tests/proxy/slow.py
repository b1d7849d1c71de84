"""Ends of connections that take their time: users who read little, sides that do not listen."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tests.proxy.stage import Stage, eventually


class Taker:
    """A user who takes of its answers what it is told to, and whose system takes little ahead of that."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def unsent(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def ask(self, request: bytes) -> None:
        self._writer.write(request)

    async def take(self, size: int, pauses: int = 0) -> None:
        """An answer whose body has this size, with so many pauses on the way."""
        await self._reader.readuntil(b"\r\n\r\n")
        for _ in range(pauses):
            rested = asyncio.Event()
            asyncio.get_running_loop().call_later(0.1, rested.set)
            await rested.wait()
            await self._read(size // pauses)
        await self._read(size % pauses if pauses else size)

    async def _read(self, left: int) -> None:
        while left:
            came = await self._reader.read(min(left, 1 << 20))
            assert came, f"it ended with {left} bytes to come"
            left -= len(came)


@asynccontextmanager
async def taking(stage: Stage, ahead: int = 1 << 16) -> AsyncIterator[Taker]:
    """A user whose system takes little more than so many bytes `ahead` of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ahead)
    # To leave is to reset the connection: an end would wait behind what is unsent, and nobody could know of it.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.connect(("127.0.0.1", stage.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 16)
    try:
        yield Taker(reader, writer)
    finally:
        writer.transport.abort()


def unread(stage: Stage) -> int:
    """Bytes that wait in this process for users to take them."""
    return sum(front.transport.get_write_buffer_size() for front in stage.fronts)


class DeafSide(asyncio.Protocol):
    """Reads nothing after the first bytes, to which it `says` something, until it is told to `listen`."""

    heard = 0
    listens = left = False

    def __init__(self, says: bytes = b"") -> None:
        self._says = says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.heard:
            self._transport.write(self._says)
        self.heard += len(data)
        if not self.listens:
            self._transport.pause_reading()

    def listen(self) -> None:
        self.listens = True
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.left = True


@asynccontextmanager
async def deaf(side: DeafSide) -> AsyncIterator[int]:
    """The port at which this side is asked, on one connection."""
    server = await asyncio.get_running_loop().create_server(lambda: side, "127.0.0.1", 0)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            side.listen()  # or it would not hear that it was left
        await eventually(lambda: side.left)
