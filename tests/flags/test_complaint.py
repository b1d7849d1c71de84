"""Complaints as numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flags.complaint import DIGITS, FAILED, LATE, by_kind, complaint

kinds = st.sampled_from([FAILED, LATE, 400, 404, 499])
subjects = st.integers(0, 2**32 - 1)


@given(st.sets(st.tuples(kinds, subjects)))
def test_what_was_put_together_comes_apart(told: set[tuple[int, int]]) -> None:
    found = by_kind(frozenset(complaint(kind, subject) for kind, subject in told))
    assert {(kind, subject) for kind, subjects in found.items() for subject in subjects} == told


@given(subjects)
def test_that_a_subject_was_failed_is_its_mark(subject: int) -> None:
    assert complaint(FAILED, subject) == subject


@given(kinds, subjects)
def test_every_complaint_is_written_with_as_many_digits(kind: int, subject: int) -> None:
    assert len(f"{complaint(kind, subject):0{DIGITS}x}") == DIGITS
