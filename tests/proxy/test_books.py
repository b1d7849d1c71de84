from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from flags.complaint import FAILED, LATE, complaint
from flags.decide import Decision, Reason
from flags.flag import Side
from flags.window import Counts, Window
from proxy.books import Books
from proxy.exchange import UNMATCHED, Exchange
from proxy.metrics import Metrics
from shadow.experiment import Experimenter, Limits, Listeners
from shadow.journal import MemoryJournal
from shadow.observation import Observation
from shadow.runner import Runner

NATIVE = Decision(Side.NATIVE, True, Reason.SHARE, subject=1)
LEGACY = Decision(Side.LEGACY, True, Reason.SHARE, subject=1)
SERVED = Exchange("read", NATIVE, 7, 0.1, 200, Side.NATIVE)
JSON = ((b"content-type", b"application/json"),)
CONTROL = Observation(200, JSON, b"{}", complete=True, elapsed=0.1)
SCOPE: Scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "strangler.request_id": "r-1"}


class Ledger:
    """Books with all that they write to; the runner is not started, so that its queue can be looked at."""

    def __init__(self) -> None:
        async def unasked(scope: Scope, receive: Receive, send: Send) -> None:
            raise AssertionError("nobody is asked here")

        self.window, self.metrics = Window(), Metrics(["read"])
        experimenter = Experimenter(
            sides={"legacy": unasked, "native": unasked},
            rules={},
            journal=MemoryJournal(),
            limits=Limits(),
            listeners=Listeners(),
            now=lambda: 0.0,
        )
        self.runner = Runner(experimenter, Limits(), lambda route, reason: None)
        self.epoch = ""
        self.books = Books({"read": 0.5}, self.window, self.metrics, self.runner, epoch=lambda route: self.epoch)

    def book(self, *exchanges: Exchange) -> None:
        for exchange in exchanges:
            self.books.opened(exchange.route, exchange.decision, exchange.second)
            self.books.closed(exchange)

    def counts(self, side: Side) -> Counts | None:
        return self.window.cells().get((7, "read", side))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_request_is_open_until_it_is_closed(ledger: Ledger) -> None:
    ledger.books.opened("read", NATIVE, 7)
    assert ledger.counts(Side.NATIVE) == Counts(asked=1, subjects=1)
    ledger.books.closed(SERVED)
    assert ledger.counts(Side.NATIVE) == Counts(asked=1, ok=1, subjects=1)


def test_a_request_is_booked_for_the_side_that_was_decided(ledger: Ledger) -> None:
    ledger.book(replace(SERVED, asked_last=Side.LEGACY, failure="exception"))
    assert ledger.counts(Side.NATIVE) == Counts(asked=1, failed=1, subjects=1, complaints=frozenset({1}))
    assert ledger.counts(Side.LEGACY) == Counts(asked=1, ok=1)  # that answered in native's place


def test_where_both_sides_fail_both_are_booked(ledger: Ledger) -> None:
    ledger.book(replace(SERVED, asked_last=Side.LEGACY, failure="5xx", status=500))
    assert ledger.counts(Side.NATIVE) == Counts(asked=1, failed=1, subjects=1, complaints=frozenset({1}))
    assert ledger.counts(Side.LEGACY) == Counts(asked=1, failed=1, complaints=frozenset({1}))


def test_what_no_route_matches_is_counted_but_not_judged(ledger: Ledger) -> None:
    ledger.book(replace(SERVED, route=UNMATCHED, decision=replace(LEGACY, subject=None), asked_last=Side.LEGACY))
    assert ledger.window.cells() == {}
    assert ledger.metrics.requests.labels(UNMATCHED, "legacy", "ok").value == 1


def test_what_is_asked_while_nobody_is_native_is_counted_but_not_judged(ledger: Ledger) -> None:
    ledger.book(replace(SERVED, decision=replace(LEGACY, subject=None), asked_last=Side.LEGACY, waited=3.0))
    assert ledger.window.cells() == {}
    assert ledger.metrics.requests.labels("read", "legacy", "ok").value == 1


def test_who_left_after_longer_than_legacy_usually_takes_was_failed(ledger: Ledger) -> None:
    left = replace(SERVED, status=0, left=True, waited=4.0)
    ledger.book(*[replace(SERVED, decision=LEGACY, asked_last=Side.LEGACY, waited=3.0)] * 100)
    ledger.book(left, replace(left, waited=2.0))
    assert ledger.counts(Side.NATIVE) == Counts(asked=2, excluded=1, failed=1, complaints=frozenset({1}))


