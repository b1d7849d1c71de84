"""How long a defect would go unnoticed: even traffic, put before the same evidence that judges. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flags.evidence.course import Finding, fired
from flags.evidence.detector import MEMORY, Standard, advance, begin
from flags.evidence.ratios import NOTHING, Trial

HORIZON = MEMORY  # seconds beyond which nothing is foretold: what would be proved fades as fast as it grows
BEFORE = 600  # seconds in which all is well until the defect begins


@dataclass(frozen=True, slots=True)
class Traffic:
    """Distinct subjects a second on each side, and the part of them that either side fails while all is well."""

    native: float
    legacy: float
    baseline: float = 0.005


@dataclass(frozen=True, slots=True)
class Foretold:
    """Seconds until the route trips, and how many subjects native will have failed by then."""

    seconds: int
    failed: int


def foretell(traffic: Traffic, defect: float, standard: Standard) -> Foretold | None:
    """When native is found to fail this part of its subjects on top of the baseline; None if not within `HORIZON`."""
    alone = not traffic.legacy
    finding = Finding(begin(-BEFORE - 1, standard), NOTHING)
    failed = 0
    for second, trial in _even(traffic, defect):
        if trial.native or trial.legacy:
            evidence = advance(finding.evidence, second, trial, standard)
            finding = Finding(evidence, finding.total, fired(evidence, standard, alone=alone))
        failed += trial.native_failed if second >= 0 else 0
        if finding.rule is not None and second >= 0:
            return Foretold(second + 1, failed)
    return None


def _even(traffic: Traffic, defect: float) -> Iterator[tuple[int, Trial]]:
    """Each second's subjects, as even as whole numbers allow."""
    rates = [traffic.native, 0.0, traffic.legacy, traffic.legacy * traffic.baseline]
    owed = [0.5] * len(rates)
    for second in range(-BEFORE, HORIZON):
        failing = min(1.0, traffic.baseline + (defect if second >= 0 else 0.0))
        rates[1] = traffic.native * failing
        owed = [each + rate for each, rate in zip(owed, rates, strict=True)]
        native, native_failed, legacy, legacy_failed = (int(each) for each in owed)
        native_failed, legacy_failed = min(native_failed, native), min(legacy_failed, legacy)
        owed = [each - came for each, came in zip(owed, (native, native_failed, legacy, legacy_failed), strict=True)]
        yield second, Trial(native, native_failed, legacy, legacy_failed)
