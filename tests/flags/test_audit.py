"""Who is named for which change: orders, evidence, Unleash's words, what a worker brings back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from flags.audit import BEGINNING, EVIDENCE, Note, Record, What, encode_note, next_id, place, read
from flags.errors import Stale, Tripped
from flags.flag import Flag, Trip, decode, encode
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from tests.contract.redis_process import PATIENCE, RedisProcess
from tests.flags.workers import OTHER, ROUTE, Worker

TRIP = Trip(5.0, "by hand: incident 7", "Anna")


def said(records: Sequence[Record]) -> list[tuple[What, str, str]]:
    """What became of the route, by whom and why; oldest first."""
    return [(record.what, record.note.who, record.note.why) for record in reversed(records)]


@pytest.fixture
async def shared(own_redis: RedisProcess) -> AsyncIterator[RedisStore]:
    store = RedisStore(own_redis.url(), PATIENCE)
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (Flag(), Flag(native=5), What.CHANGED),
        (Flag(), Flag(trip=TRIP), What.TRIPPED),
        (Flag(trip=TRIP), Flag(shadow=5), What.RESET),
        (Flag(trip=TRIP), Flag(shadow=5, trip=TRIP), What.CHANGED),
    ],
)
def test_a_record_says_what_became_of_the_route(before: Flag, after: Flag, what: What) -> None:
    assert Record("1-0", ROUTE, Note(1.0, "Anna"), before, after).what is what


def test_places_grow_though_the_clock_is_set_back() -> None:
    ids = [BEGINNING]
    for at in (0.0, 1.5, 1.5, 0.25, 1.501):
        ids.append(next_id(ids[-1], at))
    assert ids == ["0-0", "0-1", "1500-0", "1500-1", "1500-2", "1501-0"]
    assert sorted(["12-9", "12-10", "9-99"], key=place) == ["9-99", "12-9", "12-10"]


def test_who_made_a_trip_is_kept_with_it_and_trips_of_before_have_nobody() -> None:
    flag = Flag(trip=TRIP, generation=3)
    assert decode(encode(flag)) == flag
    assert decode(encode(flag).replace(',"who":"Anna"', "")) == replace(flag, trip=replace(TRIP, who=""))


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"at": "x", "who": "a", "why": "b"}', '{"at": 1, "who": "a"}'])
def test_what_is_no_record_is_not_read_as_one(note: str) -> None:
    sound = {"route": ROUTE, "note": encode_note(Note(1.0, "Anna", "x")), "before": "", "after": encode(Flag())}
    assert read("1-0", sound) == Record("1-0", ROUTE, Note(1.0, "Anna", "x"), Flag(), Flag())
    assert read("1-0", {**sound, "note": note}) is None
    for field in sound:
        assert read("1-0", {name: text for name, text in sound.items() if name != field}) is None


async def test_orders_go_by_the_name_of_whoever_gives_them_and_evidence_by_its_own() -> None:
    store = MemoryStore()
    worker = Worker(store)
    await worker.loop.seed({ROUTE: Flag(native=100), OTHER: Flag()}, "Anna")
    await worker.loop.set(ROUTE, share=2_500, who="Anna", why="step 2")
    await worker.tick()
    worker.break_native()
    await worker.tick()
    await worker.loop.reset(ROUTE, who="Ben", why="mended")
    await worker.loop.rollback(ROUTE, "strange orders", "Cleo")
    words = worker.trips[0][1].reason
    assert said(await store.audit(10, ROUTE)) == [
        (What.CHANGED, "Anna", "seeded from the configuration"),
        (What.CHANGED, "Anna", "step 2"),
        (What.TRIPPED, EVIDENCE, words),
        (What.RESET, "Ben", "mended"),
        (What.TRIPPED, "Cleo", "by hand: strange orders"),
    ]
    assert worker.flag.trip is not None
    assert [record.note.at for record in await store.audit(1)] == [worker.flag.trip.at]


async def test_a_record_tells_the_share_that_was_asked_and_the_one_that_came_into_force() -> None:
    store = MemoryStore()
    worker = Worker(store, holdbacks={ROUTE: 200})
    await worker.loop.seed({ROUTE: Flag(native=10_000), OTHER: Flag(native=10_000)}, "Anna")
    await worker.loop.rollback(ROUTE, "incident 7")
    tripped, other, seeded = await store.audit(3)
    if other.route == ROUTE:
        other, seeded = seeded, other
    assert (seeded.after.native, seeded.in_force) == (10_000, (0, 9_800))
    assert seeded.words == "native answers 98 % (it was 0 %), 2 % is held back as control (100 % asked)"
    assert (other.route, other.in_force, other.words) == (OTHER, (0, 10_000), "native answers 100 % (it was 0 %)")
    assert (tripped.in_force, tripped.words) == ((9_800, 0), "tripped, native answers 0 % (it was 98 %)")


def test_of_a_route_that_is_tripped_nothing_is_in_force_whatever_was_asked() -> None:
    record = Record("1-0", ROUTE, Note(1.0, "Anna", held=200), Flag(native=500, trip=TRIP), Flag(native=500))
    assert record.in_force == (0, 500)


def test_a_note_is_read_as_it_was_written_and_one_of_before_held_nothing() -> None:
    sound = {"route": ROUTE, "before": "", "after": encode(Flag())}
    for note in (Note(1.0, "Anna", "x", held=200), Note(1.0, "Anna")):
        record = read("1-0", {**sound, "note": encode_note(note)})
        assert record is not None
        assert record.note == note


async def test_a_change_of_nothing_leaves_no_record() -> None:
    store = MemoryStore()
    worker = Worker(store)
    for _ in range(2):
        await worker.loop.set(ROUTE, share=500, shadow=100)
        await worker.loop.rollback(OTHER, "twice")
    assert len(await store.audit(10)) == 2


async def test_both_shares_at_once_are_one_change_or_none() -> None:
    store = MemoryStore()
    worker = Worker(store)
    change = await worker.loop.set(ROUTE, share=500, shadow=100)
    assert (change.after.native, change.after.shadow) == (500, 100)
    (record,) = await store.audit(10)
    assert (record.before, record.after) == (Flag(), worker.flag)
    await worker.loop.rollback(ROUTE, "incident 7")
    before = worker.flag
    with pytest.raises(Tripped):
        await worker.loop.set(ROUTE, share=600, shadow=200)
    assert worker.flag == before
    assert (await worker.loop.set(ROUTE, shadow=200)).after.shadow == 200


async def test_an_order_for_a_flag_that_is_another_by_now_is_refused_with_that() -> None:
    worker = Worker(MemoryStore())
    seen = (await worker.loop.set(ROUTE, share=500)).after.generation
    await worker.loop.set(ROUTE, share=700, generation=seen)
    for order in (worker.loop.set(ROUTE, share=900, generation=seen), worker.loop.reset(ROUTE, generation=seen)):
        with pytest.raises(Stale) as refusal:
            await order
        assert refusal.value.current == worker.flag
        assert worker.flag.native == 700


async def test_of_two_orders_for_one_flag_at_once_one_is_carried_out(shared: RedisStore) -> None:
    one, two = Worker(shared, "one"), Worker(shared, "two")
    orders = (worker.loop.set(ROUTE, share=share, generation=0) for worker, share in ((one, 500), (two, 700)))
    ended = await asyncio.gather(*orders, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["Change", "Stale"]
    assert len(await shared.audit(10)) == 1


async def test_a_trip_that_the_store_hears_of_late_is_recorded_once_with_its_own_time(
    own_redis: RedisProcess, shared: RedisStore
) -> None:
    one, two = Worker(shared, "one"), Worker(shared, "two")
    await one.loop.set(ROUTE, share=2_500)
    await one.tick()
    await two.tick()
    own_redis.kill()
    rolled_back = one.now
    await one.loop.rollback(ROUTE, "incident 7", "Anna")
    own_redis.start()
    two.loop.adopt(one.loop.latches)
    for worker in (one, two):
        await worker.tick(after=60.0)
    (record,) = [record for record in await shared.audit(10) if record.what is What.TRIPPED]
    assert record.note == Note(rolled_back, "Anna", "by hand: incident 7")


async def test_a_flag_that_is_written_back_names_the_worker_that_held_it(
    own_redis: RedisProcess, shared: RedisStore
) -> None:
    worker = Worker(shared, "one")
    await worker.loop.set(ROUTE, share=2_500)
    own_redis.kill()
    own_redis.start()  # it keeps nothing on disk
    await worker.tick()
    (record,) = await shared.audit(10)
    assert (record.note.who, record.before, record.after) == ("worker one", Flag(), worker.flag)
    assert "written back" in record.note.why
