"""How long answers take, as a histogram that forgets. No I/O, no clock."""

from __future__ import annotations

from array import array
from bisect import bisect_left

FASTEST, GROWTH, STEPS = 0.001, 1.25, 54  # 1 ms to about 2 minutes, each bound a quarter above the one before
BOUNDS = tuple(FASTEST * GROWTH**step for step in range(STEPS))


class Latency:
    """Counts of answers by duration in seconds; `fade` halves them, so that the last few calls of it decide."""

    __slots__ = ("_counts", "_known")

    def __init__(self) -> None:
        # In one place, where a list's floats lie about: how many there are in all, and then how many of each step.
        self._counts = array("d", [0.0] * (STEPS + 2))
        self._known: dict[float, float] = {}

    def observe(self, seconds: float) -> None:
        counts = self._counts
        counts[0] += 1.0
        counts[1 + bisect_left(BOUNDS, seconds)] += 1.0

    def fade(self) -> None:
        steps = [count / 2 if count > 0.5 else 0.0 for count in self._counts[1:]]
        self._counts = array("d", [sum(steps), *steps])

    def quantile(self, share: float, at_least: int = 100) -> float | None:
        """The upper bound, in seconds, of the step in which the quantile lies.

        With too few answers to tell it is what it was when there were enough; None if there never were.
        """
        total = self._counts[0]
        if total >= at_least:
            self._known[share] = self._bound(share * total)
        return self._known.get(share)

    def _bound(self, rank: float) -> float:
        seen = 0.0
        for bound, count in zip(BOUNDS, self._counts[1:], strict=False):
            seen += count
            if seen >= rank:
                return bound
        return BOUNDS[-1]
