"""Compare pairs of answers of several sizes, and small ones in whole experiments: `python -m bench.compare [--rounds 5]
[--times 6] [--experiments 10]`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from bench import record
from bench.compare.answers import JSON, Pair, pairs
from bench.compare.experiments import experiments
from bench.compare.holds import while_repeated
from bench.figures import met, table
from demo.stores import start_redis
from proxy.server import settle
from shadow.compare import compare
from shadow.comparer import Comparer

SIZES = {"2 KB": 2_000, "8 KB": 8_000, "64 KB": 64_000, "1 MB": 1_000_000}
LARGE = "1 MB"
MEAN, HOLD = 25.0, 2.0  # milliseconds
RUNS = 3  # of each pair, for the loop's holds

Compare = Callable[[Pair], Awaitable[object]]


def main() -> None:
    parser = argparse.ArgumentParser("bench.compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--times", type=int, default=6, help="that each pair is compared in a run, for the loop's holds"
    )
    parser.add_argument("--experiments", type=int, default=10, help="of each kind in a run, for the loop's holds")
    options = parser.parse_args()
    sized = {name: pairs(size) for name, size in SIZES.items()}
    alone = {name: costs(each, options.rounds) for name, each in sized.items()}
    scanned = scan(sized[LARGE], options.rounds)
    settle()
    ways = uvloop.run(_ways(sized, options.times))
    with TemporaryDirectory() as directory:
        redis = start_redis(Path(directory))
        with redis.service:
            whole = uvloop.run(experiments(redis.url(), options.experiments))
    targets = {
        "ms for 1 MB, mean of the pairs": met(round(fmean(alone[LARGE].values()), 2), most=MEAN),
        "as much as json.loads of both takes, mean": met(
            round(fmean(alone[LARGE][name] / least for name, least in scanned.items()), 2), most=4.0
        ),
        "ms of one round of the loop, longest": met(
            max(way["longest"] for way in ways["comparer"].values()), most=HOLD
        ),
        "the same, whole experiments": met(max(each["longest"] for each in whole.values()), most=HOLD),
    }
    told = {"targets": targets, "ms, processor": alone, "ms, json.loads": scanned, "loop": ways, "experiments": whole}
    kept = record.keep("compare", told)
    tables = _costs_table(sized, alone), _ways_table(ways), _experiments_table(whole), _targets_table(targets)
    print(*tables, f"Kept in {kept}", sep="\n\n")


def costs(compared: Sequence[Pair], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time for each pair, without anything around it: the least of so many rounds."""
    least: dict[str, float] = {}
    gc.disable()  # as in the process that compares
    for _ in range(rounds):
        for pair in compared:
            since = time.process_time()
            result = compare(pair.control, pair.candidate, pair.rules)
            took = (time.process_time() - since) * 1e3
            if result.count != pair.left:
                raise SystemExit(f"{pair.name}: {result.count} differences where {pair.left} are meant")
            least[pair.name] = round(min(took, least.get(pair.name, took)), 3)
    gc.enable()
    return least


def scan(compared: Sequence[Pair], rounds: int) -> dict[str, float]:
    """Milliseconds that `json.loads` alone takes for both bodies of each pair that has two plain ones that differ: what
    the machine's hour is held against."""
    return {
        pair.name: min(_loads(pair.control.body, pair.candidate.body) for _ in range(rounds))
        for pair in compared
        if pair.control.body != pair.candidate.body and pair.control.headers == pair.candidate.headers == (JSON,)
    }


def _loads(*bodies: bytes) -> float:
    texts = [body.decode() for body in bodies]
    since = time.process_time()
    for text in texts:
        json.loads(text)
    return (time.process_time() - since) * 1e3


async def _ways(sized: dict[str, list[Pair]], times: int) -> dict[str, dict[str, dict[str, float]]]:
    """How long rounds of the loop are while pairs are compared: as the proxy does it, in a thread, and on the loop."""
    comparer = Comparer()

    async def apart(pair: Pair) -> object:
        return await comparer.compare(pair.control, pair.candidate, pair.rules)

    async def thread(pair: Pair) -> object:
        return await asyncio.to_thread(compare, pair.control, pair.candidate, pair.rules)

    async def loop(pair: Pair) -> object:
        return compare(pair.control, pair.candidate, pair.rules)

    ways: dict[str, Compare] = {"comparer": apart, "thread": thread, "loop": loop}
    try:
        return {way: {name: await _held(how, each, times) for name, each in sized.items()} for way, how in ways.items()}
    finally:
        await comparer.close()


async def _held(how: Compare, compared: Sequence[Pair], times: int) -> dict[str, float]:
    busy, wall, took = [], [], []
    for pair in compared:
        runs = [await while_repeated(partial(how, pair), times) for _ in range(RUNS)]
        busy.append(min(holds.busy for holds, _ in runs))  # what disturbs the machine only adds
        wall.append(min(holds.wall for holds, _ in runs))
        took.append(min(median(each) for _, each in runs))
    return {
        "longest": round(max(busy) * 1e3, 3),
        "longest on the wall": round(max(wall) * 1e3, 3),
        "took": round(fmean(took) * 1e3, 3),
    }


def _costs_table(sized: dict[str, list[Pair]], alone: dict[str, dict[str, float]]) -> str:
    rows = [
        (pair.name, *(alone[size][pair.name] for size in SIZES), pair.size / 1e3 / alone[LARGE][pair.name])
        for pair in sized[LARGE]
    ]
    return table([("ms of processor time", *SIZES, "MB/s"), *rows])


def _ways_table(ways: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = [(f"{way}, {size}", *each.values()) for way, sizes in ways.items() for size, each in sizes.items()]
    return table([("ms", "longest hold", "on the wall", "a pair takes"), *rows])


def _experiments_table(whole: dict[str, dict[str, float]]) -> str:
    rows = [(name, *each.values()) for name, each in whole.items()]
    return table([("ms, experiments", "longest hold", "on the wall", "one takes"), *rows])


def _targets_table(told: dict[str, Any]) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])


if __name__ == "__main__":
    main()
