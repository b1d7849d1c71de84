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
    look = select.poll()
    look.register(transport.get_extra_info("socket").fileno(), event)
    return bool(look.poll(0))


def reset(transport: asyncio.Transport) -> None:
    """Close so that the other end sees an error and not an end."""
    sock = transport.get_extra_info("socket")
    if sock.fileno() >= 0:  # else it has ended already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
