from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from redis import Redis
from structlog.testing import capture_logs

from demo import stack
from demo.service import free_port
from demo.stack import start_redis
from handlers.cache import Cache
from handlers.entries import conversation, of_conversation, user
from handlers.link import PAUSE
from handlers.resources import Resources, Settings
from tests.handlers.relay import Relay
from tests.handlers.serving import CREATE, eventually, serving

ENTRY, ACCOUNT = conversation(1, 1), 1
LEASE = f"cache:lease:{ENTRY.key}"
SHOW = "/api/v1/conversations/1"


@pytest.fixture
def patient(settings: Settings) -> Settings:
    return replace(settings, cache_wait=30.0)


@pytest.fixture
async def held(patient: Settings, redis: Redis) -> AsyncIterator[Resources]:
    async with Resources.open(patient) as held:
        yield held


@pytest.fixture
def fragile(tmp_path: Path) -> stack.Redis:
    """A Redis for one test, which may do to it what it likes."""
    return start_redis(tmp_path)


class Query:
    """What is asked of the database: it counts, and waits until it is let go."""

    def __init__(self, answer: bytes | None = b"[1]") -> None:
        self.asked, self.answer = 0, answer
        self.begun, self.free = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> bytes | None:
        self.asked += 1
        self.begun.set()
        await self.free.wait()
        return self.answer


async def at_once(answer: bytes | None = b"[1]") -> bytes | None:
    return answer


async def change(held: Resources, *keys: str) -> None:
    """Something that shows in these entries is changed, and committed."""
    connection = await held.take()
    marks = await held.cache.mark(connection, keys)
    await held.give_back(connection)
    await held.cache.forget(marks)


async def write(held: Resources, *keys: str) -> None:
    """The same, in a transaction."""
    connection = await held.take()
    await connection.execute("begin read write")
    marks = await held.cache.mark(connection, keys)
    await connection.execute("commit")
    await held.give_back(connection)
    await held.cache.forget(marks)


async def test_of_a_hundred_misses_at_once_one_asks_the_database(held: Resources) -> None:
    query = Query()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(held.cache.fetch(ENTRY, ACCOUNT, query)) for _ in range(100)]
        await query.begun.wait()
        query.free.set()
    assert {task.result() for task in tasks} == {b"[1]"}
    assert query.asked == 1
    assert await held.cache.fetch(ENTRY, ACCOUNT, Query()) == b"[1]"


async def test_of_misses_at_once_in_two_processes_each_asks_the_database_once(
    patient: Settings, held: Resources, redis: Redis
) -> None:
    leading, following = Query(), Query(b"[2]")
    async with Resources.open(replace(patient, cache_look=30)) as other, asyncio.TaskGroup() as group:
        await other.cache.fetch(user(1), ACCOUNT, at_once)  # it has looked, and all its readers ask Redis in one breath
        redis.config_resetstat()
        leader = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, leading))
        await leading.begun.wait()
        followers = [group.create_task(other.cache.fetch(ENTRY, ACCOUNT, following)) for _ in range(50)]
        await eventually(lambda: redis.info("commandstats")["cmdstat_eval"]["calls"] > 50)
        for _ in range(2):  # who was told of a lease that he did not know has asked again, and has been told
            await other.line.ask("PING")
        following.free.set()
        assert {await follower for follower in followers} == {b"[2]"}
        leading.free.set()
        assert await leader == b"[1]"
    assert (leading.asked, following.asked) == (1, 1)


