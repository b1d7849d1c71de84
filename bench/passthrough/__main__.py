"""Measure every proxy in turn, round after round: `python -m bench.passthrough [--rounds 5] [--seconds 2]`."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import record
from bench.machine import cores
from bench.passthrough import runs, summary
from bench.passthrough.workers import workers


def main() -> None:
    parser = argparse.ArgumentParser("bench.passthrough", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each run")
    options = parser.parse_args()
    where = cores()
    with tempfile.TemporaryDirectory() as temporary, runs.staged(where, Path(temporary)) as stage:
        ran = runs.measured(stage, options.rounds, options.seconds)
        answered = stage.answered()
        commands = {kind.name: " ".join(runs.wrk(stage, summary.RELAY, kind, options.seconds)) for kind in runs.KINDS}
    shared = workers(where, options.rounds, options.seconds)
    medians = {kind.name: summary.by_peer(ran, kind.name) for kind in runs.KINDS}
    many, one = medians[runs.MANY.name], medians[runs.ONE.name]
    targets = {**summary.targets(many, one), **summary.workers_target(shared)}
    remarks = summary.disturbances(ran) or summary.remarks(many)
    figures = {
        "cores": asdict(where),
        "commands": commands,
        "targets": targets,
        "medians": medians,
        "remarks": remarks,
        "answered by": answered,
        "runs": ran,
        "runs with workers": shared,
    }
    for name, peers in medians.items():
        print(f"{name}, medians of {options.rounds} runs of {options.seconds} s\n{summary.peers_table(peers)}\n")
    print(summary.targets_table(targets), *remarks, sep="\n")
    print(f"\nKept in {record.keep('passthrough', figures)}")


if __name__ == "__main__":
    main()
