"""How much likelier one second's counts are if native is worse than if it is not, as logarithms. No I/O, no clock.

Each ratio is held against several alternatives, for nobody knows beforehand how bad a defect will be. Under the
hypothesis that it denies, its mean is at most 1, whatever came before: what e-values are made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ODDS = (1.5, 4.0, 12.0, 50.0)  # of failing, native's to legacy's
EXCESS = (0.08, 0.2, 0.45, 0.9)  # how far native's rate lies above its ceiling, as parts of the way from there to 1
LIKELY = (0.15, 0.2, 0.45, 0.2)  # and how much is staked on each: defects that fail half are to be found soonest
ALONE = (0.75, 0.95)  # how often it is native, where one of two that are asked at the same moment fails alone


@dataclass(slots=True)  # not frozen: several are made for each second of each route; nobody changes them
class Trial:
    """The distinct subjects that each side was asked by in one second, and how many of them it failed.

    What is still open has not been failed by native, and has been by legacy: while legacy hangs, nothing is proved.
    `native_alone`: of those whom native failed, with whose question it failed alone when both sides were asked that
    once more, at the same moment; `legacy_alone`, with whose legacy did.
    """

    native: int = 0
    native_failed: int = 0
    legacy: int = 0
    legacy_failed: int = 0
    native_alone: int = 0
    legacy_alone: int = 0

    def __add__(self, more: Trial) -> Trial:
        return Trial(
            self.native + more.native,
            self.native_failed + more.native_failed,
            self.legacy + more.legacy,
            self.legacy_failed + more.legacy_failed,
            self.native_alone + more.native_alone,
            self.legacy_alone + more.legacy_alone,
        )


NOTHING = Trial()
FEW = 64  # failures of one second beyond which its counts are scaled down: what they prove is beyond doubt by then


@lru_cache(maxsize=256)
def alternatives(ceiling: float) -> Sequence[tuple[float, float]]:
    """For each rate of failures above the ceiling, what a failure adds to the logarithm, and what a success does.

    There are none above a ceiling of 100 %; a ceiling of 0 % is a failure in ten thousand.
    """
    if ceiling >= 1:
        return ()
    allowed = max(ceiling, 1e-4)
    rates = [allowed + (1 - allowed) * excess for excess in EXCESS]
    return tuple((math.log(rate / allowed), math.log((1 - rate) / (1 - allowed))) for rate in rates)


def above(trial: Trial, against: Sequence[tuple[float, float]]) -> list[float]:
    """Native fails more often than its ceiling allows; the mean is at most 1 as long as it does not."""
    failed, answered = trial.native_failed, trial.native - trial.native_failed
    return [failed * failure + answered * success for failure, success in against]


def worse(trial: Trial) -> Sequence[float]:
    """Native fails more often than legacy; the mean is 1 as long as failures fall on either side as subjects do.

    Given how many subjects failed in this second, those of native are drawn from all that asked, without replacement:
    how often subjects fail at all, and how that changes, does not matter.
    """
    failed = trial.native_failed + trial.legacy_failed
    if not failed or not trial.native or not trial.legacy:
        return SILENT
    if failed > FEW:
        trial = _scaled(trial, FEW / failed)
        failed = trial.native_failed + trial.legacy_failed
    means = _means(trial.native, trial.legacy, failed)
    return [trial.native_failed * logarithm - mean for logarithm, mean in zip(_LOGARITHMS, means, strict=True)]


def alone(trial: Trial) -> Sequence[float]:
    """Native fails where legacy, asked at the same moment, does not; the mean is 1 as long as it is as likely that
    legacy is the one to fail alone: whatever both suffer from, and however that changes, does not matter.

    Whether a pair was asked, and what it was asked, may depend on anything that came before.
    """
    return [trial.native_alone * native + trial.legacy_alone * legacy for native, legacy in _COINS]


_COINS = [(math.log(2 * often), math.log(2 * (1 - often))) for often in ALONE]
_LOGARITHMS = [math.log(odds) for odds in ODDS]
SILENT: Sequence[float] = (0.0,) * len(ODDS)  # of a second that says nothing of which side is worse


def _scaled(trial: Trial, part: float) -> Trial:
    """A part of each count, rounded in legacy's favour: a power of the ratio below 1 has no larger a mean than 1."""
    legacy_failed = math.ceil(trial.legacy_failed * part)
    legacy = max(math.floor(trial.legacy * part), legacy_failed)
    return Trial(math.ceil(trial.native * part), math.floor(trial.native_failed * part), legacy, legacy_failed)


@lru_cache(maxsize=4096)
def _means(native: int, legacy: int, failed: int) -> Sequence[float]:
    """The logarithm of the mean of odds**drawn, for each of the odds, where `failed` are drawn from both."""
    if failed == 1:
        share = native / (native + legacy)
        return tuple(math.log1p(share * (odds - 1)) for odds in ODDS)
    least, most = max(0, failed - legacy), min(failed, native)
    ways = [_choices(native, drawn) + _choices(legacy, failed - drawn) for drawn in range(least, most + 1)]
    every = _choices(native + legacy, failed)
    return tuple(
        _log_sum([way + drawn * logarithm for drawn, way in enumerate(ways, least)]) - every
        for logarithm in _LOGARITHMS
    )


def _choices(of: int, drawn: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(drawn + 1) - math.lgamma(of - drawn + 1)


def _log_sum(logarithms: Sequence[float]) -> float:
    highest = max(logarithms)
    return highest + math.log(sum(math.exp(each - highest) for each in logarithms))
