"""One keep-alive HTTP/1.1 connection to a side. The parser fills, the reader empties; back-pressure goes both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from proxy.errors import Broken, NoAnswer, StranglerError

# An answer up to this size is taken off the side at once, so that a slow reader does not hold one of its threads.
HIGH_WATER = 256 * 1024
BODILESS = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """Asks one question at a time: `ask`, then `head`, then `read` until `complete`. Not reusable after a failure."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._write_paused = self._read_paused = False
        self.closed = False
        self.asked = 0  # questions so far: the first one goes out on a fresh connection
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._busy = False
        self._head_only = self._framed = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self.failure: StranglerError | None = None
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = self.touched = self.may_send_body = False
        self.keeps_alive = True

    # What the upstream does with it

    def ask(self, head: bytes, *, head_only: bool) -> None:
        """Send a request's head. `head_only`: the answer has no body, whatever its headers say (RFC 9110 §9.3.2)."""
        if self.asked:
            self._reset()
        self.asked += 1
        self._busy, self._head_only = True, head_only
        self._require_transport().write(head)

    def write(self, data: bytes) -> None:
        if not self.closed:
            self._require_transport().write(data)

    def write_chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n" % len(data))
        self.write(data)
        self.write(b"\r\n")

    async def drained(self, limit: float) -> None:
        """Wait until the side takes more bytes; a side that takes none for `limit` seconds has failed."""
        if self._write_paused and self.failure is None:
            self.expect_within(limit)
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
                self._disarm()

    async def invited(self, limit: float) -> None:
        """Wait for `100 Continue`, a final answer, or `limit` seconds (RFC 9110 §10.1.1)."""
        try:
            async with asyncio.timeout(limit):
                while not (self.may_send_body or self.status or self.failure):
                    await self._filled()
        except TimeoutError:
            return

    def expect_within(self, limit: float) -> None:
        """Fail with NoAnswer unless the head of the answer comes within `limit` seconds."""
        self._disarm()
        if not self.status and self.failure is None:
            self._deadline = self._loop.call_later(limit, self._too_late, limit)

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        while not self.status:
            self._raise_failure()
            await self._filled()
        return self.status, self.headers

    async def read(self) -> bytes:
        """What has come since the last call; `b""` only when the answer is complete."""
        while not self._chunks and not self.complete:
            self._raise_failure()
            await self._filled()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._buffered = [], 0
        if self._read_paused and not self.closed:
            self._read_paused = False
            self._require_transport().resume_reading()
        return data

    def finish(self) -> bool:
        """The exchange is over; True if the next question may be asked here."""
        self._disarm()
        self._busy = False
        return self.complete and self.keeps_alive and not self.closed and self.failure is None

    def fail(self, failure: StranglerError) -> None:
        """End the exchange and the connection. What was read so far stays readable; then the failure is raised."""
        if self._busy and self.failure is None:
            self.failure = failure
            self.close()
            self._wake()

    def close(self) -> None:
        self._disarm()
        if self._transport is not None and not self.closed:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            return self.close()  # bytes that nobody asked for
        self.touched = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return self.fail(Broken("it switched protocols without being asked to"))
        except httptools.HttpParserError as error:
            return self.fail(Broken(f"its answer is not HTTP: {error}"))
        if self._buffered > HIGH_WATER and not self._read_paused and not self.complete:
            self._read_paused = True
            self._require_transport().pause_reading()
        return self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._busy and not self.complete and self.failure is None:
            if self.status and not self._framed and exc is None:
                self.complete = True  # a body without a length ends with its connection (RFC 9112 §6.3)
            else:
                self.failure = Broken("the connection ended before the answer did")
        self._disarm()
        self._wake()
        self._lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        _release(self._writer)

    # httptools' parser

    def on_message_begin(self) -> None:
        if self.complete:
            self.keeps_alive = False  # a second answer to one question
        self.headers = [] if not self.complete else self.headers

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.complete:
            return
        if status < 200:
            self.may_send_body = self.may_send_body or status == 100
            return
        self._disarm()
        self.status = status
        self._framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        if self._head_only or status in BODILESS:
            self.complete = True
            self.keeps_alive = not any(n.lower() == b"connection" and b"close" in v.lower() for n, v in self.headers)

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self.keeps_alive = False
        else:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self.status and not self.complete:
            self.complete = True
            self.keeps_alive = self._parser.should_keep_alive()

    # Within

    def _require_transport(self) -> asyncio.Transport:
        assert self._transport is not None, "used before it was connected"
        return self._transport

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _too_late(self, limit: float) -> None:
        self.fail(NoAnswer(f"nothing came within {limit:g} s"))

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _filled(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        _release(self._reader)
        if self.closed or self.failure is not None:
            _release(self._writer)


def _release(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
