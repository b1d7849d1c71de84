"""One connection to Redis on which everybody asks at once: commands leave as they come, and replies keep their order.

What a pool does to lend a connection for each command takes many times what Redis takes to answer it, and so does the
call of the system by which a command leaves. Here the commands of one turn of the event loop leave by one call, and
replies that arrive together are read together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias, cast

from hiredis import Reader, pack_command
from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from .shadow import note, stay

Reply: TypeAlias = "bytes | int | list[Reply] | RedisError | None"

# Its own type admits one word only.
packed = cast("Callable[[tuple[str | bytes | int, ...]], bytes]", pack_command)
STUCK = 5.0  # seconds for which a reply may be owed until who asks next does so on another connection


class Line:
    """Connects when it is first asked, and again when the connection is lost. Nothing is asked twice."""

    def __init__(self, url: str, seconds: float, prove: Callable[[], Awaitable[None]] | None = None) -> None:
        """With `prove`, which raises if Redis lets us do too much, it is a shadow's."""
        pool = ConnectionPool.from_url(url)
        self._address: AbstractConnection = pool.connection_class(**pool.connection_kwargs)  # never opened: it is read
        self._seconds = seconds  # to connect in
        self._prove = prove
        self._opening: asyncio.Task[Wire] | None = None
        self._wire: Wire | None = None

    async def ask(self, *words: str | bytes | int) -> Reply:
        """The reply to a command. RedisError or OSError without one; its time is the caller's to limit.

        Who gives up waiting leaves the connection in order: the reply is read, and dropped.
        """
        if self._prove is not None:
            stay(words)
        wire = self._wire
        if wire is None or not wire.usable():
            wire = await self._open()
        reply = await wire.ask(packed(words))
        if isinstance(reply, RedisError):
            note(reply)
            if "READONLY" in str(reply):  # a script's error has it somewhere
                # It has become a replica. Who asks again finds whatever the address leads to by now.
                wire.close()
                raise RedisConnectionError(str(reply))
            raise reply
        return reply

    async def _open(self) -> Wire:
        # All wait for one attempt, which goes on without who gives up: where connecting takes longer than a reader
        # waits, none of theirs would come to its end.
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._connect())
        return await asyncio.shield(self._opening)

    async def _connect(self) -> Wire:
        if self._wire is not None:
            self._wire.close()
        async with asyncio.timeout(self._seconds):
            if self._prove is not None:
                await self._prove()
            self._wire = await opened(self._address)
        return self._wire

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._wire is not None:
            self._wire.close()


class Wire(asyncio.Protocol):
    """A connection, until it is lost."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._replies = Reader(protocolError=InvalidResponse, replyError=ResponseError)
        # Who waits for a reply, in the order of the commands, and since when.
        self._owed: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._leaving: list[bytes] = []  # commands, at the end of this turn of the event loop

    def usable(self) -> bool:
        """Not if it is lost, nor if Redis, or the way to it, has been silent for too long."""
        return self._transport is not None and not (self._owed and self._loop.time() - self._owed[0][0] > STUCK)

    def ask(self, command: bytes) -> asyncio.Future[Reply]:
        if self._transport is None:
            raise RedisConnectionError("the connection to Redis is lost")
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._owed.append((self._loop.time(), future))
        if not self._leaving:
            self._loop.call_soon(self._leave)
        self._leaving.append(command)
        return future

    def _leave(self) -> None:
        if self._transport is not None:  # it has not been lost just now
            self._transport.write(b"".join(self._leaving))
        self._leaving.clear()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:  # which is no reply: none is whole
            self._pay(reply)

    def connection_lost(self, reason: Exception | None) -> None:
        self._transport = None
        while self._owed:
            self._pay(RedisConnectionError(f"the connection to Redis was lost: {reason or 'closed by Redis'}"))

    def _pay(self, reply: Reply) -> None:
        _, future = self._owed.popleft()
        if not future.done():
            future.set_result(reply)


async def opened(address: AbstractConnection) -> Wire:
    loop = asyncio.get_running_loop()
    if isinstance(address, UnixDomainSocketConnection):
        _, wire = await loop.create_unix_connection(Wire, address.path)
    else:
        assert isinstance(address, Connection)
        secure = address.ssl_context.get() if isinstance(address, SSLConnection) else None
        _, wire = await loop.create_connection(Wire, address.host, address.port, ssl=secure)
    try:
        for words in introduction(address):
            reply = await wire.ask(packed(words))
            if isinstance(reply, RedisError):
                raise reply
    except BaseException:
        wire.close()
        raise
    return wire


def introduction(address: AbstractConnection) -> Iterator[tuple[str | int, ...]]:
    """What is said first: who asks, and for which database."""
    if address.password:
        yield "AUTH", *([address.username] if address.username else []), address.password
    if address.db:
        yield "SELECT", address.db
