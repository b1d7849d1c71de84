"""Long work on the event loop, in pieces between which requests go on."""

from __future__ import annotations

import asyncio
import time

SPELL = 0.001  # seconds that a piece holds the loop


class Breath:
    """For one stretch of work: `taken` again and again, it lets the loop go whenever that has held it long enough."""

    def __init__(self, spell: float = SPELL) -> None:
        self._spell, self._since = spell, time.perf_counter()

    async def taken(self) -> None:
        if time.perf_counter() - self._since >= self._spell:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
