"""How many users each worker has taken in so far, in memory that all of them share: none gets far ahead of the others.

What counts is who is taken in, and not who stays: a worker with a thousand idle tunnels has no less time for others.
"""

from __future__ import annotations

import mmap
import os

WIDTH = 8  # bytes of a number, which are written at once
AHEAD = 8  # users that a worker may have taken in more than another, who is left the next ones then
PATIENCE = 0.02  # seconds in which that one takes none though somebody waits, after which it is waited for no more


class Crowd:
    """The numbers by worker, the first of whom is 1. `descriptor` is the memory's, which outlives each of them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.taken = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("Q")

    @classmethod
    def of(cls, workers: int) -> Crowd:
        descriptor = os.memfd_create("crowd")
        os.ftruncate(descriptor, WIDTH * workers)
        return cls(descriptor)


class Share:
    """One worker's part of the users. `patience` in seconds."""

    def __init__(self, crowd: Crowd, worker: int, patience: float = PATIENCE) -> None:
        self._taken, self._own, self.patience = crowd.taken, worker - 1, patience
        # A worker and its number: whoever has taken somebody in is another one.
        self._awaited: dict[tuple[int, int], float] = {}  # to whom users are left, and since when
        self._absent: set[tuple[int, int]] = set()  # who took none of them in all that time

    def room(self, now: float) -> int:
        """How many users it may take in while somebody waits."""
        own, others = self._taken[self._own], {each for each in enumerate(self._taken) if each[0] != self._own}
        self._absent &= others
        behind = [each for each in others - self._absent if each[1] + AHEAD <= own]
        self._awaited = {each: self._awaited.get(each, now) for each in behind}
        self._absent |= {each for each, since in self._awaited.items() if now - since >= self.patience}
        fewest = min((number for _, number in others - self._absent), default=own)
        return max(0, fewest + AHEAD - own)

    def took(self, users: int) -> None:
        """Who was not waited for is not owed what others took in meanwhile: it joins them, half of a lead behind."""
        own, most = self._taken[self._own], max(self._taken)
        if users:
            self._taken[self._own] = users + (own if most - own <= AHEAD else most - AHEAD // 2)

    def nobody_waits(self) -> None:
        """Somebody took in those who waited, whoever it was."""
        self._awaited.clear()
