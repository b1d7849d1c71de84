"""Flags and counts of one process, gone with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import replace

from flags.errors import Stale
from flags.flag import Flag
from flags.window import Cell, Cells, Counts


class MemoryStore:
    def __init__(self) -> None:
        self._flags: dict[str, Flag] = {}
        self._cells: dict[tuple[str, Cell], Counts] = {}
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
        self._cells |= {(worker, cell): counts for cell, counts in cells.items()}
        oldest = max((cell[0] for _, cell in self._cells), default=0) - keep
        self._cells = {key: counts for key, counts in self._cells.items() if key[1][0] > oldest}

    async def window(self, first: int, last: int) -> Cells:
        sums: dict[Cell, Counts] = {}
        for (_, cell), counts in self._cells.items():
            if first <= cell[0] <= last:
                known = sums.get(cell)
                sums[cell] = counts if known is None else known + counts
        return sums

    async def close(self) -> None:
        """Nothing is held open."""

    def _tell(self) -> None:
        for changed in self._listeners:
            changed.set()
