"""Control against candidate. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from . import headers, markup, tree
from .encodings import content_encodings, decoded
from .normalize import Body, Form, normalize
from .observation import Observation
from .paths import field, render, shape
from .result import Difference, Effort, Exhausted, Found, Kind, Outcome, Result
from .rules import Rules
from .shown import Room

__all__ = ["Difference", "Exhausted", "Kind", "Outcome", "Result", "Rules", "compare"]

KEPT = 50  # differences listed in a result; the rest are counted: a list of thousands is read by nobody
FIELDS = 50  # of which the first is listed in any case: what differs in every element must not hide what else does
EFFORT = 20_000_000  # values looked at; two answers of a megabyte hold a million


def compare(
    control: Observation,
    candidate: Observation,
    rules: Rules,
    effort: int = EFFORT,
    known: Collection[tuple[str, str]] = (),
    now: float = 0.0,
) -> Result:
    """All differences of two answers, in an order that depends on nothing but the answers.

    `known`: fields, as places and kinds, that are told however many others there are. `now`: in seconds since 1970, for
    answers that have no date. Raises Exhausted where more than `effort` values would have to be looked at.
    """
    spent = Effort(effort)
    told = _Told(known, spent)
    covered: Counter[str] = Counter()
    for found in _answers(control, candidate, rules, spent, now):
        if found.rule is None:
            told.hear(found)
        else:
            covered[found.rule] += 1
    outcome = Outcome.MISMATCHED if told.count else Outcome.IGNORED if covered else Outcome.MATCHED
    by = tuple(sorted(covered.items()))
    return Result(outcome, tuple(told.differences), told.count, covered.total(), by)


class _Told:
    """What is told of the differences: the first of all, and the first of each field."""

    def __init__(self, known: Collection[tuple[str, str]], effort: Effort) -> None:
        self.differences: list[Difference] = []
        self.count = 0
        self._known, self._effort, self._room = known, effort, Room()
        self._fields: set[object] = set()
        self._left = FIELDS

    def hear(self, found: Found) -> None:
        self.count += 1
        named = found.path if isinstance(found.path, str) else shape(found.path)
        self._effort.spend(len(named))
        new = (found.kind, named) not in self._fields
        if self.count > KEPT and not new:
            return
        path = found.path if isinstance(found.path, str) else render(found.path)
        if new and not self._room_for(path, found.kind):
            return
        self._fields.add((found.kind, named))
        self.differences.append(Difference(path, found.kind, *self._room.for_both(found.control, found.candidate)))

    def _room_for(self, path: str, kind: Kind) -> bool:
        """Whether another field can be told of."""
        if (field(path), kind.value) in self._known:
            return True
        self._left -= 1
        return self._left >= 0


def same_bytes(control: Observation, candidate: Observation) -> bool:
    """Whether the bodies need not be read to be compared. Most need not."""
    return control.body == candidate.body and content_encodings(control) == content_encodings(candidate)


def readable(seen: Observation) -> bool:
    """Whether the content of an answer can be known."""
    return decoded(seen) is not None


def _answers(control: Observation, candidate: Observation, rules: Rules, effort: Effort, now: float) -> Iterator[Found]:
    if control.wrote or candidate.wrote:
        yield Found(Kind.WRITE, _end(control), _end(candidate), None)
        return
    if not (control.complete and candidate.complete):
        yield Found(Kind.ERROR, _end(control), _end(candidate), None)
        return
    if control.status != candidate.status:
        yield Found(Kind.STATUS, control.status, candidate.status, None)
    yield from headers.differences(control, candidate, rules, now)
    if not same_bytes(control, candidate):
        yield from _bodies(normalize(control), normalize(candidate), rules, effort)


def _end(seen: Observation) -> int | str:
    """How an answer ended: its status if it is whole, else what became of it."""
    if seen.wrote:
        return "wrote"
    if seen.complete:
        return seen.status
    return seen.error or ("too large" if seen.truncated else "incomplete")


def _bodies(a: Body, b: Body, rules: Rules, effort: Effort) -> Iterator[Found]:
    ignored = None if rules.body is None else rules.body.ignored
    if a.form is not b.form:
        yield Found(Kind.TYPE, a.form.value, b.form.value, None, ignored)
    elif a.form is Form.JSON:
        yield from tree.differences(a.value, b.value, rules.body, effort)
    elif a.form is Form.MARKUP:
        yield from markup.differences(a.value, b.value, rules.body, effort)
    elif a.value != b.value:
        yield Found(Kind.VALUE, a.value, b.value, None, ignored)
