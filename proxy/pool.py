"""A bounded pool of keep-alive connections to one address, with a bounded, timed queue."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from proxy.address import Address
from proxy.connection import Connection
from proxy.errors import NoConnection, Refused, Saturated


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, but `connections` and `queue` are counts. `first_byte` runs from the last byte of the question."""

    connect: float = 1.0
    first_byte: float = 30.0
    connections: int = 256
    queue: int = 256
    wait: float = 1.0
    stall: float = 30.0  # between two pieces of a user's upload
    idle: float = 15.0  # puma closes after 20 s: whoever lets go first never meets a closed door


class Pool:
    """Last in, first out: connections that are not needed grow old and are let go."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address, self.limits = address, limits
        self._idle: list[Connection] = []
        self._members: set[Connection] = set()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self.opened = 0
        self.closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, *, fresh: bool = False) -> Connection:
        """A connection for one question; give it back with `give`. Raises Refused, NoConnection, Saturated."""
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        if self.opened < self.limits.connections:
            self.opened += 1
            return await self._open()
        if fresh and self._idle:
            self._idle.pop(0).close()
        handed = await self._queue()
        while handed is not None and handed.closed:  # lost on its way from hand to hand
            handed = await self._queue()
        return handed or await self._open()

    def give(self, connection: Connection) -> None:
        if not connection.reusable or self.closed:
            connection.close()
        elif (place := self._next_place()) is not None:
            place.set_result(connection)
        else:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = loop.call_later(self.limits.idle, self._let_go)

    def close(self) -> None:
        """Close what is idle; what is in use closes when it is given back."""
        self.closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _open(self) -> Connection:
        """Connect, in a slot that is already counted in `opened`."""
        loop = asyncio.get_running_loop()
        host, port = self.address.host, self.address.port
        try:
            async with asyncio.timeout(self.limits.connect):
                _, connection = await loop.create_connection(lambda: Connection(self._lost), host, port)
            if connection.closed:
                raise ConnectionResetError("closed as soon as it was open")
        except TimeoutError:
            self._free_slot()
            raise NoConnection(f"no connection to {self.address} within {self.limits.connect:g} s") from None
        except OSError as error:
            self._free_slot()
            raise Refused(f"no connection to {self.address}: {error.strerror or error}") from None
        except BaseException:
            self._free_slot()
            raise
        self._members.add(connection)
        return connection

    async def _queue(self) -> Connection | None:
        """Wait for a connection that is given back, or for the slot of one that is gone (None)."""
        if len(self._waiting) >= self.limits.queue:
            raise Saturated(f"{self.opened} connections to {self.address} are busy and {self.waiting} requests wait")
        place: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self.limits.wait):
                return await place
        except BaseException as reason:
            self._give_up(place)
            if isinstance(reason, TimeoutError):
                raise Saturated(f"no connection to {self.address} came free within {self.limits.wait:g} s") from None
            raise

    def _give_up(self, place: asyncio.Future[Connection | None]) -> None:
        """Leave the queue; what was handed over in the meantime goes to the next in line."""
        if place in self._waiting:
            self._waiting.remove(place)
        elif place.done() and not place.cancelled():
            connection = place.result()
            self._free_slot() if connection is None else self.give(connection)

    def _next_place(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None

    def _lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._members:
            self._members.remove(connection)
            self._free_slot()

    def _free_slot(self) -> None:
        """Pass a slot to the next in line; `opened` falls only when nobody waits."""
        if (place := self._next_place()) is not None:
            place.set_result(None)
        else:
            self.opened -= 1

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self.limits.idle
        for connection in [c for c in self._idle if c.idle_since <= oldest]:
            connection.close()
        self._idle = [c for c in self._idle if c.idle_since > oldest]
        self._sweep = loop.call_later(self._idle[0].idle_since - oldest, self._let_go) if self._idle else None
