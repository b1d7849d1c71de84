from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError
from structlog.testing import capture_logs

from demo.stack import start_redis
from handlers import outbox, refresh_tokens
from handlers.app import Messaging
from handlers.outbox import Job
from handlers.refresh_tokens import Pair
from handlers.resources import MisconfiguredError, Resources, Settings
from tests.handlers.relay import Relay
from tests.handlers.serving import CREATE, asking, serving

LIST = "/api/v1/conversations?limit=1"  # which is never answered by the cache
LOGIN = {"email": "agent1@acme.example", "password": "password"}
NOWHERE = "127.0.0.1:1"
LISTED = "/api/v1/conversations?limit=1"
GIVEN = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x", "JWT_SECRET": "s"}


def test_settings_come_from_the_environment_that_rails_reads() -> None:
    environment = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x", "JWT_SECRET": "s", "DATABASE_POOL": "3"}
    settings = Settings.from_environment(environment)
    assert settings == Settings("postgresql:///x", "redis://x", "s", database_pool=3)
    assert Settings.from_environment(environment | {"CABLE_CHANNEL_PREFIX": "p"}).cable_prefix == "p"
    assert Settings.from_environment(environment | {"REQUEST_LIMIT": "0.5"}).request_limit == 0.5
    assert Settings.from_environment(environment | {"REDIS_WAIT": "2"}).redis_wait == 2


