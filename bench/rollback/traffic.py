"""What each side is asked and fails, second by second, in many runs at once: arrays of (seconds, runs)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

STRETCH = 240  # seconds that are drawn at once
BASELINE = 0.005  # of requests fail on either side while nothing is wrong


@dataclass(frozen=True, slots=True)
class Stretch:
    """For each second and each run, the distinct subjects of each side and those it failed."""

    native: Counts
    native_failed: Counts
    legacy: Counts
    legacy_failed: Counts


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests a second, native's part of them, and what is wrong from `onset` on, for `lasting` seconds each `every`.

    An `onset` of None is never. `native` and `legacy` are the rates of failures, or of whatever the rule judges, while
    something is wrong, `baseline` is what they are on both sides before. Each request
    is another user's, but for those of `cursed` users, who ask once a minute and are failed whoever answers them: as a
    subject counts once, each of them is one failure.
    """

    rate: float
    share: float
    seconds: int
    onset: int | None = None
    lasting: int | None = None
    every: int | None = None
    native: float = BASELINE
    legacy: float = BASELINE
    cursed: int = 0
    baseline: float = BASELINE


def stretches(scenario: Scenario, phases: Rates, random: np.random.Generator) -> Iterator[Stretch]:
    """The whole scenario in each run; `phases` says for each how far into its second the onset lies."""
    cursed = _cursed(scenario, len(phases), random)
    for first in range(0, scenario.seconds, STRETCH):
        seconds = np.arange(first, min(first + STRETCH, scenario.seconds))
        drawn = []
        for part, wrong in ((scenario.share, scenario.native), (1 - scenario.share, scenario.legacy)):
            failing = _failing(scenario, wrong, seconds, phases)
            asked = scenario.rate * part
            failed = random.poisson(asked * failing, (len(seconds), len(phases)))
            drawn += [random.poisson(asked * (1 - failing), failed.shape) + failed, failed]
        stretch = Stretch(*drawn)
        for asked, failed, met in zip(drawn[::2], drawn[1::2], cursed, strict=True):
            here = (met[0] >= first) & (met[0] < first + len(seconds))
            place = met[0][here] - first, met[1][here]
            np.add.at(asked, place, 1)
            np.add.at(failed, place, 1)
        yield stretch


def _cursed(scenario: Scenario, runs: int, random: np.random.Generator) -> list[tuple[Counts, Counts]]:
    """When each cursed user first asks, and in which run, for each side."""
    times = random.exponential(60.0, (scenario.cursed, runs)).astype(int)
    native = random.random(times.shape) < scenario.share
    in_run = np.broadcast_to(np.arange(runs), times.shape)
    return [(times[side], in_run[side]) for side in (native, ~native)]


def _failing(scenario: Scenario, wrong: float, seconds: Counts, phases: Rates) -> Rates:
    """The rate of failures in each second; all runs share it but in the second of the onset."""
    failing = np.full((len(seconds), 1), scenario.baseline)
    if scenario.onset is None:
        return failing
    since = seconds - scenario.onset
    lasted = since % scenario.every if scenario.every else since
    failing[(since >= 0) & (lasted < (scenario.lasting or scenario.seconds))] = wrong
    if seconds[0] <= scenario.onset <= seconds[-1]:
        failing = np.repeat(failing, len(phases), axis=1)
        failing[scenario.onset - seconds[0]] = scenario.baseline * phases + wrong * (1 - phases)
    return failing
