"""Which element of one list is the counterpart of which of the other. No I/O."""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .literals import canonical
from .paths import Pattern
from .result import Effort
from .rules import Place

ID: Final = "id"  # what objects in lists are told apart by, unless a rule says otherwise
PLAIN: Final = 2  # the last of marshal's formats that refers to nothing it has written before
NONE: Final = -1  # the place of an element that has no counterpart


@dataclass(frozen=True, slots=True)
class Alignment:
    """`pairs`: the places of counterparts in the control and the candidate. `order`: what the elements were told apart
    by, as each side has it, if those that both have come in another order."""

    pairs: tuple[tuple[int, int], ...]
    order: tuple[Sequence[Any], Sequence[Any]] | None = None


def by_place(a: Sequence[Any], b: Sequence[Any]) -> Alignment:
    """As they stand; what one side has more is nobody's counterpart."""
    return Alignment(tuple((at, at) for at in range(min(len(a), len(b)))))


def by_id(a: list[Any], b: list[Any]) -> Alignment | None:
    """By their ids, if more of them find a counterpart so than where they stand: one that is put in at the front would
    else make all that follow it differ."""
    there, back = _ids(a), _ids(b)
    if there == back or not (_telling(there) and _telling(back)):
        return None
    standing = sum(x == y for x, y in zip(there, back, strict=False))
    return _aligned(there, back, (there, back)) if len(set(there) & set(back)) > standing else None


def by_key(a: list[Any], b: list[Any], key: Pattern, effort: Effort) -> Alignment:
    """By what they have at `key`. Of those that have the same there, or nothing, each finds the next."""
    there, back = [_at(each, key) for each in a], [_at(each, key) for each in b]
    return _aligned(*_comparable(there, back, effort), (there, back))


def by_worth(a: list[Any], b: list[Any], element: Place | None, effort: Effort) -> Alignment:
    """Each by its equal, but for what rules cover in an `element`; those that have none by their turn."""
    told = _comparable(a, b, effort) if element is None else _uncovered(a, b, element, effort)
    found = _aligned(*told, (a, b))
    if len(found.pairs) == len(a):  # the candidate has none that is left over
        return found
    left = iter([y for x, y in found.pairs if x == NONE])
    pairs = [(x, next(left, NONE) if y == NONE else y) for x, y in found.pairs if x != NONE]
    return Alignment((*pairs, *((NONE, y) for y in left)), found.order)


def permuted(a: list[Any], b: list[Any], effort: Effort) -> bool:
    """Whether two lists that differ hold the same in another order."""
    if len(a) != len(b) or len(a) < 2:
        return False
    parted = next((x for x, y in zip(a, b, strict=True) if x != y), None)
    if parted is None or parted not in b:  # found at the speed of memory: most lists that differ end here
        return False
    return all(NONE not in pair for pair in by_key(a, b, (), effort).pairs)


def frozen(value: Any, effort: Effort) -> Hashable:
    """The same for values that are worth the same, whatever the order of their keys."""
    if isinstance(value, dict):
        effort.spend(len(value))
        return frozenset((key, frozen(each, effort)) for key, each in value.items())
    if isinstance(value, list):
        effort.spend(len(value))
        return tuple([frozen(each, effort) for each in value])
    return canonical(value) if isinstance(value, bytes) else value


def _comparable(a: Sequence[Any], b: Sequence[Any], effort: Effort) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """What tells values apart, of two lists. Most that are worth the same are written alike, which is seen sooner."""
    effort.spend(len(a) + len(b))
    there, back = _written(a), _written(b)
    counts, others = Counter(there), Counter(back)
    if dict(counts) == dict(others):  # a Counter's own comparison looks every count up in Python
        return there, back
    alone = {text for text in counts | others if counts[text] != others[text]}
    return (
        [_worth(value, effort) if text in alone else text for text, value in zip(there, a, strict=True)],
        [_worth(value, effort) if text in alone else text for text, value in zip(back, b, strict=True)],
    )