@pytest.mark.parametrize("goes_before", ["fails", "leaves"])
async def test_who_follows_one_who_follows_asks_himself_if_that_one_comes_to_nothing(
    patient: Settings, held: Resources, redis: Redis, goes_before: str
) -> None:
    leading, first, second = Query(), Query(), Query(b"[2]")

    async def begin() -> bytes | None:
        await first()
        raise ConnectionAbortedError

    second.free.set()
    redis.config_resetstat()
    async with Resources.open(patient) as other, asyncio.TaskGroup() as group:
        leader = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, leading))
        await leading.begun.wait()
        following = asyncio.get_running_loop().create_task(other.cache.fetch(ENTRY, ACCOUNT, begin))
        await first.begun.wait()
        waiting = group.create_task(other.cache.fetch(ENTRY, ACCOUNT, second))
        await eventually(lambda: redis.info("commandstats")["cmdstat_eval"]["calls"] == 1 + 2 + 1)
        await other.line.ask("PING")
        assert second.asked == 0
        first.free.set() if goes_before == "fails" else following.cancel()
        assert await waiting == b"[2]"
        await asyncio.wait([following])
        assert following.cancelled() or isinstance(following.exception(), ConnectionAbortedError)
        leading.free.set()
        await leader


async def test_who_comes_after_a_change_does_not_wait_for_who_came_before_it(held: Resources) -> None:
    before, after = Query(b"[1]"), Query(b"[1,2]")
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, before))
        await before.begun.wait()
        await change(held, *of_conversation(1, ACCOUNT))
        fresh = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, after))
        await after.begun.wait()
        before.free.set()
        assert await slow == b"[1]"
        after.free.set()
    assert await fresh == b"[1,2]"
    assert await held.cache.fetch(ENTRY, ACCOUNT, Query()) == b"[1,2]"


async def test_who_comes_after_a_new_name_does_not_wait_for_who_may_have_read_the_old_one(held: Resources) -> None:
    before, after = Query(b'["old"]'), Query(b'["new"]')
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, before))
        await before.begun.wait()
        await change(held, ENTRY.names or "")
        fresh = group.create_task(held.cache.fetch(ENTRY, ACCOUNT, after))
        await after.begun.wait()
        after.free.set()
        before.free.set()
        await slow
    assert await fresh == b'["new"]'
    assert await held.cache.fetch(ENTRY, ACCOUNT, Query()) == b'["new"]'


async def test_a_new_name_makes_all_misses_that_show_names_and_no_others(held: Resources) -> None:
    for entry in (conversation(1, ACCOUNT), conversation(2, ACCOUNT), conversation(3, 2), user(1)):
        await held.cache.fetch(entry, 2 if entry == conversation(3, 2) else ACCOUNT, at_once)
    await change(held, ENTRY.names or "")
    for entry, account, answer in [
        (conversation(1, ACCOUNT), ACCOUNT, b"new"),
        (conversation(2, ACCOUNT), ACCOUNT, b"new"),
        (conversation(3, 2), 2, b"[1]"),
        (user(1), ACCOUNT, b"[1]"),
    ]:
        assert await held.cache.fetch(entry, account, lambda: at_once(b"new")) == answer


async def test_one_account_does_not_wait_for_what_another_is_told(held: Resources) -> None:
    theirs, ours = Query(None), Query(b"[1]")
    async with asyncio.TaskGroup() as group:
        stranger = group.create_task(held.cache.fetch(user(1), 2, theirs))
        await theirs.begun.wait()
        own = group.create_task(held.cache.fetch(user(1), ACCOUNT, ours))
        await ours.begun.wait()
        theirs.free.set()
        ours.free.set()
    assert (stranger.result(), own.result()) == (None, b"[1]")


async def test_who_waits_asks_himself_if_the_one_he_waits_for_leaves(held: Resources) -> None:
    left, other = Query(), Query(b"[2]")
    other.free.set()
    leaving = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, left))
    await left.begun.wait()
    waiting = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, other))
    leaving.cancel()
    assert await waiting == b"[2]"
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.parametrize("ends", ["fails", "is left", "fails while it fills"])
async def test_who_comes_to_nothing_gives_the_lease_back(held: Resources, redis: Redis, ends: str) -> None:
    class Failure(Exception):
        pass

    async def fail() -> bytes:
        raise Failure

    if ends == "fails":
        with pytest.raises(Failure):
            await held.cache.fetch(ENTRY, ACCOUNT, fail)
    else:
        query = Query()
        leaving = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, query))
        await query.begun.wait()
        if ends == "fails while it fills":
            query.free.set()
            await asyncio.sleep(0)  # the answer is there, and on its way to Redis
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    await eventually(lambda: not redis.exists(LEASE))
    await held.cache.fetch(ENTRY, ACCOUNT, at_once)
    assert redis.get(ENTRY.key) is not None


