"""One route's seconds in their order: what counts of them, once for each subject, and what that proves.

No I/O, no clock.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from flags.evidence.detector import ENOUGH, Evidence, Standard, advance, begin
from flags.evidence.ratios import NOTHING, Trial

REMEMBERED = 4096  # subjects that were failed and count no more; the one that was failed least lately is forgotten
LATE = 5  # seconds in which every worker has told what it counted, though clocks differ
PATIENCE = 30  # seconds after which what is open stays open, and counts as if legacy had failed it


@dataclass(frozen=True, slots=True)
class Heard:
    """What one side did in one second: the distinct `subjects` that asked it, without those who were failed before.

    `failed` are the hashes of those it failed, `waiting` is how many requests it has not answered yet.
    """

    subjects: int = 0
    failed: frozenset[int] = frozenset()
    waiting: int = 0

    def __or__(self, more: Heard) -> Heard:
        """What another worker has heard, too: a subject that both have failed was failed once."""
        return Heard(self.subjects + more.subjects, self.failed | more.failed, self.waiting + more.waiting)


SILENT = Heard()


class Rule(enum.Enum):
    ABOVE = "A"
    WORSE = "B"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence comes to, the subjects that it is of, and the rule that is met, if one is."""

    evidence: Evidence
    total: Trial
    rule: Rule | None = None


class Course:
    """What was heard of one route under one generation of its flag; `first` is the second with which that begins.

    `alone`: no subject is legacy's, so that native can be held to its ceiling only.
    """

    def __init__(self, first: int, standard: Standard, *, alone: bool = False) -> None:
        self.standard, self.alone = standard, alone
        self.remembered: dict[int, None] = {}
        self._settled = Finding(begin(first - 1, standard), NOTHING)
        self._heard: dict[int, tuple[Heard, Heard]] = {}
        self._findings: dict[int, Finding] = {}  # after each of these seconds, as far as they have not changed since

    def hear(self, second: int, native: Heard, legacy: Heard) -> None:
        """All that is known of this second by now; what is told after it was settled is told too late."""
        if second > self._settled.evidence.second:
            self._heard[second] = native, legacy
            self._findings = {known: finding for known, finding in self._findings.items() if known < second}

    def find(self, now: int) -> Finding:
        """What is proved by now. A rule that was met in any second of those that may still change is met."""
        finding, lately = self._settled, set[int]()
        for second, native, legacy in self._in_order():
            if finding.rule is not None:
                break
            known = self._findings.get(second)
            if known is None:
                known = self._findings[second] = self._after(finding, second, self._trial(native, legacy, lately))
            finding = known
            if native.failed or legacy.failed:
                lately |= native.failed | legacy.failed
        self._settle(now)
        return finding

    def _settle(self, now: int) -> None:
        for second, native, legacy in list(self._in_order()):
            waiting = (native.waiting or legacy.waiting) and second > now - PATIENCE
            if waiting or second > now - LATE or second not in self._findings:
                break
            self._settled = self._findings.pop(second)
            self._remember(native.failed | legacy.failed)
            del self._heard[second]

    def _after(self, before: Finding, second: int, trial: Trial) -> Finding:
        evidence = advance(before.evidence, second, trial, self.standard)
        return Finding(evidence, before.total + trial, fired(evidence, self.standard, alone=self.alone))

    def _in_order(self) -> Iterator[tuple[int, Heard, Heard]]:
        for second in sorted(self._heard):
            yield second, *self._heard[second]

    def _trial(self, native: Heard, legacy: Heard, lately: set[int]) -> Trial:
        """What legacy, asked in native's place, has failed as well is nothing that a rollback would mend."""
        fresh = [
            sum(subject not in self.remembered and subject not in lately for subject in subjects)
            for subjects in (native.failed - legacy.failed, legacy.failed)
        ]
        return Trial(
            native.subjects,
            min(fresh[0], native.subjects),
            legacy.subjects,
            min(fresh[1] + legacy.waiting, legacy.subjects),
        )

    def _remember(self, failed: frozenset[int]) -> None:
        for subject in failed:
            self.remembered.pop(subject, None)
            self.remembered[subject] = None
        while len(self.remembered) > REMEMBERED:
            del self.remembered[next(iter(self.remembered))]


def fired(evidence: Evidence, standard: Standard, *, alone: bool = False) -> Rule | None:
    """The rule by which native is worse; none, whatever was proved, while legacy fails more of those who ask it."""
    if alone:
        return Rule.ABOVE if sum(evidence.above) >= standard.above else None
    seen = evidence.seen
    if seen.native_failed * seen.legacy <= seen.legacy_failed * seen.native:
        return None
    if sum(evidence.above) >= standard.above and sum(evidence.meanwhile or ()) >= ENOUGH:
        return Rule.ABOVE
    return Rule.WORSE if sum(evidence.worse) >= standard.worse else None
