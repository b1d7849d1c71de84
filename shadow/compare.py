"""Control against candidate.  No I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from .normalize import Form, content_encoding, normalize, parameters
from .observation import Observation
from .paths import COVERED, HEADERS, Path, Pattern, header, parse, render, step

KEPT: Final = 50  # differences listed in a result; the rest are counted: a list of thousands is read by nobody
EXCERPT: Final = 40  # characters shown before the place where two texts part


class Kind(enum.Enum):
    ERROR = "error"  # a side gave no whole answer
    STATUS = "status"
    HEADER = "header"
    MISSING = "missing"  # the candidate lacks what the control has
    EXTRA = "extra"
    TYPE = "type"
    VALUE = "value"
    LENGTH = "length"


class Outcome(enum.Enum):
    MATCHED = "matched"
    MISMATCHED = "mismatched"
    IGNORED = "ignored"  # they differ only where a rule says that it does not matter
    UNCONFIRMED = "unconfirmed"  # they differed once; asked again they agreed, or the control itself changed


@dataclass(frozen=True, slots=True)
class Difference:
    """One deviation. The path is empty where the answer as a whole is meant."""

    path: str
    kind: Kind
    control: Any
    candidate: Any


@dataclass(frozen=True, slots=True)
class Rules:
    """What of an answer matters. Set-Cookie is left out by default: sessions differ from one answer to the next."""

    headers: frozenset[bytes] = frozenset({b"cache-control", b"content-type", b"etag", b"location"})
    ignore: tuple[Pattern, ...] = ()
    ignored_headers: frozenset[bytes] = frozenset()

    @classmethod
    def parse(cls, ignore: Iterable[str], headers: Iterable[str] | None = None) -> Rules:
        """Rules as configuration writes them (`paths` has the grammar). Raises ValueError, naming the rule."""
        patterns: list[Pattern] = []
        names: set[bytes] = set()
        for rule in ignore:
            name = header(rule)
            if name is None:
                patterns.append(parse(rule))
            else:
                names.add(name)
        compared = cls().headers if headers is None else frozenset(each.lower().encode() for each in headers)
        return cls(compared, tuple(patterns), frozenset(names))


@dataclass(frozen=True, slots=True)
class Result:
    """`differences` are the first of the `count` that matter; `ignored` more are covered by rules."""

    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    count: int = 0
    ignored: int = 0


def compare(control: Observation, candidate: Observation, rules: Rules) -> Result:
    """All differences of two answers, in an order that depends on nothing but the answers."""
    kept: list[Difference] = []
    count = ignored = 0
    for difference, covered in _answers(control, candidate, rules):
        if covered:
            ignored += 1
            continue
        count += 1
        if count <= KEPT:
            kept.append(difference)
    outcome = Outcome.MISMATCHED if count else Outcome.IGNORED if ignored else Outcome.MATCHED
    return Result(outcome, tuple(kept), count, ignored)


Found = Iterator[tuple[Difference, bool]]  # each difference, and whether a rule covers it


def _answers(control: Observation, candidate: Observation, rules: Rules) -> Found:
    if not (control.complete and candidate.complete):
        yield Difference("", Kind.ERROR, _end(control), _end(candidate)), False
        return
    if control.status != candidate.status:
        yield Difference("", Kind.STATUS, control.status, candidate.status), False
    yield from _headers(control, candidate, rules)
    yield from _bodies(control, candidate, rules)


def _end(seen: Observation) -> int | str:
    """How an answer ended: its status if it is whole, else what became of it."""
    if seen.complete:
        return seen.status
    return seen.error or ("too large" if seen.truncated else "incomplete")


def _headers(control: Observation, candidate: Observation, rules: Rules) -> Found:
    for name in sorted(rules.headers):
        # An ETag speaks of the bytes. Where these differ it tells nothing new, and ignored fields would show up in it.
        if name == b"etag" and (control.body != candidate.body or not control.body):
            continue
        a, b = control.values(name), candidate.values(name)
        if a != b and (meaning := MEANING.get(name, list))(a) != meaning(b):
            shown = [value.decode("latin-1") for value in a], [value.decode("latin-1") for value in b]
            yield Difference(f"{HEADERS}.{name.decode()}", Kind.HEADER, *shown), name in rules.ignored_headers


def _content_type(values: list[bytes]) -> object:
    return [parameters(value) for value in values]


def _directives(values: list[bytes]) -> object:
    """Cache-Control is a set of directives: order, case and blanks do not matter (RFC 9111, 5.2)."""
    return sorted(part.strip().lower() for part in b",".join(values).split(b",") if part.strip())


MEANING: Final[dict[bytes, Callable[[list[bytes]], object]]] = {
    b"content-type": _content_type,
    b"cache-control": _directives,
}


def _bodies(control: Observation, candidate: Observation, rules: Rules) -> Found:
    if control.body == candidate.body and content_encoding(control) == content_encoding(candidate):
        return  # most answers end here
    a, b = normalize(control), normalize(candidate)
    if a.form is not b.form:
        yield Difference("", Kind.TYPE, a.form.value, b.form.value), False
    elif a.form is Form.TEXT and a.value != b.value:
        yield Difference("", Kind.VALUE, *_excerpts(a.value, b.value)), False
    else:
        yield from differences(a.value, b.value, rules.ignore)


def _excerpts(a: str, b: str) -> tuple[str, str]:
    """Both texts from shortly before the place where they part."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # slices compare at the speed of memory, characters do not
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    start = max(0, low - EXCERPT)
    return (f"…{a[start:]}", f"…{b[start:]}") if start else (a, b)


