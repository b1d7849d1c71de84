"""Upgraded connections: once the side has said 101, a byte tunnel: frames, extensions and close codes untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import httptools

from proxy.dial import Dial
from proxy.errors import Broken, NoAnswer, SideFailed
from proxy.limits import Limits

Headers = Sequence[tuple[bytes, bytes]]
EARLY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Handshake:
    """How an upgrade was answered: 101, the side's refusal, what stands for its failure, or 0 if the user left."""

    status: int
    failure: SideFailed | None = None


class End(asyncio.Protocol):
    """One end of a tunnel: what it reads, the other end writes, no faster than the other takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other, self.transport = self.other, None, None
        if other is not None:
            other.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def close(self) -> None:
        """Close once everything written has gone out."""
        if self.transport is not None:
            self.transport.close()


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
    """The side's end. Nothing is passed on until it has answered; a refusal is passed on, and ends the tunnel.

    Without this a refused upgrade would leave a pipe to the side on which further requests pass unseen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._unpassed = bytearray()
        self._refused = False

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return super().data_received(data)
        self._unpassed += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._parser = None
            self._settle(101)
        except httptools.HttpParserError as error:
            self._settle(Broken(f"its answer is not HTTP: {error}"))
            return self.close()
        if self.answered.done():
            super().data_received(bytes(self._unpassed))
            self._unpassed.clear()
        if self._refused or len(self._unpassed) > EARLY:
            self.close()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None
        self._settle(Broken("the connection ended before the answer did"))
        if self.answered.cancelled() or self.answered.exception() is not None:
            self.transport = None  # the user is yet to be told
        else:
            super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code() if self._parser is not None else 0
        if status >= 200:
            self._settle(status)

    def on_message_complete(self) -> None:
        self._refused = self.answered.done()

    def _settle(self, outcome: int | SideFailed) -> None:
        if self.answered.done():
            return
        if isinstance(outcome, int):
            self.answered.set_result(outcome)
        else:
            self.answered.set_exception(outcome)


async def tunnel(user: UserEnd, head: bytes, legacy: Dial, limits: Limits) -> Handshake:
    """Ask legacy for the upgrade, join both ends, and return as soon as legacy has answered.

    On failure the user's end is left open and unanswered: the caller says why, and closes it.
    """
    try:
        side, _ = await legacy.open(SideEnd)
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


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """The upgrade request, hop-by-hop headers set anew: `headers` are what is left after forwarding."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    lines += [b"%b: %b" % pair for pair in headers]
    lines += [b"connection: Upgrade", b"upgrade: websocket", b"", b""]
    return b"\r\n".join(lines)
