"""Where the fleet keeps its flags and its counts: one interface, in memory or on Redis."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Protocol

from flags.flag import Flag
from flags.window import Cells, Seconds


class Store(Protocol):
    """Every method answers in bounded time or raises StoreUnavailable."""

    async def flags(self) -> Mapping[str, Flag]:
        """All flags; a route without one has share 0. A flag that is what it was is the same object."""
        ...

    async def change(self, route: str, expected: int, flag: Flag) -> None:
        """Write `flag` unless the store is past the generation `expected`: then Stale, with what it holds.

        A store that is behind `expected` was restored from the past, and the writer knows better.
        """
        ...

    async def seed(self, flags: Mapping[str, Flag]) -> Collection[str]:
        """Write the flags that do not exist yet, older than any change; the routes that were written."""
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

    async def close(self) -> None: ...
