"""What part of the newest of many is of a kind: of answers those that are late, of questions those in vain. No I/O, no
clock."""

from __future__ import annotations

from collections import deque
from typing import Final

ENOUGH: Final = 100  # that tell something
FEW: Final = 20  # that tell something if it is known how many of them would be usual
OLDEST: Final = 30  # seconds after which they tell nothing any more


class Newest:
    """`turn` is called once a second. `usual`: the part that is of the kind as ever, if that is known."""

    __slots__ = ("_number", "_of_them", "_seconds", "_usual")

    def __init__(self, usual: float | None = None) -> None:
        self._usual = usual
        self._number = self._of_them = 0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=OLDEST)

    def heard(self, of_them: bool) -> None:
        self._number += 1
        self._of_them += of_them

    def turn(self) -> float | None:
        """End a second: the part, of as many seconds as it takes to tell; None if they are too few."""
        self._seconds.append((self._number, self._of_them))
        self._number = self._of_them = number = of_them = 0
        for more, of_more in reversed(self._seconds):
            number, of_them = number + more, of_them + of_more
            if number >= ENOUGH:
                return of_them / number
        if self._usual is None or number < FEW:
            return None
        return (of_them + self._usual * (ENOUGH - number)) / ENOUGH  # the fewer, the more it takes to be unusual
