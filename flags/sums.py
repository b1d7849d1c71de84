"""Each judged route's totals over the window, kept up by what moved: a silent route costs nothing. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from flags.flag import Side
from flags.window import NONE, Counts, Key, Second, Seconds

STRIDE = 64  # cells between two places to pause


class Sums:
    """What each judged route was asked and answered in the window, and whose totals have moved."""

    def __init__(self) -> None:
        self._moved: set[str] = set()
        self._seconds: dict[int, Second] = {}
        self._since: Mapping[str, int] = {}
        self._totals: dict[Key, Counts] = {}

    def of(self, route: str, side: Side) -> Counts:
        return self._totals.get((route, side), NONE)

    def taken(self) -> Collection[str]:
        """The routes whose totals are others than when this was last asked, and those that are judged anew."""
        moved, self._moved = self._moved, set()
        return moved

    def move(self, seconds: Seconds, since: Mapping[str, int]) -> Iterator[None]:
        """Let the totals be those of `seconds`, for each route from its second in `since` on.

        Each item is a place to pause. A mapping that is the same object as before has not changed.
        """
        if since is not self._since:
            yield from self._begin(since)
        for second in [second for second in self._seconds if second not in seconds]:
            yield from self._replace(second, {})
            del self._seconds[second]
        for second, counted in seconds.items():
            if counted is not self._seconds.get(second):
                yield from self._replace(second, counted)

    def _begin(self, since: Mapping[str, int]) -> Iterator[None]:
        before, self._since = self._since, since
        for route in [route for route in before if route not in since]:
            self._drop(route)
            self._moved.discard(route)
            yield
        for route, first in since.items():
            if before.get(route) != first:
                self._drop(route)
                self._add_up(route, first)
                self._moved.add(route)
                yield

    def _add_up(self, route: str, first: int) -> None:
        for key in [(route, side) for side in Side]:
            counted = [each[key] for second, each in self._seconds.items() if second >= first and key in each]
            if counted:
                self._totals[key] = sum(counted, NONE)

    def _drop(self, route: str) -> None:
        for side in Side:
            self._totals.pop((route, side), None)

    def _replace(self, second: int, counted: Second) -> Iterator[None]:
        before, since, never = self._seconds.get(second, {}), self._since, second + 1
        gone = {key: NONE for key in before if key not in counted}
        for number, (key, counts) in enumerate((*counted.items(), *gone.items())):
            known = before.get(key, NONE)
            if counts is not known and second >= since.get(key[0], never) and counts != known:
                self._totals[key] = self._totals.get(key, NONE).moved(known, counts)
                self._moved.add(key[0])
            if number % STRIDE == STRIDE - 1:
                yield
        self._seconds[second] = counted