def _written(values: Sequence[Any]) -> list[Hashable]:
    """Each value as bytes, which are the same only for the same values with their keys in the same order."""
    try:
        return [marshal.dumps(value, PLAIN) for value in values]
    except ValueError:  # one nests deeper than that goes
        return [object() for _ in values]


def _worth(value: Any, effort: Effort) -> Hashable:
    try:
        return (frozen(value, effort),)  # not to be taken for a text
    except RecursionError:  # it nests deeper than anyone means: nothing is its equal
        return object()


def _uncovered(a: list[Any], b: list[Any], element: Place, effort: Effort) -> tuple[list[Hashable], list[Hashable]]:
    """What tells elements apart but for what rules cover in them. Those that are alike so far are told by what may be
    close in them: by its rank, or by itself where one side has more of them."""
    there, back = ([_bared(each, element, effort) for each in side] for side in (a, b))
    counts, others = (Counter([rest for rest, _ in side]) for side in (there, back))
    even = {rest for rest, count in counts.items() if others[rest] == count}
    return _ranked(there, even), _ranked(back, even)


def _ranked(told: Sequence[tuple[Hashable, tuple[Any, ...]]], even: set[Hashable]) -> list[Hashable]:
    alike: dict[Hashable, list[int]] = {}
    for at, (rest, _) in enumerate(told):
        alike.setdefault(rest, []).append(at)
    keys: list[Hashable] = list(told)
    for rest in alike.keys() & even:
        for rank, at in enumerate(sorted(alike[rest], key=lambda at: told[at][1])):
            keys[at] = rest, rank
    return keys


def _bared(value: Any, place: Place, effort: Effort) -> tuple[Hashable, tuple[Any, ...]]:
    """A value without what rules cover in it, and what in it may be close to another one."""
    near: list[Any] = []
    try:
        return _bare(value, place, near, effort), tuple(near)
    except RecursionError:
        return object(), ()


def _bare(value: Any, place: Place | None, near: list[Any], effort: Effort) -> Hashable:
    if place is None:
        return frozen(value, effort)
    if place.ignored is not None:
        return None
    if isinstance(value, dict):
        effort.spend(len(value))
        kept = [(key, place.step(key)) for key in sorted(value)]
        return tuple([(key, _bare(value[key], x, near, effort)) for key, x in kept if x is None or x.ignored is None])
    if isinstance(value, list):
        effort.spend(len(value))
        if place.unordered is not None:  # what is close in it tells nothing, in whatever order that comes
            parts = Counter([_bare(each, place.step(NONE), [], effort) for each in value])
            return frozenset(parts.items())
        return tuple([_bare(each, place.step(at), near, effort) for at, each in enumerate(value)])
    if place.alias is not None:
        return (type(value),)
    if (told := place.near(value)) is not None:
        near.append(told[1])
        return (told[0],)
    return frozen(value, effort)


def _ids(values: list[Any]) -> list[Any]:
    return [value.get(ID) if type(value) is dict else None for value in values]


def _telling(ids: list[Any]) -> bool:
    """Whether each element has an id of its own."""
    return all(isinstance(each, str | bytes) for each in ids) and len(set(ids)) == len(ids)


def _at(value: Any, key: Pattern) -> Any:
    """What lies at a key within an element; None if nothing does."""
    for segment in key:
        if isinstance(value, dict):
            value = value.get(segment)
        elif isinstance(value, list) and isinstance(segment, int) and segment < len(value):
            value = value[segment]
        else:
            return None
    return value


def _aligned(
    there: Sequence[Hashable], back: Sequence[Hashable], shown: tuple[Sequence[Any], Sequence[Any]]
) -> Alignment:
    waiting: dict[Hashable, list[int]] = {}
    for at in range(len(back) - 1, -1, -1):
        waiting.setdefault(back[at], []).append(at)
    pairs = [(at, found.pop() if (found := waiting.get(each)) else NONE) for at, each in enumerate(there)]
    met = [y for _, y in pairs if y != NONE]
    left = sorted([at for places in waiting.values() for at in places]) if len(met) < len(back) else []
    moved = met != sorted(met)
    return Alignment((*pairs, *((NONE, at) for at in left)), shown if moved else None)
