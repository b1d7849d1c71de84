"""One route's seconds in their order: what is held against either side, kind by kind, and what that proves.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flags.complaint import FAILED, LATE
from flags.evidence.detector import STATUSES, Rule, Standard
from flags.evidence.strand import Finding, Heard, Strand, Told

TOLD = 5  # seconds in which every worker has told what it counted, though clocks differ
PATIENCE = 30  # seconds after which what is open stays open, and counts as if legacy had failed it


@dataclass(frozen=True, slots=True)
class Standards:
    """What native is held to in every way."""

    failures: Standard
    late: Standard
    status: Standard

    @classmethod
    def of(cls, ceiling: float, alpha: float, excess: float) -> Standards:
        """`excess`: how much more often than legacy native may be late."""
        return cls(
            Standard.of_failures(ceiling, alpha), Standard.of_late_answers(alpha, excess), Standard.of_a_status(alpha)
        )

    def of_kind(self, kind: int) -> Standard:
        return {FAILED: self.failures, LATE: self.late}.get(kind, self.status)


@dataclass(frozen=True, slots=True)
class Found:
    """What is found of a route: of failures, and of each other kind of complaint that somebody had.

    `pace`: the most subjects that asked native in any second that was not settled.
    """

    failures: Finding
    others: Mapping[int, Finding]
    pace: int = field(default=0, compare=False)

    @property
    def rule(self) -> Rule | None:
        """The first rule that is met."""
        return next((finding.rule for finding in (self.failures, *self.others.values()) if finding.rule), None)


class Course:
    """What was heard of one route under one generation of its flag; `first` is the second with which that begins.

    `alone`: no subject is legacy's, so that native can be held to its ceiling only. `cleared`: what was found last left
    nothing that speaks against native.
    """

    def __init__(self, first: int, standards: Standards, *, alone: bool = False) -> None:
        self.first, self.standards, self.alone = first, standards, alone
        self._failures = Strand(first, standards.failures)
        self._others: dict[int, Strand] = {}
        self._heard: dict[int, tuple[Heard, Heard]] = {}
        self._against: set[int] = set()  # the seconds of those in which something is held against native
        self._settled = first - 1
        self.cleared = False

    @property
    def remembered(self) -> Mapping[int, None]:
        """The subjects that were failed, and count no more."""
        return self._failures.remembered

    @property
    def at_ease(self) -> bool:
        """Whether nothing that may still change is held against native, and nothing was when it was asked last."""
        return self.cleared and not self._against

    def hear(self, second: int, native: Heard, legacy: Heard) -> None:
        """All that is known of this second by now; what is told after it was settled is told too late."""
        if second <= self._settled:
            return
        self._heard[second] = native, legacy
        if native.quiet:
            self._against.discard(second)
        else:
            self._against.add(second)
        if native.others or legacy.others:
            for kind, _ in (*native.others, *legacy.others):
                self._begin(kind)
        self._failures.unsettle(second)
        for strand in self._others.values():
            strand.unsettle(second)

    def find(self, now: int) -> Found:
        """What is proved by now. A rule that was met in any second of those that may still change is met."""
        told: list[Told] = [(second, *self._heard[second]) for second in sorted(self._heard)]
        failures, others = self._failures.find(told, alone=self.alone), dict[int, Finding]()
        every = self._failures.findings
        if failures.rule is None:
            others = {kind: strand.find(told, every) for kind, strand in self._others.items()}
        self._settle(told, now)
        return Found(failures, others, max([native.subjects for _, native, _ in told], default=0))

    def _begin(self, kind: int) -> None:
        """From its first complaint on: before that, there was nothing to prove. Statuses without end have no part."""
        if kind not in self._others and (kind == LATE or len(self._others.keys() - {LATE}) < STATUSES):
            self._others[kind] = Strand(self.first, self.standards.of_kind(kind), kind)

    def _settle(self, told: list[Told], now: int) -> None:
        for second, native, legacy in told:
            may_end = (native.open or legacy.open) and second > now - PATIENCE
            if may_end or second > now - TOLD or second not in self._failures.findings:
                break
            for strand in (self._failures, *self._others.values()):
                strand.settle(second, native, legacy)
            self._settled = second
            del self._heard[second]
            self._against.discard(second)
