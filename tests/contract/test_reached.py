"""How Redis is reached where one server is not enough: who is believed and asked, and what a failover takes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from demo.service import free_port
from flags.errors import StoreUnavailable
from flags.flag import Flag
from flags.store.layout import FLAGS
from flags.store.redis import LIMIT, RedisStore
from tests.contract.redis_groups import (
    NAME,
    PASSWORD,
    SENTINELS_PASSWORD,
    Cluster,
    Secured,
    Watched,
    eventually,
    watched,
)
from tests.contract.redis_process import PATIENCE, RedisProcess, emptied
from tests.flags.workers import NOTE, ROUTE, Worker
from tests.proxy.certificates import Authority


@asynccontextmanager
async def store_at(url: str, limit: float = PATIENCE) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, limit)
    try:
        yield store
    finally:
        await store.close()


async def refusal(url: str, limit: float = PATIENCE) -> str:
    """What is said of a store that cannot be reached."""
    async with store_at(url, limit) as store, asyncio.timeout(2 * PATIENCE):
        with pytest.raises(StoreUnavailable) as error:
            await store.flags()
    return str(error.value)


async def test_a_server_whose_certificate_another_authority_signed_is_refused(
    secured_redis: Secured, tmp_path: Path
) -> None:
    another = Authority.founded(tmp_path)
    url = secured_redis.url().replace(str(secured_redis.authority.own.certificate), str(another.own.certificate))
    said = await refusal(url)
    assert said.startswith(f"Redis at 127.0.0.1:{secured_redis.server.port}/0: ")
    assert "certificate verify failed" in said


async def test_an_authority_of_ones_own_is_believed_only_where_it_is_named(secured_redis: Secured) -> None:
    url, _, _ = secured_redis.url().partition("?")
    assert "certificate verify failed" in await refusal(url)


async def test_a_certificate_is_good_for_the_host_that_it_names_and_no_other(secured_redis: Secured) -> None:
    said = await refusal(secured_redis.url().replace("127.0.0.1", "localhost"))
    assert "certificate is not valid for 'localhost'" in said


async def test_sentinels_that_know_no_such_master_say_so(watched_redis: Watched) -> None:
    said = await refusal(watched_redis.url().replace(NAME, "no-such-master"))
    assert f"the Sentinel at 127.0.0.1:{watched_redis.sentinels[0].port} knows no master no-such-master" in said
    assert PASSWORD not in said
    assert SENTINELS_PASSWORD not in said


async def test_sentinels_want_the_password_that_is_theirs(watched_redis: Watched) -> None:
    url, _, _ = watched_redis.url().partition("?")
    assert "nobody says which server is the master: " in await refusal(url)
    assert "nobody says which server is the master: " in await refusal(f"{url}?sentinel_password={PASSWORD}")


async def test_sentinels_that_are_not_there_are_unavailable() -> None:
    said = await refusal(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/{NAME}")
    assert said.count("Connect call failed") == 2


async def test_of_the_sentinels_one_that_answers_is_enough(watched_redis: Watched) -> None:
    hanging, gone, *_ = watched_redis.sentinels
    url = watched_redis.url().replace(f":{gone.port}", f":{free_port()}")
    hanging.pause()
    try:
        async with store_at(url) as store:
            assert await store.flags() == {}
    finally:
        hanging.resume()


async def test_sentinels_that_all_hang_are_unavailable_in_bounded_time(watched_redis: Watched) -> None:
    for sentinel in watched_redis.sentinels:
        sentinel.pause()
    try:
        await refusal(watched_redis.url(), LIMIT)
    finally:
        for sentinel in watched_redis.sentinels:
            sentinel.resume()


async def test_a_server_that_is_no_cluster_is_said_to_be_none(contract_redis: str) -> None:
    said = await refusal(contract_redis.replace("redis://", "redis+cluster://").removesuffix("/1"))
    assert "cluster support disabled" in said


async def test_a_slot_that_another_node_takes_over_is_followed_there(clustered_redis: Cluster) -> None:
    async with emptied(clustered_redis.url()), store_at(clustered_redis.url()) as store:
        await store.flags()
        with elsewhere(clustered_redis) as taker:
            await store.change(ROUTE, 0, Flag(native=500, generation=1), NOTE)
            with clustered_redis.client(taker) as client:
                assert client.hkeys(FLAGS) == [ROUTE]
                client.flushdb()
        assert await store.flags() == {}


async def test_a_slot_is_followed_where_its_old_node_says_though_nobody_else_says_anything(
    clustered_redis: Cluster,
) -> None:
    holder = clustered_redis.holder
    *_, third = (node for node in clustered_redis.nodes if node is not holder)
    async with emptied(clustered_redis.url()), store_at(clustered_redis.url(third)) as store:
        await store.flags()
        with elsewhere(clustered_redis) as taker:
            assert taker is not third
            third.pause()
            try:
                await store.change(ROUTE, 0, Flag(native=500, generation=1), NOTE)
            finally:
                third.resume()
            with clustered_redis.client(taker) as client:
                assert client.hkeys(FLAGS) == [ROUTE]
                client.flushdb()


@contextmanager
def elsewhere(cluster: Cluster) -> Iterator[RedisProcess]:
    """Our keys are another node's."""
    holder = cluster.holder
    taker = next(node for node in cluster.nodes if node is not holder)
    cluster.move(FLAGS, taker)
    try:
        yield taker
    finally:
        cluster.move(FLAGS, holder)


