"""The product's rules over all runs at once, and what others do by default: when each run is rolled back, if ever."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.rollback.traffic import Counts, Rates, Stretch
from flags.evidence import detector
from flags.evidence.detector import DOUBT, ENOUGH, REST, Standard
from flags.evidence.ratios import ALONE, FEW, LIKELY, ODDS, alternatives
from flags.rollback import Rule

NEVER = np.inf
STAKED = np.array(LIKELY)[:, None]
ALIKE = np.full((len(ODDS), 1), 1 / len(ODDS))
BELIEVED = np.array(detector.BELIEVED)[:, None]
COINS = np.array(ALONE)[:, None, None]


class Ours:
    """`flags.evidence` in arrays: the same sums in the same order, which a test compares to the last digits."""

    def __init__(self, standard: Standard, runs: int) -> None:
        self._standard = standard
        self._against = alternatives(standard.ceiling)
        self._staked = STAKED[: len(self._against)]
        self.above = np.repeat(REST * self._staked, runs, axis=1)
        self.worse = np.repeat(REST * ALIKE, runs, axis=1)
        self.meanwhile = np.repeat(BELIEVED, runs, axis=1)
        self.seen = np.zeros((len(Stretch.__slots__), runs), dtype=np.int64)
        self.fired = np.full(runs, NEVER)
        self.rule = np.full(runs, " ")
        self._second = 0

    def hear(self, stretch: Stretch) -> None:
        above, worse, alone = _above(stretch, self._against), _worse(stretch), _alone(stretch)
        counted = np.stack([getattr(stretch, name) for name in Stretch.__slots__])
        for place in range(len(stretch.native)):
            self._advance(above[:, place], worse[:, place], alone[:, place], counted[:, place])

    def _advance(self, above: Rates, worse: Rates, alone: Rates, counted: Counts) -> None:
        above_before = self.above.sum(0)
        doubted = (above_before >= DOUBT) | (self.worse.sum(0) > REST)
        compared = self.meanwhile * np.concatenate([worse, alone])
        self.meanwhile = np.minimum(np.where(above_before >= DOUBT, compared, BELIEVED), detector.MOST)
        self.seen = np.where(doubted, self.seen + counted, counted)
        for levels, ratios, stakes in ((self.above, above, self._staked), (self.worse, worse, ALIKE)):
            levels *= detector.FADE
            levels += detector.BEGUN * stakes
            levels *= ratios
            np.minimum(levels, detector.MOST, out=levels)
        exceeded = self.above.sum(0)
        self.meanwhile = np.where(exceeded >= DOUBT, self.meanwhile, BELIEVED)
        self._second += 1
        native, native_failed, legacy, legacy_failed, _, _ = self.seen
        allowed = self._standard.excess * native * legacy
        alike = native_failed * legacy <= legacy_failed * native + allowed
        for rule, fires in (
            ("A", (exceeded >= self._standard.above) & (self.meanwhile.sum(0) >= ENOUGH) & ~(alike & (legacy > 0))),
            (self._standard.proves.value, (self.worse.sum(0) >= self._standard.worse) & ~alike),
        ):
            fires &= self.fired == NEVER
            self.fired[fires] = self._second
            self.rule[fires] = rule


class Thresholds:
    """`flags.rollback.judge` in arrays, once a second, over its window; nothing is open."""

    def __init__(self, rule: Rule, runs: int) -> None:
        self._rule, self._window = rule, math.ceil(rule.window)
        self._before = np.zeros((4, self._window, runs), dtype=np.int64)
        self.fired = np.full(runs, NEVER)
        self._second = 0

    def hear(self, stretch: Stretch) -> None:
        counted = np.stack([stretch.native, stretch.native_failed, stretch.legacy, stretch.legacy_failed])
        every = np.concatenate([self._before, counted], axis=1)
        sums = every.cumsum(axis=1)
        native, native_failed, legacy, legacy_failed = sums[:, self._window :] - sums[:, : -self._window]
        self._before = every[:, -self._window :]
        rate = native_failed / np.maximum(native, 1)
        excess = rate - legacy_failed / np.maximum(legacy, 1)
        worse = (excess > self._rule.max_excess) & (legacy >= self._rule.min_requests) | (legacy == 0)
        trips = (native >= self._rule.min_requests) & (rate > self._rule.max_error_rate) & worse
        first = np.where(trips.any(axis=0), self._second + 1 + trips.argmax(axis=0), NEVER)
        self.fired = np.minimum(self.fired, first)
        self._second += len(stretch.native)


class Checks:
    """Native's success rate once an interval; so many failed checks, not necessarily in a row, roll it back."""

    def __init__(self, runs: int, interval: int, least: float, failures: int) -> None:
        self._interval, self._least, self._failures = interval, least, failures
        self._counted = np.zeros((2, runs), dtype=np.int64)
        self._failed = np.zeros(runs, dtype=np.int64)
        self.fired = np.full(runs, NEVER)
        self._second = 0

    def hear(self, stretch: Stretch) -> None:
        for native, failed in zip(stretch.native, stretch.native_failed, strict=True):
            self._counted += (native, failed)
            self._second += 1
            if self._second % self._interval == 0:
                asked, bad = self._counted
                self._failed += (asked > 0) & (asked - bad < self._least * asked)
                self.fired[(self._failed >= self._failures) & (self.fired == NEVER)] = self._second
                self._counted[:] = 0


