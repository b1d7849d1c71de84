"""What may be expected of a route's judge at the traffic there is: how soon it is right, how often it errs.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flags.chance import false_alarm
from flags.decide import in_force, paired
from flags.evidence.forecast import HORIZON, Foretold, Traffic
from flags.flag import WHOLE, percent
from flags.prospect import DEFECTS, Prospect, prospect
from flags.ramp import span
from flags.rollback import Judge, Rule

RATES = (1, 10, 100)  # requests a second, for which a judge by thresholds says how often it errs
MOST = 1024  # times the traffic beyond which it is not said how much would be needed
ENOUGH = 1.0  # requests a second of legacy's own with which its failures would show before native's have hurt many
AMPLE = WHOLE // 10  # a holdback with which most routes have that


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of a route of so many requests a second, of which native has `share`, in basis points.

    `needed`: for each of `DEFECTS` how many times these requests it takes until it is noticed; 0: more than can be
    said. `false_alarm`: the chance, at most, that the route trips within a day on which nothing is wrong. `with_ample`:
    when the largest of `DEFECTS` would be noticed with a holdback of `AMPLE`; `with_pairs`: with a shadow share, if it
    has none and that would help. `paired`: it has, and it does.
    """

    rate: float
    share: int
    judge: Judge
    prospect: Prospect
    needed: tuple[int, ...]
    false_alarm: float
    with_ample: Foretold | None = None
    with_pairs: Foretold | None = None
    paired: bool = False

    @property
    def scarce(self) -> bool:
        """Whether a defect would go on for want of anything to compare it with."""
        legacy = self.rate * (1 - self.share / WHOLE)
        by_users = self.judge is Judge.EVIDENCE and not self.paired
        return by_users and self.share > WHOLE - AMPLE and 0 < legacy < ENOUGH

    @property
    def words(self) -> tuple[str, ...]:
        noticed = [f"of {100 * defect:g} % {self._noticed(place)}" for place, defect in enumerate(DEFECTS)]
        by = "by evidence" if self.judge is Judge.EVIDENCE else "by thresholds"
        return (
            f"at {self.rate:.3g} requests/s, {percent(self.share)} of them native's, a defect would be noticed: "
            + ", ".join(noticed),
            f"judged {by}, a route on which nothing is wrong goes back on {days(self.false_alarm)} at most",
            *([self._scarcity] if self.scarce else []),
        )

    @property
    def _scarcity(self) -> str:
        """What would help. No judge can: that legacy does better takes some of its answers to be seen."""
        legacy = self.rate * (1 - self.share / WHOLE)
        asked = f"legacy is asked {legacy:.2g} times a second, which is little to compare with"
        ways = (f"with a holdback of {percent(AMPLE)}", self.with_ample), ("with a shadow share", self.with_pairs)
        would = f"one of {100 * DEFECTS[-1]:g} % would be noticed"
        told = [f"{how} {would} {_in_about(sooner)}" for how, sooner in ways if sooner is not None]
        return f"{asked}: {', or '.join(told)}" if told else asked

    def _noticed(self, place: int) -> str:
        noticed = self.prospect.noticed[place]
        if noticed is not None:
            return _in_about(noticed)
        more = f" (it takes {self.needed[place]} times the traffic)" if self.needed[place] else ""
        return f"not within {span(HORIZON)}{more}"


def outlook(share: int, holdback: int, rate: float, rule: Rule, shadow: int = 0) -> Outlook:
    """By `rule`, whose judge is the route's; `shadow` is its shadow share."""
    native = in_force(share, holdback)
    needed = [_needed(place, share, holdback, rate, rule, shadow) for place in range(len(DEFECTS))]
    errs = rule.alpha
    if rule.judge is Judge.THRESHOLD:
        errs = false_alarm(Traffic(rate * native / WHOLE, rate * (1 - native / WHOLE)), rule)
    found = prospect(share, holdback, rate, rule, shadow)
    ample = prospect(share, max(holdback, AMPLE), rate, rule).noticed[-1]
    by_pairs = rule.paired and paired(share, shadow, holdback)
    with_pairs = prospect(share, holdback, rate, rule, WHOLE).noticed[-1] if rule.paired and not by_pairs else None
    return Outlook(rate, native, rule.judge, found, tuple(needed), errs, ample, with_pairs, by_pairs)


def _in_about(noticed: Foretold) -> str:
    return f"in about {span(noticed.seconds)} ({noticed.failed} failed)"


def _needed(place: int, share: int, holdback: int, rate: float, rule: Rule, shadow: int) -> int:
    factor = 1
    while factor <= MOST:
        if prospect(share, holdback, rate * factor, rule, shadow).noticed[place] is not None:
            return factor
        factor *= 2
    return 0


def by_thresholds(rule: Rule) -> Mapping[int, float]:
    """How likely a day's false alarm is at a share of a quarter, by how many requests a second come."""
    return {rate: false_alarm(Traffic(rate / 4, rate * 3 / 4), rule) for rate in RATES}


def days(chance: float) -> str:
    """On how many a thing happens that has this chance each day."""
    if chance > 0.995:
        return "every day"
    return "less than 1 day in 1000" if chance < 0.001 else f"{100 * chance:.2g} % of days"
