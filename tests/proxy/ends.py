"""Where a side may be, or not: origins at addresses of every kind, and addresses at which nobody answers."""

from __future__ import annotations

import socket
import ssl
from asyncio import Server, start_server, start_unix_server
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from proxy.address import Address
from tests.fidelity.origin import Origin
from tests.proxy.certificates import Pair

NOBODY = Address("127.0.0.1", 1)


def at(origin: Origin) -> Address:
    return Address("127.0.0.1", origin.port)


@asynccontextmanager
async def vanishing(origin: Origin | None = None) -> AsyncIterator[tuple[Address, Callable[[], None]]]:
    """An origin's address, and what makes it take no more connections; those that it has taken go on."""
    origin = origin or Origin()
    server = await start_server(origin.serve, "127.0.0.1", 0)
    async with _until_left(origin, server):
        yield Address("127.0.0.1", _port(server)), server.close


@asynccontextmanager
async def tls_origin(pair: Pair, host: str = "127.0.0.1") -> AsyncIterator[tuple[Origin, Address]]:
    """An origin that speaks TLS, at its address under this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    origin = Origin()
    server = await start_server(origin.serve, "127.0.0.1", 0, ssl=context)
    async with _until_left(origin, server):
        origin.port = _port(server)
        yield origin, Address(host, origin.port, tls=True)


@asynccontextmanager
async def unix_origin(directory: Path) -> AsyncIterator[tuple[Origin, Address]]:
    origin, path = Origin(), str(directory / "side.sock")
    server = await start_unix_server(origin.serve, path)
    async with _until_left(origin, server):
        yield origin, Address("", 0, path=path)


@contextmanager
def unreachable(host: str = "127.0.0.1") -> Iterator[Address]:
    """An address that takes no connections and refuses none: the queue in which they would wait is full."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind((host, 0))
        server.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        yield Address(host, server.getsockname()[1])


@asynccontextmanager
async def _until_left(origin: Origin, server: Server) -> AsyncIterator[None]:
    try:
        yield
        await origin.until(lambda: origin.open == 0)
    finally:
        server.close()
        origin.end()
        await server.wait_closed()


def _port(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
