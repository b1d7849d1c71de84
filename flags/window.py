"""What each side was asked and answered, by the second of the decision. No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
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


class _Entry:
    """One cell as it is being counted. Told apart by identity, so that a set of them hashes nothing."""

    __slots__ = ("asked", "cell", "excluded", "failed", "ok", "unheard")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.asked = self.ok = self.failed = self.excluded = 0
        self.unheard = False

    @property
    def counts(self) -> Counts:
        return Counts(self.asked, self.ok, self.failed, self.excluded)


_Second = dict[Side, dict[str, _Entry]]


class Window:
    """This worker's own counts, and which of them the fleet has not heard yet."""

    def __init__(self) -> None:
        # Looked into twice for every request: three dictionaries cost less than one whose key is made for each look.
        self._seconds: dict[int, _Second] = {}
        self._unheard: set[_Entry] = set()

    def asked(self, second: int, route: str, side: Side) -> None:
        """A request decided in `second` goes to `side`."""
        try:
            entry = self._seconds[second][side][route]
        except KeyError:
            entry = self._begin(second, route, side)
        entry.asked += 1
        if not entry.unheard:
            entry.unheard = True
            self._unheard.add(entry)

    def closed(self, second: int, route: str, side: Side, outcome: Outcome) -> None:
        """A request decided in `second` has ended; one whose second is forgotten no longer matters."""
        try:
            entry = self._seconds[second][side][route]
        except KeyError:
            return
        if outcome is Outcome.OK:
            entry.ok += 1
        elif outcome is Outcome.FAILED:
            entry.failed += 1
        else:
            entry.excluded += 1
        if not entry.unheard:
            entry.unheard = True
            self._unheard.add(entry)

    def cells(self) -> Cells:
        """All that is remembered."""
        return {entry.cell: entry.counts for sides in self._seconds.values() for entry in _entries(sides)}

    def pending(self, routes: Collection[str]) -> Cells:
        """The cells of `routes` that moved since they were delivered, each as its full count so far.

        Full counts and not differences: then saying it twice counts once, and after a delivery whose fate is
        unknown it is simply said again.
        """
        return {entry.cell: entry.counts for entry in self._unheard if entry.cell[1] in routes}

    def delivered(self, cells: Cells) -> None:
        """The fleet has these counts; a cell that moved in the meantime stays pending."""
        for (second, route, side), counts in cells.items():
            sides = self._seconds.get(second)
            entry = sides[side].get(route) if sides is not None else None
            if entry is not None and entry.counts == counts:
                entry.unheard = False
                self._unheard.discard(entry)

    def forget(self, before: int) -> None:
        """Drop the seconds before `before`."""
        for second in [second for second in self._seconds if second < before]:
            self._unheard.difference_update(_entries(self._seconds.pop(second)))

    def _begin(self, second: int, route: str, side: Side) -> _Entry:
        sides = self._seconds.setdefault(second, {side: {} for side in Side})
        entry = sides[side][route] = _Entry((second, route, side))
        return entry


def _entries(sides: _Second) -> Iterator[_Entry]:
    for routes in sides.values():
        yield from routes.values()


def totals(cells: Cells, since: Mapping[str, int]) -> dict[tuple[str, Side], Counts]:
    """The sum for each route in `since`, over the seconds from the one named there."""
    sums: dict[tuple[str, Side], list[int]] = {}
    for (second, route, side), counts in cells.items():
        if second >= since.get(route, second + 1):
            total = sums.get((route, side))
            if total is None:
                total = sums[route, side] = [0, 0, 0, 0]
            total[0] += counts.asked
            total[1] += counts.ok
            total[2] += counts.failed
            total[3] += counts.excluded
    return {key: Counts(*total) for key, total in sums.items()}
