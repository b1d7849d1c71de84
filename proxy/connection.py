"""One keep-alive HTTP/1.1 connection to a side. Answers are read ahead up to a bound; uploads wait for the side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from proxy.batched import Batched
from proxy.errors import Broken, StranglerError, Unasked, unreadable
from proxy.headers import BODILESS, Header
from proxy.limits import Limits
from proxy.listener import FRAMING, Listener, keeps_alive
from proxy.progress import PROGRESS
from proxy.request import Request
from proxy.strict import LARGE_ANSWER, Head, answer_fault
from proxy.timekeeper import Timekeeper
from proxy.transports import is_quiet
from proxy.whole import Taker, whole_answer


class Connection(asyncio.Protocol):
    """Asks one question at a time. It is `reusable` while it owes no answer and nothing has gone wrong."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._lost = lost
        self._out: Batched | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._listener: Listener | None = None
        self._headers: list[Header] = []
        self._phrase, self._head = b"", Head()
        self._writable: Callable[[], None] | None = None
        self._whole: Taker | None = None
        self._read_paused = self._head_only = self._framed = self._ended = self.write_paused = self.closed = False
        self.keeps_alive = True
        self.asked = self._writes = 0  # questions so far, the first on a fresh connection; writes ahead of this one
        self.opened_at, self.idle_since = self.loop.time(), 0.0

    @property
    def reusable(self) -> bool:
        return self.keeps_alive and not self.closed and self._listener is None

    def ask(self, request: Request, listener: Listener, limits: Limits, whole: Taker | None = None) -> None:
        """Send a request's head. `whole`: takes status and bytes of an answer in one piece, if it says so, unheard."""
        self.asked += 1
        out = self._out
        if self.closed or out is None or out.is_closing():
            self.keeps_alive = False
            return listener.fail(Unasked("the connection ended before it was asked"))
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._headers, self._phrase, self._listener, self._whole = [], b"", listener, whole
        self._head_only = request.method == "HEAD"  # no body then, whatever the headers say (RFC 9110 §9.3.2)
        self._time.begin(limits)
        self._writes = out.writes
        out.write(request.head)
        return out.flush() if request.has_body else None  # a body is given out once: whether it left must be known

    def write(self, data: bytes) -> None:
        if not self.closed:
            self._require_out().write(data)

    def write_chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def when_writable(self, writable: Callable[[], None] | None) -> None:
        """Have this called each time that the side takes bytes again, or never will."""
        self._writable = writable

    def expect_answer(self) -> None:
        """Fail unless the head of the answer comes in time, or this is said again."""
        if self._listener is not None and not self._listener.status:
            self._time.await_answer()

    def expect_upload(self) -> None:
        """Fail unless more of the upload is written in time, or this is said again. The answer may come first."""
        if self._listener is not None and not self._listener.status:
            self._time.await_upload()

    def awaits_nothing(self) -> None:
        self._time.off()

    def is_quiet(self) -> bool:
        return is_quiet(self._require_out().transport)

    def fail(self, failure: StranglerError) -> None:
        """End the exchange and the connection."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self.close()
            listener.fail(failure)

    def go_on(self) -> None:
        """The listener is no longer full."""
        if self._read_paused and not self.closed:
            self._read_paused = False
            self._require_out().transport.resume_reading()
            if self._listener is not None:
                self._time.await_more()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            out, self._out = self._out, None
            if out is not None:
                self._time.close()
                out.transport.abort()
            self._tell_writable()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out = Batched(cast(asyncio.Transport, transport), self.loop)
        self._time = Timekeeper(self.fail)  # not sooner: they lead to each other, and only an end parts them

    def data_received(self, data: bytes) -> None:
        PROGRESS.steps += 1
        listener = self._listener
        if listener is None or self._parser is None or self._out is None:
            return self.close()  # bytes that nobody asked for
        if self._out.writes == self._writes:
            return self.fail(Unasked("it spoke before it was asked"))
        if self._whole is not None and not listener.touched and self._passes_whole(self._whole, data):
            return None
        listener.touched = True
        self._head.came(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_alive = False  # the exchange has failed by its status, or was complete ahead of it
        except httptools.HttpParserError as error:
            if not listener.complete:
                return self.fail(unreadable(error))
            self.keeps_alive = False
        if listener.complete:
            self._settle(listener)
            return listener.wake()
        listener.wake()
        return self._await_more(listener) if self._listener is not None else None

    def eof_received(self) -> None:
        """The side has said that this was all. Not so where TLS did not say it, too: it was cut off (RFC 9112 §9.8)."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._time.close()
        self._tell_writable()
        self._parser = self._whole = self._writable = None  # they lead back here: break the circles
        if (listener := self._listener) is not None:
            if listener.status and not self._framed and self._ended:
                listener.end([])  # a body without a length ends with its connection (RFC 9112 §6.3)
                self._settle(listener)
                listener.wake()
            else:
                self._listener = None
                kind = Unasked if self._out is not None and self._out.writes == self._writes else Broken
                listener.fail(kind("the connection ended before the answer did"))
        self._lost(self)

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self._tell_writable()

    # httptools' parser

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase  # it comes in pieces where the connection's pieces end

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" ")))

    def on_headers_complete(self) -> None:
        listener, parser = self._listener, self._parser
        headers, self._headers = self._headers, []
        phrase, self._phrase = self._phrase, b""
        if listener is None or parser is None or listener.complete:
            self.keeps_alive = False  # a second answer to one question
            return None
        status = parser.get_status_code()
        size_fault = self._head.goes_on if status < 200 else self._head.ended
        if size_fault(phrase, headers) is not None:
            return self.fail(Broken(LARGE_ANSWER))
        if (why := answer_fault(parser.get_http_version(), status, phrase, headers)) is not None:
            return self.fail(Broken(why))
        if status < 200:
            return listener.interim(status, phrase, headers)
        self._framed = any(name in FRAMING for name, _ in headers)
        listener.begin(status, phrase, headers)
        if self._head_only or status in BODILESS:
            self._parser = None  # it would await a body
            self.keeps_alive = keeps_alive(headers, parser.get_http_version())
            listener.end([])
        return None

    def on_body(self, body: bytes) -> None:
        self._head.moved()
        if self._listener is not None and not self._listener.complete:
            self._listener.feed(body)
        else:
            self.keeps_alive = False

    def on_message_complete(self) -> None:
        listener, parser = self._listener, self._parser
        if listener is not None and parser is not None and listener.status and not listener.complete:
            if self._head.ended(b"", self._headers) is not None:
                return self.fail(Broken(LARGE_ANSWER))
            self.keeps_alive = parser.should_keep_alive()
            listener.end(self._headers)  # what came after the body is its trailers
        return None

    def _passes_whole(self, whole: Taker, data: bytes) -> bool:
        found = whole_answer(data)
        if found is None:
            return False
        listener, self._listener = self._listener, None  # so that the connection is free when it hears of the answer
        if not whole(*found):
            self._listener = listener
            return False
        self._whole = self._writable = None
        self._time.off()
        return True

    def _await_more(self, listener: Listener) -> None:
        if self._head.fault() is not None:
            self.fail(Broken(LARGE_ANSWER))
        elif listener.full:
            self._read_paused = True
            self._time.off()
            self._require_out().transport.pause_reading()
        elif listener.status and not self._head.since:  # trailers alone put nothing off
            self._time.await_more()

    def _settle(self, listener: Listener) -> None:
        self._listener = self._whole = self._writable = None
        self._head.over()
        self._time.off()
        listener.answered()

    def _tell_writable(self) -> None:
        if self._writable is not None:
            self._writable()

    def _require_out(self) -> Batched:
        assert self._out is not None, "used before it was connected"
        return self._out
