from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from shadow.apart import Apart
from shadow.compare import Rules
from shadow.comparer import Comparer
from shadow.encodings import DECODED
from shadow.experiment import Experimenter, Limits
from shadow.journal import MemoryJournal
from shadow.runner import Runner
from tests.shadow.answers import JSON, Ledger, Side, answer, experiment, running, side


@asynccontextmanager
async def comparing(
    native: Side, hears: Mapping[str, Any] = MappingProxyType({}), **told: Any
) -> AsyncIterator[tuple[Runner, Ledger]]:
    ledger, rules = Ledger(), {"list": Rules.parse(["at", "seen"])}
    sides = {"legacy": side({"at": 1}), "native": native}
    heard = ledger.listeners(**hears)
    experimenter = Experimenter(sides, rules, MemoryJournal(), Limits(), heard, lambda: 0.0, **told)
    runner = Runner(experimenter, Limits(), ledger.drop)
    await runner.start()
    try:
        yield runner, ledger
    finally:
        await runner.stop(10.0)


async def test_what_is_ignored_is_told_by_route_and_rule() -> None:
    told: list[tuple[str, str, int]] = []
    async with comparing(side({"at": 2}), {"ignored": lambda *each: told.append(each)}) as (runner, ledger):
        runner.offer(experiment(answer({"at": 1, "seen": 1})))
        await ledger.finished(1)
    assert ledger.outcomes == ["ignored"]
    assert told == [("list", "ignore at", 1), ("list", "ignore seen", 1)]


async def test_large_answers_are_compared_as_small_ones_are() -> None:
    rows = [{"id": number, "at": number} for number in range(3_000)]
    async with comparing(side({"at": 2, "rows": rows}, {"at": 2, "rows": rows[1:]})) as (runner, ledger):
        runner.offer(experiment(answer({"at": 1, "rows": rows})))
        await ledger.finished(1)
    assert ledger.outcomes == ["ignored"]


async def test_what_cannot_be_compared_is_dropped_and_the_next_one_is_not(tmp_path: Path) -> None:
    lost = Comparer(Apart(20.0, home=tmp_path / "nowhere"))
    async with comparing(side({"at": 2}), comparer=lost) as (runner, ledger):
        runner.offer(experiment(answer({"rows": list(range(5_000))})))
        runner.offer(experiment(answer({"at": 1})))
        await ledger.finished(2)
    assert (ledger.drops, ledger.outcomes) == ({"comparison": 1}, ["ignored"])


ROWS = [{"id": number, "body": "the order has been shipped"} for number in range(7_000)]
WRONG = [*ROWS[:-1], {"id": 0, "body": "the order has been shipped"}]


@pytest.mark.parametrize(
    ("native", "outcome", "found"),
    [
        (ROWS, "matched", []),
        (WRONG, "mismatched", [("[*].id", "value")]),
        ([*ROWS, "x" * DECODED], "mismatched", [("", "error")]),
    ],
    ids=["the same", "one value", "more than is ever compared"],
)
async def test_what_is_held_against_a_compressed_answer_may_be_as_large_as_that_was(
    native: Any, outcome: str, found: list[tuple[str, str]]
) -> None:
    plain = answer(ROWS)
    assert Limits().body < len(plain.body) < DECODED
    packed = answer(gzip.compress(plain.body), JSON, (b"content-encoding", b"gzip"))
    async with running({"legacy": side(ROWS), "native": side(native)}) as (runner, ledger, journal):
        runner.offer(experiment(packed))
        await ledger.finished(1)
    assert (ledger.outcomes, ledger.drops) == ([outcome], {})
    assert [(each.field, each.kind) for each in await journal.latest(10)] == found


async def test_what_is_held_against_an_answer_as_it_is_may_be_no_larger_than_any() -> None:
    async with running({"legacy": side([]), "native": side(ROWS)}) as (runner, ledger, journal):
        runner.offer(experiment(answer([])))
        await ledger.finished(1)
    assert [(each.field, each.kind) for each in await journal.latest(10)] == [("", "error")]
