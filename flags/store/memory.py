"""Flags and counts of one process, gone with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import replace

from flags.errors import Stale
from flags.flag import Flag
from flags.ledger import Ledger
from flags.window import Cells, Seconds


class MemoryStore:
    def __init__(self) -> None:
        self._flags: dict[str, Flag] = {}
        self._parts: dict[str, Ledger] = {}  # by worker
        self._sum = Ledger()
        self._listeners: set[asyncio.Event] = set()

    async def flags(self) -> Mapping[str, Flag]:
        return dict(self._flags)

    async def change(self, route: str, expected: int, flag: Flag) -> None:
        current = self._flags.get(route, Flag())
        if current.generation > expected:
            raise Stale(route, current)
        self._flags[route] = flag
        self._tell()

    async def seed(self, flags: Mapping[str, Flag]) -> Collection[str]:
        new = {route: replace(flag, generation=1) for route, flag in flags.items() if route not in self._flags}
        self._flags |= new
        self._tell()
        return new.keys()

    async def changes(self) -> AsyncGenerator[None, None]:
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            while True:
                yield
                await changed.wait()
                changed.clear()
        finally:
            self._listeners.discard(changed)

    async def report(self, worker: str, cells: Cells, keep: int) -> None:
        part = self._parts.setdefault(worker, Ledger())
        self._sum.put({cell: self._sum.get(cell).told(part.get(cell), counts) for cell, counts in cells.items()})
        part.put(cells)
        newest = max((second for second, _, _ in cells), default=0)
        for ledger in (self._sum, *self._parts.values()):
            ledger.forget(newest - keep + 1)

    async def window(self, first: int, last: int) -> Seconds:
        return self._sum.window(first, last)

    async def close(self) -> None:
        """Nothing is held open."""

    def _tell(self) -> None:
        for changed in self._listeners:
            changed.set()
