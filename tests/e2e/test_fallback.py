"""A native that fails all the time, ahead of real Rails: users notice nothing, and nothing is done twice."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from demo.service import Service, await_ready, free_port, launch
from demo.stack import Application, Postgres, start_rails, start_redis
from tests.e2e.breaking import break_database
from tests.e2e.crowd import USERS, Crowd, Fault, Heard, enqueued, listening, stored
from tests.e2e.proxies import ROOT, Proxy, environment, running, until
from tests.handlers.copying import copied
from tests.parity import tokens

APP = "tests.e2e.breaking:app"
BUDGET, LIMIT = 5.0, 0.3  # seconds: the proxy's patience, and native's own
NEVER = 60.0  # seconds that no test of a fault lives to see
ROUTES = {
    "conversations.list": "GET /api/v1/conversations",
    "conversations.show": "GET /api/v1/conversations/{id}",
    "messages.list": "GET /api/v1/conversations/{id}/messages",
    "messages.create": "POST /api/v1/messages",
}
# A failure that takes its time stands for many that do not.
UNREAD: tuple[Fault, ...] = (("hangs", ""), *(("raises", ""), ("fails", ""), ("discards", "")) * 20)
UNWRITTEN: tuple[Fault, ...] = (("", "[sleep]"), *(("", "[raise]"), ("", "[end]"), ("discards", "")) * 8)
# With the status that the user sees, and how many messages there are.
AMBIGUOUS: dict[Fault, tuple[int, int]] = {
    ("", "[refuse]"): (500, 0),
    ("", "[vanish]"): (503, 0),
    ("loses", ""): (500, 1),
    ("hangs-after", ""): (504, 1),
}


@dataclass(frozen=True, slots=True)
class World:
    """Rails, and where its database and its Redis are. Native finds its faults in the database as `broken`."""

    application: Application
    broken: str
    rails: Service

    def native(self, limit: float) -> dict[str, str]:
        """Its environment, with a connection for each user: nobody is to be refused for want of one."""
        own = {"DATABASE_URL": self.broken, "DATABASE_POOL": str(USERS), "REQUEST_LIMIT": str(limit)}
        return {**self.application.environment(), **own}

    @property
    def agent(self) -> str:
        return tokens.authorizations(self.application.jwt_secret, int(time.time()))["agent"]


@pytest.fixture(scope="module")
def world(application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Without Sidekiq: jobs stay to be counted."""
    directory = tmp_path_factory.mktemp("fallback")
    redis = start_redis(directory)
    with redis.service:
        own = copied(application, postgres, "fallback", redis.url())
        broken = break_database(own.database_url)
        with start_rails(directory, own, name="fallback-rails") as rails:
            yield World(own, broken, rails)


@pytest.fixture
def database(world: World) -> Iterator[psycopg.Connection]:
    with psycopg.connect(world.application.database_url, autocommit=True) as connection:
        connection.execute("delete from messages where content like 'crowd %'")
        yield connection


@pytest.fixture
def conversations(database: psycopg.Connection) -> list[int]:
    """Of the agent's account."""
    return [id for (id,) in database.execute("select id from conversations where account_id = 1 order by id limit 40")]


@pytest.fixture
def redis(world: World) -> Iterator[Redis]:
    with Redis.from_url(world.application.redis_url, decode_responses=True) as client:
        client.delete("queue:default")
        yield client


@contextmanager
def by_url(world: World, directory: Path, limit: float) -> Iterator[dict[str, Any]]:
    port = free_port()
    native = launch(
        "native",
        # Those that hang would keep it from ending.
        [sys.executable, "-m", "uvicorn", APP, "--port", str(port), "--timeout-graceful-shutdown", "1"],
        port=port,
        log=directory / "native.log",
        environment=environment(world.native(limit)),
        directory=ROOT,
    )
    await_ready(native, lambda: "Uvicorn running" in native.log.read_text())
    with native:
        yield {"url": native.url}


@contextmanager
def in_process(world: World, directory: Path, limit: float) -> Iterator[dict[str, Any]]:
    yield {"app": APP}


Place = Callable[[World, Path, float], AbstractContextManager[dict[str, Any]]]
in_both_places = pytest.mark.parametrize("place", [in_process, by_url])


