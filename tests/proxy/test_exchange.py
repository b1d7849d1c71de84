from __future__ import annotations

from dataclasses import replace

import pytest

from flags.decide import Decision, Reason
from flags.flag import Side
from flags.window import Outcome
from proxy.exchange import PATIENCE, Exchange, outcome

SERVED = Exchange("read", Decision(Side.NATIVE, False, Reason.SHARE), 1, 0.5, 200, Side.NATIVE)


@pytest.mark.parametrize("status", [200, 304, 401, 404, 422])
def test_an_answer_is_no_failure_whatever_it_says_about_the_request(status: int) -> None:
    assert outcome(replace(SERVED, status=status), None, 0.0) is Outcome.OK


def test_a_failure_is_one_though_the_user_was_answered() -> None:
    stood_in = replace(SERVED, failure="exception", asked_last=Side.LEGACY)
    assert stood_in.fallback
    assert not SERVED.fallback
    assert outcome(stood_in, None, 0.0) is Outcome.FAILED


@pytest.mark.parametrize(
    ("usual", "slow_over", "ended"),
    [
        (0.6, 0.1, Outcome.EXCLUDED),
        (0.5, 0.1, Outcome.EXCLUDED),
        (0.4, 0.1, Outcome.FAILED),
        (0.005, 0.5, Outcome.EXCLUDED),
        (0.005, 0.4, Outcome.FAILED),
    ],
    ids=["shorter than usual", "just as long", "longer than usual", "no later than allowed", "late"],
)
def test_a_user_who_left_was_failed_only_by_a_wait_that_is_long_for_legacy_and_late(
    usual: float, slow_over: float, ended: Outcome
) -> None:
    assert outcome(replace(SERVED, status=0, left=True, waited=0.5), usual, slow_over) is ended


def test_while_nobody_knows_what_is_usual_a_fixed_patience_holds() -> None:
    left = replace(SERVED, status=0, left=True)
    assert outcome(replace(left, waited=PATIENCE), None, 0.5) is Outcome.EXCLUDED
    assert outcome(replace(left, waited=PATIENCE + 0.1), None, 0.5) is Outcome.FAILED


def test_a_user_who_left_in_the_middle_of_an_upload_was_failed_by_nobody() -> None:
    assert outcome(replace(SERVED, status=0, left=True, elapsed=60.0, waited=None), 0.1, 0.1) is Outcome.EXCLUDED


@pytest.mark.parametrize(("side", "ended"), [(Side.NATIVE, Outcome.EXCLUDED), (Side.LEGACY, Outcome.FAILED)])
def test_a_native_that_takes_no_connection_is_being_deployed_and_a_legacy_has_failed(
    side: Side, ended: Outcome
) -> None:
    decision = Decision(side, False, Reason.SHARE)
    assert outcome(replace(SERVED, decision=decision, failure="refused"), None, 0.0) is ended


def test_a_failure_counts_though_the_user_left_early() -> None:
    assert outcome(replace(SERVED, failure="timeout", left=True), 60, 0.5) is Outcome.FAILED