@pytest.mark.parametrize("ends", ["is left", "gives up"])
async def test_a_lease_that_is_given_when_nobody_waits_for_it_any_more_is_given_back(
    patient: Settings, redis: Redis, ends: str
) -> None:
    async with (
        Relay(patient.redis_url) as relay,
        Resources.open(replace(patient, redis_url=relay.url, cache_look=30)) as held,
    ):
        assert await held.cache.fetch(conversation(2, ACCOUNT), ACCOUNT, at_once) == b"[1]"
        if ends == "gives up":
            held.settings = replace(held.settings, cache_wait=0.05)
        redis.config_resetstat()
        relay.freeze()
        reading = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")))
        if ends == "gives up":
            assert await reading == b"now"
        else:
            await eventually(lambda: bool(held.line._wire and held.line._wire._owed))
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        await asyncio.sleep(0)  # what has been begun is on its way
        relay.thaw()
        await eventually(lambda: redis.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"] == 2)
        assert not redis.exists(LEASE)


async def test_a_lease_that_was_overtaken_is_not_given_back_for_its_new_holder(held: Resources, redis: Redis) -> None:
    before, after = Query(), Query(b"[1,2]")
    leaving = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, before))
    await before.begun.wait()
    await change(held, ENTRY.key)
    leading = asyncio.get_running_loop().create_task(held.cache.fetch(ENTRY, ACCOUNT, after))
    await after.begun.wait()
    lease = redis.get(LEASE)
    leaving.cancel()
    await asyncio.wait([leaving])
    await held.finishing.close()
    assert redis.get(LEASE) == lease
    after.free.set()
    await leading


async def test_what_is_marked_is_read_past_the_cache_and_not_kept(held: Resources, redis: Redis) -> None:
    await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"[0]"))
    connection = await held.take()
    first = await held.cache.mark(connection, [ENTRY.key])
    second = await held.cache.mark(connection, [ENTRY.key])
    await held.give_back(connection)
    for marks in (first, second):
        assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"[1]")) == b"[1]"
        assert redis.get(ENTRY.key) is None
        assert 0 < redis.ttl(f"cache:mark:{ENTRY.key}") <= 61
        await held.cache.forget(marks)
    await held.cache.fetch(ENTRY, ACCOUNT, at_once)
    assert redis.get(ENTRY.key) is not None


async def test_marks_of_the_dead_expire_one_by_one(held: Resources, redis: Redis) -> None:
    connection = await held.take()
    marks = await held.cache.mark(connection, [ENTRY.key])
    await held.give_back(connection)
    redis.zadd(f"cache:mark:{ENTRY.key}", {"of somebody dead": time.time() - 1})
    await held.cache.forget(marks)
    await held.cache.fetch(ENTRY, ACCOUNT, at_once)
    assert redis.get(ENTRY.key) is not None


async def test_a_redis_that_was_emptied_in_between_keeps_nothing_that_is_older_than_the_commit(
    held: Resources, redis: Redis
) -> None:
    connection = await held.take()
    marks = await held.cache.mark(connection, [ENTRY.key])
    redis.flushdb()
    await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"older"))
    await held.give_back(connection)
    await held.cache.forget(marks)
    assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"newer")) == b"newer"


async def test_without_redis_the_database_answers_and_it_is_counted(patient: Settings, fragile: stack.Redis) -> None:
    async with Resources.open(replace(patient, redis_url=fragile.url())) as held:
        await held.cache.fetch(ENTRY, ACCOUNT, at_once)
        fragile.service.kill()
        with capture_logs() as logs:
            for _ in range(5):
                assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")) == b"now"
    assert held.cache.trust.passed_over == 5
    assert [entry["event"] for entry in logs] == ["cache_away"]


