"""Who judges which route: its evidence, or simple thresholds over a window. No I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping

from flags.breath import Breath
from flags.courses import Courses
from flags.evidence.course import PATIENCE
from flags.evidence.detector import Standard
from flags.evidence.verdict import verdict
from flags.flag import WHOLE, Flag, Side
from flags.rollback import Judge, Rule, Verdict, judge
from flags.sums import Sums
from flags.window import Seconds, Window


class Judges:
    """`own`: the judges of routes that do not go by the rule's. `verdicts` are the latest of the routes judged."""

    def __init__(self, rule: Rule, own: Mapping[str, Judge], window: Window) -> None:
        self.verdicts: Mapping[str, Verdict] = {}
        self._rule, self._own, self._window = rule, own, window
        self._standard = Standard.of_failures(rule.max_error_rate, rule.alpha)
        self._sums, self._courses = Sums(), Courses(self._standard)
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
        moved = {**await self._by_thresholds(seconds, last), **await self._by_evidence(seconds, flags, last)}
        self.verdicts = {route: told for route, told in self.verdicts.items() if route in since} | moved
        return moved

    async def _by_thresholds(self, seconds: Seconds, last: int) -> Mapping[str, Verdict]:
        sums, self._sums = self._sums, Sums()  # should this end midway, the next tick adds up afresh
        first, breath, moved = last - math.ceil(self._rule.window) + 1, Breath(), {}
        within = {second: counted for second, counted in seconds.items() if second >= first}
        for _ in sums.move(within, self._by[Judge.THRESHOLD]):
            await breath.taken()
        for route in sums.taken():
            moved[route] = judge(sums.of(route, Side.NATIVE), sums.of(route, Side.LEGACY), self._rule)
            await breath.taken()
        self._sums = sums
        return moved

    async def _by_evidence(self, seconds: Seconds, flags: Mapping[str, Flag], last: int) -> Mapping[str, Verdict]:
        courses, breath, moved = self._courses, Breath(), {}
        for _ in courses.move(seconds, self._by[Judge.EVIDENCE]):
            await breath.taken()
        for route in courses.taken():
            course, flag = courses.of(route), flags[route]
            course.alone = flag.native == WHOLE and (flag.source is None or flag.source.rules is None)
            for side in Side:
                self._window.tally(route, side).spent = course.remembered
            moved[route] = verdict(course.find(last), self._standard, self._rule.min_requests)
            await breath.taken()
        return moved
