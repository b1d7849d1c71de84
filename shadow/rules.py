"""What of an answer may differ, and where. No I/O.

A rule covers a difference, which is then counted under the rule's name. Only `Ignore` covers what lies beneath its
place, and what one side lacks; the others cover two values that are there, each in its own way:

    tolerance   two numbers that are close; texts that hold numbers, too
    timestamps  two moments that are close, written alike: ISO 8601, or seconds, milliseconds or microseconds since 1970
    unordered   a list whose elements may come in any order
    alias       two ids that differ, but stand for each other wherever they occur in these two answers
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from .literals import decimal
from .paths import Pattern, Segment, header, parse

COMPARED: Final = frozenset({b"cache-control", b"content-type", b"etag", b"location", b"set-cookie"})
ROUNDING: Final = 1e-6  # seconds: what a moment of this century loses as a float, and more

_NUMBER: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}(\.[0-9]{1,9})?")
_MILLISECONDS, _MICROSECONDS = 1e11, 1e14  # from here on; as seconds these would be the years 5138 and 3 170 843


@dataclass(frozen=True, slots=True)
class Ignore:
    name: str


@dataclass(frozen=True, slots=True)
class Tolerance:
    name: str
    absolute: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)  # of the larger of the two

    def covers(self, a: Any, b: Any) -> bool:
        if type(a) is not type(b) or (x := _number(a)) is None or (y := _number(b)) is None:
            return False
        try:
            apart = abs(x - y)
            return apart <= self.absolute or apart <= self.relative * max(abs(x), abs(y))
        except ArithmeticError:  # an exponent that no computer holds
            return False

    def measured(self, value: Any) -> tuple[object, Any] | None:
        number = _number(value)
        return None if number is None else (type(value), number)


@dataclass(frozen=True, slots=True)
class Timestamp:
    name: str
    within: float  # seconds

    def covers(self, a: Any, b: Any) -> bool:
        if (x := _moment(a)) is None or (y := _moment(b)) is None or x[0] != y[0]:
            return False
        apart: float | timedelta = x[1] - y[1]  # type: ignore[operator]  # written alike, they are of one type
        return abs(apart.total_seconds() if isinstance(apart, timedelta) else apart) <= self.within + ROUNDING

    def measured(self, value: Any) -> tuple[object, Any] | None:
        return _moment(value)


@dataclass(frozen=True, slots=True)
class Unordered:
    name: str
    by: Pattern = ()  # what tells elements apart; nothing: the whole of them


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    group: int  # places of one group speak of the same ids


Rule = Ignore | Tolerance | Timestamp | Unordered | Alias


class Place:
    """The rules that hold at a place of a body and beneath it. Steps further down are remembered."""

    __slots__ = ("_close", "_known", "_next", "alias", "aliased", "ignored", "names", "rules", "unordered")

    def __init__(self, left: Iterable[tuple[Pattern, Rule]]) -> None:
        left = tuple(left)
        self.rules = tuple(rule for rest, rule in left if not rest)
        self.ignored = next((rule.name for rule in self.rules if isinstance(rule, Ignore)), None)
        self.unordered = next((rule for rule in self.rules if isinstance(rule, Unordered)), None)
        self.alias = next((rule for rule in self.rules if isinstance(rule, Alias)), None)
        self._close = [rule for rule in self.rules if isinstance(rule, Tolerance | Timestamp)]
        self.aliased = any(isinstance(rule, Alias) for _, rule in left)
        self._next = tuple((rest, rule) for rest, rule in left if rest)
        self.names = frozenset(rest[0] for rest, _ in self._next)
        self._known: dict[Segment, Place | None] = {}

    def step(self, segment: str | int) -> Place | None:
        """What holds one step further down. What no rule names is not remembered: it comes from outside."""
        key: Segment = segment
        if segment not in self.names:
            if None not in self.names:
                return None
            key = None
        if key not in self._known:
            alike = (None, key)
            left = [(rest[1:], rule) for rest, rule in self._next if rest[0] in alike]
            self._known[key] = Place(left) if left else None
        return self._known[key]

    def near(self, value: Any) -> tuple[object, Any] | None:
        """How a value is written that may be close to another one here, and what it is worth."""
        for rule in self._close:
            if (told := rule.measured(value)) is not None:
                return told
        return None

    def covering(self, a: Any, b: Any) -> str | None:
        """The name of the rule by which two values here may differ."""
        for rule in self._close:
            if rule.covers(a, b):
                return rule.name
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """What of an answer is compared, and how. `cookies`: those whose values are compared, and not their names alone."""

    headers: frozenset[bytes] = COMPARED
    body: Place | None = None
    ignored_headers: Mapping[bytes, str] = field(default_factory=dict)
    cookies: frozenset[str] = frozenset()

    @classmethod
    def parse(
        cls,
        ignore: Iterable[str] = (),
        headers: Iterable[str] | None = None,
        cookies: Iterable[str] = (),
        rules: Iterable[tuple[str, Rule]] = (),
    ) -> Rules:
        """Rules as configuration writes them (`paths` has the grammar). Raises ValueError, naming the rule."""
        places: list[tuple[Pattern, Rule]] = [(parse(at), rule) for at, rule in rules]
        names: dict[bytes, str] = {}
        for written in ignore:
            name = header(written)
            if name is None:
                places.append((parse(written), Ignore(f"ignore {written}")))
            else:
                names[name] = f"ignore {written}"
        compared = COMPARED if headers is None else frozenset(each.lower().encode() for each in headers)
        return cls(compared, Place(places) if places else None, names, frozenset(cookies))


class Correspondence:
    """Which ids of one answer have stood for which of the other. The first that was seen of a pair holds."""

    def __init__(self) -> None:
        self._groups: dict[int, tuple[dict[Any, Any], dict[Any, Any]]] = {}

    def holds(self, group: int, a: Any, b: Any) -> bool:
        if type(a) is not type(b):
            return False
        there, back = self._groups.get(group) or self._groups.setdefault(group, ({}, {}))
        other, one = there.get(a, _NEW), back.get(b, _NEW)
        if other is _NEW and one is _NEW:
            there[a], back[b] = b, a
            return True
        return bool(other == b and one == a)


_NEW: Final = object()


def _number(value: Any) -> Decimal | None:
    """A number of a body, which is bytes, or a text that holds one."""
    if isinstance(value, bytes):
        return decimal(value)
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _moment(value: Any) -> tuple[object, float | datetime] | None:
    """How a moment is written, and when it is: a number is told in seconds since 1970."""
    text = value.decode() if isinstance(value, bytes) else value
    if type(text) is not str:
        return None
    if text[4:5] != "-" and text[:1].isdigit() and _DIGITS.fullmatch(text):
        seconds = float(text)
        unit = 1e6 if seconds >= _MICROSECONDS else 1e3 if seconds >= _MILLISECONDS else 1.0
        return (type(value), unit), seconds / unit
    try:
        moment = datetime.fromisoformat(text) if text is value else None
    except ValueError:
        return None
    # A time without its zone is another time, however close it seems.
    return None if moment is None else ((len(text) > len("2026-01-01"), moment.tzinfo is None), moment)