def flagger(runs: int) -> Checks:
    """fluxcd/flagger, its documentation on metrics and on how it works: at least 99 % each minute, `threshold: 10`."""
    return Checks(runs, interval=60, least=0.99, failures=10)


def argo(runs: int) -> Checks:
    """argoproj/argo-rollouts, docs/features/analysis.md: at least 95 % every five minutes, `failureLimit: 3`."""
    return Checks(runs, interval=300, least=0.95, failures=4)


def _above(stretch: Stretch, against: Any) -> Rates:
    failed, answered = stretch.native_failed, stretch.native - stretch.native_failed
    ratios = np.empty((len(against), *failed.shape))
    for place, (failure, success) in enumerate(against):
        np.exp(failed * failure + answered * success, out=ratios[place])
    return ratios


def _alone(stretch: Stretch) -> Rates:
    ratios: Rates = (2 * COINS) ** stretch.native_alone * (2 * (1 - COINS)) ** stretch.legacy_alone
    return ratios


def _worse(stretch: Stretch) -> Rates:
    """As `ratios.worse`: 1 in most seconds, so that only the others are computed."""
    failed = stretch.native_failed + stretch.legacy_failed
    ratios = np.ones((len(ODDS), *failed.shape))
    where = (failed > 0) & (stretch.native > 0) & (stretch.legacy > 0)
    own, native, legacy, drawn = _scaled(
        stretch.native[where], stretch.native_failed[where], stretch.legacy[where], stretch.legacy_failed[where]
    )
    for place, odds in enumerate(ODDS):
        ratios[place][where] = np.exp(own * np.log(odds) - _means(native, legacy, drawn, odds))
    return ratios


def _scaled(native: Counts, native_failed: Counts, legacy: Counts, legacy_failed: Counts) -> tuple[Counts, ...]:
    failed = native_failed + legacy_failed
    part = np.where(failed > FEW, FEW / failed, 1.0)
    legacy_failed = np.ceil(legacy_failed * part).astype(int)
    own = np.floor(native_failed * part).astype(int)
    legacy = np.maximum(np.floor(legacy * part).astype(int), legacy_failed)
    return own, np.ceil(native * part).astype(int), legacy, own + legacy_failed


def _means(native: Counts, legacy: Counts, failed: Counts, odds: float) -> Rates:
    means = np.log1p(native / (native + legacy) * (odds - 1))
    (several,) = np.nonzero(failed > 1)
    if len(several):
        n, m, e = native[several], legacy[several], failed[several]
        every = _choices(n + m, e)
        logarithms = []
        for own in range(int(e.max()) + 1):
            possible = (own <= n) & (own <= e) & (e - own <= m)
            o, rest = np.where(possible, own, 0), np.where(possible, e - own, 0)
            each = _choices(n, o) + _choices(m, rest) + own * np.log(odds) - every
            logarithms.append(np.where(possible, each, -np.inf))
        means[several] = np.logaddexp.reduce(logarithms, axis=0)
    return means


_FACTORIALS: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 4096)))])


def _choices(of: Counts, drawn: Counts) -> Rates:
    return _FACTORIALS[of] - _FACTORIALS[drawn] - _FACTORIALS[of - drawn]
