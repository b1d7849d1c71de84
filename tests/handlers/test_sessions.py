from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import bcrypt
import httpx
import psycopg
import pytest
from redis import Redis

from demo.stack import start_redis
from handlers.app import Messaging
from handlers.resources import Resources, Settings
from handlers.sessions import NOBODY, password_matches
from tests.handlers.relay import Relay
from tests.handlers.serving import asking, eventually, serving

GOOD = {"email": "agent1@acme.example", "password": "password"}
NOBODYS = GOOD | {"email": "nobody@acme.example"}
REFRESH, LOGOUT, SHOWN = "/auth/refresh", "/auth/logout", {"refreshToken": "a"}
SHADOW, DISCARDED = {"X-Strangler-Shadow": "1"}, "x-strangler-discarded"


@pytest.fixture
async def held(settings: Settings) -> Resources:
    return Resources(settings)


@contextmanager
def no_hashing(held: Resources) -> Iterator[None]:
    """Whoever would hash waits for a thread."""
    hashing = [object() for _ in range(int(held.bcrypt.total_tokens))]
    for each in hashing:
        held.bcrypt.acquire_on_behalf_of_nowait(each)
    yield
    for each in hashing:
        held.bcrypt.release_on_behalf_of(each)


def digest(password: bytes, cost: int = 4) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost, prefix=b"2a")).decode()


async def test_a_password_matches_its_digest(held: Resources) -> None:
    assert await password_matches(held, "pässword", digest("pässword".encode()))
    assert not await password_matches(held, "password", digest("pässword".encode()))


async def test_nobodys_password_never_matches(held: Resources) -> None:
    for password in ("", "password", "." * 53):
        assert not await password_matches(held, password, None)


async def test_a_password_is_never_cut_to_what_bcrypt_reads(held: Resources) -> None:
    longest = "x" * 72
    assert await password_matches(held, longest, digest(longest.encode()))
    assert not await password_matches(held, longest + "x", digest(longest.encode()))
    assert not await password_matches(held, "é" * 37, digest(("é" * 36).encode()))


async def test_an_unknown_email_costs_the_same_work_as_a_wrong_password(held: Resources) -> None:
    costly = digest(b"password", cost=int(NOBODY[4:6]))

    async def seconds(password: str, digest: str | None) -> float:
        started = time.process_time()
        assert not await password_matches(held, password, digest)
        return time.process_time() - started

    unknown, wrong, too_long = [], [], []
    for _ in range(3):
        unknown.append(await seconds("wrong", None))
        wrong.append(await seconds("wrong", costly))
        too_long.append(await seconds("x" * 100, costly))
    for other in (unknown, too_long):
        assert 0.5 < median(other) / median(wrong) < 2


async def test_bcrypt_keeps_no_connection_from_others(settings: Settings) -> None:
    """A pool of one serves reads while sign-ins are being checked."""
    app = Messaging(replace(settings, database_pool=1))
    async with app.router.lifespan_context(app), asking(app, settings) as client, asyncio.TaskGroup() as group:
        held: Resources = app.state.resources
        with no_hashing(held):
            tasks = [group.create_task(client.post("/auth/login", json=NOBODYS)) for _ in range(3)]
            await eventually(lambda: held.bcrypt.statistics().tasks_waiting == 3)
            assert (await client.get("/api/v1/conversations/1")).status_code == 200
    assert {task.result().status_code for task in tasks} == {401}


async def test_others_are_served_while_passwords_are_hashed(settings: Settings) -> None:
    """What hashing held up would have its turn after it."""
    app, turns = Messaging(settings), 0
    async with app.router.lifespan_context(app), asking(app, settings) as client, asyncio.TaskGroup() as group:
        held: Resources = app.state.resources
        signing_in = group.create_task(client.post("/auth/login", json=NOBODYS))
        while not signing_in.done():
            await asyncio.sleep(0)
            turns += held.bcrypt.borrowed_tokens > 0
    assert turns > 50


async def test_signing_in_notes_the_time_and_keeps_the_refresh_token(
    settings: Settings, database: psycopg.Connection, redis: Redis
) -> None:
    database.execute("update users set last_sign_in_at = null where id = 2")
    async with serving(settings) as client:
        session = (await client.post("/auth/login", json=GOOD)).json()
    assert redis.get(f"refresh:token:{session['refreshToken']}") == "2"
    row = database.execute("select last_sign_in_at from users where id = 2").fetchone()
    assert row is not None
    assert row[0] is not None


async def test_a_shadow_signs_nobody_in(settings: Settings, database: psycopg.Connection, redis: Redis) -> None:
    database.execute("update users set last_sign_in_at = null where id = 2")
    async with serving(settings) as client:
        answer = await client.post("/auth/login", json=GOOD, headers={"X-Strangler-Shadow": "1"})
    assert (answer.status_code, answer.headers["x-strangler-discarded"]) == (500, "1")
    assert database.execute("select last_sign_in_at from users where id = 2").fetchone() == (None,)
    assert redis.keys("refresh:*") == []


async def test_credentials_that_are_missing_or_no_text_are_all_told(client: httpx.AsyncClient) -> None:
    for body, messages in [
        ({}, ["can't be blank", "can't be blank"]),
        ({"email": 1, "password": ""}, ["must be a string", "can't be blank"]),
        ({"email": "a\0", "password": None}, ["is invalid", "can't be blank"]),
    ]:
        answer = await client.post("/auth/login", json=body)
        assert answer.status_code == 400
        assert [fault["message"] for fault in answer.json()["errors"]] == messages


@pytest.fixture
def token(redis: Redis) -> str:
    """The key of a refresh token, the one in SHOWN."""
    redis.set("refresh:token:a", 2)
    return "refresh:token:a"


