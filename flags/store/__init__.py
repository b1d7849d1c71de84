"""Where the fleet keeps its flags, ramps and counts: one interface, in memory or on Redis."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flags.audit import Note, Record
from flags.capacity import Load
from flags.flag import Flag
from flags.ramp import Ramp
from flags.window import Cells, Seconds


@dataclass(frozen=True, slots=True)
class Write:
    """A change of a route's flag as it is to be made, with its record, from the generation `expected`."""

    route: str
    expected: int
    flag: Flag
    note: Note


class Store(Protocol):
    """Every method answers in bounded time or raises StoreUnavailable."""

    async def flags(self) -> Mapping[str, Flag]:
        """All flags; a route without one has share 0. A flag that is what it was is the same object."""
        ...

    async def change(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> None:
        """Write `flag`, and its record with it, unless the store is past the generation `expected`: then Stale, with
        what it holds.

        A store that is behind `expected` was restored from the past, and the writer knows better. `ramp`: it is a step
        of the route's ramp at this generation, and Overtaken if that is another by now.
        """
        ...

    async def change_all(self, writes: Sequence[Write]) -> Mapping[str, Flag]:
        """Make each of these changes as `change` does, all in one go; the flags that stood in the way of theirs."""
        ...

    async def seed(self, flags: Mapping[str, Flag], note: Note) -> Collection[str]:
        """Write the flags that do not exist yet, older than any change, each with its record; the routes of them."""
        ...

    async def note(self, route: str, note: Note) -> None:
        """Record what was done about a route without a change of its flag."""
        ...

    async def audit(self, count: int, route: str | None = None) -> Sequence[Record]:
        """The newest records, newest first; of one route if it is named."""
        ...

    async def audited(self, after: str, count: int) -> Sequence[Record]:
        """The records behind the one with the id `after`, oldest first."""
        ...

    def changes(self) -> AsyncGenerator[None, None]:
        """One item at first and one after each change, or several; while the store is away it waits."""
        ...

    async def report(self, worker: str, cells: Cells, keep: int) -> None:
        """This worker's full counts for these cells, to be kept for `keep` seconds; saying it twice counts once."""
        ...

    async def window(self, first: int, last: int) -> Seconds:
        """The fleet's sums for the seconds from `first` to `last`."""
        ...

    async def ramps(self) -> Mapping[str, Ramp]:
        """All that were ever begun, each route's latest."""
        ...

    async def ramp(self, route: str, expected: int, ramp: Ramp, note: Note | None = None) -> bool:
        """Write `ramp`, and its record with it, unless the store is past the generation `expected` of it; whether it
        holds this one now."""
        ...

    async def carry(self, worker: str, loads: Mapping[int, Load]) -> None:
        """This worker's full loads of these minutes; saying them twice counts once."""
        ...

    async def carried(self, first: int, last: int) -> Mapping[int, Load]:
        """The fleet's sums for the minutes from `first` to `last`, of the last day."""
        ...

    async def close(self) -> None: ...