@pytest.fixture
def failing() -> Iterator[Watched]:
    """Servers that one test may let fail."""
    with watched() as servers:
        servers.know_each_other()
        yield servers


def replaced(servers: Watched, by: RedisProcess) -> None:
    """Have the Sentinels look who is gone; return once every one of them says that this one is the master."""
    servers.lose_patience()
    eventually(
        lambda: all(servers.ask(each, "MASTER")["port"] == by.port for each in servers.sentinels), "it is the master"
    )


async def test_shares_and_trips_outlive_a_failover_and_its_master_takes_changes(failing: Watched) -> None:
    async with store_at(failing.url()) as store, store_at(failing.url()) as another:
        worker, other = Worker(store), Worker(another, "two")
        await worker.loop.set(ROUTE, share=2_500)
        await other.tick()
        async with aclosing(store.changes()) as changes, asyncio.timeout(150):
            await anext(changes)
            failing.servers[0].kill()
            await worker.tick()
            assert (worker.loop.connected, worker.flag.native) == (False, 2_500)
            await worker.loop.rollback(ROUTE, "in the middle of it")
            assert worker.flag.tripped
            await asyncio.to_thread(replaced, failing, failing.servers[1])
            await anext(changes)  # the subscription stands again, and anything may have changed
        await worker.tick()
        await other.tick()
        assert worker.loop.connected
        assert other.flag.tripped
        assert (await another.flags())[ROUTE].trip == worker.flag.trip


async def test_a_server_that_is_no_longer_the_master_is_asked_for_nothing(failing: Watched) -> None:
    master, replica = failing.servers
    async with store_at(failing.url()) as store, asyncio.timeout(2 * PATIENCE):
        await store.change(ROUTE, 0, Flag(native=2_500, generation=1), NOTE)
        # Nobody tells the Sentinels, and nobody closes our connection.
        failing.tell(master, "REPLICAOF", "127.0.0.1", str(replica.port))
        with pytest.raises(StoreUnavailable, match="is no master"):
            await store.change(ROUTE, 1, Flag(native=5_000, generation=2), NOTE)
        with pytest.raises(StoreUnavailable, match="is no master"):
            await store.flags()


async def test_failed_over_to_an_older_copy_no_share_is_raised_and_no_trip_lifted(failing: Watched) -> None:
    master, replica = failing.servers
    async with store_at(failing.url()) as store, asyncio.timeout(150):
        worker = Worker(store)
        await worker.loop.set(ROUTE, share=9_000)
        failing.tell(master, "WAIT", "1", "60000")
        # From here on the replica hears of nothing.
        failing.tell(master, "ACL", "SETUSER", "follower", "off")
        failing.tell(master, "CLIENT", "KILL", "TYPE", "replica")
        await worker.loop.set(ROUTE, share=500)
        await worker.loop.rollback(ROUTE, "incident 7")
        tripped = worker.flag
        master.kill()
        await asyncio.to_thread(replaced, failing, replica)
        assert (await store.flags())[ROUTE].native == 9_000  # the past
        assert worker.flag == tripped
        await worker.tick()
        assert (worker.flag.native, worker.flag.trip) == (0, tripped.trip)
        assert (await store.flags())[ROUTE] == worker.flag
