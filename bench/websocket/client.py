"""A WebSocket on a plain socket, with as little between the clock and the wire as can be; short messages only."""

from __future__ import annotations

import socket
import struct
from time import perf_counter

from demo.service import LOOPBACK, ServiceError

PATIENCE = 60.0
PATH = "/cable"
_HANDSHAKE = (
    f"GET {PATH} HTTP/1.1\r\nHost: origin\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
_MASK = bytes(4)  # nought, under which a message is sent as it is


def opened(port: int) -> socket.socket:
    client = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(_HANDSHAKE)
    came = b""
    while not came.endswith(b"\r\n\r\n"):
        more = client.recv(4096)
        if not more:
            break
        came += more
    if not came.startswith(b"HTTP/1.1 101"):
        raise ServiceError(f"no WebSocket at port {port}: {came[:200]!r}")
    return client


def echo(client: socket.socket, message: bytes) -> float:
    """Send a message of at most 125 bytes; how many seconds passed until it was back whole."""
    began = perf_counter()
    client.sendall(struct.pack("!BB", 0x82, 0x80 | len(message)) + _MASK + message)
    wanted, came = struct.pack("!BB", 0x82, len(message)) + message, b""
    while len(came) < len(wanted):
        more = client.recv(4096)
        if not more:
            raise ServiceError("a WebSocket ended before its echo")
        came += more
    took = perf_counter() - began
    if came != wanted:
        raise ServiceError(f"sent {message!r}, and {came!r} came back")
    return took
