"""Long work on the event loop, in pieces between which requests go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

SPELL: Final = 0.0005  # seconds that a piece holds the loop, and then one item more


async def in_breaths(items: Iterable[T], spell: float = SPELL) -> AsyncIterator[T]:
    """The items; the loop is let go of whenever they, and what is done with them, have held it long enough."""
    since = time.perf_counter()
    for each in items:
        yield each
        if time.perf_counter() - since >= spell:
            await asyncio.sleep(0)
            since = time.perf_counter()
