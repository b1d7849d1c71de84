"""Workers on one Redis: what is pushed, and what becomes of it all when that hangs, dies, forgets or goes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from flags.change import Reach
from flags.errors import StoreUnavailable
from flags.flag import WHOLE, Flag, Side
from flags.store.redis import LIMIT, RedisStore
from flags.window import Seconds
from tests.contract.redis_process import PATIENCE, RedisProcess
from tests.flags.workers import OTHER, ROUTE, Worker

Hire = Callable[..., Worker]
A_WHILE = 3 * LIMIT  # seconds that are given a Redis which hangs and then goes on, for this machine may be busy


@pytest.fixture
async def hire(own_redis: RedisProcess) -> AsyncIterator[Hire]:
    """Start a worker with a connection of its own to the Redis of this test."""
    stores: list[RedisStore] = []

    def start(name: str = "one", now: float = 1_000.0, limit: float = PATIENCE) -> Worker:
        stores.append(RedisStore(own_redis.url(), limit))
        return Worker(stores[-1], name, now)

    yield start
    for store in stores:
        await store.close()


async def strangled(hire: Hire, limit: float = PATIENCE) -> Worker:
    worker = hire(limit=limit)
    await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    return worker


async def stored(server: RedisProcess) -> dict[str, str]:
    async with Redis.from_url(server.url(), decode_responses=True) as client:
        return {str(route): str(flag) for route, flag in (await client.hgetall("{strangler}:flags")).items()}


async def restore(server: RedisProcess, flags: dict[str, str]) -> None:
    """Bring the store back to what it held once."""
    async with Redis.from_url(server.url()) as client:
        await client.flushdb()
        for route, flag in flags.items():
            await client.hset("{strangler}:flags", route, flag)


async def test_a_change_on_one_worker_is_pushed_to_the_other(hire: Hire) -> None:
    one, two = hire("one"), hire("two")
    async with two.running():
        await one.loop.set(ROUTE, share=500)
        await two.until(lambda flag: flag.native == 500)
        await one.loop.rollback(ROUTE, "incident 7")
        await two.until(lambda flag: flag.tripped)


async def test_a_worker_that_is_cancelled_ends_whatever_it_was_at(own_redis: RedisProcess, hire: Hire) -> None:
    async with asyncio.timeout(120):
        for turns in range(80):
            async with hire(f"worker {turns}").running():
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_without_redis_a_new_worker_starts_and_all_is_legacys(own_redis: RedisProcess, hire: Hire) -> None:
    own_redis.kill()
    worker = hire()
    await worker.loop.refresh()
    await worker.tick()
    assert not worker.loop.connected
    assert worker.loop.snapshot == {ROUTE: Flag(), OTHER: Flag()}


async def test_a_worker_finds_its_flags_when_redis_first_appears(own_redis: RedisProcess, hire: Hire) -> None:
    await strangled(hire)
    flags = await stored(own_redis)
    own_redis.kill()
    late = hire("late")
    async with late.running():
        own_redis.start()
        await restore(own_redis, flags)
        await late.until(lambda flag: flag.native == 2_500)
        assert late.loop.connected


@pytest.mark.parametrize("fault", [RedisProcess.kill, RedisProcess.pause])
async def test_while_redis_is_away_the_last_flags_hold(
    own_redis: RedisProcess, hire: Hire, fault: Callable[[RedisProcess], None]
) -> None:
    worker = await strangled(hire, LIMIT)
    fault(own_redis)
    for _ in range(3):
        await worker.tick()
    assert not worker.loop.connected
    assert worker.flag.native == 2_500


@pytest.mark.parametrize("fault", [RedisProcess.kill, RedisProcess.pause])
async def test_while_redis_is_away_a_worker_judges_by_its_own_counts_and_trips_itself(
    own_redis: RedisProcess, hire: Hire, fault: Callable[[RedisProcess], None]
) -> None:
    worker = await strangled(hire, LIMIT)
    fault(own_redis)
    await worker.tick()
    worker.break_native()
    await worker.tick()
    assert worker.flag.tripped
    assert list(worker.loop.latches) == [ROUTE]
    assert len(worker.trips) == 1


async def test_a_trip_whose_delivery_fails_stays_in_force_here(own_redis: RedisProcess) -> None:
    class Dying(RedisStore):
        async def window(self, first: int, last: int) -> Seconds:
            seconds = await super().window(first, last)
            if any(counts.failed for counted in seconds.values() for counts in counted.values()):
                own_redis.kill()
            return seconds

    store = Dying(own_redis.url(), PATIENCE)
    worker = Worker(store)
    await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    worker.break_native()
    await worker.tick()
    await store.close()
    assert worker.flag.tripped
    assert list(worker.loop.latches) == [ROUTE]
    assert not worker.loop.connected
    assert len(worker.trips) == 1


async def test_counts_of_before_and_after_the_loss_both_count(own_redis: RedisProcess, hire: Hire) -> None:
    worker = await strangled(hire)
    worker.answer(Side.NATIVE, failed=30)
    await worker.tick()
    own_redis.kill()
    worker.answer(Side.NATIVE, failed=30)
    await worker.tick()
    assert worker.flag.tripped


async def test_a_worker_alone_looks_no_further_back_than_the_window(own_redis: RedisProcess, hire: Hire) -> None:
    worker = await strangled(hire)
    own_redis.kill()
    worker.answer(Side.NATIVE, failed=49)
    await worker.tick(after=30.0)
    assert worker.loop.verdicts[ROUTE].words.startswith("native answered 0 of the 50 requests")


async def test_a_trip_made_alone_reaches_the_fleet_when_redis_returns(own_redis: RedisProcess, hire: Hire) -> None:
    one, two = await strangled(hire, A_WHILE), hire("two")
    await two.tick()
    own_redis.pause()
    await one.loop.rollback(ROUTE, "incident 7")
    assert list(one.loop.latches) == [ROUTE]
    own_redis.resume()
    await one.tick()
    assert one.loop.latches == {}
    await two.tick()
    assert two.flag == one.flag
    assert two.flag.tripped


async def test_a_trip_made_alone_wins_over_a_share_that_was_raised_meanwhile(
    own_redis: RedisProcess, hire: Hire
) -> None:
    one, two = await strangled(hire, A_WHILE), hire("two")
    own_redis.pause()
    await one.loop.rollback(ROUTE, "incident 7")
    own_redis.resume()
    await two.loop.set(ROUTE, share=WHOLE)
    assert one.flag.tripped
    await one.tick()
    await two.tick()
    assert one.flag.tripped
    assert two.flag.tripped


async def test_a_trip_made_alone_gives_way_to_one_that_the_fleet_has_already(
    own_redis: RedisProcess, hire: Hire
) -> None:
    one, two = await strangled(hire, A_WHILE), hire("two")
    own_redis.pause()
    await one.loop.rollback(ROUTE, "one's reason")
    own_redis.resume()
    await two.loop.rollback(ROUTE, "two's reason")
    await one.tick()
    assert one.loop.latches == {}
    assert one.flag.trip is not None
    assert one.flag.trip.reason == "by hand: two's reason"


async def test_a_rollback_by_hand_is_in_force_while_redis_still_hangs(own_redis: RedisProcess, hire: Hire) -> None:
    worker = await strangled(hire, LIMIT)
    own_redis.pause()
    async with asyncio.TaskGroup() as tasks:
        order = tasks.create_task(worker.loop.rollback(ROUTE, "incident 7"))
        await asyncio.sleep(0)
        assert worker.flag.tripped
        assert not order.done()
    assert order.result().reach is Reach.WORKER
    assert "on this worker only" in order.result().words


async def test_a_rollback_of_everything_with_redis_down_latches_every_route(
    own_redis: RedisProcess, hire: Hire
) -> None:
    worker = await strangled(hire)
    own_redis.kill()
    changes = await worker.loop.rollback_all("incident 7")
    assert {change.reach for change in changes} == {Reach.WORKER}
    assert set(worker.loop.latches) == {ROUTE, OTHER}


async def test_other_orders_are_refused_while_redis_is_away_and_nothing_changes(
    own_redis: RedisProcess, hire: Hire
) -> None:
    worker = await strangled(hire)
    own_redis.kill()
    await worker.loop.rollback(ROUTE, "incident 7")
    before = worker.loop.snapshot
    for order in (
        worker.loop.set(OTHER, share=500),
        worker.loop.set(ROUTE, shadow=500),
        worker.loop.reset(ROUTE),
        worker.loop.seed({OTHER: Flag(native=5)}),
    ):
        with pytest.raises(StoreUnavailable, match=r"^Redis at "):
            await order
    assert worker.loop.snapshot == before


async def test_of_two_workers_that_trip_at_once_one_makes_the_trip(hire: Hire) -> None:
    one, two = await strangled(hire), hire("two")
    await two.tick()
    await two.tick()
    for worker, now in ((one, 1_010.001), (two, 1_010.002)):
        worker.now = now
        worker.break_native()
    await asyncio.gather(one.tick(), two.tick())
    await asyncio.gather(one.tick(), two.tick())
    assert one.flag == two.flag
    assert one.flag.tripped
    assert len(one.trips) + len(two.trips) == 1


async def test_a_wiped_redis_gets_its_flags_back_from_who_holds_them(own_redis: RedisProcess, hire: Hire) -> None:
    one = await strangled(hire)
    before = one.flag
    await restore(own_redis, {})
    await one.tick()
    assert one.flag == before
    fresh = hire("fresh")
    await fresh.tick()
    assert fresh.flag == before


async def test_with_nobody_left_who_knows_a_wiped_redis_means_legacy(own_redis: RedisProcess, hire: Hire) -> None:
    await strangled(hire)
    await restore(own_redis, {})
    fresh = hire("fresh")
    await fresh.tick()
    assert fresh.flag == Flag()


async def test_seeds_do_not_take_the_place_of_a_trip_that_was_wiped(own_redis: RedisProcess, hire: Hire) -> None:
    worker = await strangled(hire)
    await worker.loop.rollback(ROUTE, "incident 7")
    await restore(own_redis, {})
    assert list(await worker.loop.seed({ROUTE: Flag(native=WHOLE), OTHER: Flag(native=5)})) == [OTHER]
    assert worker.flag.tripped


async def test_an_old_copy_of_redis_neither_raises_a_share_nor_lifts_a_trip(
    own_redis: RedisProcess, hire: Hire
) -> None:
    worker = await strangled(hire)
    old = await stored(own_redis)
    await worker.tick()
    await worker.loop.rollback(ROUTE, "incident 7")
    tripped = worker.flag
    await restore(own_redis, old)
    await worker.tick()
    assert worker.flag == tripped
    fresh = hire("fresh")
    await fresh.tick()
    assert fresh.flag == tripped


async def test_an_order_given_on_an_old_copy_outranks_what_a_worker_held_from_before(
    own_redis: RedisProcess, hire: Hire
) -> None:
    """The worker was cut off through the restore; meanwhile somebody who never saw its flag rolled back."""
    cut_off = await strangled(hire)
    old = await stored(own_redis)
    for share in (3_000, 4_000, 5_000):
        cut_off.now += 10
        await cut_off.loop.set(ROUTE, share=share)
    await restore(own_redis, old)
    newcomer = hire("newcomer", now=cut_off.now + 60)
    await newcomer.loop.rollback(ROUTE, "incident 7")
    await cut_off.tick()
    assert cut_off.flag == newcomer.flag
    assert cut_off.flag.tripped


async def test_of_two_histories_with_one_generation_the_safer_flag_wins_everywhere(
    own_redis: RedisProcess, hire: Hire
) -> None:
    one = await strangled(hire)
    old = await stored(own_redis)
    await one.tick()
    await one.loop.rollback(ROUTE, "incident 7")
    await restore(own_redis, old)
    two = hire("two", now=one.now)
    await two.loop.set(ROUTE, share=WHOLE)
    assert two.flag.generation == one.flag.generation
    await one.tick()
    await two.tick()
    assert one.flag == two.flag
    assert one.flag.tripped


async def test_a_flag_in_redis_that_cannot_be_read_sends_the_route_to_legacy_until_it_is_set_again(
    own_redis: RedisProcess, hire: Hire
) -> None:
    worker = await strangled(hire)
    await restore(own_redis, {ROUTE: f'{{"native": 99999, "generation": {worker.flag.generation + 1}}}'})
    await worker.tick()
    assert worker.flag.native == 0
    await worker.loop.set(ROUTE, share=500)
    assert worker.flag.native == 500
