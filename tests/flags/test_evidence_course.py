"""A route's seconds, as workers tell them: late, twice, in any order; each subject counts once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.complaint import LATE
from flags.evidence.course import PATIENCE, TOLD, Course, Found, Standards
from flags.evidence.detector import STATUSES, Rule
from flags.evidence.strand import REMEMBERED, Heard
from flags.evidence.verdict import verdict
from flags.rollback import Kind, Verdict

STANDARDS = Standards.of(0.02, 0.01, 0.02)
FIRST = 1_000


def heard(subjects: int, *failed: int, waiting: int = 0, **others: Iterable[int]) -> Heard:
    """`others` by kind: `late`, or a status such as `s404`."""
    kinds = tuple((LATE if kind == "late" else int(kind[1:]), frozenset(told)) for kind, told in others.items())
    return Heard(subjects, frozenset(failed), waiting, kinds)


def course(*seconds: tuple[Heard, Heard], alone: bool = False) -> Course:
    told = Course(FIRST, STANDARDS, alone=alone)
    for second, (native, legacy) in enumerate(seconds, FIRST):
        told.hear(second, native, legacy)
    return told


def found(*seconds: tuple[Heard, Heard], alone: bool = False) -> Found:
    return course(*seconds, alone=alone).find(FIRST + len(seconds))


def said_of(finding: Found) -> Verdict:
    return verdict(finding, STANDARDS, least=50, slow_over=0.5)


def broken(second: int) -> tuple[Heard, Heard]:
    return heard(4, 10 * second, 10 * second + 1), heard(9)


def test_a_defect_is_found_and_said_in_numbers() -> None:
    finding = found(*map(broken, range(10)))
    assert finding.rule is Rule.ABOVE
    said = said_of(finding)
    assert said.kind is Kind.UNHEALTHY
    assert said.words.startswith("native failed 6 of 12 subjects, legacy 0 of 27; e-value ")
    assert said.words.endswith(" ≥ 3.0e5 (rule A)")


def test_one_user_who_fails_for_ever_is_one_failure() -> None:
    seconds = [(heard(3, 7), heard(9))] + [(heard(2, 7), heard(9))] * 300
    finding = found(*seconds)
    assert finding.rule is None
    assert finding.failures.total.native_failed == 1


def test_those_who_fail_again_and_again_are_remembered_longest() -> None:
    told = Course(FIRST, STANDARDS)
    for place in range(0, REMEMBERED, 64):
        both = 1, *range(10 + place, 74 + place)  # legacy fails them too: no rule is met
        told.hear(FIRST + place, heard(64, *both), heard(128, *both, *([2] if not place else [])))
        told.find(FIRST + place + TOLD)
    assert len(told.remembered) == REMEMBERED
    assert 1 in told.remembered
    assert 2 not in told.remembered


def test_below_the_ceiling_native_is_compared_with_legacy() -> None:
    seconds = [(heard(100, *([second] if second % 2 else [])), heard(100)) for second in range(1, 120)]
    finding = found(*seconds)
    assert finding.rule is Rule.WORSE
    assert said_of(finding).words.endswith("(rule B)")


def test_a_hanging_legacy_is_no_place_to_go_back_to() -> None:
    """Native fails everything at once; legacy has answered nothing of what it was asked since."""
    seconds = [(heard(4, *range(10 * second, 10 * second + 4)), heard(9, waiting=9)) for second in range(30)]
    finding = found(*seconds)
    assert finding.rule is None
    said = said_of(finding)
    assert said.kind is Kind.INCONCLUSIVE
    assert "going back might help nobody" in said.words


def test_users_who_send_to_legacy_slowly_do_not_speak_for_a_native_that_fails() -> None:
    """One more upload to legacy each second, and none of them ends."""
    seconds = [(heard(9, *range(10 * second, 10 * second + 4)), Heard(2, resting=1)) for second in range(30)]
    assert found(*seconds).rule is Rule.ABOVE
    assert found(*[(native, heard(2, waiting=1)) for native, _ in seconds]).rule is None


def test_when_the_hanging_legacy_has_answered_after_all_native_was_worse() -> None:
    told = course(*[(heard(4, *range(10 * second, 10 * second + 4)), heard(9, waiting=9)) for second in range(30)])
    assert told.find(FIRST + 30).rule is None
    for second in range(30):
        told.hear(FIRST + second, heard(4, *range(10 * second, 10 * second + 4)), heard(9))
    assert told.find(FIRST + 31).rule is Rule.ABOVE


def test_what_legacy_failed_as_well_in_natives_place_does_not_count_against_native() -> None:
    seconds = []
    for second in range(60):
        both = range(10 * second, 10 * second + 4)
        seconds.append((heard(4, *both), heard(0, *both)))
    finding = found(*seconds, alone=True)
    assert finding.rule is None
    assert finding.failures.total.native_failed == 0


def test_where_legacy_is_asked_by_nobody_the_ceiling_alone_decides() -> None:
    seconds = [(heard(4, 10 * second, 10 * second + 1), heard(0)) for second in range(20)]
    assert found(*seconds).rule is None
    finding = found(*seconds, alone=True)
    assert finding.rule is Rule.ABOVE
    assert "legacy was not asked" in said_of(finding).words


# Pairs


def paired(
    second: int, *, failed: int = 4, alone: int = 4, theirs: int = 0, legacy: Heard | None = None
) -> tuple[Heard, Heard]:
    """Native fails so many of ten subjects; with the questions of so many it fails alone, with those of so many more
    legacy does."""
    marks = range(10 * second, 10 * second + failed)
    told = legacy or Heard()
    beside = replace(told, alone=frozenset(marks[alone : alone + theirs]))
    return Heard(10, frozenset(marks), alone=frozenset(marks[:alone])), beside


def test_where_nobody_asks_legacy_pairs_say_that_native_is_worse() -> None:
    finding = found(*map(paired, range(10)))
    assert finding.rule is Rule.ABOVE
    said = said_of(finding).words
    assert said.startswith(
        "native failed 12 of 30 subjects, legacy was not asked; in 12 of 12 discordant shadow pairs it "
    )
    assert said.endswith(" it failed alone; e-value 8.1e13 ≥ 3.0e5 (rule A)")


@pytest.mark.parametrize("theirs", [0, 2], ids=["alike", "as often"])
def test_pairs_in_which_legacy_fails_as_often_hold_a_route_where_it_is(theirs: int) -> None:
    finding = found(*(paired(second, alone=theirs, theirs=theirs) for second in range(60)))
    assert finding.rule is None
    said = said_of(finding)
    assert said.kind is Kind.INCONCLUSIVE
    assert "going back might help nobody" in said.words
    assert (f"in {60 * theirs} of {120 * theirs} discordant shadow pairs" in said.words) == bool(theirs)


def test_as_long_as_legacy_may_yet_turn_out_to_fail_alone_it_has() -> None:
    """It may take longer to fail."""
    waiting = Heard(pairs=4)
    assert found(*(paired(second, legacy=waiting) for second in range(10))).rule is None
    answered = [paired(second) for second in range(10)]
    assert found(*answered).rule is Rule.ABOVE


def test_a_witness_in_a_pair_was_failed_by_native_and_by_nobody_in_its_place_and_is_heard_once() -> None:
    unfailed = [(Heard(10, alone=frozenset([1_000 + second])), Heard()) for second in range(9)]
    failed_twice = [paired(second, legacy=heard(0, *range(10 * second, 10 * second + 4))) for second in range(9)]
    again = [paired(0)] * 9
    contradicted = [(native, replace(legacy, alone=native.alone)) for native, legacy in map(paired, range(9))]
    told = [found(*seconds).failures.total for seconds in (unfailed, failed_twice, again, contradicted)]
    assert [(total.native_alone, total.legacy_alone) for total in told] == [(0, 0), (0, 0), (4, 0), (0, 0)]


def test_pairs_lead_no_more_than_users_to_a_side_that_fails_more() -> None:
    seconds = [paired(second, legacy=heard(2, 5_000 + second, 6_000 + second)) for second in range(20)]
    assert found(*seconds).rule is None


def test_a_pair_that_is_under_way_keeps_its_second_from_being_settled() -> None:
    told = course(*[(Heard(10, frozenset([1]), pairs=1), Heard())], *[(heard(10), heard(0))] * 9)
    told.find(FIRST + 9)
    told.hear(FIRST, Heard(10, frozenset([1]), alone=frozenset([1])), Heard())
    assert told.find(FIRST + 10).failures.total.native_alone == 1


def test_never_toward_a_side_that_fails_more() -> None:
    seconds = [(heard(40, *range(40 * second, 40 * second + 8)), heard(4, *(-range(3)[i] - 9 * second - 1 for i in range(3)))) for second in range(120)]  # fmt: skip  # noqa: E501  # one table
    assert found(*seconds).rule is None


def test_what_is_told_after_a_second_was_settled_is_told_too_late() -> None:
    told = course(*[(heard(4), heard(9))] * 10)
    before = told.find(FIRST + 10 + TOLD)
    told.hear(FIRST, heard(4, 1, 2, 3, 4), heard(9))
    assert told.find(FIRST + 10 + TOLD) == before


def test_a_request_that_rests_may_yet_fail() -> None:
    told = course((heard(4), Heard(9, resting=1)), *[(heard(4), heard(9))] * 5)
    told.find(FIRST + 20)
    told.hear(FIRST, heard(4), heard(9, 1))
    assert told.find(FIRST + 20).failures.total.legacy_failed == 1


def test_an_open_request_keeps_its_second_from_being_settled_but_not_for_ever() -> None:
    told = course((heard(4), heard(9, waiting=1)), *[(heard(4), heard(9))] * 5)
    told.find(FIRST + 20)
    told.hear(FIRST, heard(4), heard(9))
    assert told.find(FIRST + 20).failures.total.legacy_failed == 0
    forever = course((heard(4), heard(9, waiting=1)), *[(heard(4), heard(9))] * 5)
    forever.find(FIRST + PATIENCE)
    forever.hear(FIRST, heard(4), heard(9))
    assert forever.find(FIRST + PATIENCE).failures.total.legacy_failed == 1


marks = st.integers(0, 40)
sides = st.builds(
    heard, st.integers(0, 9), marks, marks, waiting=st.integers(0, 1), late=st.sets(marks), s404=st.sets(marks)
)


@given(st.lists(st.tuples(sides, sides), max_size=20), st.data())
def test_when_it_is_looked_at_changes_nothing(seconds: list[tuple[Heard, Heard]], data: st.DataObject) -> None:
    told = Course(FIRST, STANDARDS)
    for second, (native, legacy) in enumerate(seconds, FIRST):
        told.hear(second, native, legacy)
        if data.draw(st.booleans()):
            told.find(second)
    often, once = told.find(FIRST + 200), course(*seconds).find(FIRST + 200)
    assert often == once


def test_what_is_known_too_little_of_says_how_much_is_needed() -> None:
    said = said_of(found((heard(4), heard(9))))
    assert (said.kind, said.words) == (
        Kind.INCONCLUSIVE,
        "native failed 0 of 4 subjects, legacy 0 of 9: 46 more of the 50 subjects needed to call it healthy",
    )


def test_a_few_failures_are_doubtful_and_say_what_would_settle_it() -> None:
    said = said_of(found(*[(heard(4), heard(9))] * 100, broken(1), broken(2)))
    assert said.kind is Kind.INCONCLUSIVE
    assert "(rule A): " in said.words
    assert "more in a row that fail would prove it" in said.words


def test_plenty_of_subjects_and_no_doubt_are_healthy() -> None:
    said = said_of(found(*[(heard(4), heard(9))] * 100))
    assert said.kind is Kind.HEALTHY
    assert said.words.startswith("native failed 0 of 400 subjects, legacy 0 of 900; e-value ")


def test_a_suspicion_that_native_is_a_little_worse_is_not_healthy() -> None:
    seconds = [(heard(100, *([second] if second % 2 else [])), heard(100)) for second in range(1, 21)]
    said = said_of(found(*[(heard(100), heard(100))] * 100, *seconds))
    assert said.kind is Kind.INCONCLUSIVE
    assert "(rule B)" in said.words


def slow(second: int) -> tuple[Heard, Heard]:
    return heard(4, late=[10 * second, 10 * second + 1]), heard(9, late=[10 * second + 2] if second % 8 == 0 else [])


def test_a_native_that_keeps_many_more_waiting_is_found_and_said_in_numbers() -> None:
    finding = found(*map(slow, range(40)))
    assert finding.rule is Rule.LATE
    said = said_of(finding)
    assert said.kind is Kind.UNHEALTHY
    assert re.fullmatch(
        r"native was slower than 500 ms for \d+ of \d+ subjects, legacy for \d+ of \d+; e-value \S+ ≥ 1.8e6 \(rule C\)",
        said.words,
    )


def test_a_status_that_legacy_does_not_give_is_found_and_named() -> None:
    seconds = [(heard(4, s404=[10 * second], s401=[7]), heard(9)) for second in range(60)]
    finding = found(*seconds)
    assert finding.rule is Rule.REFUSED
    said = said_of(finding)
    assert said.words.startswith("native answered 404 to ")
    assert said.words.endswith("(rule D: 404)")


def test_who_asked_while_nobody_complained_is_among_those_that_asked() -> None:
    """Two seconds of three say nothing of native's lateness, but who was served in them counts."""
    seconds = [slow(second) if second % 3 == 0 else (heard(4), heard(9)) for second in range(90)]
    seen = found(*seconds).others[LATE].evidence.seen
    later = seen.native_failed // 2 - 1  # of the seconds in which somebody complained
    assert (seen.native, seen.legacy) == (4 * (3 * later + 1), 9 * (3 * later + 1))


