"""Upgraded connections: once the side has said 101, a byte tunnel: frames, extensions and close codes untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httptools

from proxy.dial import Dial
from proxy.end import End
from proxy.errors import Broken, NoAnswer, SideFailed
from proxy.framed import Framed
from proxy.headers import Header, message_head, status_line
from proxy.limits import Limits
from proxy.listener import FRAMING
from proxy.strict import answer_fault
from proxy.upgrades import Handshake, wants_websocket

EARLY = 64 * 1024


class UserEnd(End):
    """The user's end. What comes before the side has agreed to the upgrade waits here, up to a bound.

    It stands among the server's connections, so that a server that shuts down closes it.
    """

    def __init__(self, transport: asyncio.Transport, connections: set[object], gone: Callable[[], None]) -> None:
        super().__init__()
        self.transport = transport
        self._early: bytearray | None = bytearray()
        self._connections, self._gone = connections, gone
        connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._early is None:
            return super().data_received(data)
        self._early += data
        return self.close() if len(self._early) > EARLY else None

    def join(self) -> None:
        early, self._early = self._early, None
        if early:
            super().data_received(bytes(early))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._gone()
        super().connection_lost(exc)

    def answer(self, response: bytes) -> None:
        """The last word to a user whose upgrade failed."""
        if self.transport is not None:
            self.transport.write(response)
        self.close()

    def shutdown(self) -> None:
        self.close()


class SideEnd(End):
    """The side's end. Nothing is passed on until it has answered. A refusal is an answer like any other, and ends the
    tunnel: a pipe left open behind it would let further requests pass unseen.

    `between_bytes`: seconds that a refusal may pause.
    """

    def __init__(self, between_bytes: float) -> None:
        super().__init__()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._between = between_bytes
        self._headers: list[Header] = []
        self._phrase, self._head_size = b"", 0
        self._refusal: Framed | None = None
        self._by_close = self._ended = self._over = False

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return super().data_received(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = None
            if rest := data[upgrade.args[0] :]:
                super().data_received(rest)
        except httptools.HttpParserError as error:
            return self._fail(f"its answer is not HTTP: {error}")
        if self._refusal is not None:
            return self.close() if self._over else self._alarm.within(self._between)
        if not self.answered.done():
            self._head_size += len(data)
            if self._head_size > EARLY:
                return self._fail(f"the head of its answer is larger than {EARLY} bytes")
        return None

    def _too_late(self) -> None:
        if self._refusal is None or self.transport is None or self.transport.is_closing():
            return super()._too_late()
        # It has sent nothing more of its refusal; unless it is our user who has to take some first.
        return self._alarm.within(self._between) if self.is_held_back else self.close()

    def eof_received(self) -> None:
        """It has said that this was all. Whoever is given up says nothing, nor does a cut below TLS (RFC 9112 §9.8)."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None
        self._alarm.close()
        if not self.answered.done():
            self.answered.set_exception(Broken("the connection ended before the answer did"))
        if self.answered.cancelled() or self.answered.exception() is not None:
            self.transport = None  # the user is yet to be told
            return
        if self._by_close and self._ended:
            self.on_message_complete()  # a body without a length ends with its connection (RFC 9112 §6.3)
        super().connection_lost(exc)

    # httptools' parser

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._refusal is None:  # a refusal's trailers are not passed on
            self._headers.append((name, value.rstrip(b" ")))

    def on_headers_complete(self) -> None:
        came, phrase = self._headers, self._phrase
        self._headers, self._phrase = [], b""
        if self._parser is None or self.answered.done():
            return None
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        headers = [(name.lower(), value) for name, value in came]
        if status == 101 and wants_websocket("GET", headers):
            kept = [header for header in came if not header[0].lower().startswith(b"x-strangler-")]
            self._pass(message_head(status_line(101, phrase), kept))
            return self.answered.set_result(101)
        if (why := answer_fault(version, status, phrase, headers)) is not None:
            return self._fail(why)
        if status >= 200:
            self._refusal = Framed("GET", "1.1", keep_alive=False)
            self._by_close = all(name not in FRAMING for name, _ in headers)
            self._pass(self._refusal.head(status, phrase, headers))
            self.answered.set_result(status)
        return None

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None and not self._over:
            self._pass(self._refusal.piece(body))

    def on_message_complete(self) -> None:
        if self._refusal is not None and not self._over:
            self._over = True
            self._pass(self._refusal.end([]))

    def _pass(self, data: bytes) -> None:
        if data:
            super().data_received(data)

    def _fail(self, why: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(Broken(why))
        self.close()


async def tunnel(user: UserEnd, head: bytes, legacy: Dial, limits: Limits) -> Handshake:
    """Ask legacy for the upgrade, join both ends, and return as soon as legacy has answered.

    On failure the user's end is left open and unanswered: the caller says why, and closes it.
    """
    try:
        side, _ = await legacy.open(lambda: SideEnd(limits.between_bytes))
    except SideFailed as failure:
        return _failed(user, failure)
    try:
        status = await _asked(side, user, head, limits)
    except SideFailed as failure:
        side.other = user.other = None
        side.close()
        return _failed(user, failure)
    except BaseException:
        side.close()
        raise
    if status == 101:
        user.join()
    return Handshake(status)


def _failed(user: UserEnd, failure: SideFailed) -> Handshake:
    failure = failure.with_traceback(None)  # it leads back to both ends
    return Handshake(failure.status, failure) if user.transport is not None else Handshake(0)


async def _asked(side: SideEnd, user: UserEnd, head: bytes, limits: Limits) -> int:
    if side.transport is None or user.transport is None:
        raise Broken("the connection ended before the answer did")
    side.other, user.other = user, side
    side.transport.write(head)
    try:
        async with asyncio.timeout(limits.first_byte):
            return await side.answered
    except TimeoutError:
        raise NoAnswer(f"legacy did not answer the upgrade within {limits.first_byte:g} s") from None
