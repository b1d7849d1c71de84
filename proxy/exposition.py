"""Numbers under labels, and the text in which Prometheus reads them (its exposition format 0.0.4). No I/O.

The official client takes a lock for each count, and so long for the text that a scrape of 200 routes stops traffic for
an eighth of a second. One event loop counts and reads here: a count is an addition, and each line is made once, up to
its number.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal


class Number:
    """A counter's or gauge's number under one set of labels."""

    __slots__ = ("start", "value")

    def __init__(self, start: str) -> None:
        self.start, self.value = start, 0.0

    def inc(self) -> None:
        self.value += 1.0

    def dec(self) -> None:
        self.value -= 1.0


class Family:
    """All numbers of one name. A set of labels is there from when it is first asked for."""

    def __init__(self, kind: Literal["counter", "gauge"], name: str, about: str, *labels: str) -> None:
        self._kind, self._name, self._labels = kind, name, labels
        self._head = _head(kind, name, about)
        self._numbers: dict[tuple[str, ...], Number] = {}

    def labels(self, *values: str) -> Number:
        number = self._numbers.get(values)
        if number is None:
            number = self._numbers[values] = Number(self._name + _braced(self._labels, values) + " ")
        return number

    def text(self) -> str:
        return self._head + _lines(self._numbers.values())

    def moved(self) -> str:
        """The same without counts of 0. A gauge of 0 tells something."""
        if self._kind == "gauge":
            return self.text()
        lines = _lines([number for number in self._numbers.values() if number.value])
        return self._head + lines if lines else ""


class Durations:
    """A histogram of seconds under one set of labels."""

    __slots__ = ("_bounds", "_counts", "_starts", "_sum")

    def __init__(self, bounds: Sequence[float], starts: Sequence[str]) -> None:
        self._bounds, self._starts = bounds, starts
        self._counts, self._sum = array("q", [0] * (len(bounds) + 1)), 0.0  # one more place for what took longer

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    @property
    def moved(self) -> bool:
        return any(self._counts)

    def text(self) -> str:
        within = list(accumulate(self._counts))
        values = (*within, within[-1], self._sum)
        return "".join([f"{start}{float(value)!r}\n" for start, value in zip(self._starts, values, strict=True)])


class Histogram:
    """All histograms of one name."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._labels, self._bounds = name, labels, bounds
        self._head = _head("histogram", name, about)
        self._durations: dict[tuple[str, ...], Durations] = {}

    def labels(self, *values: str) -> Durations:
        durations = self._durations.get(values)
        if durations is None:
            durations = self._durations[values] = Durations(self._bounds, self._starts(values))
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


def _lines(numbers: Iterable[Number]) -> str:
    return "".join([f"{number.start}{number.value!r}\n" for number in numbers])


def _head(kind: str, name: str, about: str) -> str:
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n"


def _braced(labels: Sequence[str], values: Sequence[str]) -> str:
    pairs = [f'{label}="{_escaped(value)}"' for label, value in sorted(zip(labels, values, strict=True))]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