async def test_a_redis_that_hangs_is_waited_for_once_and_not_by_every_read(
    patient: Settings, fragile: stack.Redis
) -> None:
    async with Resources.open(replace(patient, redis_url=fragile.url(), cache_wait=0.3)) as held:
        await held.cache.fetch(ENTRY, ACCOUNT, at_once)
        fragile.service.pause()
        began = time.monotonic()
        for _ in range(50):
            assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")) == b"now"
        assert time.monotonic() - began < 50 * 0.3 / 2
        fragile.service.resume()
    fragile.service.stop()


async def test_a_read_that_gave_up_keeps_no_write_from_marking(patient: Settings, fragile: stack.Redis) -> None:
    async with Resources.open(replace(patient, redis_url=fragile.url(), cache_wait=0.05)) as held:
        await held.cache.fetch(ENTRY, ACCOUNT, at_once)
        fragile.service.pause()
        assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")) == b"now"
        fragile.service.resume()
        connection = await held.take()
        marks = await held.cache.mark(connection, [ENTRY.key])
        await held.give_back(connection)
        assert marks.token is not None
        await held.cache.forget(marks)
        with Redis.from_url(fragile.url()) as redis:
            assert redis.keys("cache:mark:*") == []
    fragile.service.stop()


@pytest.mark.parametrize("fault", ["cut", "frozen"])
async def test_who_reaches_redis_sees_what_is_written_by_who_does_not(
    patient: Settings, redis: Redis, database: psycopg.Connection, fault: str
) -> None:
    async with (
        Relay(patient.redis_url) as relay,
        serving(replace(patient, redis_url=relay.url, redis_wait=0.1, cache_look=0.2)) as writer,
        serving(replace(patient, cache_look=0.2)) as reader,
    ):
        if fault == "cut":
            await relay.cut()
        else:
            relay.freeze()
        for content in ("first", "second"):
            await until_kept(reader, redis, database)
            written = await writer.post(CREATE, json={"content": content, "conversationId": 1})
            assert written.status_code == 201
            assert (await reader.get(SHOW)).json()["data"]["lastMessage"]["content"] == content
        await until_kept(reader, redis, database)


async def until_kept(client: httpx.AsyncClient, redis: Redis, database: psycopg.Connection) -> None:
    """Make the client's side believe the cache again, and hold what it shows."""
    database.execute("update keys_to_forget set kept_until = null")
    while not redis.exists(ENTRY.key):
        await client.get(SHOW)


async def test_of_the_writes_of_an_outage_one_waits_for_the_readers_and_one_for_redis(
    patient: Settings, fragile: stack.Redis, database: psycopg.Connection
) -> None:
    wait = 0.4
    database.execute("delete from keys_to_forget")
    async with Resources.open(replace(patient, redis_url=fragile.url(), redis_wait=wait, cache_look=wait)) as held:
        fragile.service.pause()
        began = time.monotonic()
        with capture_logs() as logs:
            for _ in range(12):
                await write(held, ENTRY.key)
        took = time.monotonic() - began
        assert took < 12 * wait
        assert len([entry for entry in logs if entry["event"] == "cache_away"]) <= 1 + took / PAUSE
        fragile.service.resume()
    fragile.service.stop()
    assert len(database.execute("delete from keys_to_forget returning key").fetchall()) == 12


