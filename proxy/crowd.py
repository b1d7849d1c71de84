"""How many users each worker has, in memory that all of them share: whoever has the fewest takes the next."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

NONE_TAKEN = 0xFFFFFFFF  # by a worker that takes no users: nobody has to leave any to it
WIDTH = 4  # bytes of a number, which are written at once


class Crowd:
    """The numbers by worker, the first of whom is 1. `descriptor` is the memory's, which outlives each of them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._numbers = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("I")

    @classmethod
    def of(cls, workers: int) -> Crowd:
        descriptor = os.memfd_create("crowd")
        os.ftruncate(descriptor, WIDTH * workers)
        crowd = cls(descriptor)
        for worker in range(1, workers + 1):
            crowd.gone(worker)
        return crowd

    def has(self, worker: int, users: int) -> None:
        self._numbers[worker - 1] = users

    def gone(self, worker: int) -> None:
        """It takes no users any more, or not yet."""
        self._numbers[worker - 1] = NONE_TAKEN

    def fewest(self, but: int) -> int:
        """The users of whichever other worker has the fewest."""
        return min((users for worker, users in enumerate(self._numbers, 1) if worker != but), default=NONE_TAKEN)


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of the crowd."""

    crowd: Crowd
    worker: int

    def has(self, users: int) -> None:
        self.crowd.has(self.worker, users)

    @property
    def fewest(self) -> int:
        """Of the others."""
        return self.crowd.fewest(but=self.worker)
