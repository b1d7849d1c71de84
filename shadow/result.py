"""What a comparison tells: differences, and their sum. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .paths import Path


class Kind(enum.Enum):
    ERROR = "error"  # a side gave no whole answer
    STATUS = "status"
    HEADER = "header"
    MISSING = "missing"  # the candidate lacks what the control has
    EXTRA = "extra"
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"  # the same elements, or most of them, in another order
    LENGTH = "length"
    ALIAS = "alias"  # an id that stands for two others
    WRITE = "write"  # a side tried more than to read, though it was only compared


class Outcome(enum.Enum):
    MATCHED = "matched"
    MISMATCHED = "mismatched"
    IGNORED = "ignored"  # they differ only where a rule says that it does not matter
    NOISE = "noise"  # they differ only where the control often differs from itself
    UNCONFIRMED = "unconfirmed"  # they differed once; asked again they agreed, or the control itself changed
    UNCHECKED = "unchecked"  # they differed, and were not asked again: too much differs, or the control may not be
    UNANSWERED = "unanswered"  # the candidate could not be reached, or had not answered in time


@dataclass(frozen=True, slots=True)
class Difference:
    """One deviation. The path is empty where the answer as a whole is meant."""

    path: str
    kind: Kind
    control: Any
    candidate: Any


@dataclass(frozen=True, slots=True)
class Result:
    """`differences` are the first of the `count` that matter; `ignored` more are covered: `by` says by which rules, and
    how many by each."""

    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    count: int = 0
    ignored: int = 0
    by: tuple[tuple[str, int], ...] = ()


class Found(NamedTuple):
    """A deviation as it is come upon: in a body its path is no text yet. `rule` names what covers it."""

    kind: Kind
    control: Any
    candidate: Any
    path: Path | str | None
    rule: str | None = None


class Exhausted(Exception):
    """There is more to compare than was allowed."""


class Effort:
    """What a comparison may cost, in values looked at. Two answers of an ordinary size can hold any number of them."""

    __slots__ = ("_left",)

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise Exhausted


ABSENT: Final = object()