def test_a_little_slower_is_no_reason_to_go_back_however_sure_it_is() -> None:
    seconds = [(heard(1000, late=range(20 * second, 20 * second + 20)), heard(1000, late=[-second - 1])) for second in range(60)]  # fmt: skip  # noqa: E501  # one table
    finding = found(*seconds)
    late = finding.others[LATE]
    assert sum(late.evidence.worse) > STANDARDS.late.worse
    assert (finding.rule, said_of(finding).kind) == (None, Kind.HEALTHY)


def test_a_suspicion_that_native_is_slower_is_not_healthy() -> None:
    said = said_of(found(*[(heard(100), heard(100))] * 5, *map(slow, range(4))))
    assert said.kind is Kind.INCONCLUSIVE
    assert said.words.endswith("of the 1.8e6 needed (rule C)")


@pytest.mark.parametrize("hangs", [True, False])
def test_nothing_that_is_held_against_native_leads_to_a_side_that_hangs_or_fails(hangs: bool) -> None:
    seconds = []
    for first in range(0, 600, 10):
        legacy = heard(9, waiting=9) if hangs else heard(9, *range(first + 2, first + 8))
        seconds.append((heard(4, late=[first], s404=[first + 1]), legacy))
    assert found(*seconds).rule is None


def test_one_user_who_is_refused_for_ever_was_refused_once() -> None:
    finding = found(*[(heard(3, s401=[7]), heard(9))] * 300)
    total = finding.others[401].total
    assert (finding.rule, total.native_failed) == (None, 1)


def test_more_statuses_than_have_a_part_in_what_is_allowed_are_not_judged() -> None:
    odd = {f"s{status}": [status] for status in range(440, 440 + STATUSES)}
    seconds = [(heard(100, **odd), heard(100))] + [(heard(4, s404=[10 * second]), heard(9)) for second in range(60)]
    finding = found(*seconds)
    assert finding.rule is None
    assert len(finding.others) == STATUSES
