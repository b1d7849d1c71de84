"""What a transport can tell or do beyond asyncio: looks at its socket, and an end that is seen as an error."""

from __future__ import annotations

import asyncio
import select
import socket
import struct


def is_quiet(transport: asyncio.Transport) -> bool:
    """Whether the other end has neither said nor closed anything that the loop has not heard of yet."""
    return not _polled(transport, select.POLLIN)


def is_left(transport: asyncio.Transport) -> bool:
    """Whether the other end has closed, though there may be bytes of it that nobody has read."""
    return _polled(transport, select.POLLRDHUP)


def _polled(transport: asyncio.Transport, event: int) -> bool:
    sock = _open_socket(transport)
    if sock is None:
        return True
    look = select.poll()
    look.register(sock.fileno(), event)
    return bool(look.poll(0))


def _open_socket(transport: asyncio.Transport) -> socket.socket | None:
    """None if it has ended. Behind TLS that is so some time before the protocol hears of it."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    return sock if sock is not None and sock.fileno() >= 0 else None


def reset(transport: asyncio.Transport) -> None:
    """Close so that the other end sees an error and not an end."""
    if (sock := _open_socket(transport)) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
