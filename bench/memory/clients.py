"""Clients on plain sockets, each as slow as it is asked to be."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from demo.service import LOOPBACK, ServiceError

BURST = 2**24
BLOCK = b"x" * 2**20
SMALL = 2**12  # a receive buffer that leaves the bytes with the sender
PATIENCE = 120.0
PER_ADDRESS = 5_000  # connections from one of loopback's addresses, which has some 28 000 ports


def connect(port: int, *, buffer: int | None = None, source: str = LOOPBACK) -> socket.socket:
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(PATIENCE)
    client.bind((source, 0))
    client.connect((LOOPBACK, port))
    return client


def ask(client: socket.socket, target: str) -> None:
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: origin\r\n\r\n".encode())


def answer(client: socket.socket, *, pause: float = 0.0) -> bytes:
    """The first bytes of a whole answer's body, read in bursts with pauses between them."""
    head, body = _head(client)
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    kept, missing, burst = body, length - len(body), 0
    memory = memoryview(bytearray(2**18))
    while missing:
        count = client.recv_into(memory, min(missing, len(memory)))
        if not count:
            raise ServiceError(f"an answer broke off, {missing:,} bytes before its end")
        missing, burst = missing - count, burst + count
        if len(kept) < SMALL:
            kept += bytes(memory[:count])
        if burst >= BURST:
            burst = 0
            time.sleep(pause)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ServiceError(f"answered {head.partition(bytes([13]))[0].decode()}: {kept[:200].decode()}")
    return kept


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head, and what of the body came with it."""
    came = b""
    while b"\r\n\r\n" not in came:
        more = client.recv(2**16)
        if not more:
            raise ServiceError(f"a connection ended before its answer: {came[:200]!r}")
        came += more
    head, _, body = came.partition(b"\r\n\r\n")
    return head + b"\r\n", body


def upload(client: socket.socket, target: str, size: int, *, pause: float = 0.0) -> bytes:
    """Send so many bytes, in bursts with pauses between them; the answer to them."""
    client.sendall(f"POST {target} HTTP/1.1\r\nHost: origin\r\nContent-Length: {size}\r\n\r\n".encode())
    for sent in range(0, size, len(BLOCK)):
        if sent and not sent % BURST:
            time.sleep(pause)
        client.sendall(BLOCK[: size - sent])
    return answer(client)


def waiting(port: int, number: int, target: str) -> Iterator[socket.socket]:
    """Clients that have had an answer each and keep their connections."""
    for place in range(number):
        client = connect(port, source=f"127.0.1.{1 + place // PER_ADDRESS}")
        ask(client, target)
        answer(client)
        yield client
