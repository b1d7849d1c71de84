"""What every memory of webhooks must do; each test runs in memory and on a real Redis, in each way to reach one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from flags.audit import BEGINNING
from flags.flag import Flag
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.deliveries import KEPT, Deliveries, MemoryDeliveries, RedisDeliveries, State
from tests.contract.redis_process import PATIENCE, REACHED, emptied
from tests.flags.workers import NOTE, ROUTE

HOOK, ONE, TWO = "a-hook", "worker one", "worker two"


@dataclass
class Site:
    store: Store
    deliveries: Deliveries


@pytest.fixture(params=["memory", *REACHED])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    if request.param == "memory":
        store = MemoryStore()
        yield Site(store, MemoryDeliveries(store))
        return
    url = request.getfixturevalue("contract_redis_by")(request.param)
    async with emptied(url) as client:
        redis = RedisStore(url, PATIENCE)
        yield Site(redis, RedisDeliveries(client))
        await redis.close()


async def test_a_webhook_that_is_new_begins_with_what_happens_next(site: Site) -> None:
    assert await site.deliveries.take("another-hook", ONE) == BEGINNING
    await site.store.change(ROUTE, 0, Flag(generation=1), NOTE)
    (newest,) = await site.store.audit(1)
    assert await site.deliveries.take(HOOK, ONE) == newest.id
    await site.store.change(ROUTE, 1, Flag(generation=2), NOTE)
    assert await site.deliveries.take(HOOK, ONE) == newest.id
    assert await site.deliveries.take("another-hook", ONE) == BEGINNING


async def test_what_is_done_is_not_told_again(site: Site) -> None:
    await site.deliveries.take(HOOK, ONE)
    assert await site.deliveries.done(HOOK, ONE, "7-1", 2, [])
    assert await site.deliveries.take(HOOK, ONE) == "7-1"
    assert await site.deliveries.state(HOOK) == State(2, 0, [])


async def test_a_webhook_that_nobody_has_heard_of_was_told_nothing(site: Site) -> None:
    assert await site.deliveries.state("no-such-hook") == State(0, 0, [])


async def test_what_is_given_up_is_counted_and_the_newest_of_it_kept(site: Site) -> None:
    await site.deliveries.take(HOOK, ONE)
    for number in range(KEPT + 5):
        assert await site.deliveries.done(HOOK, ONE, f"7-{number}", 1, [{"id": number, "problem": "läuft nicht"}])
    state = await site.deliveries.state(HOOK)
    assert (state.delivered, state.undelivered) == (KEPT + 5, KEPT + 5)
    assert [each["id"] for each in state.latest] == list(range(KEPT + 4, 4, -1))


async def test_whoever_leaves_may_come_back_and_finds_its_place(site: Site) -> None:
    await site.deliveries.take(HOOK, ONE)
    await site.deliveries.done(HOOK, ONE, "7-1", 1, [])
    await site.deliveries.leave(HOOK, ONE)
    assert await site.deliveries.take(HOOK, TWO) == "7-1"


async def test_of_several_that_are_given_up_at_once_the_newest_comes_first(site: Site) -> None:
    await site.deliveries.take(HOOK, ONE)
    await site.deliveries.done(HOOK, ONE, "7-2", 0, [{"id": 1}, {"id": 2}])
    assert [each["id"] for each in (await site.deliveries.state(HOOK)).latest] == [2, 1]
