from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay import report
from proxy.replay.question import Reason, Skipped
from proxy.replay.tally import PLACES, Heard, Tally
from shadow import parity
from shadow.excerpt import Excerpt
from shadow.mismatch import Mismatch, Sample
from shadow.result import Outcome

SAMPLE = Sample(
    *(1.0, "GET", "/users/7?q=[redacted]", (), (), False, "r1", "data.id", "legacy", "native", 200, 200),
    *(Excerpt("integer"), Excerpt("text")),
)


def tally(**outcomes: int) -> Tally:
    found = Tally()
    route = found.route("users.show")
    route.outcomes.update(outcomes)
    route.asked = sum(outcomes.values())
    return found


def mismatch(id: str = "a", count: int = 3, **told: Any) -> Mismatch:
    found = Mismatch(id, "users.show", "data.id", "type", count, 1.0, 2.0, samples=(SAMPLE,))
    return replace(found, **told)


def said(found: Tally, *mismatches: Mismatch, stopped: str | None = None) -> str:
    return report.text(json.loads(json.dumps(report.told(found, mismatches, 65.04, stopped))))


@pytest.mark.parametrize(
    ("outcomes", "stopped", "fail_over", "will_do"),
    [
        ({"matched": 9}, None, 0.0, True),
        ({"ignored": 9, "noise": 1, "unconfirmed": 1}, None, 0.0, True),
        ({"matched": 9, "mismatched": 1}, None, 0.0, False),
        ({"matched": 9, "unchecked": 1}, None, 0.0, False),
        ({"matched": 9, "unanswered": 1}, None, 0.0, False),
        ({"matched": 9, "mismatched": 1}, None, 0.1, True),
        ({"matched": 8, "mismatched": 1, "unanswered": 1}, None, 0.1, False),
        ({"matched": 9}, "SIGINT ended it", 1.0, False),
        ({}, None, 1.0, False),
        ({"unanswered": 9}, None, 1.0, False),
    ],
)
def test_it_will_do_if_all_was_asked_and_little_speaks_against_native(
    outcomes: dict[str, int], stopped: str | None, fail_over: float, will_do: bool
) -> None:
    assert report.will_do(tally(**outcomes), stopped, fail_over) is will_do


def test_a_route_of_which_nothing_was_compared_proves_nothing_however_much_was_of_others() -> None:
    found = tally(matched=900)
    found.route("users.avatar").asked = 20
    found.route("users.avatar").uncompared["too_large"] = 20
    assert not report.will_do(found, None, 1.0)
    assert said(found).startswith(
        "920 asked of both sides in 65 s, 900 compared, but nothing of users.avatar: of that it proves nothing.\n"
    )


@pytest.mark.parametrize(("native", "legacy", "will_do"), [(2, 0, False), (1, 0, True), (5, 4, True), (0, 9, True)])
def test_failures_that_do_not_show_again_count_as_far_as_they_are_more_than_those_of_legacy(
    native: int, legacy: int, will_do: bool
) -> None:
    found = tally(matched=90, unconfirmed=10)
    found.route("users.show").failed_alone.update(native=native, legacy=legacy)
    assert report.will_do(found, None, 0.01) is will_do
    assert (f"10 unconfirmed, {legacy} of them failed by legacy alone" in said(found)) is (legacy > 0)


def test_a_file_of_which_hardly_anything_can_be_read_proves_nothing() -> None:
    found = tally(matched=2)
    for number in range(2):
        found.skip(Skipped(number, Reason.MALFORMED))
    assert report.will_do(found, None, 0.0)
    found.skip(Skipped(3, Reason.TOO_LONG))
    assert not report.will_do(found, None, 1.0)


def test_noise_is_agreed_as_it_is_in_the_parity_of_a_running_proxy() -> None:
    found = tally(matched=100, noise=300).route("users.show")
    assert found.parity == parity.Tally(agreed=400)


