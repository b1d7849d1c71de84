"""Counts that were told, by the second. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator

from flags.window import NONE, Cell, Cells, Counts, Key, Seconds


class Ledger:
    """What it holds for a second is replaced as a whole: who has read it can tell that it moved."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[Key, Counts]] = {}

    def put(self, cells: Cells) -> None:
        """Let these cells have these counts."""
        moved: dict[int, dict[Key, Counts]] = {}
        for (second, route, side), counts in cells.items():
            counted = moved.get(second)
            if counted is None:
                counted = moved[second] = dict(self._seconds.get(second, {}))
            counted[route, side] = counts
        self._seconds |= moved

    def get(self, cell: Cell) -> Counts:
        second, route, side = cell
        return self._seconds.get(second, {}).get((route, side), NONE)

    def cells(self) -> Iterator[tuple[Cell, Counts]]:
        """All that it holds."""
        for second, counted in self._seconds.items():
            for key, counts in counted.items():
                yield (second, *key), counts

    def window(self, first: int, last: int) -> Seconds:
        """The seconds from `first` to `last`."""
        return {second: counted for second, counted in self._seconds.items() if first <= second <= last}

    def forget(self, before: int) -> None:
        """Drop the seconds before `before`."""
        for second in [second for second in self._seconds if second < before]:
            del self._seconds[second]
