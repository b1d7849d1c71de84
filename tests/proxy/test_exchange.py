from __future__ import annotations

from dataclasses import replace

import pytest

from flags.decide import Decision, Reason
from flags.flag import Side
from flags.window import Outcome
from proxy.exchange import Exchange, outcome

SERVED = Exchange("read", Decision(Side.NATIVE, False, Reason.SHARE), 1, 0.5, 200, Side.NATIVE)


@pytest.mark.parametrize("status", [200, 304, 401, 404, 422])
def test_an_answer_is_no_failure_whatever_it_says_about_the_request(status: int) -> None:
    assert outcome(replace(SERVED, status=status), None) is Outcome.OK


def test_a_failure_is_one_though_the_user_was_answered() -> None:
    stood_in = replace(SERVED, failure="exception", asked_last=Side.LEGACY)
    assert stood_in.fallback
    assert not SERVED.fallback
    assert outcome(stood_in, None) is Outcome.FAILED


@pytest.mark.parametrize(
    ("patience", "ended"),
    [(None, Outcome.EXCLUDED), (0.6, Outcome.EXCLUDED), (0.5, Outcome.EXCLUDED), (0.4, Outcome.FAILED)],
    ids=["nobody knows what is long", "shorter than usual", "just as long", "longer than usual"],
)
def test_a_user_who_left_was_failed_only_by_a_long_wait(patience: float | None, ended: Outcome) -> None:
    assert outcome(replace(SERVED, status=0, left=True), patience) is ended


def test_a_failure_counts_though_the_user_left_early() -> None:
    assert outcome(replace(SERVED, failure="timeout", left=True), 60) is Outcome.FAILED
