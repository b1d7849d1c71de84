"""How many questions a side may have under way beside its users: as many as it answers as quickly as one. No I/O, no
clock.

Shadow requests take the threads that users of that side want, too. Where these are short both wait, and the shadow
requests tell of it: they take longer than they would alone. So there is one more after a round that was quick, and far
fewer after one that was slow, as TCP finds out what a path will carry (Jacobson 1988); these then stay for a while,
because users wait as often as more is tried (Ha, Rhee & Xu 2008).
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

LEARNT: Final = 10  # answers of a route, asked one at a time, that tell what is usual
NEWEST: Final = 20  # of them, beyond which the older ones tell nothing any more
ROUND: Final = 40  # answers of which it is known what would be usual
LONGER: Final = 1.1  # than the usual one is an answer that was slow
SLOW: Final = 0.65  # of a round, and it is too much; as ever it is less than half
KEPT: Final = 0.6  # of what was too much
HELD: Final = 30  # rounds, before more is tried again


class Room:
    """`most`: questions at once, however quickly they are answered. The first is never refused."""

    def __init__(self, most: int) -> None:
        self._most, self.places, self.taken = most, 1, 0
        self._usual: dict[str, deque[float]] = {}
        self._known = self._slow = self._unknown = self._held = self._stale = 0
        self._full = False

    @property
    def free(self) -> bool:
        return self.taken < self.places

    def enter(self) -> None:
        self.taken += 1
        self._full = self._full or not self.free

    def leave(self) -> None:
        self.taken -= 1

    def answered(self, route: str, seconds: float | None) -> None:
        """A question was answered after so many seconds; None: not at all, or not to its end."""
        if self._stale:  # asked when there were more
            self._stale -= 1
            return
        usual = self._usual.setdefault(route, deque(maxlen=NEWEST))
        if self.places == 1 and seconds is not None:
            usual.append(seconds)
        if seconds is None or len(usual) >= LEARNT:
            self._known += 1
            self._slow += seconds is None or seconds > median(usual) * LONGER
        else:
            self._unknown += 1
        if self._known == ROUND:
            self._end(slow=self._slow >= ROUND * SLOW)
        elif self._unknown == ROUND:  # before enough was known: nobody can tell whether it is too much
            self._resize(1)

    def _end(self, *, slow: bool) -> None:
        """End a round."""
        if slow:
            self._held = HELD if self.places > 1 else self._held
            self._resize(max(1, int(self.places * KEPT)))
        elif self._held:
            self._held -= 1
            self._resize(self.places)
        else:
            self._resize(min(self.places + int(self._full), self._most))

    def _resize(self, places: int) -> None:
        self._stale = self.taken if places < self.places else 0
        self.places, self._full = places, not self.free
        self._known = self._slow = self._unknown = 0
