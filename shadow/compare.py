"""Control against candidate. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from . import headers, markup, tree
from .encodings import content_encodings, decoded
from .normalize import Body, Form, normalize
from .observation import Observation
from .paths import render, shape
from .result import Difference, Effort, Exhausted, Found, Kind, Outcome, Result
from .rules import Rules
from .shown import Room

__all__ = ["Difference", "Exhausted", "Kind", "Outcome", "Result", "Rules", "compare"]

KEPT = 50  # differences listed in a result; the rest are counted: a list of thousands is read by nobody
FIELDS = 50  # more of them, each the first of its field: what differs in every element must not hide what else does
EFFORT = 20_000_000  # values looked at; two answers of a megabyte hold a million


def compare(control: Observation, candidate: Observation, rules: Rules, effort: int = EFFORT) -> Result:
    """All differences of two answers, in an order that depends on nothing but the answers.

    Raises Exhausted where more than `effort` values would have to be looked at.
    """
    kept: list[Difference] = []
    covered: Counter[str] = Counter()
    fields: set[object] = set()
    count, room = 0, Room()
    for found in _answers(control, candidate, rules, Effort(effort)):
        if found.rule is not None:
            covered[found.rule] += 1
            continue
        count += 1
        if len(fields) == FIELDS and count > KEPT:
            continue
        field = found.kind, found.path if isinstance(found.path, str) else shape(found.path)
        if count <= KEPT or field not in fields:
            fields.add(field)
            path = found.path if isinstance(found.path, str) else render(found.path)
            kept.append(Difference(path, found.kind, *room.for_both(found.control, found.candidate)))
    outcome = Outcome.MISMATCHED if count else Outcome.IGNORED if covered else Outcome.MATCHED
    return Result(outcome, tuple(kept), count, covered.total(), tuple(sorted(covered.items())))


def same_bytes(control: Observation, candidate: Observation) -> bool:
    """Whether the bodies need not be read to be compared. Most need not."""
    return control.body == candidate.body and content_encodings(control) == content_encodings(candidate)


def readable(seen: Observation) -> bool:
    """Whether the content of an answer can be known."""
    return decoded(seen) is not None


def _answers(control: Observation, candidate: Observation, rules: Rules, effort: Effort) -> Iterator[Found]:
    if control.wrote or candidate.wrote:
        yield Found(Kind.WRITE, _end(control), _end(candidate), None)
        return
    if not (control.complete and candidate.complete):
        yield Found(Kind.ERROR, _end(control), _end(candidate), None)
        return
    if control.status != candidate.status:
        yield Found(Kind.STATUS, control.status, candidate.status, None)
    yield from headers.differences(control, candidate, rules)
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
    if a.form is not b.form:
        yield Found(Kind.TYPE, a.form.value, b.form.value, None)
    elif a.form is Form.JSON:
        yield from tree.differences(a.value, b.value, rules.body, effort)
    elif a.form is Form.MARKUP:
        yield from markup.differences(a.value, b.value, rules.body, effort)
    elif a.value != b.value:
        yield Found(Kind.VALUE, a.value, b.value, None)
