"""Ask with and without shadow in turn: `python -m bench.shadow [--rounds 20] [--seconds 1.7]`."""

from __future__ import annotations

import argparse
import gc
import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import uvloop

from bench import record
from bench.machine import cores
from bench.processes import cpu_seconds, forget_peak, peak, resident
from bench.shadow import summary
from bench.shadow.side import CARRIES
from bench.shadow.stage import CASES, JOINED, OFF, Stage, staged
from bench.shadow.users import Visit, Waited, ask, visits

NAME = "shadow"
RATE = CARRIES / 2  # half of what legacy carries
WARM, SECONDS = 4.0, 1.7  # of each case before the first round, and in one: a whole run takes less than five minutes
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Turn(Waited):
    """`busy`: the part of a core that the proxy took meanwhile, its comparing process included."""

    busy: float


Round = dict[str, Turn]


def main() -> None:
    parser = argparse.ArgumentParser("bench.shadow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of all cases, in an order that is drawn")
    parser.add_argument(
        "--joined", type=int, default=5, help="rounds in which those are asked, too, whose users wait for both sides"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each case")
    parser.add_argument("--steady", action="store_true", help="let shadow work yield to nothing; keeps no figures")
    options = parser.parse_args()
    where = cores()
    os.sched_setaffinity(0, {where.load})
    with tempfile.TemporaryDirectory() as directory, staged(where, Path(directory), yields=not options.steady) as stage:
        pids = {case: stage.pids[case] for case in CASES}
        gc.disable()  # a round of it would be users who come late
        uvloop.run(_asked(stage, 1, 1, WARM))
        before = {case: resident(pid) for case, pid in pids.items()}
        for pid in pids.values():
            forget_peak(pid)
        rounds = uvloop.run(_asked(stage, options.rounds, options.joined, options.seconds))
        grown = {case: round((peak(pid) - before[case]) / MIB, 1) for case, pid in pids.items()}
        told = stage.told()
    rows = [{case: asdict(turn) for case, turn in each.items()} for each in rounds]
    busy = {case: round(fmean(each[case].busy for each in rounds if case in each), 3) for case in rounds[-1]}
    costs = summary.costs(rows, OFF)
    own = {case: each for case, each in costs.items() if case in CASES}
    failed = sum(each[case].failed for each in rounds for case in CASES)
    targets = summary.targets(own, {case: mib for case, mib in grown.items() if case != OFF}, failed)
    figures: dict[str, Any] = {
        "rate": round(RATE, 1),
        "seconds": options.seconds,
        "cores": asdict(where),
        "targets": targets,
        "costs": costs,
        "busy": busy,
        "grown_mib": grown,
        "told": told,
        "rounds": rows,
    }
    kept = "Not kept: shadow work did not yield" if options.steady else f"Kept in {record.keep(NAME, figures)}"
    load = f"{RATE:,.0f} requests a second, {busy[OFF]:.0%} of a core without shadow"
    print(f"{options.rounds} rounds of {options.seconds:g} s, {load}\n")
    print(f"{summary.costs_table(costs, busy)}\n\n{summary.targets_table(targets)}\n\n{kept}")


async def _asked(stage: Stage, rounds: int, joined: int, seconds: float) -> list[Round]:
    """In the last `joined` rounds those that join are asked as well: what waits for a hanging side is loud."""
    chance, ports, told = random.Random(1), stage.ports, list[Round]()  # chance, not secrecy
    for number in range(rounds):
        order = chance.sample([*CASES], len(CASES)) + ([*JOINED] if number >= rounds - joined else [])
        coming = visits(number, RATE, seconds)
        told.append({case: await _turn(stage.pids[case], ports[case], coming, seconds) for case in order})
    return told


async def _turn(pid: int, port: int, coming: Sequence[Visit], seconds: float) -> Turn:
    before = cpu_seconds(pid)
    waited = await ask(port, coming)
    return Turn(**asdict(waited), busy=round((cpu_seconds(pid) - before) / seconds, 3))


if __name__ == "__main__":
    main()
