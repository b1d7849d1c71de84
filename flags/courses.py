"""Each judged route's evidence, kept up by what moved: a silent route costs nothing. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from flags.evidence.course import Course, Heard
from flags.evidence.detector import Standard
from flags.flag import Side
from flags.window import NONE, Counts, Second, Seconds

STRIDE = 64  # cells between two places to pause


class Courses:
    """Every route's `Course` from its second in `since` on; it begins anew when that second is another."""

    def __init__(self, standard: Standard) -> None:
        self._standard = standard
        self._courses: dict[str, tuple[int, Course]] = {}
        self._moved: set[str] = set()
        self._seconds: dict[int, Second] = {}
        self._since: Mapping[str, int] = {}

    def of(self, route: str) -> Course:
        return self._courses[route][1]

    def taken(self) -> Collection[str]:
        """The routes of which more was heard since this was last asked, and those whose course has begun."""
        moved, self._moved = self._moved, set()
        return moved

    def move(self, seconds: Seconds, since: Mapping[str, int]) -> Iterator[None]:
        """Hear what is new in `seconds`. Each item is a place to pause."""
        begun = self._begin(since) if since is not self._since else set[str]()
        yield
        for second, counted in seconds.items():
            known = self._seconds.get(second, {})
            if counted is not known or begun:
                yield from self._hear(second, counted, known, begun)
        self._seconds = dict(seconds)  # at last: should this end midway, all of it is heard again, and counts once

    def _begin(self, since: Mapping[str, int]) -> set[str]:
        begun = {route for route, first in since.items() if self._courses.get(route, (None,))[0] != first}
        kept = {route: course for route, course in self._courses.items() if route in since and route not in begun}
        self._courses = kept | {route: (since[route], Course(since[route], self._standard)) for route in begun}
        self._moved = (self._moved & kept.keys()) | begun
        self._since = since
        return begun

    def _hear(self, second: int, counted: Second, known: Second, begun: set[str]) -> Iterator[None]:
        moved = {
            route
            for (route, side), counts in counted.items()
            if (counts is not known.get((route, side)) or route in begun)
            and second >= self._since.get(route, second + 1)
        }
        for number, route in enumerate(moved):
            native, legacy = (_heard(counted.get((route, side), NONE)) for side in (Side.NATIVE, Side.LEGACY))
            self._courses[route][1].hear(second, native, legacy)
            self._moved.add(route)
            if number % STRIDE == STRIDE - 1:
                yield


def _heard(counts: Counts) -> Heard:
    return Heard(counts.subjects, counts.failed_subjects, counts.open)
