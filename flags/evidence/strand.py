"""What is held against native in one way, such as that it fails: once for each subject, second by second.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from flags.complaint import FAILED
from flags.evidence.detector import ENOUGH, Evidence, Rule, Standard, advance, begin
from flags.evidence.ratios import NOTHING, Trial

REMEMBERED = 4096  # subjects that have complained and count no more; whose complaint is the oldest is forgotten
NOBODY: frozenset[int] = frozenset()


@dataclass(slots=True)  # not frozen, as flags.window.Counts: many are made each second; nobody changes them
class Heard:
    """What one side did in one second: the distinct `subjects` that asked it, without those who were failed before.

    `failed` are the marks of those it failed, `others` of those it kept waiting or refused, by kind of complaint;
    `waiting` is how many requests it keeps waiting; `resting`, how many are open for their users to go on. `alone`:
    with whose question, once native had failed it, this side failed alone when both were asked at the same moment;
    `pairs`: how many such are under way, and on legacy's side may yet show that it fails alone.
    """

    subjects: int = 0
    failed: frozenset[int] = NOBODY
    waiting: int = 0
    others: tuple[tuple[int, frozenset[int]], ...] = ()
    resting: int = 0
    alone: frozenset[int] = NOBODY
    pairs: int = 0

    @property
    def open(self) -> int:
        return self.waiting + self.resting + self.pairs

    @property
    def quiet(self) -> bool:
        """Whether nobody complains."""
        return not (self.failed or self.others)

    def of(self, kind: int) -> frozenset[int]:
        if kind == FAILED:
            return self.failed
        return next((subjects for each, subjects in self.others if each == kind), NOBODY)


SILENCE = Heard()
Told = tuple[int, Heard, Heard]  # a second: what native did, and what legacy did


@dataclass(slots=True)  # not frozen, as Heard
class Finding:
    """What the evidence comes to, the subjects that it is of, and the rule that is met, if one is."""

    evidence: Evidence
    total: Trial
    rule: Rule | None = None


class Strand:
    """The evidence of one kind of complaint, from the second `first` on.

    Legacy's failures and its silence speak for native whatever is held against that: no strand leads to a side that
    answers less.
    """

    def __init__(self, first: int, standard: Standard, kind: int = FAILED) -> None:
        self.kind, self.standard = kind, standard
        self.remembered: dict[int, None] = {}
        self.settled = Finding(begin(first - 1, standard), NOTHING)
        self.findings: dict[int, Finding] = {}  # after each of these seconds, as far as they have not changed since

    def unsettle(self, second: int) -> None:
        """What was told of this second has changed: what was found since has to be found again."""
        while self.findings and next(reversed(self.findings)) >= second:
            self.findings.popitem()

    def find(self, told: Iterable[Told], asked: Mapping[int, Finding] | None = None, *, alone: bool = False) -> Finding:
        """What is proved by these seconds; a rule that was met in any of them is met.

        `asked`: the findings of a strand that is told every second, where this one passes over those in which nobody
        complained. They prove nothing, and only who asked in them is wanted.
        """
        finding, lately, kind = self.settled, set[int](), self.kind
        for second, native, legacy in told:
            if finding.rule is not None:
                break
            if asked is not None and not (native.of(kind) or legacy.of(kind)):
                continue
            known = self.findings.get(second)
            if known is None:
                trial = self._trial(native, legacy, lately)
                known = self.findings[second] = self._after(finding, second, trial, asked, alone=alone)
            finding = known
            lately |= self._complaining(native, legacy)
        return finding

    def settle(self, second: int, native: Heard, legacy: Heard) -> None:
        """Nothing more is told of this second, which is the earliest of those that were not settled."""
        found = self.findings.pop(second, None)
        if found is not None:
            self.settled = found
            if complaining := self._complaining(native, legacy):
                self._remember(complaining)

    def _after(
        self, before: Finding, second: int, trial: Trial, asked: Mapping[int, Finding] | None, *, alone: bool
    ) -> Finding:
        total, since = before.total + trial, None
        if asked is not None:
            total = replace(total, native=asked[second].total.native, legacy=asked[second].total.legacy)
            native, legacy = total.native - before.total.native, total.legacy - before.total.legacy
            since = replace(trial, native=native, legacy=legacy)
        evidence = advance(before.evidence, second, trial, self.standard, since)
        return Finding(evidence, total, fired(evidence, self.standard, alone=alone))

    def _trial(self, native: Heard, legacy: Heard, lately: set[int]) -> Trial:
        """What legacy, asked in native's place, has failed as well is nothing that a rollback would mend.

        Who has complained before counts no more. Where it was of a failure, `subjects` is without him already.
        """
        if native.quiet and legacy.quiet:  # as in most seconds
            return Trial(native.subjects, 0, legacy.subjects, min(legacy.waiting, legacy.subjects))
        own, others = native.of(self.kind), legacy.of(self.kind)
        lost = others | legacy.failed
        asking = native.subjects, legacy.subjects
        if self.kind != FAILED:
            asking = asking[0] - self._known(own, lately), asking[1] - self._known(others, lately)
        mended = own - lost
        fresh = len(mended) - self._known(mended, lately), len(lost) - self._known(lost, lately) + legacy.waiting
        asking = max(asking[0], 0), max(asking[1], 0)
        alone = self._alone(native, legacy, lately) if self.kind == FAILED else (0, 0)
        return Trial(asking[0], min(fresh[0], asking[0]), asking[1], min(fresh[1], asking[1]), *alone)

    def _alone(self, native: Heard, legacy: Heard, lately: set[int]) -> tuple[int, int]:
        """With how many's questions either side failed alone. A witness against native was failed by it, and by nobody
        in its place. As long as legacy may yet turn out to have failed alone, it has: to fail may take it longer."""
        ours, theirs = (native.alone & native.failed) - legacy.failed - legacy.alone, legacy.alone - native.alone
        told = len(theirs) - self._known(theirs, lately)
        return len(ours) - self._known(ours, lately), told + legacy.pairs

    def _known(self, subjects: frozenset[int], lately: set[int]) -> int:
        return sum(subject in self.remembered or subject in lately for subject in subjects)

    def _complaining(self, native: Heard, legacy: Heard) -> frozenset[int]:
        if native.quiet and legacy.quiet:  # as in most seconds
            return NOBODY
        return native.of(self.kind) | legacy.of(self.kind) | legacy.failed

    def _remember(self, complaining: frozenset[int]) -> None:
        for subject in complaining:
            self.remembered.pop(subject, None)
            self.remembered[subject] = None
        while len(self.remembered) > REMEMBERED:
            del self.remembered[next(iter(self.remembered))]


def fired(evidence: Evidence, standard: Standard, *, alone: bool = False) -> Rule | None:
    """The rule by which native is worse; none, whatever was proved, while legacy fails more of those who ask it."""
    above, worse = sum(evidence.above) >= standard.above, sum(evidence.worse) >= standard.worse
    if alone:
        return Rule.ABOVE if above else None
    if not (above or worse) or (evidence.seen.legacy and standard.passes(evidence.seen)):
        return None
    if above and sum(evidence.meanwhile or ()) >= ENOUGH:
        return Rule.ABOVE  # though nobody asked legacy: pairs did
    if not worse or standard.passes(evidence.seen):
        return None
    return standard.proves if evidence.worse_at(evidence.second) >= standard.worse else None
