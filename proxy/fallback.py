"""Whether legacy may be asked what native has just failed. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable

from flags.flag import WHOLE

BEGUN, AMBIGUOUS, TOO_LARGE, CAP = "begun", "ambiguous", "too_large", "cap"
REASONS = (BEGUN, AMBIGUOUS, TOO_LARGE, CAP)  # why it was not asked


def why_not(*, begun: bool, harmless: bool, whole: bool) -> str | None:
    """What about the request forbids to ask it again; None if nothing does.

    `begun`: the user has the beginning of native's answer. `harmless`: nothing can have been kept of it. `whole`: its
    body was kept as far as it has come.
    """
    if begun:
        return BEGUN
    if not harmless:
        return AMBIGUOUS
    return None if whole else TOO_LARGE


def most(connections: int, share: int) -> int:
    """How many connections a share of them is: at least one, unless it is nothing."""
    return -(-connections * share // WHOLE)


class Places:
    """For requests that legacy is asked in native's place: so many at a time, and none that would have to wait.

    Counted is what is under way and not what has come: a legacy that is quick may stand in for all of native, and one
    that slows down is asked less from that moment on.
    """

    __slots__ = ("_free", "most", "taken")

    def __init__(self, most: int, free: Callable[[], int]) -> None:
        """`free`: how many more requests legacy could be asked at this moment."""
        self.most, self.taken, self._free = most, 0, free

    def take(self) -> bool:
        """Whether there was one; leave it when legacy has answered."""
        if self.taken >= self.most or self._free() <= 0:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        self.taken -= 1
