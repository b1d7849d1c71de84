"""Ask with and without shadow in turn: `python -m bench.shadow [--rounds 20] [--seconds 2]`."""

from __future__ import annotations

import argparse
import gc
import os
import random
import tempfile
from dataclasses import asdict
from pathlib import Path

import uvloop

from bench import record
from bench.machine import cores
from bench.processes import forget_peak, peak, resident
from bench.shadow import summary
from bench.shadow.side import CARRIES
from bench.shadow.stage import CASES, JOINED, OFF, Stage, staged
from bench.shadow.users import Waited, ask

NAME = "shadow"
RATE = CARRIES / 2  # half of what legacy carries
WARM = 1.0  # seconds of each case before the first round
MIB = 1 << 20

Round = dict[str, Waited]


def main() -> None:
    parser = argparse.ArgumentParser("bench.shadow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of all cases, in an order that is drawn")
    parser.add_argument(
        "--joined", type=int, default=5, help="rounds in which those are asked, too, whose users wait for both sides"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case")
    options = parser.parse_args()
    where = cores()
    os.sched_setaffinity(0, {where.load})
    with tempfile.TemporaryDirectory() as directory, staged(where, Path(directory)) as stage:
        pids = {case: ours.service.process.pid for case, ours in stage.ours.items()}
        gc.disable()  # a round of it would be users who come late
        uvloop.run(_asked(stage, 1, 1, WARM))
        before = {case: resident(pid) for case, pid in pids.items()}
        for pid in pids.values():
            forget_peak(pid)
        rounds = uvloop.run(_asked(stage, options.rounds, options.joined, options.seconds))
        grown = {case: round((peak(pid) - before[case]) / MIB, 1) for case, pid in pids.items()}
        told = stage.told()
    rows = [{case: asdict(waited) for case, waited in each.items()} for each in rounds]
    costs = summary.costs(rows, OFF)
    own = {case: each for case, each in costs.items() if case in CASES}
    failed = sum(each[case].failed for each in rounds for case in CASES)
    targets = summary.targets(own, {case: mib for case, mib in grown.items() if case != OFF}, failed)
    kept = record.keep(
        NAME,
        {
            "rate": round(RATE, 1),
            "seconds": options.seconds,
            "cores": asdict(where),
            "targets": targets,
            "costs": costs,
            "grown_mib": grown,
            "told": told,
            "rounds": rows,
        },
    )
    print(f"{options.rounds} rounds of {options.seconds:g} s, {RATE:,.0f} requests a second\n")
    print(f"{summary.costs_table(costs)}\n\n{summary.targets_table(targets)}\n\nKept in {kept}")


async def _asked(stage: Stage, rounds: int, joined: int, seconds: float) -> list[Round]:
    """In the last `joined` rounds those that join are asked as well: what waits for a hanging side is loud."""
    chance, ports, told = random.Random(1), stage.ports, list[Round]()  # chance, not secrecy
    for number in range(rounds):
        order = chance.sample([*CASES], len(CASES)) + ([*JOINED] if number >= rounds - joined else [])
        told.append({case: await ask(ports[case], RATE, seconds) for case in order})
    return told


if __name__ == "__main__":
    main()
