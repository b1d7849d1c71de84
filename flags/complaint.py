"""What is held against one answer, and by whom, as one number: so that counts carry a set of them. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# The kinds. Any other is the status, 400 to 499, that was answered. `ALONE`: both sides were asked at the same moment
# what native had failed, and this one alone failed.
FAILED, LATE, ALONE = 0, 1, 2
DIGITS = 11  # of a complaint, written in hexadecimal: the kind's three ahead of the subject's eight

_SUBJECT = 32  # bits of a subject's mark


def complaint(kind: int, subject: int) -> int:
    """That of a subject, named by its mark; that it was failed is the mark itself."""
    return kind << _SUBJECT | subject


def by_kind(complaints: Iterable[int]) -> Mapping[int, frozenset[int]]:
    """The subjects of each kind."""
    found: dict[int, list[int]] = {}
    for each in complaints:
        found.setdefault(each >> _SUBJECT, []).append(each & (1 << _SUBJECT) - 1)
    return {kind: frozenset(subjects) for kind, subjects in found.items()}
