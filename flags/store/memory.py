"""Flags, ramps and counts of one process, gone with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from flags.audit import BEGINNING, MOST, Note, Record, next_id, place
from flags.capacity import DAY, Load
from flags.errors import Overtaken, Stale
from flags.flag import Flag
from flags.ledger import Ledger
from flags.ramp import Ramp
from flags.store import Write
from flags.window import Cells, Seconds


class MemoryStore:
    def __init__(self) -> None:
        self._flags: dict[str, Flag] = {}
        self._records: deque[Record] = deque(maxlen=MOST)
        self._parts: dict[str, Ledger] = {}  # by worker
        self._sum = Ledger()
        self._listeners: set[asyncio.Event] = set()
        self._ramps: dict[str, Ramp] = {}
        self._loads: dict[int, dict[str, Load]] = {}  # by minute and worker

    async def flags(self) -> Mapping[str, Flag]:
        return dict(self._flags)

    async def change(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> None:
        current = self._flags.get(route, Flag())
        if current.generation > expected:
            raise Stale(route, current)
        if ramp is not None and (route not in self._ramps or self._ramps[route].generation != ramp):
            raise Overtaken(route)
        self._write(route, flag, note)
        self._tell()

    async def change_all(self, writes: Sequence[Write]) -> Mapping[str, Flag]:
        stood = dict[str, Flag]()
        for write in writes:
            try:
                await self.change(write.route, write.expected, write.flag, write.note)
            except Stale as stale:
                stood[write.route] = stale.current
        return stood

    async def seed(self, flags: Mapping[str, Flag], note: Note) -> Collection[str]:
        new = {route: replace(flag, generation=1) for route, flag in flags.items() if route not in self._flags}
        for route, flag in new.items():
            self._write(route, flag, note)
        self._tell()
        return new.keys()

    async def note(self, route: str, note: Note) -> None:
        self._write(route, None, note)
        self._tell()

    async def audit(self, count: int, route: str | None = None) -> Sequence[Record]:
        return list(islice((each for each in reversed(self._records) if route in (None, each.route)), count))

    async def audited(self, after: str, count: int) -> Sequence[Record]:
        return list(islice((each for each in self._records if place(each.id) > place(after)), count))

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
        part = self._parts.get(worker) or self._begin(worker)
        if part is not self._sum:
            self._sum.put({cell: self._sum.get(cell).told(part.get(cell), counts) for cell, counts in cells.items()})
        part.put(cells)
        newest = max((second for second, _, _ in cells), default=0)
        for ledger in (self._sum, *self._parts.values()):
            ledger.forget(newest - keep + 1)

    async def window(self, first: int, last: int) -> Seconds:
        return self._sum.window(first, last)

    async def ramps(self) -> Mapping[str, Ramp]:
        return dict(self._ramps)

    async def ramp(self, route: str, expected: int, ramp: Ramp, note: Note | None = None) -> bool:
        current = self._ramps.get(route)
        if current is not None and current.generation > expected:
            return current == ramp
        self._ramps[route] = ramp
        if note is not None:
            await self.note(route, note)
        return True

    async def carry(self, worker: str, loads: Mapping[int, Load]) -> None:
        for minute, load in loads.items():
            self._loads.setdefault(minute, {})[worker] = load
        newest = max(self._loads, default=0)
        self._loads = {minute: load for minute, load in self._loads.items() if minute > newest - DAY}

    async def carried(self, first: int, last: int) -> Mapping[int, Load]:
        told = {minute: self._loads[minute] for minute in range(first, last + 1) if minute in self._loads}
        return {minute: sum(loads.values(), Load()) for minute, loads in told.items()}

    async def close(self) -> None:
        """Nothing is held open."""

    def _begin(self, worker: str) -> Ledger:
        """A worker's part. As long as nobody else has one it is the sum, as where there are no workers but one."""
        if len(self._parts) == 1:
            self._parts = {first: self._sum.copy() for first in self._parts}
        part = self._parts[worker] = Ledger() if self._parts else self._sum
        return part

    def _write(self, route: str, flag: Flag | None, note: Note) -> None:
        """Without a flag only the record."""
        last = self._records[-1].id if self._records else BEGINNING
        before = self._flags.get(route, Flag())
        if flag is not None:
            self._flags[route] = flag
        self._records.append(Record(next_id(last, note.at), route, note, before, flag or before))

    def _tell(self) -> None:
        for changed in self._listeners:
            changed.set()
