"""What every store of flags must do; each test runs on memory and on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from redis.asyncio import Redis

from flags.errors import Stale
from flags.flag import Flag, Side, Trip
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from flags.window import Counts

ROUTE = "messages.create"
NATIVE, LEGACY = (ROUTE, Side.NATIVE), (ROUTE, Side.LEGACY)
KEEP = 100


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("contract_redis")
    async with Redis.from_url(url) as client:
        await client.flushdb()
    redis = RedisStore(url)
    yield redis
    await redis.close()


async def test_a_new_store_has_no_flags(store: Store) -> None:
    assert await store.flags() == {}


async def test_a_change_is_kept_whole(store: Store) -> None:
    flag = Flag(native=250, shadow=10_000, trip=Trip(1700000000.25, 'native failed "all" – 41 of 310'), generation=7)
    await store.change(ROUTE, 0, flag)
    assert await store.flags() == {ROUTE: flag}


async def test_routes_do_not_disturb_each_other(store: Store) -> None:
    await store.change("a", 0, Flag(native=1, generation=9))
    await store.change("b c", 0, Flag(native=2, generation=1))
    assert await store.flags() == {"a": Flag(native=1, generation=9), "b c": Flag(native=2, generation=1)}


async def test_a_change_that_expects_an_older_generation_is_refused_with_the_current_flag(store: Store) -> None:
    first = Flag(native=100, generation=1_800_000_000_000)
    await store.change(ROUTE, 0, first)
    with pytest.raises(Stale) as refusal:
        await store.change(ROUTE, first.generation - 1, Flag(native=900, generation=first.generation + 5))
    assert refusal.value.current == first
    assert await store.flags() == {ROUTE: first}


async def test_a_change_that_expects_the_current_generation_is_taken(store: Store) -> None:
    await store.change(ROUTE, 0, Flag(native=100, generation=4))
    await store.change(ROUTE, 4, Flag(native=200, generation=5))
    assert (await store.flags())[ROUTE].native == 200


async def test_a_writer_that_knows_a_newer_generation_than_the_store_is_right(store: Store) -> None:
    await store.change(ROUTE, 0, Flag(native=100, generation=4))
    await store.change(ROUTE, 90, Flag(native=0, generation=91))
    assert await store.flags() == {ROUTE: Flag(native=0, generation=91)}


async def test_of_two_changes_at_once_one_wins_and_the_other_learns_of_it(store: Store) -> None:
    rivals = [Flag(native=share, generation=1) for share in (100, 200)]
    ended = await asyncio.gather(*(store.change(ROUTE, 0, flag) for flag in rivals), return_exceptions=True)
    (winner,) = [flag for flag, end in zip(rivals, ended, strict=True) if end is None]
    (refusal,) = [end for end in ended if end is not None]
    assert isinstance(refusal, Stale)
    assert refusal.current == winner == (await store.flags())[ROUTE]


async def test_seeding_writes_only_what_is_missing_and_says_what(store: Store) -> None:
    kept = Flag(native=0, trip=Trip(1.0, "kept"), generation=12)
    await store.change("a", 0, kept)
    assert list(await store.seed({"a": Flag(native=500), "b": Flag(native=500, shadow=7)})) == ["b"]
    assert await store.flags() == {"a": kept, "b": Flag(native=500, shadow=7, generation=1)}
    assert list(await store.seed({"b": Flag(native=900)})) == []


async def test_listeners_hear_at_first_and_after_each_change_and_seed(store: Store) -> None:
    async with aclosing(store.changes()) as one, aclosing(store.changes()) as two, asyncio.timeout(10):
        await anext(one)
        await anext(two)
        await store.change(ROUTE, 0, Flag(generation=1))
        await anext(one)
        await anext(two)
        await store.seed({"another": Flag()})
        await anext(one)


async def test_a_listener_that_was_busy_finds_the_last_of_many_changes(store: Store) -> None:
    async with aclosing(store.changes()) as changes, asyncio.timeout(10):
        await anext(changes)
        for generation in range(1, 51):
            await store.change(ROUTE, generation - 1, Flag(generation=generation))
        await anext(changes)
        assert (await store.flags())[ROUTE].generation == 50


async def test_the_window_is_the_sum_over_the_workers(store: Store) -> None:
    cell = (100, ROUTE, Side.NATIVE)
    await store.report("one", {cell: Counts(5, 2, 1, 1)}, KEEP)
    await store.report("two", {cell: Counts(10, 9, 1, 0), (101, ROUTE, Side.LEGACY): Counts(3, 3)}, KEEP)
    assert await store.window(100, 101) == {100: {NATIVE: Counts(15, 11, 2, 1)}, 101: {LEGACY: Counts(3, 3, 0, 0)}}


async def test_saying_a_count_twice_counts_it_once_and_a_later_count_replaces_it(store: Store) -> None:
    cell = (100, ROUTE, Side.NATIVE)
    for counts in (Counts(5, 1), Counts(5, 1), Counts(6, 3, 1), Counts(6, 3, 1)):
        await store.report("one", {cell: counts}, KEEP)
    await store.report("two", {cell: Counts(1, 1)}, KEEP)
    assert await store.window(100, 100) == {100: {NATIVE: Counts(7, 4, 1, 0)}}


async def test_the_window_holds_the_seconds_asked_for_and_no_others(store: Store) -> None:
    await store.report("one", {(second, "a b", Side.LEGACY): Counts(1) for second in range(90, 111)}, KEEP)
    assert sorted(await store.window(95, 100)) == [95, 96, 97, 98, 99, 100]
    assert await store.window(200, 300) == {}


async def test_reporting_nothing_is_nothing(store: Store) -> None:
    await store.report("one", {}, KEEP)
    assert await store.window(0, 50) == {}


async def test_a_second_that_moves_after_it_was_read_is_read_again(store: Store) -> None:
    cell, other = (100, ROUTE, Side.NATIVE), (101, ROUTE, Side.NATIVE)
    await store.report("one", {cell: Counts(5), other: Counts(7)}, KEEP)
    assert await store.window(100, 101) == {100: {NATIVE: Counts(5)}, 101: {NATIVE: Counts(7)}}
    await store.report("one", {cell: Counts(5, 4, 1)}, KEEP)
    assert await store.window(100, 101) == {100: {NATIVE: Counts(5, 4, 1)}, 101: {NATIVE: Counts(7)}}
    assert await store.window(101, 102) == {101: {NATIVE: Counts(7)}}
    assert await store.window(100, 101) == {100: {NATIVE: Counts(5, 4, 1)}, 101: {NATIVE: Counts(7)}}


async def test_what_has_not_moved_is_the_same_object_when_it_is_read_again(store: Store) -> None:
    cell, other = (100, ROUTE, Side.NATIVE), (101, ROUTE, Side.NATIVE)
    await store.change("a", 0, Flag(native=100, generation=4))
    await store.report("one", {cell: Counts(5), other: Counts(7)}, KEEP)
    flags, before = await store.flags(), await store.window(100, 101)
    await store.change("b", 0, Flag(native=200, generation=5))
    await store.report("two", {other: Counts(1)}, KEEP)
    after = await store.window(100, 101)
    assert (await store.flags())["a"] is flags["a"]
    assert after[100] is before[100]
    assert after[101] is not before[101]
    assert before[101] == {NATIVE: Counts(7)}


async def test_subjects_are_summed_and_those_that_failed_are_named_once(store: Store) -> None:
    cell = 100, ROUTE, Side.NATIVE
    one, two = Counts(3, 1, 2, 0, 3, frozenset({1, 2**32 - 1})), Counts(2, 0, 2, 0, 2, frozenset({1, 10}))
    for worker, counts in (("one", Counts(3, subjects=3)), ("one", one), ("one", one), ("two", two)):
        await store.report(worker, {cell: counts}, KEEP)
    assert await store.window(100, 100) == {100: {NATIVE: Counts(5, 1, 4, 0, 5, frozenset({1, 10, 2**32 - 1}))}}
