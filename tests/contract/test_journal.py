"""What every journal does, whichever keeps it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shadow.compare import Difference, Kind
from shadow.journal import TTL, Entry, Journal, MemoryJournal, RedisJournal

CAP = 120
ENTRY = Entry(
    id="",
    at=1_700_000_000.25,
    route="conversations.list",
    method="GET",
    target="/api/v1/conversations?status=open",
    request_id="r-1",
    control_side="legacy",
    candidate_side="native",
    control_status=200,
    candidate_status=500,
    differences=(Difference("", Kind.STATUS, 200, 500), Difference("data[0].name", Kind.VALUE, "Jürgen", None)),
    count=7,
)


@pytest.fixture
async def redis(contract_redis: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(contract_redis) as client:
        await client.flushdb()
        yield client


@pytest.fixture(params=["memory", "redis", "redis as text"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal(CAP)
        return
    url = request.getfixturevalue("contract_redis")
    async with Redis.from_url(url, decode_responses=request.param == "redis as text") as client:
        await client.flushdb()
        yield RedisJournal(client, CAP)


async def test_an_entry_comes_back_as_it_was_recorded(journal: Journal) -> None:
    identity = await journal.record(ENTRY)
    shown = (Difference("", Kind.STATUS, "200", "500"), Difference("data[0].name", Kind.VALUE, '"Jürgen"', "null"))
    assert await journal.latest(10) == [replace(ENTRY, id=identity, differences=shown)]


async def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert await journal.latest(10) == []


async def test_the_newest_come_first_and_only_as_many_as_asked_for(journal: Journal) -> None:
    ids = [await journal.record(replace(ENTRY, request_id=f"r-{number}")) for number in range(5)]
    assert len(set(ids)) == 5
    assert [entry.request_id for entry in await journal.latest(2)] == ["r-4", "r-3"]
    assert [entry.id for entry in await journal.latest(100)] == ids[::-1]
    assert await journal.latest(0) == []


async def test_one_routes_entries_are_found_among_many_others(journal: Journal) -> None:
    for number in range(CAP):
        await journal.record(replace(ENTRY, route="rare" if number % 50 == 7 else "frequent", at=float(number)))
    assert [entry.at for entry in await journal.latest(10, "rare")] == [107.0, 57.0, 7.0]
    assert [entry.at for entry in await journal.latest(2, "rare")] == [107.0, 57.0]
    assert await journal.latest(10, "unknown") == []


async def test_the_oldest_make_room(journal: Journal) -> None:
    for number in range(3 * CAP):
        await journal.record(replace(ENTRY, at=float(number)))
    kept = [entry.at for entry in await journal.latest(10 * CAP)]
    assert kept == [float(number) for number in range(3 * CAP - 1, 2 * CAP - 1, -1)]


async def test_no_secret_and_no_long_value_is_kept(journal: Journal) -> None:
    found = (
        Difference("data.accessToken", Kind.VALUE, "hunter2", ["hunter2"]),
        Difference("data", Kind.VALUE, {"email": "ada@example.org"}, "write to ada@example.org"),
        Difference("headers.set-cookie", Kind.HEADER, ["sid=hunter2"], []),
        Difference("data.content", Kind.VALUE, "x y " * 10_000, "\ud800\x1b["),
    )
    await journal.record(replace(ENTRY, target="/x?token=hunter2&q=ada%40example.org&a=1", differences=found))
    (entry,) = await journal.latest(1)
    assert "hunter2" not in repr(entry)
    assert "example.org" not in repr(entry)
    assert entry.target == "/x?token=[redacted]&q=[redacted]&a=1"
    assert all(len(value) <= 200 for each in entry.differences for value in (each.control, each.candidate))
    assert entry.differences[3].candidate == '"\\ud800\\u001b["'


async def test_many_may_write_at_once(journal: Journal) -> None:
    ids = await asyncio.gather(*(journal.record(ENTRY) for _ in range(50)))
    assert len(set(ids)) == 50
    assert len(await journal.latest(100)) == 50


async def test_the_stream_is_trimmed_and_expires(redis: Redis) -> None:
    journal = RedisJournal(redis, CAP, key="{t}:mismatches")
    for _ in range(3 * CAP):
        await journal.record(ENTRY)
    assert await redis.xlen("{t}:mismatches") <= CAP + 100  # Redis trims whole nodes of its stream
    assert TTL - 60 < await redis.ttl("{t}:mismatches") <= TTL


@pytest.mark.parametrize(
    "fields", [{"entry": "no json"}, {"entry": "[]"}, {"entry": '{"differences": [{"kind": "new"}]}'}, {"other": "1"}]
)
async def test_entries_of_another_version_are_passed_over(redis: Redis, fields: dict[Any, Any]) -> None:
    journal = RedisJournal(redis, CAP, key="{t}:mismatches")
    await journal.record(ENTRY)
    await redis.xadd("{t}:mismatches", fields)
    assert len(await journal.latest(10)) == 1


async def test_a_redis_that_is_gone_is_reported_by_its_own_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        client = Redis(port=taken.getsockname()[1], retry=Retry(NoBackoff(), 0))
        with pytest.raises(RedisError):
            await RedisJournal(client).record(ENTRY)
        with pytest.raises(RedisError):
            await RedisJournal(client).latest(1)
        await client.aclose()
