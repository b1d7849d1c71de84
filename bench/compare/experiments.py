"""How long the loop is held at a time by whole experiments on small answers: by what compares them, by what is learned
of it, and by the journal."""

from __future__ import annotations

import asyncio
import json
import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from statistics import fmean
from typing import Any

from redis.asyncio import Redis

from bench.compare.answers import JSON, SEED
from bench.compare.holds import watched
from shadow.allowance import Allowance
from shadow.comparer import Comparer
from shadow.experiment import Experiment, Experimenter, Limits, Listeners
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.observation import Headers, Observation

LEGACY, NATIVE = "legacy", "native"
ANSWERS = 600  # of both sides that never answer the same twice
RUNS = 3  # each with nothing learned and an empty journal; what disturbs the machine only adds
SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

Answers = list[Observation]


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    legacy: Answers
    native: Answers


def shapes() -> list[Shape]:
    """Answers of a few kilobytes in which much differs."""
    chance = random.Random(SEED)

    def words(count: int) -> list[str]:
        return ["".join(chance.choices(string.ascii_lowercase, k=10)) for _ in range(count)]

    def noisy(keys: Callable[[], list[str]]) -> Answers:
        return [_answer({key: f"{chance.random():.6f}" for key in keys()}) for _ in range(ANSWERS)]

    fixed = words(200)
    wrong = [
        Shape(f"{count} fields wrong", *([_answer(dict.fromkeys(fixed[:count], side))] for side in (LEGACY, NATIVE)))
        for count in (25, 50, 100, 200)
    ]
    noise = noisy(lambda: fixed[:100])
    few, many = (noisy(partial(words, count)) for count in (60, 130))
    cookies = [
        Shape(f"{count} cookies wrong", *([_answer({}, *_cookies(words(count)))] for _ in range(2)))
        for count in (20, 130, 260)
    ]
    alike = zip(("100 fields of noise", "60 keys, new ones each time", "130 of these"), (noise, few, many), strict=True)
    return [*wrong, *(Shape(name, each[::2], each[1::2]) for name, each in alike), *cookies]


def _answer(data: dict[str, Any], *headers: tuple[bytes, bytes]) -> Observation:
    return Observation(200, (JSON, *headers), json.dumps({"data": data}).encode(), True, 0.0)


def _cookies(names: list[str]) -> Headers:
    value = "=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"
    return tuple((b"set-cookie", f"{name}{value}".encode()) for name in names)


async def experiments(redis_url: str, times: int) -> dict[str, dict[str, float]]:
    """Of each shape and kind of journal: milliseconds of the longest round in so many experiments, by processor time
    and on the wall, and what an experiment takes."""
    comparer, found = Comparer(), {}
    async with Redis.from_url(redis_url) as redis:
        journals: dict[str, Callable[[], Journal]] = {"memory": MemoryJournal, "Redis": lambda: RedisJournal(redis)}
        for shape in shapes():
            for kind, journal in journals.items():
                runs = []
                for _ in range(RUNS):
                    await redis.flushdb()
                    runs.append(await _run(shape, journal(), comparer, times))
                busy, wall, took = ([run[at] for run in runs] for at in range(3))
                figures = {"longest": min(busy), "longest on the wall": min(wall), "took": min(took)}
                found[f"{shape.name}, {kind}"] = {name: round(each * 1e3, 3) for name, each in figures.items()}
    await comparer.close()
    return found


async def _run(shape: Shape, journal: Journal, comparer: Comparer, times: int) -> tuple[float, float, float]:
    legacy, native = cycle(shape.legacy), cycle(shape.native)
    experimenter = Experimenter(
        {LEGACY: _side(legacy), NATIVE: _side(native)},
        {},
        journal,
        Limits(patience=60.0),
        Listeners(),
        time.time,
        comparer=comparer,
        allowance=Allowance(times),
    )
    busy, wall, took = [], [], []
    for number in range(times + 1):
        experiment = Experiment("list", LEGACY, NATIVE, SCOPE, b"", next(legacy), f"r-{number}")
        since = time.perf_counter()
        with watched() as holds:
            await experimenter.run(experiment)
            await asyncio.sleep(0)  # the last piece is a round as well
        if number:  # the first may have to start the process that compares
            busy.append(holds.busy)
            wall.append(holds.wall)
            took.append(time.perf_counter() - since)
    return max(busy), max(wall), fmean(took)


def _side(answers: Iterator[Observation]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen = next(answers)
        await send({"type": "http.response.start", "status": seen.status, "headers": list(seen.headers)})
        await send({"type": "http.response.body", "body": seen.body})

    return app