@pytest.mark.parametrize("side", list(Side))
def test_who_leaves_a_native_that_is_quick_enough_beside_a_quicker_legacy_was_failed_by_nobody(
    ledger: Ledger, side: Side
) -> None:
    ledger.book(*[replace(SERVED, decision=LEGACY, asked_last=Side.LEGACY, waited=0.004)] * 100)
    decision = Decision(side, False, Reason.SHARE, subject=8)
    ledger.book(replace(SERVED, decision=decision, asked_last=side, status=0, left=True, waited=0.06))
    counts = ledger.counts(side)
    assert counts is not None
    assert (counts.failed, counts.excluded, counts.complaints) == (0, 1, frozenset())


def test_native_s_own_slowness_does_not_make_waiting_usual(ledger: Ledger) -> None:
    ledger.book(*[replace(SERVED, waited=60.0)] * 1000)
    ledger.book(*[replace(SERVED, decision=LEGACY, asked_last=Side.LEGACY, waited=1.0)] * 100)
    ledger.book(replace(SERVED, status=0, left=True, waited=2.0))
    counts = ledger.counts(Side.NATIVE)
    assert counts is not None
    assert counts.failed == 1


def test_what_was_usual_is_known_while_legacy_is_hardly_asked(ledger: Ledger) -> None:
    ledger.book(*[replace(SERVED, decision=LEGACY, asked_last=Side.LEGACY, waited=3.0)] * 100)
    ledger.book(replace(SERVED, status=0, left=True, waited=2.0))
    for _ in range(20):
        ledger.books.fade()
    ledger.book(replace(SERVED, status=0, left=True, waited=2.0))
    assert ledger.counts(Side.NATIVE) == Counts(asked=2, excluded=2)


def answered(ledger: Ledger, seconds: float, times: int = 100, **told: Any) -> None:
    """By legacy, which users waited for so long."""
    ledger.book(*[replace(SERVED, decision=LEGACY, asked_last=Side.LEGACY, waited=seconds, **told)] * times)


def test_legacy_is_late_where_it_takes_longer_than_it_has_of_late(ledger: Ledger) -> None:
    answered(ledger, 0.1)
    assert ledger.books.lateness.turn() is None  # nobody knew yet what is usual
    answered(ledger, 0.1)
    assert ledger.books.lateness.turn() == 0.0
    answered(ledger, 0.1, 50)
    answered(ledger, 0.3, 50)
    assert ledger.books.lateness.turn() == 0.5


@pytest.mark.parametrize(("first", "then", "late"), [(0.3, 0.1, 1.0), (0.1, 0.3, 1.0), (0.3, 0.3, 0.0)])
def test_of_the_first_answers_and_the_first_minute_the_faster_ones_are_usual(
    ledger: Ledger, first: float, then: float, late: float
) -> None:
    answered(ledger, first)
    answered(ledger, then, 9_900)
    ledger.books.fade()
    ledger.books.lateness.turn()
    answered(ledger, 0.3)
    assert ledger.books.lateness.turn() == late


def test_what_is_usual_follows_slowly(ledger: Ledger) -> None:
    answered(ledger, 0.1, 1_000)
    ledger.books.lateness.turn()
    ledger.books.fade()
    minutes = 0
    while True:
        answered(ledger, 0.3, 1_000)
        late = ledger.books.lateness.turn()
        if not late:
            break
        assert late == 1.0
        minutes += 1
        ledger.books.fade()
    assert 10 < minutes < 60  # then it is no longer news


def test_users_whom_legacy_has_let_down_found_it_late_too_but_make_nothing_usual(ledger: Ledger) -> None:
    answered(ledger, 0.1)
    ledger.books.fade()
    answered(ledger, 30.0, 50, failure="timeout", status=504)
    answered(ledger, 5.0, 50, left=True, status=0)
    assert ledger.books.lateness.turn() == 1.0
    ledger.books.fade()
    answered(ledger, 0.2)
    assert ledger.books.lateness.turn() == 1.0


def test_a_native_that_is_slow_makes_no_legacy_late(ledger: Ledger) -> None:
    answered(ledger, 0.1)
    ledger.books.fade()
    ledger.book(*[replace(SERVED, waited=30.0)] * 200)
    assert ledger.books.lateness.turn() is None


def test_a_route_that_is_seldom_asked_has_nothing_that_is_usual(ledger: Ledger) -> None:
    answered(ledger, 0.1, 99)
    ledger.books.fade()
    answered(ledger, 9.0, 50)
    assert ledger.books.lateness.turn() is None


