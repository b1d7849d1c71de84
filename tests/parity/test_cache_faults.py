"""Without Redis both sides answer from the database, wait for it once a while and not in every request, lose no write,
and use it again when it is back."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis as Client

from demo import stack
from demo.service import free_port
from demo.stack import Application, Postgres, start_rails, start_redis
from handlers.link import PAUSE
from tests.handlers.copying import copied
from tests.parity import tokens
from tests.parity.conftest import start_native
from tests.parity.faulty import again, answers_ping, eventually
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.tables import given

KEY = "conversation:1"
SHOWN = Case("show", 200, "/api/v1/conversations/1")
READS = 40
WRITES = {"is down": 8, "hangs": 3}
SIDES = (LEGACY, NATIVE)
# What tells of something that follows a commit and could not be told to Redis.
FOLLOWS = {LEGACY: ("subscriber_failed", "jobs_wait"), NATIVE: ("broadcasts_lost",)}
each_side = pytest.mark.parametrize("side", SIDES)


@dataclass(slots=True)
class Stage:
    sides: Sides
    redis: stack.Redis
    application: Application
    logs: dict[str, Path]
    services: contextlib.ExitStack

    @contextlib.contextmanager
    def without_redis(self, fault: str) -> Iterator[None]:
        if fault == "hangs":
            self.redis.service.pause()
            yield
            self.redis.service.resume()
        else:
            self.redis.service.kill()
            yield
            service = again(self.redis.service, lambda: answers_ping(self.application.redis_url))
            self.redis = stack.Redis(self.services.enter_context(service))

    def shown(self, side: str) -> str:
        """The last message, as the side shows it."""
        reply = self.sides.ask(side, SHOWN)
        assert reply.status == 200, reply
        return str(json.loads(reply.body)["data"]["lastMessage"]["content"])

    def write(self, side: str, content: str) -> None:
        case = Case("create", 201, "/api/v1/messages", "POST", body=given(content=content, conversationId=1))
        assert self.sides.ask(side, case).status == 201

    def said(self, side: str, *of: str) -> list[dict[str, Any]]:
        """What the side's log tells of the cache, or of that."""
        lines = [line for line in self.logs[side].read_text().splitlines() if line.startswith("{")]
        events = [json.loads(line) for line in lines]
        return [event for event in events if str(event["event"]).startswith(of or ("cache_",))]

    def waits(self, side: str) -> int:
        """How often a request has waited for Redis in vain, whatever for."""
        lost = [str(event) for event in self.said(side, *FOLLOWS[side])]
        alone = [each for each in lost if "TimeoutError" in each and "Away" not in each]
        return len(self.said(side, "cache_away")) + len(alone)

    def await_kept(self, side: str, expected: str) -> None:
        """Ask until the side uses the cache again; it never shows anything else."""

        def kept() -> bool:
            assert self.shown(side) == expected
            with Client.from_url(self.application.redis_url, socket_timeout=5) as client:
                client.delete(f"cache:mark:{KEY}")  # as if a minute had passed: one may have been set late
                return expected in str(client.get(KEY))

        eventually(kept, f"{side} fills the cache")


