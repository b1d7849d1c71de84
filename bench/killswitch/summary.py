"""From repetitions to what they come to. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.figures import met, quantile, table

WANTED = 250.0  # milliseconds
FIGURES = ("after_ms", "command_ms", "from_start_ms")


@dataclass(frozen=True, slots=True)
class Repetition:
    """One rollback under load, in milliseconds: `after_ms` from the command's return to the last request that native
    was asked, below 0 if that came before; `command_ms` how long the command took; `from_start_ms` from its start to
    that request."""

    after_ms: float
    command_ms: float
    from_start_ms: float

    @classmethod
    def of(cls, began: float, returned: float, last: float) -> Repetition:
        """From seconds on one clock."""
        return cls(*(round(1000 * each, 2) for each in (last - returned, returned - began, last - began)))


Told = Mapping[str, Mapping[str, float]]


def figures(repetitions: Sequence[Repetition]) -> dict[str, dict[str, float]]:
    rows = [asdict(each) for each in repetitions]
    return {figure: _spread([row[figure] for row in rows]) for figure in FIGURES}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": quantile(values, 0.5), "p99": quantile(values, 0.99), "most": max(values)}


def targets(told: Mapping[str, Told], failed: int) -> dict[str, dict[str, float | bool]]:
    """Of each way to give the order, and of the users meanwhile."""
    last = {
        f"last native decision after the return, p99 (ms, {way})": met(each["after_ms"]["p99"], most=WANTED)
        for way, each in told.items()
    }
    return {**last, "failed requests": met(failed, most=0)}


def figures_table(told: Mapping[str, Told]) -> str:
    rows = [(f"{way}: {figure}", *each[figure].values()) for way, each in told.items() for figure in FIGURES]
    return table([("milliseconds", "p50", "p99", "most"), *rows])


def targets_table(told: Mapping[str, Mapping[str, float | bool]]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])
