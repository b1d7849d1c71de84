from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from handlers.answers import Answer
from handlers.resources import Settings
from handlers.unit import Unscoped, reading, unit_of_work
from tests.handlers.serving import AGENT, eventually, serving
from tests.handlers.test_unit import RENAME, slow_commits, waiting

__all__ = ["slow_commits"]
DISCARDED = "x-strangler-discarded"
LIMIT = 0.25  # in which what waits for nobody is done, on a busy machine too
ASLEEP = Unscoped("select pg_sleep(600)", reason="no rows are read")


@pytest.fixture
def hurried(settings: Settings) -> Settings:
    return replace(settings, request_limit=LIMIT, database_pool=1)


async def rest(limits: float = 2.0) -> None:
    """Let so many times the limit of a request pass."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(limits * LIMIT, passed.set)
    await passed.wait()


async def sleep(request: Request) -> Answer:
    async with reading(request, AGENT) as database:
        return Answer(await database.row(ASLEEP))


async def write_and_sleep(request: Request) -> Answer:
    async with unit_of_work(request, AGENT) as unit:
        await unit.execute(RENAME, name="in vain")
        return Answer(await unit.row(ASLEEP))


async def rename(request: Request) -> Answer:
    async with unit_of_work(request, AGENT) as unit:
        await unit.execute(RENAME, name="kept")
    return Answer({})


async def echo(request: Request) -> Answer:
    return Answer((await request.body()).decode())


async def drip(request: Request) -> StreamingResponse:
    async def drops() -> AsyncIterator[bytes]:
        yield b"drip, "
        await rest()
        yield b"drop"

    return StreamingResponse(drops())


ROUTES = [
    Route("/sleep", sleep),
    Route("/write-and-sleep", write_and_sleep, methods=["POST"]),
    Route("/rename", rename, methods=["POST"]),
    Route("/echo", echo, methods=["POST"]),
    Route("/drip", drip),
]


def name(database: psycopg.Connection) -> str:
    row = database.execute("select name from accounts where id = 1").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(("method", "path"), [("GET", "/sleep"), ("POST", "/write-and-sleep")])
async def test_what_takes_too_long_is_given_up_with_word_that_nothing_was_kept(
    hurried: Settings, database: psycopg.Connection, method: str, path: str
) -> None:
    before = name(database)
    async with serving(hurried, ROUTES) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers[DISCARDED]) == (503, "1")
        assert (await client.post("/echo", content=b"next")).json() == "next"
    await eventually(lambda: waiting(hurried, "Timeout") == 0)  # nobody sleeps there any more
    assert name(database) == before


async def test_a_commit_that_has_been_sent_is_seen_through(
    hurried: Settings, database: psycopg.Connection, slow_commits: None
) -> None:
    before = name(database)
    # Time enough to come to the commit, on a busy machine too, over a connection that is there.
    async with serving(replace(hurried, request_limit=5 * LIMIT), ROUTES) as client:
        await client.post("/rename")
        with database.transaction():
            database.execute("select pg_advisory_xact_lock(1)")
            request = asyncio.get_running_loop().create_task(client.post("/rename"))
            await eventually(lambda: waiting(hurried, "Lock") == 1)
            await rest(limits=6)
            assert not request.done()
        assert (await request).status_code == 200
    assert name(database) == "kept"
    database.execute("update accounts set name = %s where id = 1", [before])


async def test_the_time_that_a_caller_takes_for_its_body_does_not_count(hurried: Settings) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"at "
        await rest()
        yield b"last"

    async with serving(hurried, ROUTES) as client:
        assert (await client.post("/echo", content=slowly())).json() == "at last"


async def test_an_answer_that_has_begun_is_not_cut(hurried: Settings) -> None:
    async with serving(hurried, ROUTES) as client:
        assert (await client.get("/drip")).text == "drip, drop"
