"""The machine's clock is set back or ahead: nothing trips for it, and nothing waits until it has caught up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flags.errors import StoreUnavailable
from flags.flag import Flag, Side, Trip
from flags.latched import EVERY, Latched
from flags.rollback import Judge, Rule
from flags.store.memory import MemoryStore
from tests.flags.workers import OTHER, ROUTE, RULE, Worker

START = 100_000.0
HOUR = 3_600.0
STEPS = [-HOUR, -30.0, -6.0, -1.0, 6.0, 30.0, HOUR]
RULES = {judge.value: replace(RULE, judge=judge) for judge in Judge}
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
steps = pytest.mark.parametrize("step", STEPS)


class Away(MemoryStore):
    """A store that does not answer while it is away."""

    away = False

    async def flags(self) -> dict[str, Flag]:
        if self.away:
            raise StoreUnavailable("gone")
        return dict(await super().flags())


async def native_at_a_quarter(rule: Rule) -> Worker:
    worker = Worker(MemoryStore(), now=START, rule=rule)
    await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    return worker


def users() -> Callable[[int], range]:
    """So many who have never come before, each time."""
    last = 0

    def more(count: int) -> range:
        nonlocal last
        last += count
        return range(last - count, last)

    return more


async def serve(worker: Worker, seconds: int, more: Callable[[int], range], *, failing: bool = False) -> int:
    """Both sides answer for so long, or until it trips; after how many seconds that was."""
    for second in range(seconds):
        worker.serve(Side.LEGACY, more(15))
        worker.serve(Side.NATIVE, more(2 if failing else 5), failed=more(3 if failing else 0))
        await worker.tick()
        if worker.flag.tripped:
            return second + 1
    return seconds


@rules
@steps
async def test_while_all_is_well_a_step_trips_nothing(rule: Rule, step: float) -> None:
    worker, more = await native_at_a_quarter(rule), users()
    await serve(worker, 40, more)
    worker.now += step
    await serve(worker, 40, more)
    assert not worker.flag.tripped


@rules
@steps
async def test_a_defect_after_a_step_is_found_as_soon_as_without_one(rule: Rule, step: float) -> None:
    worker, more = await native_at_a_quarter(rule), users()
    await serve(worker, 40, more)
    worker.now += step
    await serve(worker, 1, more)
    assert await serve(worker, 60, more, failing=True) <= 15
    assert worker.flag.tripped


@steps
async def test_an_order_after_a_step_is_the_fleet_s(step: float) -> None:
    store = MemoryStore()
    one, two = Worker(store, now=START), Worker(store, "two", now=START)
    await one.loop.set(ROUTE, share=500)
    one.now += step
    await one.loop.set(ROUTE, share=2_500)
    await two.tick()
    assert two.flag == one.flag
    await two.loop.set(ROUTE, share=5_000)
    await one.tick()
    assert (one.flag.native, two.flag) == (5_000, one.flag)


@steps
async def test_a_rollback_after_a_step_holds_for_all_and_is_lifted_by_a_reset(step: float) -> None:
    store = MemoryStore()
    one, two = Worker(store, now=START), Worker(store, "two", now=START)
    await one.loop.set(ROUTE, share=500)
    one.now += step
    await one.loop.rollback(ROUTE, "it looked odd")
    await two.tick()
    assert two.flag.tripped
    await two.loop.reset(ROUTE)
    await one.tick()
    assert not one.flag.tripped


@steps
async def test_while_the_store_is_away_workers_of_one_machine_take_over_a_rollback_of_after_a_step(step: float) -> None:
    store = Away()
    one, two = Worker(store, now=START), Worker(store, "two", now=START)
    await one.loop.set(ROUTE, share=500)
    await two.tick()
    store.away = True
    one.now += step
    await one.loop.rollback(ROUTE, "it looked odd")
    two.loop.adopt(one.loop.latches)
    assert two.flag.tripped
    store.away = False
    await two.tick()
    await one.tick()
    await one.loop.reset(ROUTE)
    await two.tick()
    assert not two.flag.tripped


@pytest.mark.parametrize("route", [ROUTE, EVERY])
def test_a_rollback_kept_on_disk_is_the_last_word_though_the_clock_was_set_back(route: str, tmp_path: Path) -> None:
    latched = Latched(tmp_path)
    latched.keep({EVERY: Trip(START, "by hand")})
    latched.lift(ROUTE, START + 1)
    trip = Trip(START - HOUR, "once more")
    as_of = latched.keep({route: trip})
    found = latched.read([ROUTE, OTHER], told=False)
    assert found[ROUTE] == replace(trip, at=as_of)
    assert as_of > START + 1
    latched.lift(ROUTE, START - HOUR + 1)
    assert ROUTE not in latched.read([ROUTE, OTHER], told=False)


def test_that_the_store_has_heard_of_a_rollback_does_not_bring_it_back_after_its_reset(tmp_path: Path) -> None:
    latched, trip = Latched(tmp_path), Trip(START, "by hand")
    latched.keep({EVERY: trip})
    latched.lift(ROUTE, START - HOUR)
    latched.keep({EVERY: trip}, [ROUTE, OTHER])
    assert latched.read([ROUTE, OTHER], told=True) == {OTHER: trip}
