"""How long people work, and how long they think between two errands."""

from __future__ import annotations

import asyncio
import contextlib
import random


class Shift:
    """Until `end`; `think` seconds between two errands, on average."""

    def __init__(self, think: float) -> None:
        self._think, self._ended = think, asyncio.Event()

    @property
    def over(self) -> bool:
        return self._ended.is_set()

    def end(self) -> None:
        """Whoever asks something hears the answer; nobody begins anything new."""
        self._ended.set()

    async def pause(self, think: float | None = None) -> None:
        """Think, for so many seconds on average if not as long as everybody, or hear that it is over."""
        mean = self._think if think is None else think
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(mean * random.expovariate(1)):
                await self._ended.wait()
