from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from starlette.requests import Request
from starlette.routing import Route

from demo.stack import Application
from handlers.answers import Answer
from handlers.errors import NotFound
from handlers.events import MessageCreated
from handlers.resources import Settings
from handlers.unit import BrokenUnit, Scoped, ScopeError, Unscoped, reading, unit_of_work
from tests.handlers.relay import Relay
from tests.handlers.serving import AGENT, eventually, serving

DISCARDED, SHADOW = "x-strangler-discarded", {"X-Strangler-Shadow": "1"}
RENAME = Scoped("update accounts set name = %(name)s where id = %(account_id)s")
NAME = Scoped("select name from accounts where id = %(account_id)s")
NAMES = Unscoped("select name from accounts order by id", reason="to see what a caller may not")
BACKEND = Unscoped("select pg_backend_pid()", reason="no rows are read")
LEAVE_JOB = Unscoped(
    "insert into outbox (job, args, created_at) values ('SomeJob', '[]', now())", reason="jobs are of no account"
)
MESSAGE = {"id": 1, "conversationId": 1}


@pytest.fixture
def name(database: psycopg.Connection) -> Any:
    """The name of the agent's account, as others see it."""
    before = database.execute("select name from accounts where id = 1").fetchone()
    yield lambda: (database.execute("select name from accounts where id = 1").fetchone() or [None])[0]
    database.execute("update accounts set name = %s where id = 1", before)


@asynccontextmanager
async def handling(
    settings: Settings, handler: Callable[[Request], Awaitable[Answer]]
) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, [Route("/", handler, methods=["GET", "POST"])]) as client:
        yield client


async def rename(request: Request) -> Answer:
    async with unit_of_work(request, AGENT) as unit:
        await unit.execute(RENAME, name="renamed")
        await unit.execute(LEAVE_JOB)
        unit.emit(MessageCreated(MESSAGE))
        failure = request.query_params.get("raise")
        if failure is not None:
            raise NotFound if failure == "caller" else RuntimeError(failure)
    return Answer({})


async def test_leaving_the_block_commits_and_then_tells(settings: Settings, name: Any, redis: Redis) -> None:
    async with handling(settings, rename) as client:
        assert (await client.post("/")).status_code == 200
        await eventually(lambda: redis.llen("queue:default") == 1)
    assert name() == "renamed"


@pytest.mark.parametrize(("failure", "status"), [("caller", 404), ("us", 500)])
async def test_a_failure_leaves_nothing_and_tells_nobody(
    settings: Settings, name: Any, redis: Redis, failure: str, status: int
) -> None:
    before = name()
    async with handling(settings, rename) as client:
        answer = await client.post("/", params={"raise": failure})
    assert answer.status_code == status
    assert name() == before
    assert redis.llen("queue:default") == 0
    # Only a failure of ours is one that may be asked elsewhere.
    assert answer.headers.get(DISCARDED) == ("1" if status == 500 else None)


async def test_a_failure_after_the_commit_is_not_called_discarded(settings: Settings, name: Any) -> None:
    async def fail_later(request: Request) -> Answer:
        await rename(request)
        raise RuntimeError

    async with handling(settings, fail_later) as client:
        answer = await client.post("/")
    assert answer.status_code == 500
    assert DISCARDED not in answer.headers
    assert name() == "renamed"


async def test_a_second_unit_that_fails_does_not_undo_that_the_first_was_kept(settings: Settings, name: Any) -> None:
    async def twice(request: Request) -> Answer:
        await rename(request)
        async with unit_of_work(request, AGENT):
            raise RuntimeError

    async with handling(settings, twice) as client:
        answer = await client.post("/")
    assert DISCARDED not in answer.headers
    assert name() == "renamed"


async def test_a_failure_before_any_unit_is_discarded(settings: Settings) -> None:
    async def fail(request: Request) -> Answer:
        raise RuntimeError

    async with handling(settings, fail) as client:
        assert (await client.get("/")).headers[DISCARDED] == "1"


