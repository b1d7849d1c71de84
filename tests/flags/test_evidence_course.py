"""A route's seconds, as workers tell them: late, twice, in any order; each subject counts once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flags.evidence.course import LATE, PATIENCE, REMEMBERED, SILENT, Course, Finding, Heard, Rule
from flags.evidence.detector import Standard
from flags.evidence.verdict import verdict
from flags.rollback import Kind

STANDARD = Standard.of_failures(0.02, 0.01)
FIRST = 1_000


def heard(subjects: int, *failed: int, waiting: int = 0) -> Heard:
    return Heard(subjects, frozenset(failed), waiting)


def course(*seconds: tuple[Heard, Heard], alone: bool = False) -> Course:
    told = Course(FIRST, STANDARD, alone=alone)
    for second, (native, legacy) in enumerate(seconds, FIRST):
        told.hear(second, native, legacy)
    return told


def found(*seconds: tuple[Heard, Heard], alone: bool = False) -> Finding:
    return course(*seconds, alone=alone).find(FIRST + len(seconds))


def broken(second: int) -> tuple[Heard, Heard]:
    return heard(4, 10 * second, 10 * second + 1), heard(9)


def test_a_defect_is_found_and_said_in_numbers() -> None:
    finding = found(*map(broken, range(10)))
    assert finding.rule is Rule.ABOVE
    said = verdict(finding, STANDARD, least=50)
    assert said.kind is Kind.UNHEALTHY
    assert said.words.startswith("native failed 4 of 8 subjects, legacy 0 of 18; e-value ")
    assert said.words.endswith(" ≥ 3.0e5 (rule A)")


def test_one_user_who_fails_for_ever_is_one_failure() -> None:
    seconds = [(heard(3, 7), heard(9))] + [(heard(2, 7), heard(9))] * 300
    finding = found(*seconds)
    assert finding.rule is None
    assert finding.total.native_failed == 1


def test_a_subject_that_both_workers_have_failed_was_failed_once() -> None:
    assert heard(3, 1, 2, waiting=1) | heard(4, 2, 3, waiting=2) == heard(7, 1, 2, 3, waiting=3)


def test_those_who_fail_again_and_again_are_remembered_longest() -> None:
    told = Course(FIRST, STANDARD)
    for place in range(0, REMEMBERED, 64):
        both = heard(64, 1, *range(10 + place, 74 + place))  # legacy fails them too: no rule is met
        told.hear(FIRST + place, both, both | heard(64, *([2] if not place else [])))
        told.find(FIRST + place + LATE)
    assert len(told.remembered) == REMEMBERED
    assert 1 in told.remembered
    assert 2 not in told.remembered


def test_below_the_ceiling_native_is_compared_with_legacy() -> None:
    seconds = [(heard(100, *([second] if second % 2 else [])), heard(100)) for second in range(1, 120)]
    finding = found(*seconds)
    assert finding.rule is Rule.WORSE
    assert verdict(finding, STANDARD, least=50).words.endswith("(rule B)")


def test_a_hanging_legacy_is_no_place_to_go_back_to() -> None:
    """Native fails everything at once; legacy has answered nothing of what it was asked since."""
    seconds = [(heard(4, *range(10 * second, 10 * second + 4)), heard(9, waiting=9)) for second in range(30)]
    finding = found(*seconds)
    assert finding.rule is None
    said = verdict(finding, STANDARD, least=50)
    assert said.kind is Kind.INCONCLUSIVE
    assert "going back might help nobody" in said.words


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
    assert finding.total.native_failed == 0


def test_where_legacy_is_asked_by_nobody_the_ceiling_alone_decides() -> None:
    seconds = [(heard(4, 10 * second, 10 * second + 1), SILENT) for second in range(20)]
    assert found(*seconds).rule is None
    finding = found(*seconds, alone=True)
    assert finding.rule is Rule.ABOVE
    assert "legacy was not asked" in verdict(finding, STANDARD, least=50).words


def test_never_toward_a_side_that_fails_more() -> None:
    seconds = [(heard(40, *range(40 * second, 40 * second + 8)), heard(4, *(-range(3)[i] - 9 * second - 1 for i in range(3)))) for second in range(120)]  # fmt: skip  # noqa: E501  # one table
    assert found(*seconds).rule is None


def test_what_is_told_after_a_second_was_settled_is_told_too_late() -> None:
    told = course(*[(heard(4), heard(9))] * 10)
    before = told.find(FIRST + 10 + LATE)
    told.hear(FIRST, heard(4, 1, 2, 3, 4), heard(9))
    assert told.find(FIRST + 10 + LATE) == before


def test_an_open_request_keeps_its_second_from_being_settled_but_not_for_ever() -> None:
    told = course((heard(4), heard(9, waiting=1)), *[(heard(4), heard(9))] * 5)
    told.find(FIRST + 20)
    told.hear(FIRST, heard(4), heard(9))
    assert told.find(FIRST + 20).total.legacy_failed == 0
    forever = course((heard(4), heard(9, waiting=1)), *[(heard(4), heard(9))] * 5)
    forever.find(FIRST + PATIENCE)
    forever.hear(FIRST, heard(4), heard(9))
    assert forever.find(FIRST + PATIENCE).total.legacy_failed == 1


sides = st.builds(heard, st.integers(0, 9), st.integers(0, 40), st.integers(0, 40), waiting=st.integers(0, 1))


@given(st.lists(st.tuples(sides, sides), max_size=20), st.data())
def test_when_it_is_looked_at_changes_nothing(seconds: list[tuple[Heard, Heard]], data: st.DataObject) -> None:
    told = Course(FIRST, STANDARD)
    for second, (native, legacy) in enumerate(seconds, FIRST):
        told.hear(second, native, legacy)
        if data.draw(st.booleans()):
            told.find(second)
    often, once = told.find(FIRST + 200), course(*seconds).find(FIRST + 200)
    assert often == once


def test_what_is_known_too_little_of_says_how_much_is_needed() -> None:
    said = verdict(found((heard(4), heard(9))), STANDARD, least=50)
    assert (said.kind, said.words) == (
        Kind.INCONCLUSIVE,
        "native failed 0 of 4 subjects, legacy 0 of 9: 46 more of the 50 subjects needed to call it healthy",
    )


def test_a_few_failures_are_doubtful_and_say_what_would_settle_it() -> None:
    said = verdict(found(*[(heard(4), heard(9))] * 100, broken(1), broken(2)), STANDARD, least=50)
    assert said.kind is Kind.INCONCLUSIVE
    assert "(rule A): " in said.words
    assert "more in a row that fail would prove it" in said.words


def test_plenty_of_subjects_and_no_doubt_are_healthy() -> None:
    said = verdict(found(*[(heard(4), heard(9))] * 100), STANDARD, least=50)
    assert said.kind is Kind.HEALTHY
    assert said.words.startswith("native failed 0 of 400 subjects, legacy 0 of 900; e-value ")


def test_a_suspicion_that_native_is_a_little_worse_is_not_healthy() -> None:
    seconds = [(heard(100, *([second] if second % 2 else [])), heard(100)) for second in range(1, 21)]
    said = verdict(found(*[(heard(100), heard(100))] * 100, *seconds), STANDARD, least=50)
    assert said.kind is Kind.INCONCLUSIVE
    assert "(rule B)" in said.words
