from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from statistics import median

import bcrypt
import httpx
import psycopg
import pytest
from redis import Redis

from handlers.auth import NOBODY, password_matches
from handlers.resources import Resources, Settings
from tests.handlers.serving import serving

GOOD = {"email": "agent1@acme.example", "password": "password"}


@pytest.fixture
async def held(settings: Settings) -> Resources:
    return Resources(settings)


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
    async with serving(replace(settings, database_pool=1, database_wait=0.1)) as client:
        wrong = GOOD | {"email": "nobody@acme.example"}
        signing_in = [client.post("/auth/login", json=wrong) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in signing_in]
            while not all(task.done() for task in tasks):
                assert (await client.get("/api/v1/conversations/1")).status_code == 200
    assert {task.result().status_code for task in tasks} == {401}


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