@pytest.mark.parametrize("limit", ["0", "-1", "4s", "1e3", "0.0", "99999"])
def test_a_limit_that_is_no_time_is_refused(limit: str) -> None:
    environment = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x", "JWT_SECRET": "s"}
    with pytest.raises(MisconfiguredError, match="REQUEST_LIMIT must be seconds"):
        Settings.from_environment(environment | {"REQUEST_LIMIT": limit})


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(MisconfiguredError, match="set DATABASE_URL, JWT_SECRET in the environment"):
        Settings.from_environment({"REDIS_URL": "redis://x", "JWT_SECRET": ""})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("DATABASE_POOL", "ten", "DATABASE_POOL must be a whole number from 1 to 1000, not 'ten'"),
        ("BCRYPT_THREADS", "0", "BCRYPT_THREADS must be a whole number from 1 to 1000, not '0'"),
        ("REDIS_POOL", "-3", "REDIS_POOL must be a whole number from 1 to 1000, not '-3'"),
        ("REDIS_POOL", "9" * 50, f"REDIS_POOL must be a whole number from 1 to 1000, not '{'9' * 40}'"),
        ("DATABASE_URL", "mysql://u:secret@host/x", "DATABASE_URL must be a URL of PostgreSQL"),
        ("DATABASE_URL", "postgresql://u:secret@host:port/x", "DATABASE_URL must be a URL of PostgreSQL"),
        ("REDIS_URL", "http://:secret@host", "REDIS_URL must be a URL of Redis"),
        ("REDIS_URL", "redis://:secret@host:port", "REDIS_URL must be a URL of Redis"),
        ("REDIS_URL", "redis://:secret@host/1?unknown=1", "REDIS_URL must be a URL of Redis"),
        ("SENTRY_DSN", "https://secret@host", "SENTRY_DSN must be the DSN of a Sentry project"),
        ("SENTRY_DSN", "secret", "SENTRY_DSN must be the DSN of a Sentry project"),
    ],
)
def test_what_cannot_be_meant_is_named_without_showing_secrets(name: str, value: str, reason: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        Settings.from_environment(GIVEN | {name: value})
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once_and_on_one_line() -> None:
    names = ["JWT_SECRET", "DATABASE_URL", "REDIS_URL", "BCRYPT_THREADS", "SENTRY_DSN"]
    with pytest.raises(MisconfiguredError) as caught:
        Settings.from_environment(dict.fromkeys(names[1:], "x"))
    told = str(caught.value)
    assert [name for name in names if name in told] == names
    assert "\n" not in told


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_environment(GIVEN | {"DATABASE_POOL": "", "SENTRY_DSN": ""}) == Settings.from_environment(
        GIVEN
    )


async def test_where_nobody_listens_a_request_is_refused_without_waiting_for_a_connection(settings: Settings) -> None:
    # However long one may wait: the test ends long before.
    absent = replace(settings, database_url=f"postgresql://{NOWHERE}/x", database_wait=3600.0, request_limit=3600.0)
    async with serving(absent) as client:
        for _ in range(2):
            answers = await asyncio.gather(*(client.get(LISTED) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {503}


async def test_the_application_starts_and_stops_without_postgresql_and_redis(settings: Settings) -> None:
    absent = replace(
        settings, database_url=f"postgresql://{NOWHERE}/x", redis_url=f"redis://{NOWHERE}", database_wait=0.2
    )
    async with serving(absent) as client:
        answer = await client.get(LIST)
        assert (answer.status_code, answer.headers["x-strangler-discarded"]) == (503, "1")
        assert answer.json() == {"error": "service_unavailable", "requestId": answer.headers["x-request-id"]}
        assert (await client.get("/nowhere")).status_code == 404


async def test_postgresql_may_go_and_come_back_without_a_restart(settings: Settings) -> None:
    async with Relay(settings.database_url) as relay, serving(replace(settings, database_url=relay.url)) as client:
        assert (await client.get(LIST)).status_code == 200
        await relay.cut()
        for _ in range(3):
            assert (await client.get(LIST)).status_code == 503
        await relay.mend()
        assert (await client.get(LIST)).status_code == 200


async def test_connections_that_died_in_the_pool_cost_no_request(
    settings: Settings, database: psycopg.Connection
) -> None:
    async with serving(replace(settings, database_pool=2)) as client:
        assert (await client.get(LIST)).status_code == 200
        ended = database.execute(
            """select pg_terminate_backend(pid, 5000) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()"""
        ).fetchall()
        assert ended
        for _ in range(4):
            assert (await client.get(LIST)).status_code == 200


async def test_an_exhausted_pool_is_answered_at_once_and_serves_again_when_it_can(settings: Settings) -> None:
    app = Messaging(replace(settings, database_pool=1, database_wait=0.05))
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        while (await client.get(LIST)).status_code != 200:
            pass  # the first connection is still being made
        held: Resources = app.state.resources
        connection = await held.take()
        assert (await client.get(LIST)).status_code == 503
        await held.give_back(connection)
        assert (await client.get(LIST)).status_code == 200


async def test_a_turn_is_shared_by_who_waits_for_it_and_forgotten_when_nobody_does(settings: Settings) -> None:
    held = Resources(settings)
    turn = held.turn("a")
    assert held.turn("a") is turn
    assert held.turn("b") is not turn
    forgotten = weakref.ref(turn)
    del turn
    assert forgotten() is None


async def test_without_redis_a_sign_in_is_refused_and_a_message_is_created(
    settings: Settings, tmp_path: Path, database: psycopg.Connection
) -> None:
    server = start_redis(tmp_path)
    async with serving(replace(settings, redis_url=server.url())) as client:
        assert (await client.post("/auth/login", json=LOGIN)).status_code == 200
        database.execute("update users set last_sign_in_at = null where id = 2")
        server.service.kill()

        refused = await client.post("/auth/login", json=LOGIN)
        assert (refused.status_code, refused.headers["x-strangler-discarded"]) == (503, "1")
        assert database.execute("select last_sign_in_at from users where id = 2").fetchone() == (None,)

        with capture_logs() as logs:
            created = await client.post(CREATE, json={"content": "hello", "conversationId": 1})
        assert created.status_code == 201
        assert "broadcasts_lost" in [entry["event"] for entry in logs]
        assert database.execute("select content from messages where id = %s", [created.json()["data"]["id"]]).fetchone()


async def test_a_redis_that_hangs_costs_its_time_limit_and_no_more(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service:
        async with serving(replace(settings, redis_url=server.url(), redis_wait=0.1)) as client:
            server.service.pause()
            assert (await client.post("/auth/login", json=LOGIN)).status_code == 503
            away: list[str] = []
            while not away:  # what our own event loop was late for says nothing of Redis
                with capture_logs() as logs:
                    created = await client.post(CREATE, json={"content": "hello", "conversationId": 1})
                assert created.status_code == 201
                away = [entry["error"] for entry in logs if entry["event"] == "cache_away"]
                assert [entry["error"] for entry in logs if entry["event"] == "broadcasts_lost"] == ["Away()"]
            assert away == ["TimeoutError()"]
            server.service.resume()
            while (answer := await client.post("/auth/login", json=LOGIN)).status_code == 503:
                pass  # a tenth of a second is little where much else runs
            assert answer.status_code == 200


async def keep(held: Resources) -> None:
    await refresh_tokens.keep(held, "kept", 2)


async def rotate(held: Resources) -> None:
    await refresh_tokens.rotate(held, "token", Pair("access", "refresh"))


async def push(held: Resources) -> None:
    job = Job(1, "default", "SomeJob", [], "jid", datetime(2026, 1, 1))
    with pytest.raises(ReadOnlyError):
        await outbox.push(held.redis, [job], 0.0)
    await outbox.push(held.redis, [job], 0.0)  # as the next look does


@pytest.mark.parametrize(
    ("write", "key"), [(keep, "refresh:token:kept"), (rotate, "refresh:rotated:token"), (push, "queue:default")]
)
async def test_a_redis_that_has_become_a_replica_is_left(
    settings: Settings, redis: Redis, tmp_path: Path, write: Callable[[Resources], Awaitable[None]], key: str
) -> None:
    other = start_redis(tmp_path)
    with other.service, Redis.from_url(other.url()) as promoted:
        async with Relay(settings.redis_url) as relay:
            held = Resources(replace(settings, redis_url=relay.url))
            await held.redis.ping()
            for server in (redis, promoted):
                server.set("refresh:token:token", 2)
            redis.replicaof("127.0.0.1", other.service.port)
            relay.lead_to(other.url())
            try:
                await write(held)
                assert promoted.exists(key)
            finally:
                redis.replicaof("NO", "ONE")
                await held.redis.aclose()


async def test_sessions_with_postgresql_are_limited_and_planned_once(settings: Settings) -> None:
    async with Resources.open(settings) as held:
        connection = await held.take()
        for name, value in [
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "5s"),
            ("client_connection_check_interval", "500ms"),
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
        ]:
            row = await (await connection.execute(f"show {name}")).fetchone()  # literals
            assert row == (value,)
        await held.give_back(connection)
