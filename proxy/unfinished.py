"""What uploads may hold of a side, and of this process, of which the end is not there yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from proxy.errors import Saturated
from proxy.limits import Limits

ROOM = 16 * 1024 * 1024  # bytes


class Unfinished:
    """It is their users who say how long they take, and half of the side's connections are never theirs. The others are
    kept here, where all of them share the same room: those of which more is taken, and those that are in line."""

    def __init__(self, side: str, limits: Limits, room: int = ROOM) -> None:
        self.passed_on = self.kept = 0  # uploads; bytes
        self._side, self._wait, self._room = side, limits.wait, room
        self._places = -(-limits.connections // 2)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._growing: dict[Callable[[], None], None] = {}  # in the order in which they came

    @property
    def crowded(self) -> bool:
        return self.kept > self._room

    def begin(self) -> bool:
        """Whether one may be passed on as it comes. Say when it has ended."""
        if self.passed_on >= self._places:
            return False
        self.passed_on += 1
        return True

    def offer_to(self, take: Callable[[], None]) -> None:
        """Call `take` once there is a place that nobody in line wants: it is taken then."""
        self._growing[take] = None

    def offer_no_more(self, take: Callable[[], None]) -> None:
        self._growing.pop(take, None)

    async def begin_in_turn(self) -> None:
        """The same as `begin`, once it may. Raises Saturated: at once where there is no room to wait in."""
        if self.begin():
            return
        if self.crowded:
            raise Saturated(f"uploads to {self._side} that are not whole have {self.kept} bytes waiting")
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._wait):
                await place
        except BaseException as reason:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled():
                self.end()  # it was handed over in the meantime
            if isinstance(reason, TimeoutError):
                raise Saturated(f"no other upload to {self._side} ended within {self._wait:g} s") from None
            raise

    def end(self) -> None:
        """Pass its place to the next in line, or else to the first of which more is still to come."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place.set_result(None)
        if (take := next(iter(self._growing), None)) is not None:
            del self._growing[take]
            return take()
        self.passed_on -= 1
        return None
