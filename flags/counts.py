"""What one side was asked and answered in one second, as numbers. No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from flags.flag import Side

NOBODY: frozenset[int] = frozenset()


class Outcome(enum.Enum):
    OK = "ok"
    FAILED = "failed"
    EXCLUDED = "excluded"  # says nothing about the side: a client that left early

    __hash__ = object.__hash__  # as for Side


@dataclass(slots=True)  # not frozen: many are made each second, and frozen they would take three times as long
class Counts:
    """Requests of one side: `asked` are all that it was given, then how they ended. Nobody changes them.

    `subjects`: how many asked, without those that were failed before; `complaints`: of those that were failed, kept
    waiting or refused. Sums over several seconds leave the complaints out. `resting` are open, but wait for nothing
    that is the side's to do: their users are still sending, or take no more of an answer, or it flows. `pairs` are
    those of what native failed that are under way; legacy's, of these, those that may yet show that it failed alone.
    """

    asked: int = 0
    ok: int = 0
    failed: int = 0
    excluded: int = 0
    subjects: int = 0
    complaints: frozenset[int] = NOBODY
    resting: int = 0
    pairs: int = 0

    @property
    def answered(self) -> int:
        return self.ok + self.failed

    @property
    def open(self) -> int:
        return max(self.asked - self.ok - self.failed - self.excluded, 0)

    @property
    def waiting(self) -> int:
        """Those that the side keeps waiting."""
        return max(self.open - self.resting, 0)

    def __add__(self, more: Counts) -> Counts:
        return Counts(
            self.asked + more.asked,
            self.ok + more.ok,
            self.failed + more.failed,
            self.excluded + more.excluded,
            self.subjects + more.subjects,
            resting=self.resting + more.resting,
            pairs=self.pairs + more.pairs,
        )

    def moved(self, before: Counts, after: Counts) -> Counts:
        """This sum, of which one part was `before` and is `after`."""
        return Counts(
            self.asked - before.asked + after.asked,
            self.ok - before.ok + after.ok,
            self.failed - before.failed + after.failed,
            self.excluded - before.excluded + after.excluded,
            self.subjects - before.subjects + after.subjects,
            resting=self.resting - before.resting + after.resting,
            pairs=self.pairs - before.pairs + after.pairs,
        )

    def told(self, before: Counts, after: Counts) -> Counts:
        """The fleet's sum for one second, of which one worker has told `before` and tells `after` now.

        What a subject has against several workers alike is in it once.
        """
        if self is before:
            return after  # nobody else has told anything of it, as long as there is one worker
        sum_ = self.moved(before, after)
        sum_.complaints = self.complaints | after.complaints
        return sum_


NONE = Counts()

Key = tuple[str, Side]  # a route's side
Cell = tuple[int, str, Side]  # (second of the decision, route, side)
Cells = Mapping[Cell, Counts]
Second = Mapping[Key, Counts]
Seconds = Mapping[int, Second]  # one that has not moved is the same object each time it is told
