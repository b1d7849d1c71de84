"""What was found, in words and numbers. No I/O, no clock."""

from __future__ import annotations

import math

from flags.evidence.course import Finding, Rule
from flags.evidence.detector import DOUBT, ENOUGH, Standard
from flags.evidence.ratios import Trial, alternatives
from flags.rollback import Kind, Verdict


def verdict(finding: Finding, standard: Standard, least: int) -> Verdict:
    """Healthy once native was asked by `least` subjects, or more, and nothing is left that speaks for a defect."""
    evidence, total = finding.evidence, finding.total
    above, worse = sum(evidence.above), sum(evidence.worse)
    if finding.rule is not None:
        value, needed = (above, standard.above) if finding.rule is Rule.ABOVE else (worse, standard.worse)
        return Verdict(
            Kind.UNHEALTHY, f"{_failed(evidence.seen)}; e-value {_e(value)} ≥ {_e(needed)} (rule {finding.rule.value})"
        )
    if total.native < least:
        return Verdict(
            Kind.INCONCLUSIVE,
            f"{_failed(total)}: {least - total.native} more of the {least} subjects needed to call it healthy",
        )
    if above >= standard.above and sum(evidence.meanwhile or ()) < ENOUGH:
        why = "legacy fails as well, is silent, or was asked too little: going back might help nobody"
        return Verdict(Kind.INCONCLUSIVE, f"{_failed(evidence.seen)}; native is above its ceiling, but {why}")
    if above >= DOUBT:
        doubt = f"e-value {_e(above)} of the {_e(standard.above)} needed (rule A)"
        return Verdict(Kind.INCONCLUSIVE, f"{_failed(evidence.seen)}; {doubt}: {_needed(finding, standard)}")
    if worse >= standard.worse / 100:
        doubt = f"e-value {_e(worse)} of the {_e(standard.worse)} needed (rule B)"
        return Verdict(Kind.INCONCLUSIVE, f"{_failed(evidence.seen)}; {doubt}")
    return Verdict(Kind.HEALTHY, f"{_failed(total)}; e-value {_e(above)} of the {_e(standard.above)} needed (rule A)")


def _needed(finding: Finding, standard: Standard) -> str:
    """How many subjects in a row would settle it, either way."""
    levels = list(zip(finding.evidence.above, alternatives(standard.ceiling), strict=True))
    failed = min(math.log(standard.above / level) / failure for level, (failure, _) in levels if level)
    served = max(math.log(level * len(levels) / DOUBT) / -success for level, (_, success) in levels if level)
    more = max(1, math.ceil(failed)), max(1, math.ceil(served))
    return f"{more[0]} more in a row that fail would prove it, {more[1]} that are served would clear it"


def _failed(trial: Trial) -> str:
    legacy = f"legacy {trial.legacy_failed} of {trial.legacy}" if trial.legacy else "legacy was not asked"
    return f"native failed {trial.native_failed} of {trial.native} subjects, {legacy}"


def _e(value: float) -> str:
    return f"{value:.1e}".replace("e+0", "e").replace("e+", "e") if value >= 1000 else f"{value:.2g}"
