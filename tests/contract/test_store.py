"""What every store of flags must do; each test runs in memory and on a real Redis, in each way to reach one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from flags.audit import BEGINNING, MOST, Note, Record, What
from flags.capacity import DAY, Load
from flags.errors import Overtaken, Stale
from flags.flag import Flag, Side, Trip
from flags.ramp import Ramp, State
from flags.store import Store, Write
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from flags.window import Counts
from tests.contract.redis_process import PATIENCE, REACHED, emptied
from tests.flags.workers import NOTE

ROUTE = "messages.create"
NATIVE, LEGACY = (ROUTE, Side.NATIVE), (ROUTE, Side.LEGACY)
KEEP = 100


@pytest.fixture(params=["memory", *REACHED])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("contract_redis_by")(request.param)
    async with emptied(url):
        redis = RedisStore(url, PATIENCE)
        yield redis
        await redis.close()


async def test_a_new_store_has_no_flags(store: Store) -> None:
    assert await store.flags() == {}


async def test_a_change_is_kept_whole(store: Store) -> None:
    flag = Flag(native=250, shadow=10_000, trip=Trip(1700000000.25, 'native failed "all" – 41 of 310'), generation=7)
    await store.change(ROUTE, 0, flag, NOTE)
    assert await store.flags() == {ROUTE: flag}


async def test_routes_do_not_disturb_each_other(store: Store) -> None:
    await store.change("a", 0, Flag(native=1, generation=9), NOTE)
    await store.change("b c", 0, Flag(native=2, generation=1), NOTE)
    assert await store.flags() == {"a": Flag(native=1, generation=9), "b c": Flag(native=2, generation=1)}


async def test_a_change_that_expects_an_older_generation_is_refused_with_the_current_flag(store: Store) -> None:
    first = Flag(native=100, generation=1_800_000_000_000)
    await store.change(ROUTE, 0, first, NOTE)
    with pytest.raises(Stale) as refusal:
        await store.change(ROUTE, first.generation - 1, Flag(native=900, generation=first.generation + 5), NOTE)
    assert refusal.value.current == first
    assert await store.flags() == {ROUTE: first}


async def test_a_change_that_expects_the_current_generation_is_taken(store: Store) -> None:
    await store.change(ROUTE, 0, Flag(native=100, generation=4), NOTE)
    await store.change(ROUTE, 4, Flag(native=200, generation=5), NOTE)
    assert (await store.flags())[ROUTE].native == 200


async def test_a_writer_that_knows_a_newer_generation_than_the_store_is_right(store: Store) -> None:
    await store.change(ROUTE, 0, Flag(native=100, generation=4), NOTE)
    await store.change(ROUTE, 90, Flag(native=0, generation=91), NOTE)
    assert await store.flags() == {ROUTE: Flag(native=0, generation=91)}


async def test_of_two_changes_at_once_one_wins_and_the_other_learns_of_it(store: Store) -> None:
    rivals = [Flag(native=share, generation=1) for share in (100, 200)]
    ended = await asyncio.gather(*(store.change(ROUTE, 0, flag, NOTE) for flag in rivals), return_exceptions=True)
    (winner,) = [flag for flag, end in zip(rivals, ended, strict=True) if end is None]
    (refusal,) = [end for end in ended if end is not None]
    assert isinstance(refusal, Stale)
    assert refusal.current == winner == (await store.flags())[ROUTE]


async def test_many_changes_are_made_in_one_go_each_by_itself(store: Store) -> None:
    first, later = Flag(native=100, generation=9), Note(2.5, "evidence", "failing")
    await store.change("a", 0, first, NOTE)
    writes = [
        Write("a", 8, Flag(trip=Trip(1.0, "late"), generation=10), NOTE),
        Write("b", 0, Flag(trip=Trip(1.0, "b fails"), generation=1), NOTE),
        Write("c d", 90, Flag(trip=Trip(2.5, "c fails"), generation=91), later),
    ]
    async with aclosing(store.changes()) as changes:
        await anext(changes)
        assert await store.change_all(writes) == {"a": first}
        async with asyncio.timeout(10):
            await anext(changes)
    assert await store.flags() == {"a": first, "b": writes[1].flag, "c d": writes[2].flag}
    assert [told(record) for record in await store.audit(2)] == [
        ("c d", later, Flag(), writes[2].flag),
        ("b", NOTE, Flag(), writes[1].flag),
    ]


async def test_seeding_writes_only_what_is_missing_and_says_what(store: Store) -> None:
    kept = Flag(native=0, trip=Trip(1.0, "kept"), generation=12)
    await store.change("a", 0, kept, NOTE)
    assert list(await store.seed({"a": Flag(native=500), "b": Flag(native=500, shadow=7)}, NOTE)) == ["b"]
    assert await store.flags() == {"a": kept, "b": Flag(native=500, shadow=7, generation=1)}
    assert list(await store.seed({"b": Flag(native=900)}, NOTE)) == []


async def test_listeners_hear_at_first_and_after_each_change_and_seed(store: Store) -> None:
    async with aclosing(store.changes()) as one, aclosing(store.changes()) as two, asyncio.timeout(10):
        await anext(one)
        await anext(two)
        await store.change(ROUTE, 0, Flag(generation=1), NOTE)
        await anext(one)
        await anext(two)
        await store.seed({"another": Flag()}, NOTE)
        await anext(one)


async def test_a_listener_that_was_busy_finds_the_last_of_many_changes(store: Store) -> None:
    async with aclosing(store.changes()) as changes, asyncio.timeout(10):
        await anext(changes)
        for generation in range(1, 51):
            await store.change(ROUTE, generation - 1, Flag(generation=generation), NOTE)
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
    await store.change("a", 0, Flag(native=100, generation=4), NOTE)
    await store.report("one", {cell: Counts(5), other: Counts(7)}, KEEP)
    flags, before = await store.flags(), await store.window(100, 101)
    await store.change("b", 0, Flag(native=200, generation=5), NOTE)
    await store.report("two", {other: Counts(1)}, KEEP)
    after = await store.window(100, 101)
    assert (await store.flags())["a"] is flags["a"]
    assert after[100] is before[100]
    assert after[101] is not before[101]
    assert before[101] == {NATIVE: Counts(7)}


RAMP = Ramp((100, 500, 10_000), 600.0, 2_000, 'Anna "A" Müller', found=7, at=1700000000.25, generation=4)


async def test_a_ramp_is_kept_whole_beside_the_flags(store: Store) -> None:
    paused = replace(RAMP, step=2, state=State.PAUSED, why="by bob: lunch", generation=1_800_000_000_000)
    assert await store.ramps() == {}
    assert await store.ramp(ROUTE, 0, RAMP)
    assert await store.ramp("another", 0, paused)
    assert await store.ramps() == {ROUTE: RAMP, "another": paused}
    assert await store.flags() == {}


async def test_a_ramp_that_somebody_else_has_changed_is_left_alone(store: Store) -> None:
    later = RAMP.into(State.ABORTED, 5.0, "by anna")
    assert await store.ramp(ROUTE, 0, RAMP)
    assert await store.ramp(ROUTE, RAMP.generation, later)
    assert not await store.ramp(ROUTE, RAMP.generation, RAMP.into(State.PAUSED, 6.0))
    assert await store.ramp(ROUTE, RAMP.generation, later)  # said again: the answer was lost
    assert await store.ramps() == {ROUTE: later}


async def test_a_step_is_taken_only_as_long_as_its_ramp_is_the_one_that_it_belongs_to(store: Store) -> None:
    flag, aborted = Flag(native=100, generation=1), RAMP.into(State.ABORTED, 5.0, "by anna")
    with pytest.raises(Overtaken):  # there is none
        await store.change(ROUTE, 0, flag, NOTE, RAMP.generation)
    await store.ramp(ROUTE, 0, RAMP)
    await store.change(ROUTE, 0, flag, NOTE, RAMP.generation)
    await store.ramp(ROUTE, RAMP.generation, aborted)
    with pytest.raises(Overtaken):
        await store.change(ROUTE, 1, Flag(native=500, generation=2), NOTE, RAMP.generation)
    with pytest.raises(Stale):  # whoever was first is told before it
        await store.change(ROUTE, 0, Flag(native=500, generation=2), NOTE, RAMP.generation)
    assert await store.flags() == {ROUTE: flag}
    assert [record.after for record in await store.audit(10)] == [flag]


async def test_a_change_of_a_ramp_is_recorded_with_it_once_and_heard_of(store: Store) -> None:
    flag, note = Flag(native=100, generation=5), Note(2.5, "Anna", "lunch", "its ramp is paused", 200)
    await store.change(ROUTE, 0, flag, NOTE)
    paused = RAMP.into(State.PAUSED, 5.0)
    async with aclosing(store.changes()) as changes:
        await anext(changes)
        for _ in range(2):  # the answer to the first may have been lost
            assert await store.ramp(ROUTE, RAMP.generation, paused, note)
        async with asyncio.timeout(10):
            await anext(changes)
    assert not await store.ramp(ROUTE, RAMP.generation, RAMP.into(State.ABORTED, 6.0), note)
    newest, oldest = await store.audit(10)
    assert (told(newest), oldest.note) == ((ROUTE, note, flag, flag), NOTE)
    assert (newest.what, newest.words) == (What.CHANGED, "its ramp is paused")
    assert await store.ramps() == {ROUTE: paused}


async def test_of_two_changes_of_a_ramp_at_once_one_wins(store: Store) -> None:
    await store.ramp(ROUTE, 0, RAMP)
    rivals = [RAMP.into(state, 5.0) for state in (State.PAUSED, State.ABORTED)]
    ended = await asyncio.gather(*(store.ramp(ROUTE, RAMP.generation, rival) for rival in rivals))
    assert sorted(ended) == [False, True]
    assert (await store.ramps())[ROUTE] == rivals[ended.index(True)]


async def test_loads_are_summed_over_the_workers_and_said_twice_they_count_once(store: Store) -> None:
    for load in (Load(10, 20), Load(15, 40), Load(15, 40)):
        await store.carry("one", {29_000_000: load})
    await store.carry("two", {29_000_000: Load(1, 2), 29_000_001: Load(3, 3)})
    told = {29_000_000: Load(16, 42), 29_000_001: Load(3, 3)}
    assert await store.carried(29_000_000 - DAY + 2, 29_000_001) == told
    assert await store.carried(29_000_001, 29_000_001) == {29_000_001: Load(3, 3)}
    assert await store.carried(29_000_002, 29_000_900) == {}


async def test_subjects_are_summed_and_those_that_failed_are_named_once(store: Store) -> None:
    cell = 100, ROUTE, Side.NATIVE
    one, two = Counts(3, 1, 2, 0, 3, frozenset({1, 2**32 - 1})), Counts(2, 0, 2, 0, 2, frozenset({1, 10}))
    for worker, counts in (("one", Counts(3, subjects=3)), ("one", one), ("one", one), ("two", two)):
        await store.report(worker, {cell: counts}, KEEP)
    assert await store.window(100, 100) == {100: {NATIVE: Counts(5, 1, 4, 0, 5, frozenset({1, 10, 2**32 - 1}))}}


async def test_what_rests_is_summed_and_may_become_less(store: Store) -> None:
    cell = 100, ROUTE, Side.NATIVE
    for worker, counts in (("one", Counts(3, resting=2)), ("two", Counts(2, resting=1)), ("one", Counts(3, 3))):
        await store.report(worker, {cell: counts}, KEEP)
    assert await store.window(100, 100) == {100: {NATIVE: Counts(5, 3, resting=1)}}


def told(record: Record) -> tuple[str, Note, Flag, Flag]:
    return record.route, record.note, record.before, record.after


async def test_each_change_leaves_a_record_of_what_was_who_changed_it_and_why(store: Store) -> None:
    raised, tripped = Flag(native=500, generation=5), Flag(trip=Trip(2.5, "failing", "evidence"), generation=6)
    first, second = Note(1.25, "Anna – am Gerät", 'step "1"'), Note(2.5, "evidence", "failing")
    await store.change(ROUTE, 0, raised, first)
    await store.change(ROUTE, 5, tripped, second)
    newest, oldest = await store.audit(10)
    assert told(oldest) == (ROUTE, first, Flag(), raised)
    assert told(newest) == (ROUTE, second, raised, tripped)
    assert (oldest.what, newest.what) == (What.CHANGED, What.TRIPPED)


async def test_what_moves_no_flag_is_recorded_beside_the_changes_and_heard_of(store: Store) -> None:
    flag, note = Flag(native=500, generation=5), Note(2.5, "Anna", "known", "mismatch 1 is muted")
    await store.change(ROUTE, 0, flag, NOTE)
    async with aclosing(store.changes()) as changes:
        await anext(changes)
        await store.note(ROUTE, note)
        async with asyncio.timeout(10):
            await anext(changes)
    await store.note("another", note)
    without, with_flag, _ = await store.audit(10)
    assert (told(with_flag), told(without)) == ((ROUTE, note, flag, flag), ("another", note, Flag(), Flag()))
    assert (with_flag.what, with_flag.words) == (What.CHANGED, "mismatch 1 is muted")
    assert await store.flags() == {ROUTE: flag}


async def test_a_change_that_is_refused_leaves_no_record(store: Store) -> None:
    await store.change(ROUTE, 0, Flag(generation=9), NOTE)
    with pytest.raises(Stale):
        await store.change(ROUTE, 8, Flag(native=1, generation=10), NOTE)
    assert [record.after.generation for record in await store.audit(10)] == [9]


async def test_of_two_changes_at_once_only_the_one_that_is_made_is_recorded(store: Store) -> None:
    rivals = [Flag(native=share, generation=1) for share in (100, 200)]
    await asyncio.gather(*(store.change(ROUTE, 0, flag, NOTE) for flag in rivals), return_exceptions=True)
    assert [record.after for record in await store.audit(10)] == [*(await store.flags()).values()]


async def test_each_seed_that_is_written_is_recorded_and_no_other(store: Store) -> None:
    await store.change("a", 0, Flag(generation=12), NOTE)
    seeding = Note(7.0, "Anna", "seeded")
    await store.seed({"a": Flag(native=500), "b": Flag(native=500), "c": Flag(shadow=7)}, seeding)
    records = await store.audited((await store.audit(1, "a"))[0].id, 10)
    assert [told(record) for record in records] == [
        ("b", seeding, Flag(), Flag(native=500, generation=1)),
        ("c", seeding, Flag(), Flag(shadow=7, generation=1)),
    ]


async def test_records_are_read_newest_first_by_route_and_number(store: Store) -> None:
    for generation in range(1, 6):
        await store.change("a" if generation % 2 else "b", generation, Flag(generation=generation), NOTE)
    assert [record.after.generation for record in await store.audit(3)] == [5, 4, 3]
    assert [record.after.generation for record in await store.audit(2, "a")] == [5, 3]
    assert await store.audit(10, "c") == []


async def test_whoever_has_seen_a_record_reads_on_behind_it(store: Store) -> None:
    assert await store.audited(BEGINNING, 10) == []
    for generation in range(1, 6):
        await store.change(ROUTE, generation, Flag(generation=generation), NOTE)
    seen = await store.audited(BEGINNING, 2)
    assert [record.after.generation for record in seen] == [1, 2]
    assert [record.after.generation for record in await store.audited(seen[-1].id, 10)] == [3, 4, 5]
    (newest,) = await store.audit(1)
    assert await store.audited(newest.id, 10) == []


async def test_records_of_one_moment_and_of_a_clock_set_back_keep_their_order(store: Store) -> None:
    for generation, at in enumerate((5.0, 5.0, 1.0, 6.0), 1):
        await store.change(ROUTE, generation, Flag(generation=generation), Note(at, "Anna"))
    assert [record.note.at for record in await store.audited(BEGINNING, 10)] == [5.0, 5.0, 1.0, 6.0]


async def test_old_records_make_way_for_new_ones(store: Store) -> None:
    for first in range(0, MOST + 500, 1_500):
        await store.seed({f"route.{number}": Flag() for number in range(first, first + 1_500)}, NOTE)
    (oldest,), (newest,) = await store.audited(BEGINNING, 1), await store.audit(1)
    assert newest.route == f"route.{MOST + 499}"
    assert 300 < int(oldest.route.removeprefix("route.")) <= 500
