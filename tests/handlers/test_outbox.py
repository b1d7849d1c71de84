from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from demo.stack import Application, start_redis
from handlers.connections import redis_client
from handlers.outbox import BATCH, Job, Outbox, push, relay
from handlers.resources import Resources, Settings
from tests.handlers.relay import Relay
from tests.handlers.serving import CREATE, bearer, eventually, serving
from tests.parity.conftest import start_native

AT = datetime(2026, 1, 2, 3, 4, 5, 500_000)
HELLO = {"content": "hello", "conversationId": 3}
FOLLOWING = ["NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob"]
NEVER = 3600.0  # a pause that no test lives to see


@pytest.fixture(autouse=True)
def empty(database: psycopg.Connection, redis: Redis) -> Iterator[None]:
    database.execute("truncate outbox")
    yield
    database.execute("truncate outbox")


@pytest.fixture
async def held(settings: Settings, database: psycopg.Connection, redis: Redis) -> AsyncIterator[Resources]:
    """Resources of an application that has had its first look, and takes no other untold."""
    fill(database, 1)
    async with Resources.open(replace(settings, outbox_pause=NEVER, database_pool=8)) as held:
        await eventually(lambda: waiting(database) == 0)
        redis.flushdb()
        yield held


def fill(database: psycopg.Connection, count: int) -> None:
    database.execute(
        """insert into outbox (job, args, created_at)
           select 'SomeJob', jsonb_build_array(n), now() from generate_series(1, %s) n""",
        [count],
    )


def waiting(database: psycopg.Connection) -> int:
    (count,) = database.execute("select count(*) from outbox").fetchone() or (None,)
    assert count is not None
    return int(count)


def queued(redis: Redis) -> list[dict[str, Any]]:
    """In the order in which a worker takes them."""
    return [json.loads(job) for job in reversed(redis.lrange("queue:default", 0, -1))]


def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"


def test_a_job_has_sidekiqs_form() -> None:
    job = Job(7, "low", "SomeJob", [1, "a"], "0123456789abcdef01234567", AT)
    assert json.loads(job.encoded(1.5)) == {
        "class": "SomeJob",
        "args": [1, "a"],
        "queue": "low",
        "retry": True,
        "jid": "0123456789abcdef01234567",
        "created_at": 1767323045.5,
        "enqueued_at": 1.5,
    }


async def test_jobs_are_pushed_in_order_onto_queues_that_sidekiq_knows(settings: Settings, redis: Redis) -> None:
    client = redis_client(settings)
    jobs = [Job(n, "low" if n == 3 else "default", f"Job{n}", [], f"{n}", AT) for n in range(1, 5)]
    await push(client, jobs, 1.5)
    assert [job["class"] for job in queued(redis)] == ["Job1", "Job2", "Job4"]
    assert redis.smembers("queues") == {"default", "low"}
    assert redis.llen("queue:low") == 1
    await client.aclose()


async def test_a_message_leaves_its_jobs_in_the_queue_and_none_in_the_outbox(
    settings: Settings, database: psycopg.Connection, redis: Redis
) -> None:
    async with serving(replace(settings, outbox_pause=NEVER)) as client:
        created = (await client.post(CREATE, json=HELLO)).json()["data"]
        await eventually(lambda: redis.llen("queue:default") == 3)
        jobs = queued(redis)
        assert [(job["class"], job["args"]) for job in jobs] == [(name, [created["id"]]) for name in FOLLOWING]
        assert len({job["jid"] for job in jobs}) == 3
        await eventually(lambda: waiting(database) == 0)


async def test_a_message_that_is_not_kept_leaves_no_job(
    client: httpx.AsyncClient, database: psycopg.Connection, settings: Settings
) -> None:
    before = sequence(database)
    for body in (HELLO | {"conversationId": 2**62}, HELLO | {"content": ""}):
        await client.post(CREATE, json=body)
    shadow = await client.post(CREATE, json=HELLO, headers={"X-Strangler-Shadow": "1"})
    assert shadow.headers["x-strangler-discarded"] == "1"
    assert (waiting(database), sequence(database)) == (0, before)


def sequence(database: psycopg.Connection) -> Any:
    return database.execute("select last_value from outbox_id_seq").fetchone()


async def test_each_job_is_relayed_once_by_many_at_once(
    held: Resources, database: psycopg.Connection, redis: Redis
) -> None:
    fill(database, 5 * BATCH + 7)

    async def relay_until_empty() -> None:
        while await relay(held):
            pass

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(relay_until_empty())
    assert waiting(database) == 0
    assert sorted(job["args"][0] for job in queued(redis)) == list(range(1, 5 * BATCH + 8))


async def test_a_batch_is_bounded_and_taken_from_the_oldest(
    held: Resources, database: psycopg.Connection, redis: Redis
) -> None:
    fill(database, BATCH + 1)
    assert await relay(held) == BATCH
    assert [job["args"] for job in queued(redis)] == [[n] for n in range(1, BATCH + 1)]
    assert await relay(held) == 1
    assert await relay(held) == 0


async def test_jobs_that_nobody_told_of_are_found(
    settings: Settings, database: psycopg.Connection, redis: Redis
) -> None:
    fill(database, 1)  # left by a process that died: found at the start
    async with serving(replace(settings, outbox_pause=0.05)):
        await eventually(lambda: redis.llen("queue:default") == 1)
        fill(database, 1)  # and later
        await eventually(lambda: redis.llen("queue:default") == 2)
        await eventually(lambda: waiting(database) == 0)


