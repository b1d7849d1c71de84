"""Each judged route's evidence, kept up by what moved: a silent route costs nothing. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from flags.complaint import FAILED, by_kind
from flags.evidence.course import Course, Standards
from flags.evidence.strand import NOBODY, Heard
from flags.flag import Side
from flags.window import NONE, Counts, Second, Seconds

STRIDE = 64  # cells between two places to pause


class Courses:
    """Every route's `Course` from its second in `since` on; it begins anew when that second is another."""

    def __init__(self, standards: Standards) -> None:
        self._standards = standards
        self._courses: dict[str, tuple[int, Course]] = {}
        self._untold: dict[str, dict[int, tuple[Counts, Counts]]] = {}  # what a course hears before it is asked
        self._moved: set[str] = set()
        self._seconds: dict[int, Second] = {}
        self._since: Mapping[str, int] = {}

    def of(self, route: str) -> Course:
        """The route's course, which has heard everything."""
        course = self._courses[route][1]
        for second, (native, legacy) in self._untold.pop(route, {}).items():
            course.hear(second, _heard(native), _heard(legacy))
        return course

    def at_ease(self, route: str) -> bool:
        """Whether nothing has come that could end in a rule that is met: whom native serves speaks for it."""
        untold = self._untold.get(route, {}).values()
        return self._courses[route][1].at_ease and not any(native.complaints for native, _ in untold)

    def taken(self) -> Collection[str]:
        """The routes of which more was heard since this was last asked, and those whose course has begun."""
        moved, self._moved = self._moved, set()
        return moved

    def put_off(self, route: str) -> None:
        """It was taken in vain: take it again."""
        self._moved.add(route)

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
        self._untold = {route: untold for route, untold in self._untold.items() if route in kept}
        self._courses = kept | {route: (since[route], Course(since[route], self._standards)) for route in begun}
        self._moved = (self._moved & kept.keys()) | begun
        self._since = since
        return begun

    def _hear(self, second: int, counted: Second, known: Second, begun: set[str]) -> Iterator[None]:
        since, never = self._since, second + 1
        moved = {
            key[0]
            for key, counts in counted.items()
            if (counts is not known.get(key) or key[0] in begun) and second >= since.get(key[0], never)
        }
        for number, route in enumerate(moved):
            told = counted.get((route, Side.NATIVE), NONE), counted.get((route, Side.LEGACY), NONE)
            self._untold.setdefault(route, {})[second] = told
            if number % STRIDE == STRIDE - 1:
                yield
        self._moved |= moved


def _heard(counts: Counts) -> Heard:
    if not counts.complaints:
        return Heard(counts.subjects, NOBODY, counts.open)
    complaints = dict(by_kind(counts.complaints))
    failed = complaints.pop(FAILED, NOBODY)
    return Heard(counts.subjects, failed, counts.open, tuple(complaints.items()))
