"""What each side is asked and fails, second by second, in many runs at once: arrays of (seconds, runs)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shadow.pairs import A_SECOND, SAVED

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

STRETCH = 240  # seconds that are drawn at once
BASELINE = 0.005  # of requests fail on either side while nothing is wrong


@dataclass(frozen=True, slots=True)
class Stretch:
    """For each second and each run, the distinct subjects of each side and those it failed, and the pairs asked what
    native had failed in which either side failed alone."""

    native: Counts
    native_failed: Counts
    legacy: Counts
    legacy_failed: Counts
    native_alone: Counts
    legacy_alone: Counts


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests a second, native's part of them, and what is wrong from `onset` on, for `lasting` seconds each `every`.

    An `onset` of None is never. `native` and `legacy` are the rates of failures, or of whatever the rule judges, while
    something is wrong, `baseline` is what they are on both sides before. Each request
    is another user's, but for those of `cursed` users, who ask once a minute and are failed whoever answers them: as a
    subject counts once, each of them is one failure.

    `paired`: both sides are asked once more what native has failed, within the product's bounds. They fail that as they
    fail users at that moment, `late` seconds after the request; or always in this part of cases, if it is their shadows
    that `native_shadow` or `legacy_shadow` has something wrong with.
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
    paired: bool = False
    late: int = 0
    native_shadow: float | None = None
    legacy_shadow: float | None = None


def stretches(scenario: Scenario, phases: Rates, random: np.random.Generator) -> Iterator[Stretch]:
    """The whole scenario in each run; `phases` says for each how far into its second the onset lies."""
    cursed = _cursed(scenario, len(phases), random)
    pairs = _Pairs(scenario, phases)
    for first in range(0, scenario.seconds, STRETCH):
        seconds = np.arange(first, min(first + STRETCH, scenario.seconds))
        drawn = []
        for part, wrong in ((scenario.share, scenario.native), (1 - scenario.share, scenario.legacy)):
            failing = _failing(scenario, wrong, seconds, phases)
            asked = scenario.rate * part
            failed = random.poisson(asked * failing, (len(seconds), len(phases)))
            drawn += [random.poisson(asked * (1 - failing), failed.shape) + failed, failed]
        stretch = Stretch(*drawn, *pairs.drawn(seconds, drawn[1], random))
        for asked, failed, met in zip(drawn[::2], drawn[1::2], cursed, strict=True):
            here = (met[0] >= first) & (met[0] < first + len(seconds))
            place = met[0][here] - first, met[1][here]
            np.add.at(asked, place, 1)
            np.add.at(failed, place, 1)
        yield stretch


class _Pairs:
    """What comes of pairs, each of which a route has to have saved up."""

    def __init__(self, scenario: Scenario, phases: Rates) -> None:
        self._scenario, self._phases = scenario, phases
        self._saved = np.full(len(phases), SAVED)

    def drawn(self, seconds: Counts, failed: Counts, random: np.random.Generator) -> tuple[Counts, Counts]:
        """In how many either side fails alone."""
        scenario = self._scenario
        if not scenario.paired:
            return np.zeros_like(failed), np.zeros_like(failed)
        asked = np.empty_like(failed)
        for place, each in enumerate(failed):
            self._saved = np.minimum(self._saved + A_SECOND, SAVED)
            asked[place] = np.minimum(each, self._saved.astype(int))
            self._saved = self._saved - asked[place]
        ours = self._failing(scenario.native, scenario.native_shadow, seconds)
        theirs = self._failing(scenario.legacy, scenario.legacy_shadow, seconds)
        native = random.binomial(asked, ours * (1 - theirs))
        return native, random.binomial(asked - native, (1 - ours) * theirs / (1 - ours * (1 - theirs)))

    def _failing(self, wrong: float, shadow: float | None, seconds: Counts) -> Rates:
        scenario = self._scenario
        return _failing(scenario, wrong, seconds + scenario.late, self._phases) if shadow is None else np.array(shadow)


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
