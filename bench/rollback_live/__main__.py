"""Break native again and again: `python -m bench.rollback_live [--repetitions 20]`. Some half a minute each."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench import record
from bench.figures import met, table
from bench.rollback.summary import quantiles
from bench.rollback_live.stage import Stage, staged
from bench.rollback_live.users import Served, ask

RATE, SHARE, DEFECT = 10.0, "25%", 0.5
WELL, PATIENCE = 15.0, 60.0  # seconds in which all is well first, and in which the rollback must come
AFTER = 2.0  # seconds in which nobody may be failed any more

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser("bench.rollback_live", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    with staged() as stage:
        runs = [asyncio.run(repeated(stage)) for _ in range(options.repetitions)]
    figures = {**quantiles("s", [run["s"] for run in runs]), **quantiles("failed", [run["failed"] for run in runs])}
    wanted = targets(figures)
    print(table([("s", "failed", "failed before", "why"), *(_row(run) for run in runs)]))
    print(table([("", "seen", "at most", "met"), *((name, *one.values()) for name, one in wanted.items())]))
    settings = {"requests/s": RATE, "share": SHARE, "defect": DEFECT, "repetitions": len(runs)}
    print(f"\nKept in {record.keep('rollback_live', {**settings, 'targets': wanted, **figures, 'runs': runs})}")


def targets(figures: Mapping[str, float]) -> dict[str, dict[str, float | bool]]:
    wanted = {"median s": ("s_p50", 7), "p95 s": ("s_p95", 12), "median of failures": ("failed_p50", 12)}
    return {name: met(figures[key], most=most) for name, (key, most) in wanted.items()}


async def repeated(stage: Stage) -> Figures:
    """Once: from the moment that native fails half to the moment that the flag is tripped."""
    served = Served()
    await asyncio.to_thread(stage.ready, SHARE)
    users = asyncio.get_running_loop().create_task(ask(stage, RATE, served))  # cancelled below
    try:
        await asyncio.sleep(WELL)
        broken = time.monotonic()
        await asyncio.to_thread(stage.fail, DEFECT)
        trip = await asyncio.to_thread(stage.tripped, PATIENCE)
        tripped = time.monotonic()
        await asyncio.sleep(AFTER)
    finally:
        users.cancel()
        await asyncio.gather(users, return_exceptions=True)
    return {
        "s": round(tripped - broken, 3),
        "failed": sum(at >= broken for at in served.failed),
        "failed before": sum(at < broken for at in served.failed),
        "failed after": sum(at > tripped for at in served.failed),
        "asked": served.asked,
        "why": trip["reason"],
    }


def _row(run: Figures) -> Sequence[Any]:
    return run["s"], run["failed"], run["failed before"], run["why"]


if __name__ == "__main__":
    main()
