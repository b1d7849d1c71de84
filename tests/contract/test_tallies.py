"""What every store of tallies does, whichever keeps them, and what Redis' does for several workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from shadow.parity import OTHERS, STRATA, Parity, Stratum, Tallies, Tally
from shadow.tallies import AGE, BATCH, PREFIX, MemoryTallies, RedisTallies, Store
from tests.contract.redis_process import emptied, redis_process

LIST, SHOW, ODD = "conversations.list", "conversations.show", "spät: 1"
AGENT, NOBODY = Stratum(200, "agent"), Stratum(404, "")
DIGESTS = {LIST: "aa", SHOW: "bb", ODD: "cc"}
NOW = 1_700_000_000.25


def asked(counted: Mapping[str, Tallies], epoch: str = "") -> dict[tuple[str, str], Tallies]:
    return {(route, epoch): tallies for route, tallies in counted.items()}


@pytest.fixture(params=["memory", "redis", "redis as text", "redis as a Cluster"])
async def tallies(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryTallies()
        return
    as_text = request.param == "redis as text"
    url = request.getfixturevalue("contract_redis_by")("redis" if as_text else request.param)
    async with emptied(url, decode_responses=as_text) as client:
        yield RedisTallies(client, DIGESTS, "one")


async def test_what_is_told_is_added_to_what_was_told_before(tallies: Store) -> None:
    assert await tallies.hear() == {}
    await tallies.tell({}, NOW)
    await tallies.tell(asked({LIST: {AGENT: Tally(5, 1, 2)}, ODD: {NOBODY: Tally(1)}}), NOW)
    await tallies.tell(asked({LIST: {AGENT: Tally(1, 1), NOBODY: Tally(0, 0, 3)}}), NOW + 9)
    assert await tallies.hear() == {
        LIST: Parity(NOW, {AGENT: Tally(6, 2, 2), NOBODY: Tally(0, 0, 3)}),
        ODD: Parity(NOW, {NOBODY: Tally(1)}),
    }


async def test_what_did_not_move_is_the_same_object(tallies: Store) -> None:
    await tallies.tell(asked({LIST: {AGENT: Tally(5)}, SHOW: {AGENT: Tally(5)}}), NOW)
    before = await tallies.hear()
    await tallies.tell(asked({LIST: {AGENT: Tally(1)}}), NOW)
    after = await tallies.hear()
    assert after[SHOW] is before[SHOW]
    assert after[LIST] is not before[LIST]


async def test_a_route_that_is_begun_anew_knows_nothing_and_the_others_are_left_alone(tallies: Store) -> None:
    await tallies.tell(asked({LIST: {AGENT: Tally(5)}, SHOW: {AGENT: Tally(7)}}), NOW)
    await tallies.hear()
    epoch = await begun(tallies, LIST)
    assert await tallies.hear() == {LIST: Parity(epoch=epoch), SHOW: Parity(NOW, {AGENT: Tally(7)})}
    await tallies.tell(asked({LIST: {AGENT: Tally(1)}}, epoch), NOW + 60)
    assert (await tallies.hear())[LIST] == Parity(NOW + 60, {AGENT: Tally(1)}, epoch)
    assert await begun(tallies, ODD) not in ("", epoch)  # of which nothing is known


async def begun(tallies: Store, route: str) -> str:
    """In which epoch it is then."""
    await tallies.begin(route)
    return (await tallies.hear())[route].epoch


async def test_what_was_asked_in_an_epoch_that_is_over_counts_in_no_other(tallies: Store) -> None:
    await tallies.tell(asked({LIST: {AGENT: Tally(5)}}), NOW)
    first = await begun(tallies, LIST)
    await tallies.tell(asked({LIST: {AGENT: Tally(2_000)}, SHOW: {AGENT: Tally(1)}}), NOW)
    assert await tallies.hear() == {LIST: Parity(epoch=first), SHOW: Parity(NOW, {AGENT: Tally(1)})}
    second = await begun(tallies, LIST)
    counted = asked({LIST: {AGENT: Tally(2_000)}}, first) | asked({LIST: {AGENT: Tally(3)}}, second)
    await tallies.tell(counted, NOW)
    assert (await tallies.hear())[LIST] == Parity(NOW, {AGENT: Tally(3)}, second)


async def test_strata_beyond_a_number_are_put_together_and_none_is_lost(tallies: Store) -> None:
    many = {Stratum(200, f"role-{place}"): Tally(place) for place in range(1, STRATA + 10)}
    await tallies.tell(asked({LIST: many}), NOW)
    await tallies.tell(asked({LIST: {Stratum(500, "late"): Tally(0, 1), **dict(list(many.items())[:1])}}), NOW)
    found = (await tallies.hear())[LIST]
    assert len(found.strata) == STRATA + 1
    assert found.strata[OTHERS] == Tally(sum(range(STRATA + 1, STRATA + 10)), 1)
    assert found.strata[Stratum(200, "role-1")] == Tally(2)


async def test_several_workers_see_the_sum_of_what_all_have_told(redis: Redis) -> None:
    one, other = RedisTallies(redis, DIGESTS, "one"), RedisTallies(redis, DIGESTS, "other")
    await one.tell(asked({LIST: {AGENT: Tally(5, 1)}}), NOW)
    await other.tell(asked({LIST: {AGENT: Tally(2)}}), NOW + 1)
    expected = {LIST: Parity(NOW, {AGENT: Tally(7, 1)})}
    assert await one.hear() == await other.hear() == expected
    assert await RedisTallies(redis, DIGESTS, "one again").hear() == expected  # after a restart


async def test_of_a_route_that_one_worker_begins_anew_the_others_bring_in_nothing_of_before(redis: Redis) -> None:
    one, other = RedisTallies(redis, DIGESTS, "one"), RedisTallies(redis, DIGESTS, "other")
    await one.tell(asked({LIST: {AGENT: Tally(5)}}), NOW)
    epoch = await begun(other, LIST)
    await one.tell(asked({LIST: {AGENT: Tally(2_000)}}), NOW)
    assert await one.hear() == await other.hear() == {LIST: Parity(epoch=epoch)}
    await one.tell(asked({LIST: {AGENT: Tally(1)}}, epoch), NOW)
    assert await other.hear() == {LIST: Parity(NOW, {AGENT: Tally(1)}, epoch)}
    keys = [key async for key in redis.scan_iter()]
    assert all([0 < await redis.ttl(key) <= AGE for key in keys])


async def test_a_worker_that_still_knows_an_epoch_goes_on_in_it_though_redis_has_forgotten_all(redis: Redis) -> None:
    tallies = RedisTallies(redis, DIGESTS, "one")
    epoch = await begun(tallies, LIST)
    await redis.flushdb()
    for _ in range(2):
        await tallies.tell(asked({LIST: {AGENT: Tally(1)}}, epoch), NOW)
    assert await tallies.hear() == {LIST: Parity(NOW, {AGENT: Tally(2)}, epoch)}


async def test_other_rules_have_tallies_of_their_own_and_a_worker_that_still_has_the_old_ones_keeps_them_apart(
    redis: Redis,
) -> None:
    old, new = RedisTallies(redis, DIGESTS, "old"), RedisTallies(redis, {**DIGESTS, LIST: "dd"}, "new")
    await old.tell(asked({LIST: {AGENT: Tally(0, 9)}}), NOW)
    assert await new.hear() == {}
    await new.tell(asked({LIST: {AGENT: Tally(3)}}), NOW)
    assert await new.hear() == {LIST: Parity(NOW, {AGENT: Tally(3)})}
    assert await old.hear() == {LIST: Parity(NOW, {AGENT: Tally(0, 9)})}


async def test_all_that_is_kept_goes_after_a_while(redis: Redis) -> None:
    await RedisTallies(redis, DIGESTS, "one").tell(asked({LIST: {AGENT: Tally(3)}}), NOW)
    keys = [key async for key in redis.scan_iter()]
    assert len(keys) == 3
    assert all([0 < await redis.ttl(key) <= AGE for key in keys])
    assert all(key.startswith(PREFIX.encode()) for key in keys)


async def test_of_a_thousand_routes_each_is_told_and_heard(redis: Redis) -> None:
    routes = {f"route-{number}": "aa" for number in range(2 * BATCH + 1)}
    tallies = RedisTallies(redis, routes, "one")
    await tallies.tell(asked({route: {AGENT: Tally(1)} for route in routes}), NOW)
    assert (await tallies.hear()).keys() == routes.keys()


async def test_what_another_version_wrote_is_passed_over_and_what_more_it_counts_too(redis: Redis) -> None:
    tallies = RedisTallies(redis, DIGESTS, "one")
    await tallies.tell(asked({LIST: {AGENT: Tally(3)}, SHOW: {AGENT: Tally(3)}, ODD: {AGENT: Tally(3)}}), NOW)
    await redis.hset(f"{PREFIX}:tallies:aa:{LIST}", "200 agent", "3 0 0 7")
    await redis.hset(f"{PREFIX}:tallies:bb:{SHOW}", "what is this", "3")
    await redis.hdel(f"{PREFIX}:tallies:cc:{ODD}", "begun")
    assert await tallies.hear() == {LIST: Parity(NOW, {AGENT: Tally(3)})}


async def test_an_emptied_redis_is_believed(redis: Redis) -> None:
    tallies = RedisTallies(redis, DIGESTS, "one")
    await tallies.tell(asked({LIST: {AGENT: Tally(3)}}), NOW)
    await tallies.hear()
    await redis.flushdb()
    assert await tallies.hear() == {}


class Deaf(Redis):
    """Its next answer is lost: Redis has done what it was told."""

    deaf = False

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        commands: Pipeline = super().pipeline(transaction, shard_hint)
        if self.deaf:
            self.deaf, execute = False, commands.execute

            async def executed(*arguments: Any, **options: Any) -> list[Any]:
                await execute(*arguments, **options)
                raise Lost("the connection is gone")

            commands.execute = executed  # type: ignore[method-assign]  # of this one alone
        return commands


async def test_what_was_told_without_an_answer_is_told_again_and_counts_once(contract_redis: str) -> None:
    async with Deaf.from_url(contract_redis) as client:
        assert isinstance(client, Deaf)
        await client.flushdb()
        tallies = RedisTallies(client, DIGESTS, "one")
        await tallies.tell(asked({LIST: {AGENT: Tally(3)}}), NOW)
        client.deaf = True
        with pytest.raises(Lost):
            await tallies.tell(asked({LIST: {AGENT: Tally(2)}, SHOW: {AGENT: Tally(1)}}), NOW)
        await tallies.tell(asked({LIST: {AGENT: Tally(10)}}), NOW)
        found = await tallies.hear()
        assert found[LIST].strata == {AGENT: Tally(15)}
        assert found[SHOW].strata == {AGENT: Tally(1)}


async def test_what_waits_for_redis_counts_no_more_once_somebody_has_begun_anew(contract_redis: str) -> None:
    async with Deaf.from_url(contract_redis) as client:
        assert isinstance(client, Deaf)
        await client.flushdb()
        tallies, other = RedisTallies(client, DIGESTS, "one"), RedisTallies(client, DIGESTS, "other")
        client.deaf = True
        with pytest.raises(Lost):
            await tallies.tell(asked({LIST: {AGENT: Tally(2)}}), NOW)
        epoch = await begun(other, LIST)
        counted = asked({LIST: {AGENT: Tally(2_000)}}) | asked({LIST: {AGENT: Tally(1)}}, epoch)
        await tallies.tell(counted, NOW)
        assert await tallies.hear() == {LIST: Parity(NOW, {AGENT: Tally(1)}, epoch)}


async def test_what_redis_could_not_be_told_is_told_once_it_can() -> None:
    with redis_process() as server:
        async with Redis.from_url(server.url(1), retry=Retry(NoBackoff(), 0), socket_timeout=None) as client:
            tallies = RedisTallies(client, DIGESTS, "one")
            await tallies.tell(asked({LIST: {AGENT: Tally(1)}}), NOW)
            await client.config_set("maxmemory", 1)
            for _ in range(2):
                with pytest.raises(RedisError):
                    await tallies.tell(asked({LIST: {AGENT: Tally(1)}, SHOW: {AGENT: Tally(1)}}), NOW)
            await client.config_set("maxmemory", 0)
            await tallies.tell(asked({LIST: {NOBODY: Tally(1)}}), NOW)
            found = await tallies.hear()
            assert found[LIST].strata == {AGENT: Tally(3), NOBODY: Tally(1)}
            assert found[SHOW].strata == {AGENT: Tally(2)}
