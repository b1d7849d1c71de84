"""Medians, ratios and tables of what was measured. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any


def quantile(values: Iterable[float], part: float) -> float:
    """The smallest of the values that at least this part of them does not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def medians(runs: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> dict[str, float]:
    """The median of each of these figures over all runs: each figure's own, so they may stem from different runs."""
    return {key: median(run[key] for run in runs) for key in keys}


def ratio(figure: float, of: float) -> float:
    return round(figure / of, 3) if of else math.nan


def met(figure: float, *, least: float | None = None, most: float | None = None) -> dict[str, float | bool]:
    """A figure beside its target, and whether it holds. What could not be computed does not."""
    holds = (least is None or figure >= least) and (most is None or figure <= most)
    target = least if least is not None else most
    if target is None:
        raise ValueError("a target has a bound")
    return {"figure": figure, "target": target, "met": holds and not math.isnan(figure)}


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows under their head, columns aligned: names to the left, figures to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(columns))
        for columns in (list(zip(row, widths, strict=True)) for row in cells)
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"
