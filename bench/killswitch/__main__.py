"""Roll back under load again and again: `python -m bench.killswitch [--repetitions 50]`."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench import record
from bench.killswitch import summary
from bench.killswitch.stage import CONNECTIONS, ROUTES, WORKERS, loaded, staged
from bench.killswitch.summary import Repetition
from bench.load import Load
from bench.machine import cores

WAYS = {"--all": (), "--all --local": ("--local",)}


def main() -> None:
    parser = argparse.ArgumentParser("bench.killswitch", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=50, help="of each way to give the order")
    options = parser.parse_args()
    where, loads = cores(), list[Load]()
    told: dict[str, list[Repetition]] = {way: [] for way in WAYS}
    with (
        tempfile.TemporaryDirectory() as directory,
        staged(where, Path(directory)) as stage,
        loaded(stage, where, loads),
    ):
        for _ in range(options.repetitions):
            for way, how in WAYS.items():
                stage.all_native()
                told[way].append(stage.rolled_back(how))
                time.sleep(random.random() / 4)  # so that the next begins at whatever moment of the second's tick
    (ran,) = loads
    figures = {way: summary.figures(each) for way, each in told.items()}
    targets = summary.targets(figures, ran.errors)
    kept = record.keep(
        "killswitch",
        {
            "cores": asdict(where),
            "workers": WORKERS,
            "routes": ROUTES,
            "connections": CONNECTIONS,
            "load": {**asdict(ran), "rate": round(ran.rate, 1)},
            "targets": targets,
            "figures": figures,
            "repetitions": {way: [asdict(each) for each in own] for way, own in told.items()},
        },
    )
    print(f"{options.repetitions} rollbacks a way, {WORKERS} workers, {ran.rate:,.0f} requests a second")
    print(f"{summary.figures_table(figures)}\n\n{summary.targets_table(targets)}\n\nKept in {kept}")


if __name__ == "__main__":
    main()
