"""Where two JSON values deviate. No I/O.

Numbers are bytes (`literals`), so that no value equals one of another type, and two parts of a body can be held against
each other at the speed of memory: what is equal is not looked into. A stack instead of recursion, because how deep a
body nests is for others to choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .lists import NONE, Alignment, by_id, by_key, by_place, by_worth, permuted
from .literals import same_type, worth_the_same
from .paths import Path, Segment
from .result import ABSENT, Effort, Found, Kind
from .rules import Correspondence, Place

SHALLOW: Final = 8  # levels of which all are held against each other as a whole; of deeper ones, fewer and fewer
LISTS: Final = 8  # levels in which lists are searched for elements that have moved

Pair = tuple[Any, Any, Path | None, Place | None, int]  # two values, where they are, what holds there, how deep


def differences(control: Any, candidate: Any, rules: Place | None, effort: Effort) -> Iterator[Found]:
    """Depth first, keys in alphabetical order. Types are compared strictly: 1, 1.0 and true are three values."""
    known = Correspondence()
    stack: list[Pair] = [(control, candidate, None, rules, 0)]
    while stack:
        a, b, path, place, depth = stack.pop()
        if type(a) not in _NESTED or type(b) is not type(a):
            effort.spend()
            if (found := leaf(a, b, path, place, known)) is not None:
                yield found
        elif place is not None and place.ignored is not None:
            effort.spend()
            if next(differences(a, b, None, effort), None) is not None:
                yield Found(Kind.VALUE, a, b, path, place.ignored)
        elif type(a) is dict:
            effort.spend(1 + len(a) + len(b))
            stack += reversed(_members(a, b, path, place, depth + 1))
        else:
            effort.spend(1 + len(a) + len(b))
            aligned, found = _elements(a, b, path, place, depth, effort)
            if found is not None:
                yield found
            stack += _counterparts(a, b, aligned, path, place, depth + 1)


def leaf(a: Any, b: Any, path: Path | None, place: Place | None, known: Correspondence) -> Found | None:
    """How two values deviate that are not looked into, and which rule covers it."""
    kind = _kind(a, b)
    if place is None:
        return None if kind is None else Found(kind, a, b, path)
    if place.ignored is not None:
        return None if kind is None else Found(kind, a, b, path, place.ignored)
    alias = place.alias
    if alias is not None and (kind is None or kind is Kind.VALUE) and (type(a) is str or type(a) is bytes):
        if not known.holds(alias.group, a, b):
            return Found(Kind.ALIAS, a, b, path)
        return None if kind is None else Found(kind, a, b, path, alias.name)
    return None if kind is None else Found(kind, a, b, path, place.covering(a, b))


_NESTED: Final = frozenset({dict, list})
_NONE: Final[frozenset[Segment]] = frozenset()


def _kind(a: Any, b: Any) -> Kind | None:
    """What two values differ in, not looking into them."""
    if type(a) is str is type(b):  # as most are
        return None if a == b else Kind.VALUE
    if b is ABSENT:
        return Kind.MISSING
    if a is ABSENT:
        return Kind.EXTRA
    if not same_type(a, b):
        return Kind.TYPE
    same = type(a) in _NESTED or (worth_the_same(a, b) if type(a) is bytes else a == b)
    return None if same else Kind.VALUE


def _members(a: dict[str, Any], b: dict[str, Any], path: Path | None, place: Place | None, depth: int) -> list[Pair]:
    """What two objects hold that has to be looked at."""
    always = place.names if place is not None and place.aliased else _NONE
    try:
        whole = _as_a_whole(depth) and None not in always
        keys = [key for key, x in a.items() if not whole or b.get(key, ABSENT) != x or key in always]
    except RecursionError:
        keys = list(a)
    if len(a) - sum([key not in b for key in keys]) < len(b):  # what b lacks is among them
        keys += b.keys() - a.keys()
    if len(keys) > 1:
        keys.sort()
    if place is None:
        return [(a.get(key, ABSENT), b.get(key, ABSENT), (path, key), None, depth) for key in keys]
    return [(a.get(key, ABSENT), b.get(key, ABSENT), (path, key), place.step(key), depth) for key in keys]


def _elements(
    a: list[Any], b: list[Any], path: Path | None, place: Place | None, depth: int, effort: Effort
) -> tuple[Alignment, Found | None]:
    """Which elements of two lists belong together, and how the lists deviate as such."""
    if place is not None and (rule := place.unordered) is not None:
        aligned = by_key(a, b, rule.by, effort) if rule.by else by_worth(a, b, place.step(NONE), effort)
        return aligned, Found(Kind.ORDER, *aligned.order, path, rule.name) if aligned.order else None
    if depth < LISTS and not _identified(place):
        if (told := by_id(a, b)) is not None:
            return told, Found(Kind.ORDER, *told.order, path) if told.order else None
        if place is None and permuted(a, b, effort):
            return Alignment(()), Found(Kind.ORDER, a, b, path)
    return by_place(a, b), Found(Kind.LENGTH, len(a), len(b), path) if len(a) != len(b) else None


def _identified(place: Place | None) -> bool:
    """Whether a rule speaks of the elements' ids, by which they can then not be told apart."""
    element = None if place is None else place.step(0)
    return element is not None and (element.ignored is not None or element.step("id") is not None)


def _counterparts(
    a: list[Any], b: list[Any], aligned: Alignment, path: Path | None, place: Place | None, depth: int
) -> Iterator[Pair]:
    """Those that have to be looked at, last first. They are where the control has them."""
    seen = place is not None and place.aliased
    try:
        whole = _as_a_whole(depth)
        pairs = [(x, y) for x, y in aligned.pairs if seen or not whole or x == NONE or y == NONE or a[x] != b[y]]
    except RecursionError:
        pairs = list(aligned.pairs)
    for x, y in reversed(pairs):
        at = y if x == NONE else x
        below = None if place is None else place.step(at)
        yield ABSENT if x == NONE else a[x], ABSENT if y == NONE else b[y], (path, at), below, depth


def _as_a_whole(depth: int) -> bool:
    """Whether what lies this deep is held against its counterpart before it is looked into.

    What nests deep is not, at every level: the whole of it at each would cost its square.
    """
    return depth <= SHALLOW or not depth & (depth - 1)
