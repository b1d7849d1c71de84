"""What was found, in words and numbers. No I/O, no clock."""

from __future__ import annotations

import math

from flags.complaint import LATE
from flags.evidence.course import Found, Standards
from flags.evidence.detector import DOUBT, ENOUGH, Rule, Standard
from flags.evidence.ratios import Trial, alternatives
from flags.evidence.strand import Finding
from flags.rollback import Kind, Verdict

SUSPICIOUS = 0.01  # part of what would prove it from which native is not called healthy


def verdict(found: Found, standards: Standards, least: int, slow_over: float) -> Verdict:
    """Healthy once native was asked by `least` subjects, or more, and nothing is left that speaks for a defect.

    `slow_over`: seconds after which an answer is late.
    """
    of_failures = _of_failures(found.failures, standards.failures, least)
    if of_failures.kind is Kind.UNHEALTHY:
        return of_failures
    now, others = found.failures.evidence.second, list[Verdict | None]()
    for kind, finding in found.others.items():
        others.append(_of_others(kind, finding, standards.of_kind(kind), now, slow_over))
    told = {each.kind: each for each in reversed(others) if each is not None}
    if Kind.UNHEALTHY in told:
        return told[Kind.UNHEALTHY]
    return of_failures if of_failures.kind is Kind.INCONCLUSIVE else told.get(Kind.INCONCLUSIVE, of_failures)


def lacks_subjects(found: Found, least: int, seconds: int) -> bool:
    """Whether nobody has complained so far, and so many more seconds will not bring the `least` subjects that make a
    verdict, if none brings more than the busiest did lately."""
    total = found.failures.total
    if total.native_failed or found.others:
        return False
    return 0 < total.native + seconds * found.pace < least  # of whom nobody has asked yet, nothing is known


def _of_failures(finding: Finding, standard: Standard, least: int) -> Verdict:
    evidence, total = finding.evidence, finding.total
    above, worse = sum(evidence.above), evidence.worse_at(evidence.second)
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
    if worse >= standard.worse * SUSPICIOUS:
        doubt = f"e-value {_e(worse)} of the {_e(standard.worse)} needed (rule B)"
        return Verdict(Kind.INCONCLUSIVE, f"{_failed(evidence.seen)}; {doubt}")
    return Verdict(Kind.HEALTHY, f"{_failed(total)}; e-value {_e(above)} of the {_e(standard.above)} needed (rule A)")


def _of_others(kind: int, finding: Finding, standard: Standard, now: int, slow_over: float) -> Verdict | None:
    """None as long as nothing speaks for it that native is worse in this way, by as much as matters."""
    evidence, seen = finding.evidence, finding.evidence.seen
    worse, bar = evidence.worse_at(now if finding.rule is None else evidence.second), standard.worse
    if finding.rule is None and (worse < bar * SUSPICIOUS or standard.passes(seen)):
        return None
    native, legacy = f"{seen.native_failed} of {seen.native} subjects", f"{seen.legacy_failed} of {seen.legacy}"
    if kind == LATE:
        words, rule = f"native was slower than {_time(slow_over)} for {native}, legacy for {legacy}", "C"
    else:
        words, rule = f"native answered {kind} to {native}, legacy to {legacy}", f"D: {kind}"
    if finding.rule is None:
        return Verdict(Kind.INCONCLUSIVE, f"{words}; e-value {_e(worse)} of the {_e(bar)} needed (rule {rule})")
    return Verdict(Kind.UNHEALTHY, f"{words}; e-value {_e(worse)} ≥ {_e(bar)} (rule {rule})")


def _needed(finding: Finding, standard: Standard) -> str:
    """How many subjects in a row would settle it, either way."""
    levels = list(zip(finding.evidence.above, alternatives(standard.ceiling), strict=True))
    failed = min(math.log(standard.above / level) / failure for level, (failure, _) in levels if level)
    served = max(math.log(level * len(levels) / DOUBT) / -success for level, (_, success) in levels if level)
    more = max(1, math.ceil(failed)), max(1, math.ceil(served))
    return f"{more[0]} more in a row that fail would prove it, {more[1]} that are served would clear it"


def _failed(trial: Trial) -> str:
    legacy = f"legacy {trial.legacy_failed} of {trial.legacy}" if trial.legacy else "legacy was not asked"
    told = f"native failed {trial.native_failed} of {trial.native} subjects, {legacy}"
    discordant = trial.native_alone + trial.legacy_alone
    return (
        f"{told}; in {trial.native_alone} of {discordant} discordant shadow pairs it failed alone"
        if discordant
        else told
    )


def _time(seconds: float) -> str:
    return f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:g} s"


def _e(value: float) -> str:
    return f"{value:.1e}".replace("e+0", "e").replace("e+", "e") if value >= 1000 else f"{value:.2g}"
