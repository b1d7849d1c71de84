"""Counts that were told, by the second. No I/O, no clock."""

from __future__ import annotations

from flags.window import NONE, Cell, Cells, Counts, Key, Seconds


class Ledger:
    """What was read of a second is never changed, but replaced as a whole: who has read it can tell that it moved."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[Key, Counts]] = {}
        self._read = set[int]()
        self._keys: dict[Key, Key] = {}  # one object of each, for all seconds: there may be a thousand in every one

    def put(self, cells: Cells) -> None:
        """Let these cells have these counts."""
        keys = self._keys
        for (second, route, side), counts in cells.items():
            counted = self._seconds.get(second)
            if counted is None or second in self._read:
                self._read.discard(second)
                counted = self._seconds[second] = dict(counted or {})
            key = route, side
            counted[keys.setdefault(key, key)] = counts

    def get(self, cell: Cell) -> Counts:
        second, route, side = cell
        return self._seconds.get(second, {}).get((route, side), NONE)

    def copy(self) -> Ledger:
        """Another one that holds the same."""
        ledger = Ledger()
        ledger._seconds = {second: dict(counted) for second, counted in self._seconds.items()}
        return ledger

    def window(self, first: int, last: int) -> Seconds:
        """The seconds from `first` to `last`."""
        told = {second: counted for second, counted in self._seconds.items() if first <= second <= last}
        self._read |= told.keys()
        return told

    def forget(self, before: int) -> None:
        """Drop the seconds before `before`."""
        for second in [second for second in self._seconds if second < before]:
            del self._seconds[second]
            self._read.discard(second)
