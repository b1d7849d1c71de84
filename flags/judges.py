"""Who judges which route: its evidence, or simple thresholds over a window. No I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from flags.breath import Breath
from flags.courses import Courses
from flags.decide import in_force
from flags.evidence.course import PATIENCE, Standards
from flags.evidence.verdict import lacks_subjects, verdict
from flags.flag import WHOLE, Flag, Side
from flags.rollback import Judge, Kind, Rule, Verdict, judge
from flags.sums import Sums
from flags.window import Seconds, Window

EASE = 5  # seconds in which a route is asked once whose evidence can only have become better, or not come to enough


def undoubted(route: str) -> str:
    """For who doubts nobody."""
    return ""


class Judges:
    """`own`: the judges of routes that do not go by the rule's, `slow_over` likewise; `holdbacks` what always stays on
    legacy. `verdicts` are the latest of the routes judged. `doubt`: why native is not to be called healthy on a route,
    whatever it fails, or nothing: it is no reason to go back."""

    def __init__(
        self,
        rule: Rule,
        own: Mapping[str, Judge],
        slow_over: Mapping[str, float],
        window: Window,
        holdbacks: Mapping[str, int] = MappingProxyType({}),
        doubt: Callable[[str], str] = undoubted,
    ) -> None:
        self._doubt = doubt
        self.verdicts: Mapping[str, Verdict] = {}
        self._rule, self._own, self._slow_over, self._window = rule, own, slow_over, window
        self._holdbacks = holdbacks
        self._standards = Standards.of(rule.max_error_rate, rule.alpha, rule.max_excess)
        self._sums, self._courses = Sums(), Courses(self._standards)
        self._since: Mapping[str, int] = {}
        self._by: dict[Judge, dict[str, int]] = {each: {} for each in Judge}

    def first(self, last: int) -> int:
        """The first second that still matters when `last` is the one that is now."""
        evidence = self._rule.judge is Judge.EVIDENCE or Judge.EVIDENCE in self._own.values()
        return last - max(math.ceil(self._rule.window), PATIENCE if evidence else 0) + 1

    async def judge(
        self, seconds: Seconds, since: Mapping[str, int], flags: Mapping[str, Flag], last: int
    ) -> Mapping[str, Verdict]:
        """Bring `verdicts` up to date; those of the routes whose counts have moved."""
        if since is not self._since:
            self._since = since
            self._by = {each: {} for each in Judge}
            for route, first in since.items():
                self._by[self._own.get(route, self._rule.judge)][route] = first
            self.verdicts = {route: told for route, told in self.verdicts.items() if route in since}
        judged = {**await self._by_thresholds(seconds, last), **await self._by_evidence(seconds, flags, last)}
        moved = {route: self._doubted(route, told) for route, told in judged.items()}
        self.verdicts = {**self.verdicts, **moved}
        return moved

    def _doubted(self, route: str, told: Verdict) -> Verdict:
        if told.kind is not Kind.HEALTHY or not (doubt := self._doubt(route)):
            return told
        return Verdict(Kind.INCONCLUSIVE, f"{told.words}; but {doubt}")

    async def _by_thresholds(self, seconds: Seconds, last: int) -> Mapping[str, Verdict]:
        sums, self._sums = self._sums, Sums()  # should this end midway, the next tick adds up afresh
        first, breath, moved = last - math.ceil(self._rule.window) + 1, Breath(), {}
        judged = self._by[Judge.THRESHOLD]  # if there is none, nothing need be looked through
        within = {second: counted for second, counted in seconds.items() if judged and second >= first}
        for _ in sums.move(within, judged):
            await breath.taken()
        for route in sums.taken():
            moved[route] = judge(sums.of(route, Side.NATIVE), sums.of(route, Side.LEGACY), self._rule)
            await breath.taken()
        self._sums = sums
        return moved

    async def _by_evidence(self, seconds: Seconds, flags: Mapping[str, Flag], last: int) -> Mapping[str, Verdict]:
        courses, breath, moved = self._courses, Breath(), {}
        judged, kept = self._by[Judge.EVIDENCE], self.first(last) + EASE
        for _ in courses.move(seconds if judged else {}, judged):
            await breath.taken()
        for route in courses.taken():
            if (last + hash(route)) % EASE and courses.at_ease(route, kept):
                courses.put_off(route)
                continue
            course, flag = courses.of(route), flags[route]
            everybody = in_force(flag.native, self._holdbacks.get(route, 0)) == WHOLE
            course.alone = everybody and (flag.source is None or flag.source.rules is None)
            for side in Side:
                self._window.tally(route, side).spent = course.remembered
            slow_over = self._slow_over.get(route, self._rule.slow_over)
            found, least = course.find(last), self._rule.min_requests
            moved[route] = told = verdict(found, self._standards, least, slow_over)
            course.cleared = told.kind is Kind.HEALTHY or lacks_subjects(found, least, EASE)
            await breath.taken()
        return moved
