"""A time-out that blames nobody for our own lateness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LATE = 0.05  # seconds: a timer that rings so late was held up by an event loop that did not get to the others, either
_CHANCES = 3


class _Bell:
    """While the loop stood still, what came was not read. So whoever is due then has as long again as it was late."""

    __slots__ = ("_chances", "_due", "_handle", "_limit", "_loop")

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit, self._loop, self._chances = limit, asyncio.get_running_loop(), _CHANCES
        self._set(self._loop.time() + seconds)

    def close(self) -> None:
        self._handle.cancel()

    def _set(self, due: float) -> None:
        self._due, self._handle = due, self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        if self._chances and now - self._due > LATE:
            self._chances -= 1
            self._set(now + (now - self._due))
        else:
            self._limit.reschedule(now)


@asynccontextmanager
async def fair_timeout(seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, in an event loop that may stand still."""
    async with asyncio.timeout(None) as limit:
        bell = _Bell(limit, seconds)
        try:
            yield
        finally:
            bell.close()
