"""How many questions a side may have under way beside its users: as many as it answers as quickly as one. No I/O, no
clock.

Shadow requests take the threads that users of that side want, too. Where these are short both wait, and the shadow
requests tell of it: they take longer than they would alone. So there is one more after a round that was quick, and far
fewer after one that was slow, as TCP finds out what a path will carry (Jacobson 1988); these then stay for a while,
because users wait as often as more is tried (Ha, Rhee & Xu 2008).

A question that nobody waits for any more is not over: the side works on, and nobody can tell for how long. So its place
stays taken for as long as the side's users are waited for, and so long its route is asked nothing there; ten times as
long if the next one is given up as well, and so on. A side that hangs has few threads taken, however long it does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Final

LEARNT: Final = 10  # answers of a route, asked one at a time, that tell what is usual
NEWEST: Final = 20  # of them, beyond which the older ones tell nothing any more
ROUND: Final = 40  # answers of which it is known what would be usual
LONGER: Final = 1.1  # than the usual one is an answer that was slow
SLOW: Final = 0.65  # of a round, and it is too much; as ever it is less than half
KEPT: Final = 0.6  # of what was too much
HELD: Final = 30  # rounds, before more is tried again

WAITED: Final = 30.0  # seconds for which a side's users are waited for
TENFOLD: Final = 10  # as long is a route left alone as the time before, if the next question is given up as well
LONGEST: Final = 3600.0  # seconds for which one is left alone, if its users are not waited for longer
TRUSTED: Final = 20  # answers, after which one that is given up is the first again


@dataclass(slots=True)
class _Route:
    """`usual`: seconds that its answers took. `until`: when it may be asked again. `pause`: how long it was left alone
    before, in seconds, and has not `answered` often enough since to be trusted."""

    usual: deque[float] = field(default_factory=lambda: deque(maxlen=NEWEST))
    under_way: int = 0
    answered: int = 0
    pause: float = 0.0
    until: float = 0.0


class Room:
    """`most`: questions at once, however quickly they are answered. `waited`: seconds for which users of a route are
    waited for, WAITED where it is not told. `now`: seconds, of any clock that does not go back."""

    def __init__(self, most: int, waited: Mapping[str, float] = MappingProxyType({})) -> None:
        self._most, self._waited, self.places, self.taken = most, waited, 1, 0
        self._routes: dict[str, _Route] = {}
        self._lost: list[float] = []  # until when places are taken by what nobody waits for any more
        self._known = self._slow = self._unknown = self._held = self._stale = 0
        self._full = False

    def free(self, now: float) -> bool:
        self._lost = [until for until in self._lost if until > now]
        return self.taken + len(self._lost) < self.places

    def paused(self, route: str, now: float) -> bool:
        """Whether it is left alone, because the side has left a question unanswered."""
        return route in self._routes and now < self._routes[route].until

    def crowded(self, route: str) -> bool:
        """Whether there is one under way, and more would be too many: nobody knows yet that it is answered again."""
        return route in self._routes and bool(self._routes[route].pause and self._routes[route].under_way)

    def enter(self, route: str, now: float) -> None:
        self._of(route).under_way += 1
        self.taken += 1
        self._full = self._full or not self.free(now)

    def leave(self, route: str) -> None:
        self._of(route).under_way -= 1
        self.taken -= 1

    def replied(self, route: str) -> None:
        """A question was answered, whoever asked it."""
        known = self._of(route)
        known.answered += 1
        if known.answered >= TRUSTED:
            known.pause = 0.0

    def given_up(self, route: str, now: float) -> float:
        """A question was given up, though there was time enough. Seconds for which the route is left alone from now on;
        0 if it is already."""
        known, waited = self._of(route), self._waited.get(route, WAITED)
        self._lost.append(now + waited)
        if now < known.until:  # it was asked beside the one that has told
            return 0.0
        known.pause, known.answered = max(waited, min(known.pause * TENFOLD, LONGEST)), 0
        known.until = now + known.pause
        return known.pause

    def answered(self, route: str, seconds: float | None) -> None:
        """A question that has a place was answered after so many seconds; None: not at all, or not to its end."""
        if self._stale:  # asked when there were more
            self._stale -= 1
            return
        usual = self._of(route).usual
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

    def _of(self, route: str) -> _Route:
        return self._routes.setdefault(route, _Route())

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
        self.places, self._full = places, self.taken >= places
        self._known = self._slow = self._unknown = 0