@asynccontextmanager
async def held_up(database: psycopg.Connection, meanwhile: Callable[[], object]) -> AsyncIterator[None]:
    """Keeps whoever reads a user waiting; once somebody waits, something happens, and then the row may be read."""
    waiting = "select from pg_locks where relation = 'users'::regclass and not granted"
    with database.transaction():
        database.execute("lock table users")
        yield
        await eventually(lambda: database.execute(waiting).fetchone() is not None)
        meanwhile()


async def test_many_refreshes_at_once_take_one_connection(settings: Settings, redis: Redis, token: str) -> None:
    async with serving(replace(settings, database_pool=1)) as client:
        answers = await asyncio.gather(*(client.post(REFRESH, json=SHOWN) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(redis.keys("refresh:token:*")) == 1


async def test_without_postgresql_nothing_is_rotated_and_what_was_rotated_is_answered_again(
    settings: Settings, redis: Redis, token: str
) -> None:
    async with Relay(settings.database_url) as relay, serving(replace(settings, database_url=relay.url)) as client:
        await relay.cut()
        for _ in range(2):
            refused = await client.post(REFRESH, json=SHOWN)
            assert (refused.status_code, refused.headers[DISCARDED]) == (503, "1")
        assert redis.keys("refresh:*") == [token]
        await relay.mend()
        first = await client.post(REFRESH, json=SHOWN)
        assert first.status_code == 200
        await relay.cut()
        again = await client.post(REFRESH, json=SHOWN)
        assert (again.status_code, again.content) == (200, first.content)
        ended = await client.post(LOGOUT, json=SHOWN)
        assert (ended.status_code, redis.keys("refresh:*")) == (200, [])


async def test_without_redis_sessions_neither_go_on_nor_end(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    server.service.kill()
    async with serving(replace(settings, redis_url=server.url())) as client:
        refused = await client.post(REFRESH, json=SHOWN)
        assert (refused.status_code, refused.headers[DISCARDED]) == (503, "1")
        assert refused.json() == {"error": "service_unavailable", "requestId": refused.headers["x-request-id"]}
        unsure = await client.post(LOGOUT, json=SHOWN)
        assert (unsure.status_code, DISCARDED in unsure.headers) == (503, False)


async def test_a_redis_that_hangs_costs_a_session_nothing_but_time(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service, Redis.from_url(server.url()) as redis:
        redis.set("refresh:token:a", 2)
        async with serving(replace(settings, redis_url=server.url(), redis_wait=0.1)) as client:
            server.service.pause()
            answers = await asyncio.gather(*(client.post(REFRESH, json=SHOWN) for _ in range(3)))
            assert {answer.status_code for answer in answers} == {503}
            server.service.resume()
            while (answer := await client.post(REFRESH, json=SHOWN)).status_code == 503:
                pass  # a tenth of a second is little where much else runs
            assert answer.status_code == 200


async def test_a_rotation_that_redis_may_have_carried_out_is_not_called_discarded(
    settings: Settings, database: psycopg.Connection, tmp_path: Path
) -> None:
    server = start_redis(tmp_path)
    with Redis.from_url(server.url()) as redis:
        redis.set("refresh:token:a", 2)
    async with serving(replace(settings, redis_url=server.url())) as client, asyncio.TaskGroup() as group:
        async with held_up(database, meanwhile=server.service.kill):
            asked = group.create_task(client.post(REFRESH, json=SHOWN))
        unsure = await asked
    assert (unsure.status_code, DISCARDED in unsure.headers) == (503, False)


async def test_who_leaves_during_a_rotation_may_come_back_for_its_pair(
    settings: Settings, database: psycopg.Connection, redis: Redis, token: str
) -> None:
    def rotating() -> bool:
        return any(one["cmd"] == "eval" and "b" in one["flags"] for one in redis.client_list())

    async with serving(settings) as client:
        async with held_up(database, meanwhile=lambda: redis.client_pause(60_000, all=False)):
            leaving = asyncio.get_running_loop().create_task(client.post(REFRESH, json=SHOWN))
        await eventually(rotating)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        redis.client_unpause()
        answer = await client.post(REFRESH, json=SHOWN)
    assert answer.status_code == 200
    assert redis.keys("refresh:token:*") == [f"refresh:token:{answer.json()['refreshToken']}"]


async def test_a_shadow_is_told_what_the_user_was_told_and_rotates_nothing_itself(
    client: httpx.AsyncClient, redis: Redis, token: str
) -> None:
    alone = await client.post(REFRESH, json=SHOWN, headers=SHADOW)
    assert (alone.status_code, alone.headers[DISCARDED]) == (500, "1")
    assert redis.keys("refresh:*") == [token]
    users = await client.post(REFRESH, json=SHOWN)
    shadows = await client.post(REFRESH, json=SHOWN, headers=SHADOW)
    assert (shadows.status_code, shadows.content) == (200, users.content)
    unknown = await client.post(REFRESH, json={"refreshToken": "b"}, headers=SHADOW)
    assert (unknown.status_code, unknown.json()) == (401, {"error": "refresh_token_expired"})


async def test_a_shadow_signs_nobody_out(client: httpx.AsyncClient, redis: Redis, token: str) -> None:
    assert (await client.post(LOGOUT, json=SHOWN, headers=SHADOW)).status_code == 200
    assert redis.keys("refresh:*") == [token]
    assert (await client.post(LOGOUT, json={}, headers=SHADOW)).status_code == 400


async def test_a_session_whose_user_is_gone_is_over(client: httpx.AsyncClient, redis: Redis) -> None:
    redis.set("refresh:token:a", 999_999_999)
    answer = await client.post(REFRESH, json=SHOWN)
    assert (answer.status_code, answer.json()) == (401, {"error": "refresh_token_expired"})
