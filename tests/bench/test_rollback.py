"""The simulation of rollbacks runs the product's code, or its like in arrays, and finds what that finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.rollback import rules
from bench.rollback.cells import CELLS, DEFECTS, QUIET, Cell, simulate
from bench.rollback.rules import NEVER, Checks, Ours
from bench.rollback.summary import figures, quantiles, targets, wilson
from bench.rollback.traffic import BASELINE, Scenario, Stretch, stretches
from flags.chance import false_alarm
from flags.evidence.detector import Standard, advance, begin
from flags.evidence.forecast import Traffic, foretell
from flags.evidence.ratios import Trial
from flags.evidence.strand import fired
from flags.rollback import Kind, Rule, judge
from flags.window import Counts
from shadow.pairs import A_SECOND

STANDARD = Standard.of_failures(0.02, 0.01)


def stretch_of(trials: list[Trial]) -> Stretch:
    """One run."""

    def column(name: str) -> NDArray[np.int64]:
        return np.array([[getattr(trial, name)] for trial in trials], dtype=np.int64)

    return Stretch(*[column(name) for name in Stretch.__slots__])


trials = st.builds(
    lambda native, failed, legacy, others, *alone: Trial(
        native, min(failed, native), legacy, min(others, legacy), *alone
    ),
    *[st.integers(0, 12) | st.integers(0, 120)] * 4,
    *[st.integers(0, 6)] * 2,
)


@given(st.lists(trials, min_size=1, max_size=40))
def test_in_arrays_the_evidence_is_what_it_is_alone(seconds: list[Trial]) -> None:
    ours = Ours(STANDARD, runs=1)
    ours.hear(stretch_of(seconds))
    evidence, rule, when = begin(0, STANDARD), None, NEVER
    for second, trial in enumerate(seconds, 1):
        evidence = advance(evidence, second, trial, STANDARD)
        if rule is None and (rule := fired(evidence, STANDARD)) is not None:
            when = second
    assert ours.above[:, 0] == pytest.approx(evidence.above)
    assert ours.worse.sum() == pytest.approx(evidence.worse_at(evidence.second))
    assert ours.meanwhile.sum() == pytest.approx(sum(evidence.meanwhile or rules.BELIEVED))
    assert list(ours.seen[:, 0]) == [getattr(evidence.seen, name) for name in Trial.__slots__]
    assert (ours.fired[0], ours.rule[0]) == (when, rule.value if rule else " ")


@given(st.lists(trials, min_size=1, max_size=40))
def test_in_arrays_the_thresholds_are_what_they_are_alone(seconds: list[Trial]) -> None:
    rule = Rule(window=5.0, min_requests=20, max_error_rate=0.3, max_excess=0.2)
    ours, split = rules.Thresholds(rule, runs=1), len(seconds) // 2
    for part in (seconds[:split], seconds[split:]):
        if part:
            ours.hear(stretch_of(part))
    verdicts = []
    for second in range(len(seconds)):
        seen = sum(seconds[max(0, second - 4) : second + 1], Trial())
        native = Counts(seen.native, seen.native - seen.native_failed, seen.native_failed)
        legacy = Counts(seen.legacy, seen.legacy - seen.legacy_failed, seen.legacy_failed)
        verdicts.append(judge(native, legacy, rule).kind is Kind.UNHEALTHY)
    assert ours.fired[0] == (verdicts.index(True) + 1 if True in verdicts else NEVER)


def test_traffic_is_what_the_scenario_says() -> None:
    scenario = Scenario(100, 0.25, 600, onset=300, native=0.5)
    drawn = list(stretches(scenario, np.full(50, 0.5), np.random.default_rng(1)))
    whole = {name: np.concatenate([getattr(each, name) for each in drawn]) for name in Stretch.__slots__}
    assert whole["native"].mean() == pytest.approx(25, rel=0.01)
    assert whole["legacy"].mean() == pytest.approx(75, rel=0.01)
    assert whole["native_failed"][:300].mean() == pytest.approx(25 * BASELINE, rel=0.1)
    assert whole["native_failed"][300].mean() == pytest.approx(6.25, rel=0.3)  # half of its second
    assert whole["native_failed"][301:].mean() == pytest.approx(12.5, rel=0.02)
    assert whole["legacy_failed"].mean() == pytest.approx(75 * BASELINE, rel=0.05)


def test_what_comes_back_every_hour_comes_back() -> None:
    scenario = Scenario(1000, 0.5, 200, onset=50, lasting=5, every=100, native=1.0, legacy=1.0)
    (drawn,) = stretches(scenario, np.zeros(1), np.random.default_rng(1))
    broken = (drawn.native_failed[:, 0] > 250).nonzero()[0].tolist()
    assert broken == [*range(50, 55), *range(150, 155)]


def test_a_cursed_user_is_one_failure_on_its_side() -> None:
    scenario = Scenario(0, 0.25, 2000, cursed=400)
    drawn = list(stretches(scenario, np.zeros(10), np.random.default_rng(1)))
    native, legacy = (sum(getattr(each, name).sum() for each in drawn) for name in ("native_failed", "legacy_failed"))
    assert native + legacy == 4000
    assert native == pytest.approx(1000, rel=0.1)


def test_checks_count_failed_intervals_and_pass_over_empty_ones() -> None:
    well, bad, empty = Trial(100, 0), Trial(100, 2), Trial()
    checks = Checks(1, interval=1, least=0.99, failures=2)
    checks.hear(stretch_of([well, bad, empty, well, bad, bad]))
    assert checks.fired[0] == 5


def test_an_interval_is_wilsons() -> None:
    assert wilson(0, 2000) == pytest.approx((0.0, 0.00192), abs=1e-5)
    assert wilson(10, 2000) == pytest.approx((0.00272, 0.00918), abs=1e-5)


def test_what_came_before_the_defect_is_false_and_what_came_after_is_timed() -> None:
    cell = Cell("a defect", Scenario(10, 0.25, 1000, onset=600, native=0.5))
    told = figures(cell, {"fired": [100.0, 605.0, 607.0, NEVER], "phases": [0.0] * 4, "failed": [0, 4, 6, 900]})
    assert (told["false"], told["missed"], told["s_p50"], told["failed_p50"]) == (1, 1, 6.0, 5.0)


def test_the_interval_of_a_quantile_lies_between_two_of_the_values() -> None:
    told = quantiles("s", list(range(1, 2001)))
    assert told["s_p95_interval"] == [1881.0, 1920.0]  # the 1900th ± 1.96 √(2000 · 0.95 · 0.05)
    assert told["s_p50_interval"] == [957.0, 1044.0]
    assert quantiles("s", []) == {"s_p50": None, "s_p50_interval": [], "s_p95": None, "s_p95_interval": []}
    assert quantiles("s", [3.0])["s_p95_interval"] == [3.0, 3.0]


def test_without_a_defect_every_rollback_is_false() -> None:
    told = figures(QUIET[0], {"fired": [100.0, NEVER], "phases": [0.0] * 2, "failed": [0, 0]})
    assert (told["false"], told["false_part"]) == (1, 0.5)


def test_a_cell_has_a_name_of_its_own_and_every_target_a_cell() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    own = {"false_part": 0.0, "s_p50": 20.0, "s_p95": 20.0, "failed_p50": 20}
    told = targets({cell.name: {"evidence": own} for cell in CELLS})
    assert [name for name, one in told.items() if not one["met"]] == [
        f"{what}: {cell.name}" for cell in DEFECTS[:4] for what in ("median s", "p95 s", "median of failures")
    ] + ["median s: 50 % defect, 90 %, after 10 min", "median s: 50 % defect, 98 %, pairs"]


def test_a_half_broken_native_is_found_in_seconds_and_others_take_minutes() -> None:
    cell = Cell("a defect", Scenario(10, 0.25, 1800, onset=300, native=0.5))
    found = {rule: figures(cell, runs) for rule, runs in simulate(cell, runs=60, seed=1).items()}
    assert found["evidence"]["s_p50"] < 9
    assert found["evidence"]["false"] == found["evidence"]["missed"] == 0
    assert found["Flagger"]["s_p50"] > 100


def test_pairs_come_of_what_native_failed_as_either_side_fails_then_and_no_more_than_are_saved_up() -> None:
    scenario = Scenario(10, 0.98, 300, onset=100, native=0.5, legacy=0.1, paired=True, late=10)
    (drawn, more) = stretches(scenario, np.zeros(200), np.random.default_rng(1))
    rates = [each.sum() / (4 * 9.8 * 0.5 * 200) for each in (drawn.native_alone[100:104], drawn.legacy_alone[100:104])]
    assert rates == pytest.approx([0.5 * 0.9, 0.5 * 0.1], rel=0.1)
    assert drawn.native_alone[90:100].sum() > drawn.native_alone[:10].sum()  # by then the outage is there
    spent = (more.native_alone + more.legacy_alone).mean()
    assert spent == pytest.approx(A_SECOND * 0.5, rel=0.1)  # of those asked, half are discordant


def test_shadows_that_always_fail_fail_in_every_pair() -> None:
    for side, other in (("native", "legacy"), ("legacy", "native")):
        scenario = Scenario(100, 0.98, 240, onset=0, native=0.5, paired=True, **{f"{side}_shadow": 1.0})
        (drawn,) = stretches(scenario, np.zeros(20), np.random.default_rng(1))
        assert getattr(drawn, f"{side}_alone").sum() > 0
        assert getattr(drawn, f"{other}_alone").sum() == 0


@pytest.mark.parametrize(
    ("rate", "share", "defect"),
    [
        *[(10, 0.05, 0.5), (10, 0.25, 0.5), (10, 0.9, 0.5), (10, 0.25, 0.05), (100, 0.25, 0.01), (1, 0.25, 0.5)],
        *[(10, 0.98, 0.5), (10, 0.98, 0.9), (2, 0.98, 0.5)],
    ],
)
def test_what_is_foretold_is_what_happens_half_of_the_time(rate: float, share: float, defect: float) -> None:
    paired = share == 0.98
    scenario = Scenario(rate, share, 1500, onset=600, native=defect + BASELINE, paired=paired)
    ours = Ours(STANDARD, runs=100)
    phases = np.random.default_rng(2).random(100)
    for stretch in stretches(scenario, phases, np.random.default_rng(3)):
        ours.hear(stretch)
    median = float(np.median(ours.fired + 0.5 - 600 - phases))
    foretold = foretell(Traffic(rate * share, rate * (1 - share), paired=paired), defect, STANDARD)
    assert foretold is not None
    assert foretold.seconds == pytest.approx(median, rel=0.25, abs=2)


@pytest.mark.parametrize(("rate", "share"), [(10, 0.5), (100, 0.25), (1, 0.9)])
def test_thresholds_err_no_more_often_than_they_say(rate: float, share: float) -> None:
    rule = Rule(window=30.0, min_requests=50, max_error_rate=0.05 if rate == 10 else 0.02, max_excess=0.02)
    judged = rules.Thresholds(rule, runs=400)
    scenario = Scenario(rate, share, 7200)
    for stretch in stretches(scenario, np.zeros(400), np.random.default_rng(4)):
        judged.hear(stretch)
    errs = false_alarm(Traffic(rate * share, rate * (1 - share)), rule, within=7200)
    low, high = wilson(int((judged.fired < NEVER).sum()), 400)
    assert errs >= low
    assert errs <= 3 * high
