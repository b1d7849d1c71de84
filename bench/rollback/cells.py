"""What is simulated: a cell is a scenario in thousands of runs, under each of the rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from bench.rollback import rules
from bench.rollback.rules import NEVER
from bench.rollback.traffic import Counts, Rates, Scenario, Stretch, stretches
from flags.evidence.detector import Rule as Proves
from flags.evidence.detector import Standard
from flags.rollback import Rule as ThresholdRule

CEILING, ALPHA, EXCESS = 0.02, 0.01, 0.02  # max_error_rate, alpha and max_excess, as they are by default
FAILURES, LATE = Standard.of_failures(CEILING, ALPHA), Standard.of_late_answers(ALPHA, EXCESS)
REFUSED = Standard.of_a_status(ALPHA)
DAY, HOUR, MINUTE = 86_400, 3_600, 60
RATES, SHARES = (1, 10, 100), (0.05, 0.25, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    scenario: Scenario
    standard: Standard = FAILURES

    @property
    def defect(self) -> bool:
        """Whether native is worse, so that a rollback is wanted."""
        return self.scenario.native > self.scenario.legacy


def _quiet(rate: float, share: float) -> Cell:
    return Cell(f"nothing is wrong, {rate:g}/s, {100 * share:g} %", Scenario(rate, share, DAY))


def _defect(
    name: str, share: float, onset: int, native: float = 0.5, ceiling: float = CEILING, rate: float = 10
) -> Cell:
    after = 2 * HOUR if native < 0.2 else 25 * MINUTE
    return Cell(name, Scenario(rate, share, onset + after, onset, native=native), Standard.of_failures(ceiling, ALPHA))


def _worse(name: str, baseline: float, native: float, standard: Standard) -> Cell:
    scenario = Scenario(10, 0.25, 2 * HOUR, 10 * MINUTE, native=native, legacy=baseline, baseline=baseline)
    return Cell(name, scenario, standard)


def _shared(name: str, share: float, failing: float, lasting: int = 10 * MINUTE) -> Cell:
    scenario = Scenario(10, share, 10 * MINUTE + lasting + MINUTE, 10 * MINUTE, lasting, native=failing, legacy=failing)
    return Cell(f"{name}, {100 * share:g} %", scenario)


QUIET = [_quiet(rate, share) for rate in RATES for share in SHARES]
DEFECTS = [
    *[
        _defect(f"50 % defect, 25 %, after {name}", 0.25, onset)
        for name, onset in (("0 s", 0), ("10 min", 10 * MINUTE), ("6 h", 6 * HOUR), ("24 h", DAY))
    ],
    *[_defect(f"50 % defect, {100 * share:g} %, after 10 min", share, 10 * MINUTE) for share in (0.05, 0.5, 0.9)],
    _defect("50 % defect, 25 %, after 10 min, ceiling 5 %", 0.25, 10 * MINUTE, ceiling=0.05),
    _defect("50 % defect, 90 %, after 10 min, ceiling 5 %", 0.9, 10 * MINUTE, ceiling=0.05),
    _defect("10 % defect, 25 %, after 10 min", 0.25, 10 * MINUTE, native=0.1),
]
SHARED = [
    *[_shared("both fail half", share, 0.5) for share in SHARES],
    *[_shared("native fails, legacy hangs", share, 1.0) for share in SHARES],  # what is open counts as failed
]
CURSED = [
    *[
        Cell(f"1 000 cursed users, {100 * share:g} %", Scenario(10, share, HOUR, cursed=1_000))
        for share in (0.05, 0.25)
    ],
]
# Twenty-four outages, each with its own chance: shown, and no target.
REPEATED = Cell(
    "both fail 30 % for 5 s each hour, 25 %",
    Scenario(10, 0.25, DAY, 10 * MINUTE, 5, every=HOUR, native=0.3, legacy=0.3),
)
OTHERS = [
    Cell("5 % are late, whoever answers, 25 %", Scenario(10, 0.25, DAY, baseline=0.05), LATE),
    Cell("20 % are 404, whoever answers, 25 %", Scenario(10, 0.25, DAY, baseline=0.2), REFUSED),
]
WORSE = [
    _worse("half of native's are late, legacy 5 %, 25 %", 0.05, 0.5, LATE),
    _worse("15 % of native's are late, legacy 5 %, 25 %", 0.05, 0.15, LATE),
    _worse("native answers half with 404, legacy 1 %, 25 %", 0.01, 0.5, REFUSED),
    _worse("native answers 5 % with 404, legacy 1 %, 25 %", 0.01, 0.05, REFUSED),
]


def _few(name: str, seconds: int = DAY, **wrong: Any) -> Cell:
    """With hardly anybody on legacy, so that what native fails is put to both sides at once."""
    return Cell(f"{name}, 98 %, pairs", Scenario(10, 0.98, seconds, paired=True, **wrong))


def _outage(name: str, **wrong: Any) -> Cell:
    return _few(name, 22 * MINUTE, onset=10 * MINUTE, lasting=10 * MINUTE, **wrong)


_HALF, _MOST = (
    _defect(f"{name} defect, 98 %", 0.98, 10 * MINUTE, native) for name, native in (("50 %", 0.5), ("90 %", 0.9))
)
FEW = [
    _few("nothing is wrong"),
    _few("both fail 2 %", baseline=0.02, native=0.02, legacy=0.02),
    _few("native's shadows all fail", native_shadow=1.0),
    _few("legacy's shadows all fail", legacy_shadow=1.0),
    _outage("both fail half", native=0.5, legacy=0.5),
    _outage("both fail 5 %", native=0.05, legacy=0.05),
    _outage("both hang, and fail 10 s later", native=1.0, legacy=1.0, late=10),
    _few(
        "both hang for 5 s each hour, and fail 10 s later",
        onset=10 * MINUTE,
        lasting=5,
        every=HOUR,
        native=1.0,
        legacy=1.0,
        late=10,
    ),
]
PAIRED = [
    *[
        cell
        for alone in (_HALF, _MOST)
        for cell in (alone, replace(alone, name=f"{alone.name}, pairs", scenario=replace(alone.scenario, paired=True)))
    ],
    Cell(
        "50 % defect, 98 %, pairs, but legacy's shadows all fail",
        replace(_HALF.scenario, paired=True, legacy_shadow=1.0),
    ),
]
CELLS = [*QUIET, *DEFECTS, *SHARED, *CURSED, REPEATED, *OTHERS, *WORSE, *FEW, *PAIRED]


class Rule(Protocol):
    fired: Rates

    def hear(self, stretch: Stretch) -> None: ...


def simulate(cell: Cell, runs: int, seed: int) -> dict[str, dict[str, Any]]:
    """What each of the rules did in this cell, run by run. A second ends with the tick, which judges all up to it."""
    scenario = cell.scenario
    random = np.random.default_rng(seed)
    phases = random.random(runs)
    judged: dict[str, Rule] = {"evidence": rules.Ours(cell.standard, runs)}
    if cell.standard.proves is Proves.WORSE:  # of failures; others' rules look at nothing else
        judged |= {
            "thresholds": rules.Thresholds(ThresholdRule(30.0, 50, cell.standard.ceiling, EXCESS), runs),
            "Flagger": rules.flagger(runs),
            "Argo": rules.argo(runs),
        }
    failed = {name: np.zeros(runs, dtype=np.int64) for name in judged}
    first = 0
    for stretch in stretches(scenario, phases, random):
        for name, rule in judged.items():
            rule.hear(stretch)
            failed[name] += _failed_until(rule.fired, stretch, first, scenario)
        first += len(stretch.native)
        if cell.defect and all((rule.fired < NEVER).all() for rule in judged.values()):
            break
    return {name: {"fired": rule.fired, "failed": failed[name], "phases": phases} for name, rule in judged.items()}


def _failed_until(fired: Rates, stretch: Stretch, first: int, scenario: Scenario) -> Counts:
    """How many native has failed from the onset to the rollback."""
    if scenario.onset is None:
        return np.zeros(len(fired), dtype=np.int64)
    seconds = np.arange(first, first + len(stretch.native))[:, None]
    counted = np.where((seconds >= scenario.onset) & (seconds < fired), stretch.native_failed, 0)
    return np.asarray(counted.sum(0))
