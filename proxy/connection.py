"""One keep-alive HTTP/1.1 connection to a side. Answers are read ahead up to a bound; uploads wait for the side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from proxy.errors import Broken, NoAnswer, StranglerError
from proxy.reply import Headers, Reply

# An answer up to this size is taken off the side at once, so that a slow reader does not hold one of its threads.
HIGH_WATER = 256 * 1024
BODILESS = frozenset({204, 304})
HIGHEST_STATUS = 599  # RFC 9110 §15


class Connection(asyncio.Protocol):
    """Asks one question at a time. It is `reusable` while it owes no answer and nothing has gone wrong."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: Reply | None = None
        self._answered: Callable[[], None] | None = None
        self._headers: Headers = []
        self._writer: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._write_paused = self._read_paused = False
        self._head_only = self._framed = False
        self.closed = False
        self.keeps_alive = True
        self.asked = 0  # questions so far: the first one goes out on a fresh connection
        self.idle_since = 0.0

    @property
    def reusable(self) -> bool:
        return self.keeps_alive and not self.closed and self._reply is None

    # Whoever asks

    def ask(self, head: bytes, answered: Callable[[], None], *, head_only: bool) -> Reply:
        """Send a request's head; `answered` is called when the answer is complete.

        `head_only`: the answer has no body, whatever its headers say (RFC 9110 §9.3.2).
        """
        self.asked += 1
        if self.asked > 1:
            self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._answered = answered
        self._reply = Reply(self._emptied)
        if not self.closed:
            self._require_transport().write(head)
        else:
            self._reply.fail(Broken("the connection ended before it was asked"))
        return self._reply

    def write(self, data: bytes) -> None:
        if not self.closed:
            self._require_transport().write(data)

    def write_chunk(self, data: bytes) -> None:
        if not self.closed:
            self._require_transport().writelines((b"%x\r\n" % len(data), data, b"\r\n"))

    async def drained(self, limit: float) -> None:
        """Wait until the side takes more bytes; a side that takes none for `limit` seconds has failed."""
        if self._write_paused and not self.closed:
            self.expect_within(limit)
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
                self._disarm()

    def expect_within(self, limit: float) -> None:
        """Fail with NoAnswer unless the head of the answer comes within `limit` seconds."""
        self._disarm()
        if self._reply is not None and not self._reply.status:
            self._deadline = self._loop.call_later(limit, self._too_late, limit)

    def fail(self, failure: StranglerError) -> None:
        """End the exchange and the connection."""
        if self._reply is not None:
            reply, self._reply = self._reply, None
            self.close()
            reply.fail(failure)

    def close(self) -> None:
        self._disarm()
        if not self.closed:
            self.closed = True
            if self._transport is not None:
                self._transport.abort()
            _release(self._writer)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            return self.close()  # bytes that nobody asked for
        reply.touched = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return self.fail(Broken("it switched protocols without being asked to"))
        except httptools.HttpParserError as error:
            if not reply.complete:
                return self.fail(Broken(f"its answer is not HTTP: {error}"))
            self.keeps_alive = False
        if reply.complete:
            self._settle(reply)
        elif reply.buffered > HIGH_WATER and not self._read_paused and not self.closed:
            self._read_paused = True
            self._require_transport().pause_reading()
        return reply.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._disarm()
        _release(self._writer)
        if self._reply is not None:
            reply = self._reply
            if reply.status and not self._framed and exc is None:
                reply.complete = True  # a body without a length ends with its connection (RFC 9112 §6.3)
                self._settle(reply)
                reply.wake()
            else:
                self._reply = None
                reply.fail(Broken("the connection ended before the answer did"))
        self._lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        _release(self._writer)

    # httptools' parser

    def on_message_begin(self) -> None:
        self._headers = []
        if self._reply is None or self._reply.complete:
            self.keeps_alive = False  # a second answer to one question

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        reply, status = self._reply, self._parser.get_status_code()
        if reply is None or reply.complete:
            return None
        headers, self._headers = self._headers, []  # trailers are no headers: they go where nobody looks
        if status < 200:
            reply.invited = reply.invited or status == 100
            return None
        if status > HIGHEST_STATUS:
            return self.fail(Broken(f"its status {status} is none of HTTP's"))
        self._disarm()
        self._framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)
        reply.begin(status, headers)
        if self._head_only or status in BODILESS:
            reply.complete = True
            self.keeps_alive = self._keeps_alive_by(headers)
        return None

    def on_body(self, body: bytes) -> None:
        if self._reply is not None and not self._reply.complete:
            self._reply.feed(body)
        else:
            self.keeps_alive = False

    def on_message_complete(self) -> None:
        if self._reply is not None and self._reply.status and not self._reply.complete:
            self._reply.complete = True
            self.keeps_alive = self._parser.should_keep_alive()

    # Within

    def _settle(self, reply: Reply) -> None:
        """The answer is complete: the connection is free for the next question, read or not."""
        self._reply = None
        self._disarm()
        answered, self._answered = self._answered, None
        if answered is not None:
            answered()

    def _keeps_alive_by(self, headers: Headers) -> bool:
        """The parser, which awaits a body here, cannot tell."""
        said = b",".join([value for name, value in headers if name.lower() == b"connection"]).lower()
        if self._parser.get_http_version() == "1.0":
            return b"keep-alive" in said
        return b"close" not in said

    def _emptied(self, reply: Reply) -> None:
        if self._read_paused and reply is self._reply and not self.closed:
            self._read_paused = False
            self._require_transport().resume_reading()

    def _require_transport(self) -> asyncio.Transport:
        assert self._transport is not None, "used before it was connected"
        return self._transport

    def _too_late(self, limit: float) -> None:
        self.fail(NoAnswer(f"nothing came within {limit:g} s"))

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _release(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
