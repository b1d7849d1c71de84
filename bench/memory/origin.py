"""An origin for large bodies: `python -m bench.memory.origin PORT`, on two addresses, one for each side.

`GET …?bytes=N` answers that many bytes; `POST …?pause=S` reads the body in bursts with pauses of S seconds and answers
how many bytes came. `GET /held` tells how long answers took to leave it: so long is a thread of a real origin held.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import cast
from urllib.parse import parse_qs

import httptools
import uvloop

from bench.servers import ELSEWHERE
from demo.service import LOOPBACK

BLOCK = b"x" * 2**18
BURST = 2**24
SEND_BUFFER = 2**16  # small, so that the kernel does not take answers that the proxy leaves lying


class Held:
    """How long the answers took from their request to the kernel's taking of their last byte."""

    def __init__(self) -> None:
        self.seconds: list[float] = []


class Origin(asyncio.Protocol):
    def __init__(self, held: Held) -> None:
        self._held, self._loop = held, asyncio.get_running_loop()
        self._began: float | None = None
        self._received = self._burst = self._left = 0
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # writable means: the kernel has taken everything
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._received, self._burst = b"", 0, 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_headers_complete(self) -> None:
        path, _, query = self._url.decode().partition("?")
        self._path, self._query = path, {name: float(values[-1]) for name, values in parse_qs(query).items()}

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        self._burst += len(body)
        pause = self._query.get("pause", 0.0)
        if pause and self._burst >= BURST:
            self._burst = 0
            self._transport.pause_reading()
            self._loop.call_later(pause, self._transport.resume_reading)

    def on_message_complete(self) -> None:
        if self._path == "/held":
            told = json.dumps({"count": len(self._held.seconds), "longest": max(self._held.seconds, default=0.0)})
            self._answer(told.encode())
        elif "bytes" in self._query:
            self._began, self._left = self._loop.time(), int(self._query["bytes"])
            self._head(self._left)
            self._go_on()
        else:
            self._answer(json.dumps({"received": self._received}).encode())

    def _head(self, length: int) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)

    def _answer(self, body: bytes) -> None:
        self._head(len(body))
        self._transport.write(body)

    def _go_on(self) -> None:
        while self._left and self._writable:
            block = BLOCK[: self._left]
            self._left -= len(block)
            self._transport.write(block)
        if not self._left and self._writable and self._began is not None:
            self._held.seconds.append(self._loop.time() - self._began)
            self._began = None

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._go_on()


async def serve(port: int) -> None:
    held = Held()
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Origin(held), host, port) for host in (LOOPBACK, ELSEWHERE)]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
