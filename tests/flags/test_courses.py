"""Which route's evidence hears what, as the seconds of the window move."""

from __future__ import annotations

from flags.courses import STRIDE, Courses
from flags.evidence.course import Standards
from flags.flag import Side
from flags.window import Counts, Second

STANDARDS = Standards.of(0.02, 0.01, 0.02)
NATIVE, LEGACY = ("a", Side.NATIVE), ("a", Side.LEGACY)
WELL: Second = {NATIVE: Counts(4, 4, subjects=4), LEGACY: Counts(9, 9, subjects=9)}


def courses() -> Courses:
    return Courses(STANDARDS)


def told(by: Courses, seconds: dict[int, Second], since: dict[str, int]) -> set[str]:
    for _ in by.move(seconds, since):
        pass
    return set(by.taken())


def test_only_what_moved_is_judged_again() -> None:
    by, since = courses(), {"a": 100, "b": 100}
    assert told(by, {100: WELL}, since) == {"a", "b"}  # they have begun
    assert told(by, {100: WELL}, since) == set()
    assert told(by, {100: WELL, 101: WELL}, since) == {"a"}
    assert by.of("a").find(101).failures.total.native == 8


def test_a_second_that_is_told_again_in_full_counts_once() -> None:
    by, since = courses(), {"a": 100}
    told(by, {100: {**WELL, NATIVE: Counts(4, subjects=4)}}, since)
    told(by, {100: dict(WELL)}, since)
    assert by.of("a").find(100).failures.total.native == 4


def test_what_came_before_a_change_of_the_flag_is_not_heard_after_it() -> None:
    by = courses()
    told(by, {100: WELL, 101: WELL}, {"a": 100})
    course = by.of("a")
    assert told(by, {100: WELL, 101: WELL}, {"a": 101}) == {"a"}
    assert by.of("a") is not course
    assert by.of("a").find(101).failures.total.native == 4


def test_another_routes_change_leaves_the_evidence_as_it_is() -> None:
    by = courses()
    told(by, {100: WELL}, {"a": 100})
    course = by.of("a")
    assert told(by, {100: WELL}, {"a": 100, "b": 100}) == {"b"}
    assert by.of("a") is course


def test_a_route_that_is_judged_no_more_is_forgotten_and_begins_afresh() -> None:
    by = courses()
    told(by, {100: WELL}, {"a": 100})
    assert told(by, {100: WELL}, {}) == set()
    assert told(by, {100: WELL}, {"a": 100}) == {"a"}
    assert by.of("a").find(100).failures.total.native == 4


def test_what_both_sides_did_is_heard_whichever_moved() -> None:
    by, since = courses(), {"a": 100}
    told(by, {100: {NATIVE: WELL[NATIVE]}}, since)
    told(by, {100: WELL}, since)
    total = by.of("a").find(100).failures.total
    assert (total.native, total.legacy) == (4, 9)


def test_a_course_is_at_ease_until_something_is_held_against_native() -> None:
    by, since = courses(), {"a": 100, "b": 100}
    told(by, {100: WELL}, since)
    by.of("a").cleared = True
    told(by, {100: WELL, 101: WELL}, since)
    assert by.at_ease("a", kept=101)
    assert not by.at_ease("b", kept=101)  # it was never asked
    failed = Counts(4, 3, 1, subjects=4, complaints=frozenset({7}))
    told(by, {100: WELL, 101: WELL, 102: {**WELL, NATIVE: failed}}, since)
    assert not by.at_ease("a", kept=101)
    assert by.of("a").find(102).failures.total.native_failed == 1
    assert not by.at_ease("a", kept=101)  # that second may still change


def test_a_course_is_not_at_ease_with_what_will_be_forgotten_before_it_is_asked() -> None:
    by, since = courses(), {"a": 100}
    told(by, {100: WELL}, since)
    by.of("a").cleared = True
    told(by, {100: dict(WELL) | {LEGACY: Counts(9, 8, subjects=9)}}, since)
    assert by.at_ease("a", kept=100)
    assert not by.at_ease("a", kept=101)


def test_there_are_places_to_pause_among_many_routes() -> None:
    names = [f"route {number}" for number in range(5 * STRIDE)]
    whole: Second = {(name, Side.NATIVE): Counts(1, subjects=1) for name in names}
    assert len(list(courses().move({100: whole}, dict.fromkeys(names, 100)))) >= 5


def test_what_ended_midway_is_heard_again_and_counts_once() -> None:
    names = ["a", *(f"route {number}" for number in range(2 * STRIDE))]
    whole: Second = {(name, Side.NATIVE): Counts(1, subjects=1) for name in names}
    by, since = courses(), dict.fromkeys(names, 100)
    moving = by.move({100: whole}, since)
    next(moving)
    next(moving)
    moving.close()
    assert told(by, {100: whole}, since) == set(names)
    assert by.of("a").find(100).failures.total.native == 1