async def test_a_shadow_can_read_and_keeps_and_tells_nothing(settings: Settings, name: Any, redis: Redis) -> None:
    async def read(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            row = await unit.row(NAME)
            unit.emit(MessageCreated(MESSAGE))
        return Answer(row)

    async with handling(settings, read) as client:
        assert (await client.get("/", headers=SHADOW)).json() == [name()]
    assert redis.llen("queue:default") == 0


async def test_a_shadow_that_writes_is_refused_by_postgresql(settings: Settings, name: Any) -> None:
    before = name()
    async with handling(settings, rename) as client:
        answer = await client.post("/", headers=SHADOW)
    assert (answer.status_code, answer.headers[DISCARDED]) == (500, "1")
    assert name() == before


@pytest.mark.parametrize("headers", [{}, SHADOW], ids=["live", "shadow"])
async def test_who_said_to_read_cannot_write(settings: Settings, name: Any, headers: dict[str, str]) -> None:
    async def write(request: Request) -> Answer:
        async with reading(request, AGENT) as database:
            return Answer(await database.row(Scoped(RENAME.sql + " returning name"), name="renamed"))

    before = name()
    async with handling(settings, write) as client:
        answer = await client.get("/", headers=headers)
    assert (answer.status_code, answer.headers[DISCARDED]) == (500, "1")
    assert name() == before


async def test_an_error_that_was_swallowed_does_not_pass_for_a_commit(settings: Settings, name: Any) -> None:
    caught: list[BaseException] = []

    async def swallow(request: Request) -> Answer:
        try:
            async with unit_of_work(request, AGENT) as unit:
                await unit.execute(RENAME, name="renamed")
                with pytest.raises(psycopg.Error):
                    await unit.execute(RENAME, name=None)
        except BrokenUnit as error:
            caught.append(error)
            raise
        return Answer({})

    before = name()
    async with handling(settings, swallow) as client:
        answer = await client.post("/")
    assert (answer.status_code, answer.headers[DISCARDED]) == (500, "1")
    assert len(caught) == 1
    assert name() == before


async def test_the_account_is_bound_by_the_unit_and_not_by_the_handler(settings: Settings) -> None:
    async def read(request: Request) -> Answer:
        async with reading(request, AGENT) as database:
            own, overruled = await database.row(NAME), await database.row(NAME, account_id=2)
        async with reading(request) as database:
            nobodys, everybodys = await database.rows(NAME), await database.rows(NAMES)
        return Answer([own, overruled, nobodys, len(everybodys)])

    async with handling(settings, read) as client:
        own, overruled, nobodys, everybodys = (await client.get("/")).json()
    assert own == overruled
    assert nobodys == []
    assert everybodys >= 2


def test_a_statement_that_does_not_name_the_account_cannot_be_made() -> None:
    with pytest.raises(ScopeError):
        Scoped("select name from accounts")


async def test_a_request_that_is_cancelled_rolls_back_and_gives_its_connection_back(
    settings: Settings, database: psycopg.Connection, name: Any
) -> None:
    before = name()
    async with handling(replace(settings, database_pool=1), rename) as client:
        with database.transaction():
            database.execute("select from accounts where id = 1 for update")
            request = asyncio.get_running_loop().create_task(client.post("/"))
            await eventually(lambda: waiting(settings, "Lock") == 1)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            await eventually(lambda: waiting(settings, "Lock") == 0)
        assert name() == before
        assert (await client.post("/")).status_code == 200


@pytest.mark.parametrize("frozen_during", ["a statement", "other work"])
async def test_a_cancellation_does_not_wait_for_a_frozen_postgresql(
    settings: Settings, name: Any, frozen_during: str
) -> None:
    begun, before = asyncio.Event(), name()

    async def freeze(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            await unit.execute(RENAME, name="renamed")
            if not begun.is_set():
                relay.freeze()
                begun.set()
                await (unit.row(NAME) if frozen_during == "a statement" else asyncio.Event().wait())
        return Answer({})

    async with Relay(settings.database_url) as relay:
        alone = replace(settings, database_url=relay.url, database_pool=1)
        async with handling(alone, freeze) as client:
            request = asyncio.get_running_loop().create_task(client.post("/"))
            await begun.wait()
            await turns()
            assert not request.done()
            request.cancel()
            await turns()
            assert request.cancelled()
            relay.thaw()
            assert name() == before
            assert (await client.post("/")).status_code == 200
    assert name() == "renamed"


async def test_a_commit_that_is_not_answered_is_given_up_and_not_called_discarded(
    settings: Settings, name: Any, redis: Redis
) -> None:
    async def freeze(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            await unit.execute(RENAME, name="renamed")
            await unit.execute(LEAVE_JOB)
            unit.emit(MessageCreated(MESSAGE))
            relay.freeze()
        return Answer({})

    async with (
        Relay(settings.database_url) as relay,
        handling(replace(settings, database_url=relay.url, answer_wait=0.1), freeze) as client,
    ):
        answer = await client.post("/")
    assert answer.status_code == 503
    assert DISCARDED not in answer.headers
    assert redis.llen("queue:default") == 0


async def test_a_rollback_that_is_not_answered_is_given_up_and_discards_all_the_same(
    settings: Settings, name: Any
) -> None:
    async def freeze(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            await unit.execute(RENAME, name="renamed")
            relay.freeze()
            raise RuntimeError

    before = name()
    async with (
        Relay(settings.database_url) as relay,
        handling(replace(settings, database_url=relay.url, answer_wait=0.1), freeze) as client,
    ):
        answer = await client.post("/")
    assert (answer.status_code, answer.headers[DISCARDED]) == (500, "1")
    assert name() == before


async def test_a_caller_who_leaves_during_the_commit_does_not_stop_it(
    settings: Settings, database: psycopg.Connection, name: Any, redis: Redis, slow_commits: None
) -> None:
    async with handling(settings, rename) as client:
        with database.transaction():
            database.execute("select pg_advisory_xact_lock(1)")
            request = asyncio.get_running_loop().create_task(client.post("/"))
            await eventually(lambda: waiting(settings, "Lock") == 1)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        await eventually(lambda: redis.llen("queue:default") == 1)
    assert name() == "renamed"


async def test_a_commit_whose_answer_was_lost_is_not_called_discarded(
    settings: Settings, database: psycopg.Connection, slow_commits: None
) -> None:
    async with handling(settings, rename) as client:
        with database.transaction():
            database.execute("select pg_advisory_xact_lock(1)")
            request = asyncio.get_running_loop().create_task(client.post("/"))
            await eventually(lambda: waiting(settings, "Lock") == 1)
            terminate(settings)
            answer = await request
    assert answer.status_code == 503
    assert DISCARDED not in answer.headers


async def test_a_connection_that_is_lost_before_the_commit_is_called_discarded(
    settings: Settings, database: psycopg.Connection, name: Any
) -> None:
    before = name()
    async with handling(settings, rename) as client:
        with database.transaction():
            database.execute("select from accounts where id = 1 for update")
            request = asyncio.get_running_loop().create_task(client.post("/"))
            await eventually(lambda: waiting(settings, "Lock") == 1)
            terminate(settings)
            answer = await request
        assert (answer.status_code, answer.headers[DISCARDED]) == (503, "1")
        assert name() == before
        assert (await client.post("/")).status_code == 200


async def test_a_connection_that_is_lost_before_the_rollback_is_called_discarded(settings: Settings, name: Any) -> None:
    async def lose(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            await unit.execute(RENAME, name="renamed")
            row = await unit.row(BACKEND)
            with psycopg.connect(settings.database_url, autocommit=True) as connection:
                connection.execute("select pg_terminate_backend(%s, 5000)", row)
            raise RuntimeError

    before = name()
    async with handling(settings, lose) as client:
        answer = await client.post("/")
        assert (answer.status_code, answer.headers[DISCARDED]) == (500, "1")
        assert name() == before
        assert (await client.post("/")).status_code == 500


@pytest.fixture
def slow_commits(database: psycopg.Connection) -> Any:
    """Commits that changed an account wait for whoever holds lock 1."""
    database.execute(
        """create function wait_for_lock_1() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(1); return null; end $$"""
    )
    database.execute(
        """create constraint trigger slow_commits after update on accounts deferrable initially deferred
           for each row execute function wait_for_lock_1()"""
    )
    yield
    database.execute("drop function wait_for_lock_1 cascade")


async def turns() -> None:
    """Let every task do what it can do without waiting for anything outside this process."""
    for _ in range(100):
        await asyncio.sleep(0)


def waiting(settings: Settings, event_type: str) -> int:
    """How many of the application's connections wait for such an event."""
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        row = connection.execute(
            """select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = %s and query <> ''""",
            [event_type],
        ).fetchone()
    return row[0] if row else 0


def terminate(settings: Settings) -> None:
    """End the connections that wait for a lock."""
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'"""
        )


TWO_ROWS = Scoped("""
with first as materialized (
     select id from users where id = 2 and account_id = %(account_id)s for no key update)
select users.id from first, users where users.id = 3 and account_id = %(account_id)s for no key update of users
""")
ONE_ROW = Scoped("select id from users where id = %(id)s and account_id = %(account_id)s for no key update")


@pytest.mark.parametrize(("statements", "status"), [(1, 200), (2, 503)])
async def test_a_first_statement_that_ends_a_deadlock_begins_again(
    settings: Settings, database: psycopg.Connection, own: Application, statements: int, status: int
) -> None:
    async def lock(request: Request) -> Answer:
        async with unit_of_work(request, AGENT) as unit:
            if statements == 1:
                await unit.row(TWO_ROWS)
            else:
                await unit.row(ONE_ROW, id=2)
                await unit.row(ONE_ROW, id=3)
        return Answer({})

    soon = replace(settings, database_url=f"{settings.database_url}?options=-c%20deadlock_timeout%3D2s")
    waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with handling(soon, lock) as client, await psycopg.AsyncConnection.connect(own.database_url) as other:
        await other.execute("set deadlock_timeout = '1min'")  # it is never the one to end it
        await other.execute("select from users where id = 3 for no key update")
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(client.post("/"))
            await eventually(lambda: database.execute(waiting).fetchone() is not None)
            await other.execute("select from users where id = 2 for no key update")
            await other.rollback()
    assert answer.result().status_code == status