@contextmanager
def proxy_over(world: World, place: Place, directory: Path, limit: float = LIMIT, **rollback: Any) -> Iterator[Proxy]:
    with place(world, directory, limit) as native:
        sections = {
            "legacy": {"url": world.rails.url},
            "native": {**native, "budget": f"{BUDGET:g}s"},
            "rollback": {"judge": "threshold", **rollback},  # its users are one agent, who would count once
            "routes": [{"name": name, "match": match, "share": "100%"} for name, match in ROUTES.items()],
        }
        with running(directory, sections, world.native(limit)) as proxy:
            until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
            yield proxy


def followed(redis: Redis, heard: Heard, ids: set[int]) -> bool:
    """Whether all that follows a message has come, however late."""
    jobs = enqueued(redis)
    return heard.told.keys() >= ids and all(("NotifyAgentsJob", id) in jobs for id in ids)


def assert_done_once(crowd: Crowd, database: psycopg.Connection, redis: Redis, heard: Heard, proxy: Proxy) -> None:
    """Every message that was sent is there once, and so is everything that follows it."""
    ids = {write.id for write in crowd.writes if write.id is not None}
    assert len(ids) == len(crowd.writes)
    assert stored(database) == {write.content: [write.id] for write in crowd.writes}
    until(proxy, lambda: followed(redis, heard, ids))
    jobs = enqueued(redis)
    assert {job: times for job, times in jobs.items() if times > 1} == {}
    assert {id for _, id in jobs} == ids
    assert heard.told == Counter(ids)


@pytest.fixture(params=[300, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def requests(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@in_both_places
def test_a_native_that_fails_everything_fails_nobody_and_doubles_nothing(
    place: Place,
    requests: int,
    world: World,
    database: psycopg.Connection,
    conversations: list[int],
    redis: Redis,
    tmp_path: Path,
) -> None:
    with proxy_over(world, place, tmp_path, min_requests=1_000_000) as proxy, listening(redis) as heard:
        crowd = Crowd(proxy.url, world.agent, conversations, UNREAD, UNWRITTEN)
        asyncio.run(crowd.work(reads=requests * 3 // 4, writes=requests // 4))
        assert crowd.reads == {200: requests * 3 // 4}
        assert Counter(write.status for write in crowd.writes) == {201: requests // 4}
        assert_done_once(crowd, database, redis, heard, proxy)
        assert proxy.metric("strangler_requests_total", side="native", outcome="failed") == requests
        assert proxy.metric("strangler_fallbacks_total") == requests
        assert proxy.metric("strangler_fallbacks_withheld_total") == 0
        assert proxy.metric("strangler_trips_total") == 0


@in_both_places
def test_what_may_have_been_kept_is_told_as_a_failure_and_never_repeated(
    place: Place,
    world: World,
    database: psycopg.Connection,
    conversations: list[int],
    redis: Redis,
    tmp_path: Path,
) -> None:
    with proxy_over(world, place, tmp_path, NEVER, min_requests=1_000_000) as proxy, listening(redis) as heard:
        crowd = Crowd(proxy.url, world.agent, conversations, (), tuple(AMBIGUOUS))
        asyncio.run(crowd.work(reads=0, writes=40))
        assert {(write.fault, write.status) for write in crowd.writes} == {
            (fault, status) for fault, (status, _) in AMBIGUOUS.items()
        }
        kept = stored(database)
        for write in crowd.writes:
            assert len(kept.get(write.content, [])) == AMBIGUOUS[write.fault][1], write
        ids = {id for found in kept.values() for id in found}
        until(proxy, lambda: followed(redis, heard, ids))
        assert heard.told == Counter(ids)
        assert set(enqueued(redis).values()) == {1}
        assert {id for _, id in enqueued(redis)} == ids
        assert proxy.metric("strangler_fallbacks_withheld_total", reason="ambiguous") == 40
        assert proxy.metric("strangler_fallbacks_total") == 0
        until(proxy, lambda: proxy.service.log.read_text().count('"withheld": "ambiguous"') == 40)


def test_users_notice_neither_that_native_fails_nor_that_its_routes_trip(
    world: World, database: psycopg.Connection, conversations: list[int], redis: Redis, tmp_path: Path
) -> None:
    with proxy_over(world, by_url, tmp_path) as proxy, listening(redis) as heard:
        crowd = Crowd(proxy.url, world.agent, conversations, UNREAD[1:], UNWRITTEN[1:])
        while proxy.metric("strangler_trips_total") < len(ROUTES):
            asyncio.run(crowd.work(reads=150, writes=50))
        asyncio.run(crowd.work(reads=15, writes=5))
        assert crowd.reads.keys() == {200}
        assert {write.status for write in crowd.writes} == {201}
        assert_done_once(crowd, database, redis, heard, proxy)
