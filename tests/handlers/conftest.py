"""The native application in this process, over a database and a Redis of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest
from redis import Redis

from demo import stack
from demo.stack import Application, Postgres, start_redis
from demo.stores import of_shadows
from handlers.resources import Settings
from tests.handlers.copying import copied
from tests.handlers.serving import serving


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Redis]:
    server = start_redis(tmp_path_factory.mktemp("handlers"))
    with server.service:
        yield server


@pytest.fixture(scope="session")
def own(application: Application, postgres: Postgres, own_redis: stack.Redis) -> Application:
    return copied(application, postgres, "handlers", own_redis.url())


@pytest.fixture
def settings(own: Application) -> Settings:
    """Those of a machine that may be busy: nothing is given up but what hangs. A test of giving up says how soon."""
    return Settings(
        own.database_url,
        own.redis_url,
        own.jwt_secret,
        shadow_database_url=of_shadows(own.database_url),
        shadow_redis_url=of_shadows(own.redis_url),
        database_pool=2,
        database_wait=30.0,
        shadow_database_wait=30.0,
        redis_wait=30.0,
        answer_wait=30.0,
        request_limit=60.0,
    )


@pytest.fixture
def redis(own: Application) -> Iterator[Redis]:
    with Redis.from_url(own.redis_url, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def database(own: Application) -> Iterator[psycopg.Connection]:
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings) as client:
        yield client
