"""From runs to figures with their intervals. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.figures import met, table
from bench.rollback.cells import ALPHA, CURSED, DEFECTS, FEW, OTHERS, PAIRED, QUIET, SHARED, Cell
from bench.rollback.rules import NEVER

Z = 1.959964  # 95 %

Figures = dict[str, Any]


def wilson(number: int, of: int) -> tuple[float, float]:
    """The interval in which the true part lies in 95 of 100 cases."""
    part, z2 = number / of, Z * Z
    middle = (part + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * math.sqrt(part * (1 - part) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def figures(cell: Cell, runs: Mapping[str, Any]) -> Figures:
    """One rule in one cell: how often it rolled back for nothing, how soon for a defect, after how many failures."""
    fired, onset = np.asarray(runs["fired"]), cell.scenario.onset or 0
    begun = onset + np.asarray(runs["phases"]) if cell.defect else np.full(len(fired), NEVER)
    early = fired < begun
    told: Figures = {"runs": len(fired), **_part("false", int((early & (fired < NEVER)).sum()), len(fired))}
    if cell.defect:
        found = ~early & (fired < NEVER)
        took, failed = (fired - begun)[found], np.asarray(runs["failed"])[found]
        told |= {"missed": int((fired == NEVER).sum()), **quantiles("s", took), **quantiles("failed", failed)}
    return told


def _part(name: str, number: int, of: int) -> Figures:
    low, high = wilson(number, of)
    return {name: number, f"{name}_part": number / of, f"{name}_interval": [round(low, 5), round(high, 5)]}


def quantiles(name: str, values: Any) -> Figures:
    """Each with the interval in which the true one lies in 95 of 100 cases, between two of the values in their order
    (Conover, Practical Nonparametric Statistics, 3.2)."""
    told: Figures = {}
    for part in (50, 95):
        told[f"{name}_p{part}"] = round(float(np.quantile(values, part / 100)), 2) if len(values) else None
        told[f"{name}_p{part}_interval"] = [round(float(end), 2) for end in _ends(values, part / 100)]
    return told


def _ends(values: Any, part: float) -> list[float]:
    ordered, of = np.sort(values), len(values)
    half = Z * math.sqrt(of * part * (1 - part))
    ranks = math.ceil(of * part - half), math.ceil(of * part + half)
    return [ordered[min(max(rank, 1), of) - 1] for rank in ranks] if of else []


def targets(told: Mapping[str, Mapping[str, Figures]]) -> dict[str, dict[str, float | bool]]:
    """What is wanted of the evidence; a part is what was seen, its interval stands beside it in the figures."""
    ours = {name: rules["evidence"] for name, rules in told.items()}
    wanted: dict[str, dict[str, float | bool]] = {}
    for cell in (*QUIET, *SHARED, *CURSED, *OTHERS, *FEW):
        if cell.name in ours:
            wanted[f"false rollbacks: {cell.name}"] = met(ours[cell.name]["false_part"], most=ALPHA)
    for cell in DEFECTS[:4]:
        if cell.name in ours:
            own = ours[cell.name]
            wanted[f"median s: {cell.name}"] = met(_or_never(own["s_p50"]), most=7)
            wanted[f"p95 s: {cell.name}"] = met(_or_never(own["s_p95"]), most=12)
            wanted[f"median of failures: {cell.name}"] = met(_or_never(own["failed_p50"]), most=12)
    for name in ("50 % defect, 90 %, after 10 min", PAIRED[1].name):
        if name in ours:
            wanted[f"median s: {name}"] = met(_or_never(ours[name]["s_p50"]), most=12)
    return wanted


def _or_never(figure: float | None) -> float:
    return math.inf if figure is None else figure


def cells_table(told: Mapping[str, Mapping[str, Figures]]) -> str:
    """Behind each figure, its interval."""
    rows: list[tuple[Any, ...]] = [("", "rule", "false", "of", "95 % interval", "s p50", "s p95", "failed p50", "p95")]
    for name, rules in told.items():
        for rule, own in rules.items():
            low, high = own["false_interval"]
            interval = f"{100 * low:.2f}–{100 * high:.2f} %"
            found = [_with_interval(own, key) for key in ("s_p50", "s_p95", "failed_p50", "failed_p95")]
            rows.append((name, rule, own["false"], own["runs"], interval, *found))
    return table(rows)


def _with_interval(own: Figures, key: str) -> str:
    if own.get(key) is None:
        return ""
    low, high = own[f"{key}_interval"]
    return f"{own[key]:g} ({low:g}–{high:g})"


def targets_table(told: Mapping[str, Mapping[str, float | bool]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "simulated", "at most", "met"), *rows])
