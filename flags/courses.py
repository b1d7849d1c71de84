"""Each judged route's evidence, kept up by what moved: a silent route costs nothing. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from flags.complaint import ALONE, FAILED, by_kind
from flags.evidence.course import Course, Standards
from flags.evidence.strand import NOBODY, SILENCE, Heard
from flags.flag import Side
from flags.window import NONE, Counts, Second, Seconds

STRIDE = 64  # cells between two places to pause


class Courses:
    """Every route's `Course` from its second in `since` on; it begins anew when that second is another.

    A course hears what has moved when it is asked, and not before: in most seconds most are not.
    """

    def __init__(self, standards: Standards) -> None:
        self._standards = standards
        self._courses: dict[str, tuple[int, Course]] = {}
        self._unheard: dict[str, int] = {}  # the first second that a course does not know as it is now
        self._pressing: set[str] = set()  # the routes of which something was heard that is held against native
        self._moved: set[str] = set()
        self._seconds: dict[int, Second] = {}
        self._since: Mapping[str, int] = {}

    def of(self, route: str) -> Course:
        """The route's course, which has heard everything."""
        course, first = self._courses[route][1], self._unheard.pop(route, None)
        self._pressing.discard(route)
        if first is not None:
            ours, theirs = (route, Side.NATIVE), (route, Side.LEGACY)
            for second, counted in self._seconds.items():
                if second >= first and (ours in counted or theirs in counted):
                    course.hear(second, _heard(counted.get(ours, NONE)), _heard(counted.get(theirs, NONE)))
        return course

    def at_ease(self, route: str, kept: int) -> bool:
        """Whether nothing has come that could end in a rule that is met: whom native serves speaks for it.

        `kept`: the first second that will still be told of when the route is asked next.
        """
        heard_later = route not in self._pressing and self._unheard.get(route, kept) >= kept
        return heard_later and self._courses[route][1].at_ease

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
        self._unheard = {route: first for route, first in self._unheard.items() if route in kept}
        self._pressing &= kept.keys()
        self._courses = kept | {route: (since[route], Course(since[route], self._standards)) for route in begun}
        self._moved = (self._moved & kept.keys()) | begun
        self._since = since
        return begun

    def _hear(self, second: int, counted: Second, known: Second, begun: set[str]) -> Iterator[None]:
        since, unheard, never = self._since, self._unheard, second + 1
        for number, (key, counts) in enumerate(counted.items()):
            route, side = key
            if (counts is not known.get(key) or route in begun) and second >= since.get(route, never):
                self._moved.add(route)
                if unheard.get(route, never) > second:
                    unheard[route] = second
                if counts.complaints and side is Side.NATIVE:
                    self._pressing.add(route)
            if number % STRIDE == STRIDE - 1:
                yield


def _heard(counts: Counts) -> Heard:
    if counts is NONE:
        return SILENCE
    if not counts.complaints:
        return Heard(counts.subjects, NOBODY, counts.waiting, (), counts.resting, NOBODY, counts.pairs)
    complaints = dict(by_kind(counts.complaints))
    failed, alone = complaints.pop(FAILED, NOBODY), complaints.pop(ALONE, NOBODY)
    return Heard(
        counts.subjects, failed, counts.waiting, tuple(complaints.items()), counts.resting, alone, counts.pairs
    )