def test_each_route_is_told_with_all_that_came_of_it() -> None:
    found = tally(matched=700, ignored=3, mismatched=1, unanswered=2)
    route = found.route("users.show")
    route.uncompared["streaming"], route.unjournalled = 4, 1
    route.covered["ignore data.id"] = 3
    found.hear("users.show", [Heard("legacy", 0.010), Heard("native", 0.002, "5xx"), Heard("native", None, "late")])
    told = report.told(found, [], 1.0, None)
    (of_it,) = told["routes"]
    assert of_it["sides"]["native"]["failures"] == {"5xx": 1, "late": 1}
    assert of_it["rules"] == {"ignore data.id": 3}
    assert of_it["bound"] == pytest.approx(parity.bound(704, 1), abs=1e-6)
    text = report.text(told)
    head, row = (" ".join(line.split()) for line in text.splitlines()[2:4])
    assert head == "ROUTE ASKED MATCHED IGNORED MISMATCHED ≤ (99%) LEGACY P50, P95 NATIVE P50, P95 OTHER"
    bound = parity.rate(of_it["bound"])
    assert row.startswith(f"users.show 706 700 3 1 {bound} ")
    assert row.endswith("2 unanswered, 4 not compared (streaming), 1 not put on the list (journal)")
    assert "native failed on users.show: 1 5xx, 1 late." in text
    assert "legacy failed" not in text


@pytest.mark.parametrize("seconds", [0.0005, 0.003, 0.4, 7.0])
def test_times_are_told_no_lower_than_they_were_and_a_quarter_higher_at_most(seconds: float) -> None:
    found = Tally()
    found.hear("users.show", [Heard("legacy", seconds)] * 9)
    side = found.route("users.show").sides["legacy"]
    told = side.milliseconds(0.5) or 0.0
    assert told == side.milliseconds(0.95)
    assert max(seconds * 1000, 0.9) <= told + 0.05
    assert told <= max(seconds * 1250, 1.0) + 0.05
    assert found.route("users.show").sides["native"].milliseconds(0.5) is None


def test_mismatches_stand_with_an_example_the_most_frequent_first_and_apart_from_what_was_not_confirmed() -> None:
    many = [mismatch("a"), mismatch("b", 9, field="", kind="status"), mismatch("c", confirmed=False, samples=())]
    told = report.told(tally(mismatched=9), many, 1.0, None)
    assert [each["id"] for each in told["mismatches"]] == ["b", "a", "c"]
    assert told["mismatches"][1]["example"] == {"method": "GET", "target": SAMPLE.target, "path": "data.id"}
    confirmed, other = said(tally(mismatched=9), *many).split("\n\n")[2:4]
    first, second = (" ".join(line.split()) for line in confirmed.splitlines()[2:])
    assert first == "users.show (whole) status 9 GET /users/7?q=[redacted]"
    assert second == "users.show data.id type 3 GET /users/7?q=[redacted]"
    assert other.startswith("Mismatches seen, but not confirmed:")
    assert other.endswith(" 3         -")


def test_of_very_many_only_the_first_are_listed_and_it_says_so() -> None:
    text = said(tally(mismatched=9), *(mismatch(str(each)) for each in range(report.SHOWN + 7)))
    assert f"the first {report.SHOWN} of {report.SHOWN + 7}" in text
    assert text.count("data.id") == report.SHOWN


@pytest.mark.parametrize("reason", Reason)
def test_what_was_passed_over_is_told_with_its_reason(reason: Reason) -> None:
    found = tally(matched=1)
    for number in range(1, PLACES + 5):
        found.skip(Skipped(number, reason))
    lines = said(found).splitlines()
    assert any(line.startswith(f"{PLACES + 4}  ") for line in lines)
    unreadable = reason in (Reason.MALFORMED, Reason.TOO_LONG)
    numbers = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    assert lines[-1].endswith(f"The first that cannot be read: {numbers}.") is unreadable


def test_what_ended_early_and_what_proves_nothing_says_so_at_once() -> None:
    assert said(tally(), stopped="SIGINT ended it").splitlines()[0] == (
        "0 asked of both sides in 65 s, 0 compared: that proves nothing. It was not all: SIGINT ended it."
    )
    assert said(tally(matched=2)).startswith("2 asked of both sides in 65 s, 2 compared.\n")


@pytest.mark.parametrize(
    ("read", "words"), [(None, "3 asked, 1 mismatched, 10 s"), (0.25, "25%, 30 s left"), (0.0, "0%"), (1.0, "100%")]
)
def test_how_far_it_is_stands_on_one_line(read: float | None, words: str) -> None:
    assert report.progress(tally(matched=2, mismatched=1), read, 10.0).endswith(words)


@given(st.dictionaries(st.sampled_from(Outcome), st.integers(0, 50)), st.floats(0, 1))
def test_what_speaks_against_native_is_part_of_what_it_was_asked(outcomes: dict[Outcome, int], allowed: float) -> None:
    found = tally(**{outcome.value: count for outcome, count in outcomes.items()})
    assert 0.0 <= found.against <= 1.0
    assert not report.will_do(found, None, allowed) or report.will_do(found, None, 1.0)
    assert said(found)
