"""Which element of one list is the counterpart of which of the other. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from .literals import canonical
from .paths import Pattern
from .result import Effort

ID: Final = "id"  # what objects in lists are told apart by, unless a rule says otherwise
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


def by_worth(a: list[Any], b: list[Any], effort: Effort) -> Alignment:
    """Each by its equal; those that have none by their turn."""
    found = _aligned(*_comparable(a, b, effort), (a, b))
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


def _comparable(a: list[Any], b: list[Any], effort: Effort) -> tuple[list[Hashable], list[Hashable]]:
    """What tells values apart, of two lists. Most that are worth the same are written alike, which is seen sooner."""
    effort.spend(len(a) + len(b))
    there, back = _written(a), _written(b)
    alike = set(there) & set(back)
    return (
        [text if text in alike else _worth(value, effort) for text, value in zip(there, a, strict=True)],
        [text if text in alike else _worth(value, effort) for text, value in zip(back, b, strict=True)],
    )


def _written(values: list[Any]) -> list[Hashable]:
    try:
        return list(map(repr, values))
    except RecursionError:
        return [object() for _ in values]


def _worth(value: Any, effort: Effort) -> Hashable:
    try:
        return (frozen(value, effort),)  # not to be taken for a text
    except RecursionError:  # it nests deeper than anyone means: nothing is its equal
        return object()


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
    waiting: dict[Hashable, deque[int]] = {}
    for at, each in enumerate(back):
        waiting.setdefault(each, deque()).append(at)
    pairs = [(at, found.popleft() if (found := waiting.get(each)) else NONE) for at, each in enumerate(there)]
    met = [y for _, y in pairs if y != NONE]
    left = sorted(at for places in waiting.values() for at in places)
    moved = any(x > y for x, y in pairwise(met))
    return Alignment((*pairs, *((NONE, at) for at in left)), shown if moved else None)