_ABSENT: Final = object()
_NESTED: Final = frozenset({dict, list})
Pair = tuple[Any, Any, Path | None, tuple[Pattern, ...]]  # two values, their place, and the patterns that may cover it


def differences(control: Any, candidate: Any, ignore: tuple[Pattern, ...] = ()) -> Found:
    """Where two JSON values deviate: depth first, keys in alphabetical order.

    Types are compared strictly: 1, 1.0 and true are three different values. A stack instead of recursion, because how
    deep a body nests is for others to choose.
    """
    stack: list[Pair] = [(control, candidate, None, ignore)]
    while stack:
        a, b, path, rules = stack.pop()
        kind = _kind(a, b)
        if kind is not None:
            yield _difference(kind, a, b, path), rules is COVERED
        if kind in (None, Kind.LENGTH):
            stack.extend((x, y, (path, at), step(rules, at)) for at, x, y in _children(a, b) if not _same(x, y))


def _children(a: Any, b: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """What two values of one type hold, last first: the stack turns it round."""
    if type(a) is dict:
        for key in sorted(a.keys() | b.keys(), reverse=True):
            yield key, a.get(key, _ABSENT), b.get(key, _ABSENT)
    elif type(a) is list:
        for at in range(min(len(a), len(b)) - 1, -1, -1):
            yield at, a[at], b[at]


def _same(a: Any, b: Any) -> bool:
    """Whether two values are plain and equal, so that they need no further look."""
    return type(a) is type(b) and type(a) not in _NESTED and bool(a == b)


def _kind(a: Any, b: Any) -> Kind | None:
    if b is _ABSENT:
        return Kind.MISSING
    if a is _ABSENT:
        return Kind.EXTRA
    if type(a) is not type(b):
        return Kind.TYPE
    if type(a) is list:
        return Kind.LENGTH if len(a) != len(b) else None
    return None if type(a) is dict or a == b else Kind.VALUE


def _difference(kind: Kind, a: Any, b: Any, path: Path | None) -> Difference:
    if kind is Kind.LENGTH:
        a, b = len(a), len(b)
    return Difference(render(path), kind, None if a is _ABSENT else a, None if b is _ABSENT else b)
