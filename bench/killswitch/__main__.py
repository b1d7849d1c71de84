"""Roll back under load again and again: `python -m bench.killswitch [--repetitions 50] [--routes 10 1000]`."""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import record
from bench.killswitch import summary
from bench.killswitch.stage import CONNECTIONS, WORKERS, loaded, staged
from bench.killswitch.summary import Repetition
from bench.load import Load
from bench.machine import cores

NAME = "killswitch"
WAYS = {"--all": (), "--all --local": ("--local",)}
ROUTES = (10, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser("bench.killswitch", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=50, help="of each way to give the order")
    parser.add_argument(
        "--routes", type=int, nargs="+", default=ROUTES, help="the others' figures are left as they are"
    )
    options = parser.parse_args()
    cases = _kept() | {f"{routes} routes": _measured(routes, options.repetitions) for routes in options.routes}
    targets = {f"{name}: {what}": met for name, case in cases.items() for what, met in case["targets"].items()}
    kept = record.keep(NAME, {"workers": WORKERS, "connections": CONNECTIONS, "targets": targets, "cases": cases})
    print(f"{summary.targets_table(targets)}\n\nKept in {kept}")


def _kept() -> dict[str, Any]:
    """The cases as they were measured before."""
    path = record.RESULTS / f"{NAME}.json"
    cases: dict[str, Any] = json.loads(path.read_text())["cases"] if path.exists() else {}
    return cases


def _measured(routes: int, repetitions: int) -> Mapping[str, Any]:
    where, loads, date = cores(), list[Load](), datetime.now(UTC)
    told: dict[str, list[Repetition]] = {way: [] for way in WAYS}
    with (
        tempfile.TemporaryDirectory() as directory,
        staged(where, Path(directory), routes) as stage,
        loaded(stage, where, loads),
    ):
        for _ in range(repetitions):
            for way, how in WAYS.items():
                stage.all_native()
                told[way].append(stage.rolled_back(how))
                time.sleep(random.random() / 4)  # so that the next begins at whatever moment of the second's tick
    (ran,) = loads
    figures = {way: summary.figures(each) for way, each in told.items()}
    print(f"{routes} routes: {repetitions} rollbacks a way, {WORKERS} workers, {ran.rate:,.0f} requests a second")
    print(f"{summary.figures_table(figures)}\n")
    return {
        "date": date.isoformat(timespec="seconds"),
        "cores": asdict(where),
        "load": {**asdict(ran), "rate": round(ran.rate, 1)},
        "targets": summary.targets(figures, ran.errors),
        "figures": figures,
        "repetitions": {way: [asdict(each) for each in own] for way, own in told.items()},
    }


if __name__ == "__main__":
    main()
