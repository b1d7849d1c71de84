"""What each side was asked and answered, by the second of the decision. No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flags.flag import Side


class Outcome(enum.Enum):
    OK = "ok"
    FAILED = "failed"
    EXCLUDED = "excluded"  # says nothing about the side: a client that left early

    __hash__ = object.__hash__  # as for Side


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one side: `asked` are all that it was given, the rest is how they ended."""

    asked: int = 0
    ok: int = 0
    failed: int = 0
    excluded: int = 0

    @property
    def answered(self) -> int:
        return self.ok + self.failed

    @property
    def open(self) -> int:
        return max(self.asked - self.ok - self.failed - self.excluded, 0)

    def __add__(self, more: Counts) -> Counts:
        return Counts(
            self.asked + more.asked, self.ok + more.ok, self.failed + more.failed, self.excluded + more.excluded
        )


NONE = Counts()

Cell = tuple[int, str, Side]  # (second of the decision, route, side)
Cells = Mapping[Cell, Counts]

_ASKED = 0
_PLACE = {Outcome.OK: 1, Outcome.FAILED: 2, Outcome.EXCLUDED: 3}


class Window:
    """This worker's own counts, and which of them the fleet has not heard yet."""

    def __init__(self) -> None:
        self._cells: dict[Cell, list[int]] = {}
        self._unheard: set[Cell] = set()

    def asked(self, second: int, route: str, side: Side) -> None:
        """A request decided in `second` goes to `side`."""
        cell = (second, route, side)
        counts = self._cells.get(cell)
        if counts is None:
            counts = self._cells[cell] = [0, 0, 0, 0]
        counts[_ASKED] += 1
        self._unheard.add(cell)

    def closed(self, second: int, route: str, side: Side, outcome: Outcome) -> None:
        """A request decided in `second` has ended; one whose second is forgotten no longer matters."""
        cell = (second, route, side)
        counts = self._cells.get(cell)
        if counts is not None:
            counts[_PLACE[outcome]] += 1
            self._unheard.add(cell)

    def cells(self) -> Cells:
        """All that is remembered."""
        return {cell: Counts(*counts) for cell, counts in self._cells.items()}

    def pending(self, routes: Collection[str]) -> Cells:
        """The cells of `routes` that moved since they were delivered, each as its full count so far.

        Full counts and not differences: then saying it twice counts once, and after a delivery whose fate is
        unknown it is simply said again.
        """
        return {cell: Counts(*self._cells[cell]) for cell in self._unheard if cell[1] in routes}

    def delivered(self, cells: Cells) -> None:
        """The fleet has these counts; a cell that moved in the meantime stays pending."""
        for cell, counts in cells.items():
            if cell in self._unheard and Counts(*self._cells[cell]) == counts:
                self._unheard.discard(cell)

    def forget(self, before: int) -> None:
        """Drop the seconds before `before`."""
        for cell in [cell for cell in self._cells if cell[0] < before]:
            del self._cells[cell]
            self._unheard.discard(cell)


def totals(cells: Cells, since: Mapping[str, int]) -> dict[tuple[str, Side], Counts]:
    """The sum for each route in `since`, over the seconds from the one named there."""
    sums: dict[tuple[str, Side], list[int]] = {}
    for (second, route, side), counts in cells.items():
        if second >= since.get(route, second + 1):
            total = sums.setdefault((route, side), [0, 0, 0, 0])
            total[0] += counts.asked
            total[1] += counts.ok
            total[2] += counts.failed
            total[3] += counts.excluded
    return {key: Counts(*total) for key, total in sums.items()}
