"""How long answers take, as a histogram that forgets, and how many take longer than usual. No I/O, no clock."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque

FASTEST, GROWTH, STEPS = 0.001, 1.25, 54  # 1 ms to about 2 minutes, each bound a quarter above the one before
BOUNDS = tuple(FASTEST * GROWTH**step for step in range(STEPS))
ENOUGH, OLDEST = 100, 30  # answers that tell something; seconds after which they tell nothing any more


class Latency:
    """Counts of answers by duration in seconds; `fade` halves them, so that the last few calls of it decide."""

    __slots__ = ("_counts", "_known")

    def __init__(self) -> None:
        self._counts = array("d", [0.0] * (STEPS + 1))  # in one place, where a list's floats lie about
        self._known: dict[float, float] = {}

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def fade(self) -> None:
        self._counts = array("d", [count / 2 if count > 0.5 else 0.0 for count in self._counts])

    def quantile(self, share: float, at_least: int = 100) -> float | None:
        """The upper bound, in seconds, of the step in which the quantile lies.

        With too few answers to tell it is what it was when there were enough; None if there never were.
        """
        total = sum(self._counts)
        if total >= at_least:
            self._known[share] = self._bound(share * total)
        return self._known.get(share)

    def _bound(self, rank: float) -> float:
        seen = 0.0
        for bound, count in zip(BOUNDS, self._counts, strict=False):
            seen += count
            if seen >= rank:
                return bound
        return BOUNDS[-1]


class Lateness:
    """How many of the newest answers took longer than usual, whatever is usual where each of them came from."""

    __slots__ = ("_answers", "_late", "_seconds")

    def __init__(self) -> None:
        self._answers = self._late = 0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=OLDEST)

    def heard(self, late: bool) -> None:
        self._answers += 1
        self._late += late

    def turn(self) -> float | None:
        """End a second: the part that was late of the newest answers, as many seconds of them as it takes to tell; None
        if there are too few."""
        self._seconds.append((self._answers, self._late))
        self._answers = self._late = answers = late = 0
        for more, of_them in reversed(self._seconds):
            answers, late = answers + more, late + of_them
            if answers >= ENOUGH:
                return late / answers
        return None
