"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
from redis.asyncio import Redis

from tests.contract.redis_groups import Cluster, Secured, Watched, clustered, secured, watched
from tests.contract.redis_process import redis_process


@pytest.fixture(scope="session")
def contract_redis() -> Iterator[str]:
    """The address of a server that all tests here share; each empties the database that it uses."""
    with redis_process() as server:
        yield server.url(1)


@pytest.fixture
async def redis(contract_redis: str) -> AsyncIterator[Redis]:
    """That server, emptied."""
    async with Redis.from_url(contract_redis) as client:
        await client.flushdb()
        yield client


@pytest.fixture(scope="session")
def secured_redis() -> Iterator[Secured]:
    with secured() as server:
        yield server


@pytest.fixture(scope="session")
def watched_redis() -> Iterator[Watched]:
    """Of which no test here makes anybody else the master."""
    with watched() as servers:
        yield servers


@pytest.fixture(scope="session")
def clustered_redis() -> Iterator[Cluster]:
    with clustered() as nodes:
        yield nodes


@pytest.fixture
def contract_redis_by(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The address of that server, or of others that are reached in this way; each starts when it is first asked for."""
    ways: Mapping[str, Callable[[], str]] = {
        "redis": lambda: request.getfixturevalue("contract_redis"),
        "redis over TLS": lambda: request.getfixturevalue("secured_redis").url(1),
        "redis by Sentinels": lambda: request.getfixturevalue("watched_redis").url(1),
        "redis as a Cluster": lambda: request.getfixturevalue("clustered_redis").url(),
    }
    return lambda way: ways[way]()
