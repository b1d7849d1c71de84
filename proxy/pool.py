"""A bounded pool of keep-alive connections to one side, with a bounded, timed queue."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf

from proxy.address import Address
from proxy.connection import Connection
from proxy.dial import Dial
from proxy.errors import Saturated
from proxy.limits import Limits
from proxy.unfinished import Unfinished

__all__ = ["Limits", "Pool"]


class Pool:
    """Last in, first out: connections that are not needed grow old and are let go."""

    def __init__(self, dial: Dial, limits: Limits) -> None:
        self.dial, self.limits = dial, limits
        self._idle: list[Connection] = []
        self._members: dict[Connection, Address] = {}
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._age = limits.age
        self.unfinished = Unfinished(dial.side, limits)
        self.opened = 0
        self.closed = False
        dial.when_down(self._forget)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take_idle(self) -> Connection | None:
        """A connection that is free at this moment, if there is one; give it back with `give`."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def take(self, *, fresh: bool = False) -> Connection:
        """A connection for one question; give it back with `give`. Raises Refused, NoConnection, Saturated."""
        if not fresh and (kept := self.take_idle()) is not None:
            return kept
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
        now = connection.loop.time()  # `get_running_loop` would ask the system for our pid
        if not connection.reusable or now - connection.opened_at > self._age or self.closed:
            connection.close()
        elif self._waiting and (place := self._next_place()) is not None:
            place.set_result(connection)
        else:
            connection.idle_since = now
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = connection.loop.call_later(self.limits.idle, self._let_go)

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
        made: Connection | None = None

        def make() -> Connection:
            nonlocal made
            made = Connection(self._lost)
            return made

        try:
            connection, address = await self.dial.open(make)
        except BaseException:
            if made is not None:
                made.close()  # who is cancelled as it connects hears of no end
            self._free_slot()
            raise
        self._members[connection] = address
        return connection

    def _forget(self, address: Address) -> None:
        """Keep no connection to an address that is down; those in use are closed when they are given back."""
        for connection, to in self._members.items():
            if to == address:
                connection.opened_at = -inf
        for connection in [c for c in self._idle if c.opened_at == -inf]:
            connection.close()

    async def _queue(self) -> Connection | None:
        """Wait for a connection that is given back, or for the slot of one that is gone (None)."""
        if len(self._waiting) >= self.limits.queue:
            raise Saturated(
                f"{self.opened} connections to {self.dial.side} are busy and {self.waiting} requests wait for one"
            )
        place: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self.limits.wait):
                return await place
        except BaseException as reason:
            self._give_up(place)
            if isinstance(reason, TimeoutError):
                raise Saturated(f"no connection to {self.dial.side} came free within {self.limits.wait:g} s") from None
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
        if self._members.pop(connection, None) is not None:
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
