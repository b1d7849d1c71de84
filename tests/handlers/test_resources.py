from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from demo.stack import start_redis
from handlers.app import Messaging
from handlers.resources import MisconfiguredError, Resources, Settings
from tests.handlers.relay import Relay
from tests.handlers.serving import CREATE, bearer, serving

SHOW = "/api/v1/conversations/1"
LOGIN = {"email": "agent1@acme.example", "password": "password"}
NOWHERE = "127.0.0.1:1"


def test_settings_come_from_the_environment_that_rails_reads() -> None:
    environment = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x", "JWT_SECRET": "s", "DATABASE_POOL": "3"}
    settings = Settings.from_environment(environment)
    assert settings == Settings("postgresql:///x", "redis://x", "s", database_pool=3)
    assert Settings.from_environment(environment | {"CABLE_CHANNEL_PREFIX": "p"}).cable_prefix == "p"


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(MisconfiguredError, match="set DATABASE_URL, JWT_SECRET in the environment"):
        Settings.from_environment({"REDIS_URL": "redis://x", "JWT_SECRET": ""})


async def test_the_application_starts_and_stops_without_postgresql_and_redis(settings: Settings) -> None:
    absent = replace(
        settings, database_url=f"postgresql://{NOWHERE}/x", redis_url=f"redis://{NOWHERE}", database_wait=0.2
    )
    async with serving(absent) as client:
        answer = await client.get(SHOW)
        assert (answer.status_code, answer.headers["x-strangler-discarded"]) == (503, "1")
        assert answer.json() == {"error": "service_unavailable", "requestId": answer.headers["x-request-id"]}
        assert (await client.get("/nowhere")).status_code == 404


async def test_postgresql_may_go_and_come_back_without_a_restart(settings: Settings) -> None:
    async with Relay(settings.database_url) as relay, serving(replace(settings, database_url=relay.url)) as client:
        assert (await client.get(SHOW)).status_code == 200
        await relay.cut()
        for _ in range(3):
            assert (await client.get(SHOW)).status_code == 503
        await relay.mend()
        assert (await client.get(SHOW)).status_code == 200


async def test_connections_that_died_in_the_pool_cost_no_request(
    settings: Settings, database: psycopg.Connection
) -> None:
    async with serving(replace(settings, database_pool=2)) as client:
        assert (await client.get(SHOW)).status_code == 200
        ended = database.execute(
            """select pg_terminate_backend(pid, 5000) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()"""
        ).fetchall()
        assert ended
        for _ in range(4):
            assert (await client.get(SHOW)).status_code == 200


async def test_an_exhausted_pool_is_answered_at_once_and_serves_again_when_it_can(settings: Settings) -> None:
    app = Messaging(replace(settings, database_pool=1, database_wait=0.05))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://native", headers=bearer(settings)) as client,
    ):
        while (await client.get(SHOW)).status_code != 200:
            pass  # the first connection is still being made
        held: Resources = app.state.resources
        connection = await held.take()
        assert (await client.get(SHOW)).status_code == 503
        await held.give_back(connection)
        assert (await client.get(SHOW)).status_code == 200


async def test_without_redis_a_sign_in_is_refused_and_a_message_is_created(
    settings: Settings, tmp_path: Path, database: psycopg.Connection
) -> None:
    server = start_redis(tmp_path)
    async with serving(replace(settings, redis_url=server.url(), redis_wait=0.2)) as client:
        assert (await client.post("/auth/login", json=LOGIN)).status_code == 200
        database.execute("update users set last_sign_in_at = null where id = 2")
        server.service.kill()

        refused = await client.post("/auth/login", json=LOGIN)
        assert (refused.status_code, refused.headers["x-strangler-discarded"]) == (503, "1")
        assert database.execute("select last_sign_in_at from users where id = 2").fetchone() == (None,)

        with capture_logs() as logs:
            created = await client.post(CREATE, json={"content": "hello", "conversationId": 1})
        assert created.status_code == 201
        assert [entry["event"] for entry in logs] == ["effects_lost"]
        assert database.execute("select content from messages where id = %s", [created.json()["data"]["id"]]).fetchone()


async def test_a_redis_that_hangs_costs_its_time_limit_and_no_more(settings: Settings, tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service:
        async with serving(replace(settings, redis_url=server.url(), redis_wait=0.1)) as client:
            server.service.pause()
            assert (await client.post("/auth/login", json=LOGIN)).status_code == 503
            created = await client.post(CREATE, json={"content": "hello", "conversationId": 1})
            assert created.status_code == 201
            server.service.resume()
            assert (await client.post("/auth/login", json=LOGIN)).status_code == 200


async def test_sessions_with_postgresql_are_limited_and_planned_once(settings: Settings) -> None:
    async with Resources.open(settings) as held:
        connection = await held.take()
        for name, value in [
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "5s"),
            ("client_connection_check_interval", "500ms"),
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
        ]:
            row = await (await connection.execute(f"show {name}")).fetchone()  # literals
            assert row == (value,)
        await held.give_back(connection)