async def test_an_idle_database_is_not_asked(settings: Settings, database: psycopg.Connection) -> None:
    fill(database, 1)
    async with serving(replace(settings, outbox_pause=NEVER)):
        await eventually(lambda: waiting(database) == 0)
        fill(database, 1)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert waiting(database) == 1
    assert waiting(database) == 0  # who stops leaves nothing that he knew nothing of


async def test_without_redis_messages_are_created_and_their_jobs_relayed_when_it_is_back(
    settings: Settings, database: psycopg.Connection, tmp_path: Path
) -> None:
    server = start_redis(tmp_path)
    alone = replace(settings, redis_url=server.url(), redis_wait=0.2, outbox_pause=0.05)
    with server.service:
        async with serving(alone) as client:
            server.service.pause()
            with capture_logs() as logs:
                answer = await client.post(CREATE, json=HELLO)
                assert answer.status_code == 201
                await eventually(lambda: any(entry["event"] == "jobs_wait" for entry in logs))
            assert waiting(database) == 3
            server.service.resume()
            await eventually(lambda: waiting(database) == 0)
        with Redis.from_url(server.url(), decode_responses=True) as back:
            # What was pushed without an answer was pushed again: under the same ids.
            jobs = queued(back)
    assert {job["class"] for job in jobs} == set(FOLLOWING)
    assert len({job["jid"] for job in jobs}) == 3


async def test_a_queue_that_refuses_keeps_the_jobs_in_the_outbox(
    held: Resources, database: psycopg.Connection, redis: Redis
) -> None:
    fill(database, 2)
    redis.set("queue:default", "not a list")
    with pytest.raises(ResponseError):
        await relay(held)
    assert waiting(database) == 2
    redis.delete("queue:default")
    while not (relayed := await relay(held)):  # until PostgreSQL has noticed that the connection that took them is gone
        pass
    assert relayed == 2


async def test_jobs_are_put_back_if_postgresql_is_lost_before_they_are_gone(
    settings: Settings, database: psycopg.Connection, redis: Redis
) -> None:
    fill(database, 2)
    async with Relay(settings.database_url) as way:
        through = replace(settings, database_url=way.url, outbox_pause=NEVER)
        async with Resources.open(through) as held:
            await eventually(lambda: waiting(database) == 0)
            held.settings = replace(through, answer_wait=0.2)
            redis.flushdb()
            fill(database, 2)
            way.freeze()
            with pytest.raises(TimeoutError):
                await relay(held)
            way.thaw()
            assert waiting(database) == 2
            while not (relayed := await relay(held)):  # until PostgreSQL has noticed that who took them has gone
                pass
            assert relayed == 2


async def test_stopping_does_not_wait_for_a_redis_that_hangs(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service:
        async with Resources.open(replace(settings, redis_url=server.url(), redis_wait=NEVER)) as held:
            server.service.pause()
            outbox = Outbox(held)
            outbox.open()
            began = time.monotonic()
            await outbox.close(within=0.1)
            assert time.monotonic() - began < 10
        server.service.resume()


# Where a process is stopped: at its DELETE, before anything is pushed, or at its COMMIT, when everything is.
STOPS = {
    "before it pushes": "create trigger stop before delete on outbox for each row execute function wait_for_lock_2()",
    "before its rows are gone": """create constraint trigger stop after delete on outbox deferrable initially deferred
                                   for each row execute function wait_for_lock_2()""",
}


@pytest.fixture(params=STOPS)
def stop(request: pytest.FixtureRequest, database: psycopg.Connection) -> Iterator[str]:
    """Relaying stops there for as long as somebody holds lock 2."""
    database.execute(
        """create function wait_for_lock_2() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(2); return old; end $$"""
    )
    database.execute(STOPS[request.param])
    yield request.param
    database.execute("drop function wait_for_lock_2 cascade")


def test_a_process_that_is_killed_loses_no_job_and_repeats_only_under_the_same_id(
    own: Application, database: psycopg.Connection, redis: Redis, tmp_path: Path, stop: str
) -> None:
    def stopped() -> bool:
        query = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        return database.execute(query).fetchone() == (1,)

    headers = bearer(Settings(own.database_url, own.redis_url, own.jwt_secret))
    with start_native(tmp_path, own) as service, database.transaction():
        database.execute("select pg_advisory_xact_lock(2)")
        created = httpx.post(f"{service.url}{CREATE}", json=HELLO, headers=headers, timeout=30)
        assert created.status_code == 201
        until(stopped)
        pushed = {job["jid"] for job in queued(redis)}
        assert len(pushed) == (0 if stop == "before it pushes" else 3)
        service.kill()
        until(lambda: not stopped())
    assert waiting(database) == 3
    with start_native(tmp_path, own, name="native-again"):
        until(lambda: waiting(database) == 0)
    jobs = queued(redis)
    assert {(job["class"], *job["args"]) for job in jobs} == {
        (name, created.json()["data"]["id"]) for name in FOLLOWING
    }
    delivered = Counter(job["jid"] for job in jobs)
    assert len(delivered) == 3
    assert set(delivered.values()) == ({1} if stop == "before it pushes" else {2})
    assert pushed <= set(delivered)