@pytest.fixture(scope="module")
def there(application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("cache-faults")
    with contextlib.ExitStack() as services:
        redis = start_redis(directory)
        services.enter_context(redis.service)
        own = copied(application, postgres, "cache_faults", redis.url())
        extra = {"CACHE_WAIT": "0.4"}  # this machine may be busy
        rails = services.enter_context(start_rails(directory, own, name="cache-rails", workers=0, extra=extra))
        native = services.enter_context(start_native(directory, own, name="cache-native", extra=extra))
        authorizations = tokens.authorizations(own.jwt_secret, int(time.time()))
        sides = Sides({LEGACY: rails.port, NATIVE: native.port}, authorizations)
        yield Stage(sides, redis, own, {LEGACY: rails.log, NATIVE: native.log}, services)


@pytest.fixture
def database(there: Stage) -> Iterator[psycopg.Connection]:
    with psycopg.connect(there.application.database_url, autocommit=True) as connection:
        yield connection


@each_side
@pytest.mark.parametrize("fault", WRITES)
def test_without_redis_the_database_answers_and_nothing_written_is_lost(
    there: Stage, database: psycopg.Connection, side: str, fault: str
) -> None:
    before = f"before {side} finds that Redis {fault}"
    there.write(side, before)
    with Client.from_url(there.application.redis_url) as client:
        client.delete(KEY)
    there.await_kept(side, before)
    told = there.waits(side)
    with there.without_redis(fault):
        began = time.monotonic()
        for _ in range(READS):
            assert there.shown(side) == before
        for n in range(WRITES[fault]):
            away = there.waits(side)
            there.write(side, f"{n} without Redis")
            assert there.waits(side) <= away + 1  # also for what it would tell others
            for reader in SIDES:
                assert there.shown(reader) == f"{n} without Redis"
        took = time.monotonic() - began
        # A read waits for CACHE_WAIT before it says so, a write for longer; whoever follows within a pause for nothing.
        assert 1 <= there.waits(side) - told <= 2 * (1 + took / PAUSE)
        row = database.execute("select count(*) from keys_to_forget").fetchone()
        assert row is not None
        assert row[0] > 0
    database.execute("update keys_to_forget set kept_until = now()")  # as if some seconds had passed
    last = f"{WRITES[fault] - 1} without Redis"
    there.await_kept(side, last)
    assert database.execute("select from keys_to_forget").fetchall() == []
    assert there.shown(LEGACY) == there.shown(NATIVE) == last


@each_side
def test_who_is_told_that_another_process_is_reading_asks_once_for_all_of_his(
    there: Stage, database: psycopg.Connection, side: str
) -> None:
    waiting = "select count(*) from pg_locks where relation = 'messages'::regclass and not granted"
    there.write(side, "read once")
    there.await_kept(side, "read once")
    with Client.from_url(there.application.redis_url) as client, ThreadPoolExecutor(4) as threads:
        client.delete(KEY)
        names = str(client.get("account:1:names").decode())  # type: ignore[union-attr]  # it is not asynchronous
        client.set(f"cache:lease:{KEY}", f"0123456789abcdef 0 {names}")
        client.config_resetstat()
        with database.transaction():
            database.execute("lock table messages in access exclusive mode")
            readers = [threads.submit(there.shown, side) for _ in range(4)]
            eventually(lambda: client.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"] > 4, "all ask")
            eventually(lambda: database.execute(waiting).fetchone() == (1,), "one asks the database")
            time_to_ask = time.monotonic() + 0.3
            while time.monotonic() < time_to_ask:
                assert database.execute(waiting).fetchone() == (1,)
        assert [reader.result() for reader in readers] == ["read once"] * 4
        client.delete(f"cache:lease:{KEY}")


@each_side
def test_a_lease_of_which_a_reader_never_heard_is_given_back(there: Stage, side: str) -> None:
    there.write(side, "read in vain")
    there.await_kept(side, "read in vain")
    with Client.from_url(there.application.redis_url) as client:
        client.delete(KEY)
        client.config_resetstat()
        with there.without_redis("hangs"):
            assert there.shown(side) == "read in vain"
        eventually(lambda: client.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"] == 2, "both come")
        assert not client.exists(f"cache:lease:{KEY}")


@each_side
def test_a_redis_that_has_become_a_replica_is_left(there: Stage, database: psycopg.Connection, side: str) -> None:
    there.write(side, "to the primary")
    there.await_kept(side, "to the primary")
    with Client.from_url(there.application.redis_url, decode_responses=True) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        there.write(side, "on new connections")
        told = {each["id"] for each in client.client_list() if each["cmd"] == "eval"}
        assert told
        client.replicaof("127.0.0.1", free_port())
        there.write(side, "to a replica")
        left = told - {each["id"] for each in client.client_list()}
        client.replicaof("NO", "ONE")
    assert left == told
    database.execute("update keys_to_forget set kept_until = now()")  # as if some seconds had passed
    there.await_kept(side, "to a replica")


@each_side
def test_a_redis_that_refuses_writes_still_passes_on_what_it_is_told(
    there: Stage, database: psycopg.Connection, side: str
) -> None:
    there.write(side, "before it refuses")
    there.await_kept(side, "before it refuses")
    refused = [f"{n} refused" for n in range(3)]
    heard: list[str] = []

    def all_heard() -> bool:
        message = channel.get_message(timeout=0.1)
        if message and message["type"] == "message":
            told = json.loads(message["data"])
            if told["event"] == "message.created":
                heard.append(told["data"]["content"])
        return heard == refused

    with Client.from_url(there.application.redis_url) as client, client.pubsub() as channel:
        channel.subscribe("conversation:1")
        assert channel.get_message(timeout=5)
        away = there.waits(side)
        client.config_set("min-replicas-to-write", 1)
        try:
            for content in refused:
                there.write(side, content)
        finally:
            client.config_set("min-replicas-to-write", 0)
        assert there.waits(side) > away
        eventually(all_heard, "all of it is heard")
    database.execute("update keys_to_forget set kept_until = now()")  # as if some seconds had passed
    there.await_kept(side, refused[-1])


def test_both_sides_tell_of_it_alike(there: Stage) -> None:
    for side in SIDES:
        told = {event["event"]: (event["level"], {*event} - {"request_id"}) for event in there.said(side)}
        assert told["cache_away"] == ("warning", {"event", "level", "timestamp", "error"}), side
        assert told["cache_back"] == ("info", {"event", "level", "timestamp", "passed_over"}), side
