"""Compute and simulate every cell, in about a minute: `python -m bench.parity [--runs 10000]`."""

from __future__ import annotations

import argparse
from typing import Any

from bench import record
from bench.figures import met, table
from bench.parity.cells import DRIFTS, STOPS, drifting, stopping, unconfirmed, users
from bench.parity.exact import ever_wrong
from bench.rollback.summary import wilson
from shadow.parity import ALPHA

SEED = 20_261_123
RATES = {0.0005: 60_000, 0.001: 40_000, 0.01: 10_000, 0.1: 4_000, 0.5: 1_500}  # with how many comparisons
LOST = 0.5  # of mismatches that cannot be confirmed, in one cell


def main() -> None:
    parser = argparse.ArgumentParser("bench.parity", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="of each cell that is simulated")
    runs = parser.parse_args().runs
    told = {**_computed(), **_simulated(runs)}
    _print(told)
    computed, simulated = (
        max(each["wrong"] for each in told.values() if each["target"] and ("low" in each) is drawn)
        for drawn in (False, True)
    )
    targets = {
        "covers at least 99 %, computed": met(round(1 - computed, 5), least=1 - ALPHA),
        "covers at least 99 %, simulated": met(round(1 - simulated, 5), least=1 - ALPHA),
    }
    print("\n" + table([("target", "figure", "wanted"), *((n, t["figure"], t["target"]) for n, t in targets.items())]))
    print(f"\nKept in {record.keep('parity', {'alpha': ALPHA, 'seed': SEED, 'targets': targets, 'cells': told})}")


def _computed() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for rate, comparisons in RATES.items():
        ever = ever_wrong(rate, comparisons)
        name = f"{100 * rate:g} %, a look after each of {comparisons} comparisons"
        found[name] = {"wrong": ever.bound, "target": True}
        found[f"{name}, by the bound of a single look"] = {"wrong": ever.single, "target": False}
    return found


def _simulated(runs: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for place, drift in enumerate(DRIFTS):
        found[drift.name] = _part(drifting(drift, runs, SEED + place), runs, target=True)
    for place, stop in enumerate(STOPS):
        told = stopping(stop, runs, SEED + 100 + place)
        name = f"a ramp that asks for {100 * stop.allowed:g} %, at {100 * stop.rate:g} %: it goes on"
        found[name] = {**_part(told["went on"], runs, target=stop.rate > stop.allowed), **told}
    both = unconfirmed(0.01, LOST, 5_000, runs, SEED + 200)
    for name, wrong, is_target in (("", both[0], True), (", by the figure without them", both[1], False)):
        found[f"1 %, half of it cannot be confirmed{name}"] = _part(wrong, runs, target=is_target)
    for place, each in enumerate((1, 5, 25)):
        name = f"1 % of users always get other answers, each asks {each} times"
        found[name] = _part(users(each, runs, SEED + 300 + place), runs, target=each == 1)
    return found


def _part(number: int, runs: int, *, target: bool) -> dict[str, Any]:
    low, high = wilson(number, runs)
    return {"wrong": number / runs, "low": low, "high": high, "target": target}


def _print(told: dict[str, dict[str, Any]]) -> None:
    rows = [
        (
            name,
            f"{100 * each['wrong']:.2f} %",
            f"{100 * each['low']:.2f}-{100 * each['high']:.2f} %" if "low" in each else "computed",
            each.get("median comparisons"),
            "1 %" if each["target"] else None,
        )
        for name, each in told.items()
    ]
    print(table([("cell", "of runs", "interval", "median comparisons", "at most"), *rows]))


if __name__ == "__main__":
    main()