def test_legacy_keeps_nobody_waiting_who_is_still_sending(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.books.opened("read", LEGACY, 7)
    resting = ledger.books.resting("read", LEGACY, 7)
    resting.sends(True)
    sending = ledger.counts(Side.LEGACY)
    assert sending is not None
    assert (sending.open, sending.waiting) == (2, 1)
    resting.sends(False)
    assert ledger.counts(Side.LEGACY) == Counts(asked=2, subjects=1)


def test_of_what_is_nobodys_evidence_nobody_notes_that_it_rests(ledger: Ledger) -> None:
    ledger.books.opened("read", LEGACY, 7)
    before = ledger.window.cells()
    ledger.books.resting("read", replace(LEGACY, subject=None), 7).sends(True)
    assert ledger.window.cells() == before


def test_what_native_failed_is_asked_of_nobody_where_there_is_nobody_to_ask(ledger: Ledger) -> None:
    failed = replace(SERVED, failure="5xx", status=500)
    ledger.book(failed)
    ledger.books.failed(failed, SCOPE, b"")
    assert ledger.counts(Side.NATIVE) == Counts(1, 0, 1, subjects=1, complaints=frozenset([1]))
    assert ledger.runner.pending == 0


def test_an_eligible_exchange_is_offered_to_the_runner(ledger: Ledger) -> None:
    ledger.books.shadow(SERVED, SCOPE, b"", CONTROL)
    assert ledger.runner.pending == 1


def test_an_exchange_that_cannot_be_compared_is_counted_with_the_reason(ledger: Ledger) -> None:
    ledger.books.shadow(SERVED, {**SCOPE, "method": "POST"}, b"", CONTROL)
    assert ledger.runner.pending == 0
    assert ledger.metrics.drops.labels("read", "unsafe_method").value == 1


def test_whose_request_it_was_is_booked_where_it_is_evidence(ledger: Ledger) -> None:
    mine = Decision(Side.NATIVE, False, Reason.SHARE, subject=7)
    ledger.book(replace(SERVED, decision=mine), replace(SERVED, decision=mine, failure="5xx"))
    assert ledger.counts(Side.NATIVE) == Counts(2, 1, 1, 0, 1, frozenset({7}))


@pytest.mark.parametrize(("status", "failed"), [(200, frozenset[int]()), (503, frozenset({7}))])
def test_legacy_in_natives_place_is_nobodys_choice_but_whom_it_failed_is_told(
    ledger: Ledger, status: int, failed: frozenset[int]
) -> None:
    mine = Decision(Side.NATIVE, False, Reason.SHARE, subject=7)
    ledger.book(replace(SERVED, decision=mine, failure="5xx", status=status, asked_last=Side.LEGACY))
    legacy = ledger.counts(Side.LEGACY)
    assert legacy is not None
    assert (legacy.asked, legacy.subjects, legacy.complaints) == (1, 0, failed)


def test_what_a_tester_asks_is_counted_and_is_evidence_of_nothing(ledger: Ledger) -> None:
    forced = Decision(Side.NATIVE, False, Reason.FORCED, forced_by="anna")
    ledger.book(replace(SERVED, decision=forced, failure="5xx", asked_last=Side.LEGACY))
    assert ledger.window.cells() == {}
    assert ledger.metrics.forced.labels("read", "native").value == 1
    assert ledger.metrics.requests.labels("read", "native", "failed").value == 1
    assert ledger.metrics.fallbacks.labels("read").value == 1


@pytest.mark.parametrize(
    ("exchange", "complaints"),
    [
        (replace(SERVED, waited=0.5), ()),
        (replace(SERVED, waited=0.6), (LATE,)),
        (replace(SERVED, waited=None), ()),  # the user never ended the request
        (replace(SERVED, status=404), (404,)),
        (replace(SERVED, status=404, waited=0.6), (404, LATE)),
        (replace(SERVED, status=503, failure="5xx", waited=0.6), (FAILED,)),
        (replace(SERVED, status=404, left=True, waited=0.6), ()),
    ],
)
def test_what_a_user_has_against_an_answer_is_booked(
    ledger: Ledger, exchange: Exchange, complaints: tuple[int, ...]
) -> None:
    ledger.book(replace(exchange, decision=Decision(Side.NATIVE, False, Reason.SHARE, subject=7)))
    counts = ledger.counts(Side.NATIVE)
    assert counts is not None
    assert counts.complaints == {complaint(kind, 7) for kind in complaints}


def test_where_nobody_is_judged_nothing_is_held_against_anybody(ledger: Ledger) -> None:
    ledger.book(replace(SERVED, decision=Decision(Side.NATIVE, True, Reason.SHARE), status=404, waited=0.6))
    assert ledger.window.cells() == {}
