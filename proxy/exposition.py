"""Numbers under labels, and the text in which Prometheus reads them (its exposition format 0.0.4). No I/O.

The official client takes a lock for each count, and so long for the text that a scrape of 200 routes stops traffic for
an eighth of a second. One event loop counts and reads here: a count is an addition, and each line is made once, up to
its number. Numbers lie in rows: what one request moves lies side by side, for of many routes each is cold when its turn
comes, and what is scattered costs a trip to the memory each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal

Row = array  # of doubles


class Number:
    """A counter's or gauge's number under one set of labels: where it lies."""

    __slots__ = ("place", "row", "start")

    def __init__(self, start: str, row: Row[float], place: int) -> None:
        self.start, self.row, self.place = start, row, place

    @property
    def value(self) -> float:
        return self.row[self.place]

    @value.setter
    def value(self, value: float) -> None:
        self.row[self.place] = value

    def inc(self) -> None:
        self.row[self.place] += 1.0

    def dec(self) -> None:
        self.row[self.place] -= 1.0


def row(places: int = 0) -> Row[float]:
    return array("d", bytes(8 * places))


def width(bounds: Sequence[float]) -> int:
    """The places that a histogram takes: its sum, a count for each bound, and one for what took longer."""
    return len(bounds) + 2


class Family:
    """All numbers of one name. A set of labels is there from when it is first asked for."""

    def __init__(self, kind: Literal["counter", "gauge"], name: str, about: str, *labels: str) -> None:
        self._kind, self._name, self._labels = kind, name, labels
        self._head = _head(kind, name, about)
        self._numbers: dict[tuple[str, ...], Number] = {}
        self._laid: dict[int, tuple[Row[float], list[Number]]] = {}  # elsewhere, by row
        self._row, self._own = row(), list[Number]()

    def labels(self, *values: str) -> Number:
        number = self._numbers.get(values)
        if number is None:
            number = self._number(self._row, len(self._row), values)
            self._row.append(0.0)
            self._own.append(number)
        return number

    def lay(self, row: Row[float], place: int, *values: str) -> Number:
        """Let a new number, under these labels, be the one that lies there."""
        number = self._number(row, place, values)
        self._laid.setdefault(id(row), (row, []))[1].append(number)
        return number

    def text(self) -> str:
        return self._head + _lines(self._numbers.values())

    def moved(self) -> str:
        """The same without counts of 0. A gauge of 0 tells something."""
        if self._kind == "gauge":
            return self.text()
        laid = [numbers for row, numbers in self._laid.values() if _holds_any(row)]
        found = [number for numbers in laid for number in numbers if number.row[number.place]]
        if _holds_any(self._row):
            found += [self._own[place] for place, value in enumerate(self._row) if value]
        return self._head + _lines(found) if found else ""

    def _number(self, row: Row[float], place: int, values: tuple[str, ...]) -> Number:
        number = self._numbers[values] = Number(self._name + _braced(self._labels, values) + " ", row, place)
        return number


class Durations:
    """A histogram of seconds under one set of labels: their sum, and behind it the counts by bound."""

    __slots__ = ("_bounds", "_place", "_row", "_starts")

    def __init__(self, bounds: Sequence[float], starts: Sequence[str], row: Row[float], place: int) -> None:
        self._bounds, self._starts, self._row, self._place = bounds, starts, row, place

    def observe(self, seconds: float) -> None:
        self._row[self._place] += seconds
        self._row[self._place + 1 + bisect_left(self._bounds, seconds)] += 1.0

    @property
    def moved(self) -> bool:
        return _holds_any(self._counts)

    def text(self) -> str:
        within = list(accumulate(self._counts))
        values = (*within, within[-1], self._row[self._place])
        return "".join([f"{start}{value!r}\n" for start, value in zip(self._starts, values, strict=True)])

    @property
    def _counts(self) -> Row[float]:
        return self._row[self._place + 1 : self._place + width(self._bounds)]


class Histogram:
    """All histograms of one name."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._labels, self._bounds = name, labels, bounds
        self._head = _head("histogram", name, about)
        self._durations: dict[tuple[str, ...], Durations] = {}

    def labels(self, *values: str) -> Durations:
        durations = self._durations.get(values)
        if durations is None:
            durations = self.lay(row(width(self._bounds)), 0, *values)
        return durations

    def lay(self, row: Row[float], place: int, *values: str) -> Durations:
        """Let the histogram under these labels lie there, in `width` places."""
        durations = self._durations[values] = Durations(self._bounds, self._starts(values), row, place)
        return durations

    def text(self) -> str:
        return self._head + "".join([durations.text() for durations in self._durations.values()])

    def moved(self) -> str:
        """The same without those that have seen nothing."""
        lines = "".join([durations.text() for durations in self._durations.values() if durations.moved])
        return self._head + lines if lines else ""

    def _starts(self, values: Sequence[str]) -> list[str]:
        up_to = [*map(repr, self._bounds), "+Inf"]
        buckets = [f"{self._name}_bucket{_braced((*self._labels, 'le'), (*values, bound))} " for bound in up_to]
        return [*buckets, *(f"{self._name}_{of}{_braced(self._labels, values)} " for of in ("count", "sum"))]


def _holds_any(row: Row[float]) -> bool:
    """Whether not all of them are 0. It is asked of every row each second, and few have moved: to look at each number
    would take twenty times as long."""
    return row.tobytes() != bytes(row.itemsize * len(row))


def _lines(numbers: Iterable[Number]) -> str:
    return "".join([f"{number.start}{number.row[number.place]!r}\n" for number in numbers])


def _head(kind: str, name: str, about: str) -> str:
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n"


def _braced(labels: Sequence[str], values: Sequence[str]) -> str:
    pairs = [f'{label}="{_escaped(value)}"' for label, value in sorted(zip(labels, values, strict=True))]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
