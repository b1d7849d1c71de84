"""Changes as they are told to those who listen: in order, each once, whatever becomes of listener, worker and store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from starlette.types import Message

from flags.audit import BEGINNING
from flags.flag import Trip
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.events import BEAT, READERS, Events
from tests.contract.redis_process import redis_process
from tests.proxy.telling import ROUTE, Site, serving


class Stream:
    """What a listener reads: blocks of lines, one after another."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self._lines = answer, answer.aiter_lines()

    async def block(self) -> list[str]:
        lines: list[str] = []
        async with asyncio.timeout(20):
            async for line in self._lines:
                if not line:
                    return lines
                lines.append(line)
        raise EOFError

    async def event(self) -> tuple[str, str, Any]:
        """The next one: its id, what it is, and what it holds."""
        while True:
            told = dict(line.split(": ", 1) for line in await self.block())
            if "data" in told:
                return told["id"], told["event"], json.loads(told["data"])

    async def end(self) -> None:
        with suppress(EOFError):
            while True:
                await self.block()


@asynccontextmanager
async def listening(client: httpx.AsyncClient, after: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", "/events", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Stream(answer)


@asynccontextmanager
async def begun(beat: float = BEAT) -> AsyncIterator[tuple[Site, httpx.AsyncClient]]:
    site = Site(MemoryStore(), beat=beat)
    async with serving(site) as client:
        yield site, client


async def test_each_change_is_an_event_of_its_kind_with_its_record() -> None:
    async with begun() as (site, client), listening(client) as stream:
        assert stream.answer.headers["content-type"] == "text/event-stream"
        assert stream.answer.headers["cache-control"] == "no-store"
        await site.change(native=500)
        await site.change(trip=Trip(1.0, "failing", "evidence"))
        await site.change()
        told = [await stream.event() for _ in range(3)]
    records = list(reversed(await site.store.audit(3)))
    assert [(id, what) for id, what, _ in told] == [(record.id, record.what.value) for record in records]
    assert [what for _, what, _ in told] == ["changed", "tripped", "reset"]
    _, _, data = told[0]
    assert (data["route"], data["who"], data["why"], data["after"]["share"]) == (ROUTE, "Anna", "step 2", 500)


async def test_a_listener_that_was_cut_off_goes_on_behind_what_it_saw() -> None:
    async with begun() as (site, client):
        async with listening(client) as stream:
            await site.change(native=100)
            seen, _, _ = await stream.event()
        for share in (200, 300):
            await site.change(native=share)
        async with listening(client, after=seen) as stream:
            shares = [(await stream.event())[2]["after"]["share"] for _ in range(2)]
        assert shares == [200, 300]


async def test_a_listener_that_was_cut_off_before_any_event_knows_where_it_was() -> None:
    async with begun() as (site, client):
        await site.change(native=100)
        async with listening(client) as stream:
            (place,) = [line for line in await stream.block() if line.startswith("id: ")]
        await site.change(native=200)
        async with listening(client, after=place.removeprefix("id: ")) as stream:
            assert (await stream.event())[2]["after"]["share"] == 200


async def test_more_changes_than_are_told_at_a_time_are_all_told() -> None:
    async with begun() as (site, client):
        for share in range(1, 251):
            await site.change(native=share)
        async with listening(client, after=BEGINNING) as stream:
            assert [(await stream.event())[2]["after"]["share"] for _ in range(250)] == list(range(1, 251))


async def test_silence_is_broken_by_comments() -> None:
    async with begun(beat=0.01) as (site, client), listening(client) as stream:
        blocks = [await stream.block() for _ in range(3)]
        assert [block[0][0] for block in blocks[1:]] == [":", ":"]
        await site.change(native=100)
        assert (await stream.event())[1] == "changed"


async def test_the_stream_ends_whole_when_the_worker_stops() -> None:
    async with begun() as (site, client), listening(client) as stream:
        await stream.block()
        site.over.set()
        await stream.end()
        assert (await client.get("/events")).status_code == 503


@pytest.mark.parametrize("id", ["x", "1", "-", "1-x", "9" * 16 + "-0", "1-0 2-0"])
async def test_an_id_of_no_event_is_refused(id: str) -> None:
    async with begun() as (_, client):
        answer = await client.get("/events", headers={"Last-Event-ID": id})
        assert answer.status_code == 400


async def test_there_are_places_for_so_many_listeners_and_each_that_leaves_gives_its_own_back() -> None:
    async with begun() as (_, client), AsyncExitStack() as others:
        for _ in range(READERS - 1):
            await others.enter_async_context(listening(client))
        async with listening(client):
            refused = await client.get("/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        status = 503
        async with asyncio.timeout(20):
            while status == 503:  # the server notices when it does
                async with client.stream("GET", "/events") as answer:
                    status = answer.status_code
        assert status == 200


async def test_one_who_takes_nothing_does_not_keep_its_place() -> None:
    events = Events(MemoryStore(), asyncio.Event(), taken_within=0.01)

    async def never(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    reader = await events.reader(None)
    async with asyncio.timeout(20):
        await reader({"type": "http"}, silent, never)
    assert not events.readers


async def test_what_another_worker_changes_is_told_and_nothing_is_missed_while_redis_hangs() -> None:
    with redis_process() as server:
        mine, theirs = RedisStore(server.url(), limit=0.5), RedisStore(server.url())
        async with serving(Site(mine, beat=0.05)) as client, listening(client) as stream:
            other = Site(theirs)
            await other.change(native=100)
            assert (await stream.event())[2]["after"]["share"] == 100
            server.pause()
            for _ in range(3):
                await stream.block()  # comments: the stream lives without its store
            server.resume()
            await other.change(native=200)
            assert (await stream.event())[2]["after"]["share"] == 200
        await mine.close()
        await theirs.close()