async def test_while_a_write_is_under_way_that_redis_was_not_told_of_the_cache_is_not_believed(
    patient: Settings, held: Resources, database: psycopg.Connection
) -> None:
    away = replace(patient, redis_url=f"redis://127.0.0.1:{free_port()}/0", cache_look=0.05)
    held.settings = replace(held.settings, cache_look=0.05)
    async with Resources.open(away) as writer:
        await held.cache.fetch(ENTRY, ACCOUNT, at_once)
        connection = await writer.take()
        await connection.execute("begin read write")
        marks = await writer.cache.mark(connection, [ENTRY.key])
        with capture_logs() as logs:
            assert await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"under way")) == b"under way"
            await connection.execute("rollback")
            while await held.cache.fetch(ENTRY, ACCOUNT, lambda: at_once(b"no longer")) != b"[1]":
                pass
        await writer.give_back(connection)
    assert marks.token is None
    assert [entry["event"] for entry in logs] == ["cache_doubted", "cache_back"]
    assert database.execute("select from keys_to_forget").fetchall() == []


async def test_who_waited_for_a_look_that_came_to_nothing_does_not_look_again(patient: Settings, redis: Redis) -> None:
    async with Resources.open(replace(patient, database_pool=1)) as held:
        only = await held.take()
        held.settings = replace(held.settings, database_wait=0.2)
        fetches = [held.cache.fetch(ENTRY, ACCOUNT, at_once) for _ in range(20)]
        answers = await asyncio.gather(*fetches, return_exceptions=True)
        await held.give_back(only)
        held.settings = patient
        failed = [answer for answer in answers if answer != b"[1]"]
        assert len(failed) == 1
        assert isinstance(failed[0], psycopg.OperationalError)
        while redis.get(ENTRY.key) is None:
            assert await held.cache.fetch(ENTRY, ACCOUNT, at_once) == b"[1]"


async def test_a_time_out_of_our_own_making_is_no_word_about_redis(held: Resources, redis: Redis) -> None:
    impatient = Cache(held)
    await impatient.fetch(ENTRY, ACCOUNT, at_once)
    held.settings = replace(held.settings, cache_wait=0.02, cache_look=30)
    reading = asyncio.get_running_loop().create_task(impatient.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        pass  # what keeps the event loop from reading Redis' answer
    await reading
    held.settings = replace(held.settings, cache_wait=30.0)
    assert await impatient.fetch(ENTRY, ACCOUNT, lambda: at_once(b"now")) == b"[1]"


async def test_what_is_written_while_redis_hangs_is_seen_when_it_is_back(
    patient: Settings, fragile: stack.Redis, database: psycopg.Connection
) -> None:
    async with serving(replace(patient, redis_url=fragile.url(), redis_wait=0.2)) as client:
        await client.get(SHOW)
        fragile.service.pause()
        written = await client.post(CREATE, json={"content": "meanwhile", "conversationId": 1})
        assert written.status_code == 201
        keys = database.execute("select key from keys_to_forget order by key").fetchall()
        assert keys == [("conversation:1",), ("conversation:1:messages",)]
        assert (await client.get(SHOW)).json()["data"]["lastMessage"]["content"] == "meanwhile"
        fragile.service.resume()
        database.execute("update keys_to_forget set kept_until = null")  # as if some seconds had passed
        while database.execute("select from keys_to_forget").fetchall():
            assert (await client.get(SHOW)).json()["data"]["lastMessage"]["content"] == "meanwhile"
        assert (await client.get(SHOW)).json()["data"]["lastMessage"]["content"] == "meanwhile"
    fragile.service.stop()


async def test_what_was_marked_and_cannot_be_forgotten_is_written_down(
    patient: Settings, fragile: stack.Redis, database: psycopg.Connection
) -> None:
    async with Resources.open(replace(patient, redis_url=fragile.url())) as held:
        connection = await held.take()
        marks = await held.cache.mark(connection, [ENTRY.key])
        await held.give_back(connection)
        fragile.service.kill()
        await held.cache.forget(marks)
    assert database.execute("delete from keys_to_forget returning key").fetchall() == [(ENTRY.key,)]


async def test_a_unit_that_fails_marks_nothing(patient: Settings, redis: Redis) -> None:
    async with serving(patient) as client:
        refused = await client.post(CREATE, json={"content": "x", "conversationId": 2**62})
    assert refused.status_code == 404
    assert redis.keys("cache:*") == []
