"""What a shadow may do natively: read. What it tries beyond that is refused by PostgreSQL and Redis themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Message
from structlog.testing import capture_logs

from demo.stack import Application, start_redis
from demo.stores import SHADOW, of_shadows
from handlers import entries, events, outbox, resources, shadow
from handlers.answers import Answer
from handlers.app import ROUTES, Messaging
from handlers.outbox import Job
from handlers.resources import MisconfiguredError, Resources, Settings
from handlers.shadow import Whole, Wrote
from handlers.unit import Scoped, Unscoped, reading, unit_of_work
from tests.handlers.serving import AGENT, asking, serving
from tests.handlers.test_outbox import AT

MARKED = {"X-Strangler-Shadow": "r-1"}
ENVIRONMENT = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "redis://x", "JWT_SECRET": "s"}
WORD, DISCARDED = "x-strangler-shadow", "x-strangler-discarded"
USER = "/api/v1/users/2"
INSERT = """
insert into metrics (account_id, day, name, value, created_at, updated_at)
values (%(account_id)s, '1999-01-01', 'tempted', 1, now(), now()) returning id
"""
TEMPTED = "select name from metrics where name = 'tempted'"
Deed = Callable[[Request], Awaitable[object]]


def statement(sql: str) -> Deed:
    async def run(request: Request) -> None:
        async with reading(request, AGENT) as database:
            await database.rows(Unscoped(sql, reason="it is a deed"))

    return run


async def insert(request: Request) -> None:
    async with unit_of_work(request, AGENT) as unit:
        await unit.row(Scoped(INSERT))


async def insert_and_say_nothing(request: Request) -> None:
    with suppress(psycopg.Error):
        await insert(request)


async def begin_to_write(request: Request) -> None:
    async with unit_of_work(request, AGENT) as unit:
        await unit.execute(Unscoped("set transaction read write", reason="a setting can be unset"))
        await unit.row(Scoped(INSERT))


async def unset_what_is_only_a_setting(request: Request) -> None:
    held = resources.of(request)
    connection = await held.take()
    try:
        await connection.execute("set default_transaction_read_only = off")
        await connection.execute(INSERT, {"account_id": 1})
    finally:
        await held.give_back(connection)


async def ask(server: Any, *words: object) -> None:
    await server.execute_command(*words)


def command(*words: str) -> Deed:
    return lambda request: ask(resources.of(request).redis, *words)


async def set_a_key_and_say_nothing(request: Request) -> None:
    with suppress(RedisError):
        await resources.of(request).redis.set("tempted", 1)


async def become_another_user(request: Request) -> None:
    """Such as the demo's default one, who needs no password, and may do everything."""
    async with resources.of(request).redis.client() as client:
        await ask(client, "AUTH", "default", "x")
        await client.set("tempted", 1)


async def become_another_user_in_a_pipeline(request: Request) -> None:
    pipeline: Any = resources.of(request).redis.pipeline(transaction=False)
    await pipeline.execute_command(b"hello", 3, "auth", "default", "x").set("tempted", 1).execute()


async def become_nobody_and_say_nothing(request: Request) -> None:
    async with resources.of(request).redis.client() as client:
        with suppress(RedisError):
            await ask(client, "reset")
        with suppress(RedisError):
            await client.set("tempted", 1)


async def become_another_user_on_the_line(request: Request) -> None:
    line = resources.of(request).line
    await line.ask("AUTH", "default", "x")
    await line.ask("SET", "tempted", 1)


async def set_a_key_on_the_line(request: Request) -> None:
    await resources.of(request).line.ask("SET", "tempted", 1)


async def set_a_key_on_the_line_and_say_nothing(request: Request) -> None:
    with suppress(RedisError):
        await set_a_key_on_the_line(request)


async def set_a_key_in_a_task(request: Request) -> None:
    task = asyncio.get_running_loop().create_task(set_a_key_and_say_nothing(request))
    await task


async def set_a_key_from_a_thread(request: Request) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(set_a_key_and_say_nothing(request), loop).result())


async def keep_an_answer(request: Request) -> None:
    async def load() -> bytes:
        return b"{}"

    await resources.of(request).cache.fetch(entries.user(2), AGENT.account_id, load)


async def enqueue(request: Request) -> None:
    await outbox.push(resources.of(request).redis, [Job(0, "default", "SomeJob", [], "f" * 24, AT)], 0.0)


async def broadcast(request: Request) -> None:
    await events.hand_on([events.MessageCreated({"conversationId": 1})], resources.of(request), "r-1")


async def nothing(request: Request) -> None:
    async with unit_of_work(request, AGENT) as unit:
        unit.emit(events.MessageCreated({"conversationId": 1}))
        unit.forget("user:2")


LEAVING: dict[str, Deed] = {
    "insert": insert,
    "insert, and say nothing of it": insert_and_say_nothing,
    "begin to write": begin_to_write,
    "unset what is only a setting": unset_what_is_only_a_setting,
    "set a key": command("SET", "tempted", "1"),
    "set a key, and say nothing of it": set_a_key_and_say_nothing,
    "set a key on the line": set_a_key_on_the_line_and_say_nothing,
    "set a key in a task": set_a_key_in_a_task,
    "set a key from a thread": set_a_key_from_a_thread,
    "set a key by a script": command("EVAL", "return redis.call('SET', 'tempted', 1)", "0"),
    "become another user": become_another_user,
    "become another user on the line": become_another_user_on_the_line,
    "keep an answer": keep_an_answer,
    "enqueue a job": enqueue,
}
OTHERS: dict[str, Deed] = {
    "select that inserts": statement(
        "with done as (insert into outbox (job, args, created_at) values ('Job', '[]', now()) returning id) select 1"
    ),
    "lock a row": statement("select 1 from users where id = 2 for update"),
    "make a table": statement("create table tempted (id int)"),
    "put on another role": statement("set role postgres"),
    "call nextval": statement("select nextval('metrics_id_seq')"),
    "list all keys": command("KEYS", "*"),
    "become another user in a pipeline": become_another_user_in_a_pipeline,
    "become nobody, and say nothing of it": become_nobody_and_say_nothing,
    "broadcast": broadcast,
    "make room": command("FLUSHALL"),
}


@asynccontextmanager
async def tempted(settings: Settings, deed: Deed) -> AsyncIterator[httpx.AsyncClient]:
    async def handle(request: Request) -> Answer:
        await deed(request)
        return Answer({})

    async with serving(settings, [Route("/", handle, methods=["GET"])]) as client:
        yield client


@pytest.fixture
def left(database: psycopg.Connection, redis: Redis) -> Iterator[Callable[[], Any]]:
    """What there is now that was not."""
    yield lambda: (database.execute(TEMPTED).fetchall(), redis.keys("*"))
    database.execute("delete from metrics where name = 'tempted'")


def told(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    return answer.status_code, answer.headers.get(WORD), answer.headers.get(DISCARDED)


@pytest.mark.parametrize("deed", [*LEAVING, *OTHERS])
async def test_a_shadow_that_tries_more_than_to_read_says_so_and_leaves_nothing(
    settings: Settings, left: Callable[[], Any], deed: str
) -> None:
    async with tempted(settings, (LEAVING | OTHERS)[deed]) as client:
        answer = await client.get("/", headers=MARKED)
    assert told(answer) == (500, "wrote", "1")
    assert answer.json() == {"error": "internal_server_error", "requestId": answer.headers["x-request-id"]}
    assert left() == ([], [])


@pytest.mark.parametrize("deed", LEAVING)
async def test_a_user_does_the_same_unhindered(settings: Settings, left: Callable[[], Any], deed: str) -> None:
    async with tempted(replace(settings, cache_wait=30.0), LEAVING[deed]) as client:
        answer = await client.get("/")
    assert told(answer) == (200, None, None)
    assert left() != ([], [])


@pytest.mark.parametrize("marked", [True, False], ids=["shadow", "user"])
async def test_what_is_tried_after_the_answer_is_refused_too(
    settings: Settings, left: Callable[[], Any], *, marked: bool
) -> None:
    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def later(request: Request) -> None:
        await answered.wait()
        await set_a_key_and_say_nothing(request)

    async def handle(request: Request) -> Answer:
        tasks.append(asyncio.get_running_loop().create_task(later(request)))
        answer = Answer({})
        answer.background = BackgroundTask(insert_and_say_nothing, request)
        return answer

    async with serving(settings, [Route("/", handle, methods=["GET"])]) as client:
        assert told(await client.get("/", headers=MARKED if marked else {})) == (200, None, None)
        answered.set()
        await asyncio.gather(*tasks)
    rows, keys = left()
    assert (rows, keys) == (([], []) if marked else ([("tempted",)], ["tempted"]))


@asynccontextmanager
async def streaming(settings: Settings, first: bytes, deed: Deed) -> AsyncIterator[httpx.AsyncClient]:
    async def handle(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield first
            await deed(request)
            yield b"last"

        return StreamingResponse(pieces())

    async with serving(settings, [Route("/", handle, methods=["GET"])]) as client:
        yield client


async def test_what_is_tried_in_the_midst_of_an_answer_is_told_too(settings: Settings, left: Callable[[], Any]) -> None:
    async with streaming(settings, b"first, ", set_a_key_and_say_nothing) as client:
        assert told(await client.get("/", headers=MARKED)) == (500, "wrote", "1")
        assert left() == ([], [])
        assert (await client.get("/")).text == "first, last"
    assert left() == ([], ["tempted"])


async def test_an_answer_too_long_to_be_kept_breaks_off_where_something_was_tried(
    settings: Settings, left: Callable[[], Any]
) -> None:
    async with streaming(settings, bytes(shadow.MOST + 1), set_a_key_and_say_nothing) as client:
        with pytest.raises(Wrote):
            await client.get("/", headers=MARKED)
    assert left() == ([], [])


async def test_an_answer_that_takes_long_is_passed_on_as_it_comes() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    head: Message = {"type": "http.response.start", "status": 200}
    soon, late = Whole(send, [], 300.0), Whole(send, [], 0.0)
    await soon.tell(head)
    assert sent == []
    await late.tell(head)
    assert sent == [head]


async def test_an_answer_that_breaks_off_does_so_for_a_shadow_too(settings: Settings) -> None:
    async with streaming(settings, b"first, ", statement("select 1 / 0")) as client:
        for headers in ({}, MARKED):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await client.get("/", headers=headers)


async def test_what_was_tried_is_in_the_log_though_nobody_heard_of_it(settings: Settings) -> None:
    async with tempted(settings, insert_and_say_nothing) as client:
        with capture_logs() as logs:
            await client.get("/", headers=MARKED)
    (line,) = [each for each in logs if each["event"] == "internal_server_error"]
    assert line["shadow"] is True
    assert "ReadOnlySqlTransaction" in line["exception"]
    assert "INSERT" in line["exception"]


async def test_what_a_shadow_would_have_told_is_dropped_with_its_unit(
    settings: Settings, redis: Redis, left: Callable[[], Any]
) -> None:
    server: Any = redis
    heard = server.pubsub()
    heard.psubscribe("*")
    assert heard.get_message(timeout=30)
    async with tempted(settings, nothing) as client:
        assert told(await client.get("/", headers=MARKED)) == (200, None, None)
    redis.publish("last", "word")
    message = heard.get_message(timeout=30)
    assert message is not None
    assert message["channel"] == "last"
    assert left() == ([], [])


async def test_the_word_of_one_shadow_is_not_that_of_the_next(settings: Settings) -> None:
    asked = 0

    async def once(request: Request) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await insert(request)

    async with tempted(settings, once) as client:
        assert [told(await client.get("/", headers=MARKED))[:2] for _ in range(2)] == [(500, "wrote"), (200, None)]


async def test_a_failure_of_another_kind_is_not_called_a_write(settings: Settings) -> None:
    async with tempted(settings, statement("select 1 / 0")) as client:
        assert told(await client.get("/", headers=MARKED)) == (500, None, "1")


@pytest.mark.parametrize("path", [USER, "/api/v1/conversations?limit=2", "/api/v1/users/9999999", "/nowhere"])
async def test_a_shadow_gets_what_a_user_gets(client: httpx.AsyncClient, path: str) -> None:
    user, other = await client.get(path), await client.get(path, headers=MARKED)
    assert (other.status_code, other.content) == (user.status_code, user.content)
    assert WORD not in other.headers


async def test_a_shadow_takes_no_connection_of_users_and_leaves_theirs_alone(settings: Settings) -> None:
    app = Messaging(replace(settings, database_pool=1, shadow_database_pool=1, shadow_database_wait=30.0))
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        users, shadows = app.state.resources, app.state.shadows
        taken = await users.take()
        assert (await client.get(USER, headers=MARKED)).status_code == 200
        await users.give_back(taken)
        taken = await shadows.take()
        assert (await client.get("/api/v1/conversations?limit=1")).status_code == 200
        await shadows.give_back(taken)


async def test_without_a_connection_for_it_a_shadow_is_refused_at_once(settings: Settings) -> None:
    app = Messaging(replace(settings, shadow_database_pool=1, shadow_database_wait=0.05))
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        while (await client.get(USER, headers=MARKED)).status_code != 200:
            pass  # the first connection takes its time where much else runs
        taken = await app.state.shadows.take()
        answer = await client.get(USER, headers=MARKED)
        assert told(answer) == (503, "refused", "1")
        assert answer.json()["error"] == "service_unavailable"
        await app.state.shadows.give_back(taken)


async def test_without_addresses_of_their_own_shadows_are_refused_and_users_served(settings: Settings) -> None:
    async with serving(replace(settings, shadow_database_url="", shadow_redis_url="")) as client:
        assert told(await client.get(USER, headers=MARKED)) == (503, "refused", "1")
        assert told(await client.get(USER)) == (200, None, None)


@pytest.mark.parametrize(
    ("spoil", "mend", "why"),
    [
        ("grant update on metrics to {}", "revoke update on metrics from {}", "may change metrics"),
        ("revoke select on messages from {}", "grant select on messages to {}", "may not read messages"),
    ],
    ids=["it may write", "it may not read"],
)
async def test_a_role_that_may_do_more_or_less_is_not_asked(
    settings: Settings, database: psycopg.Connection, spoil: str, mend: str, why: str
) -> None:
    database.execute(spoil.format(SHADOW))
    try:
        async with serving(settings) as client:
            with capture_logs() as logs:
                assert told(await client.get(USER, headers=MARKED)) == (503, "refused", "1")
            assert f"the role of SHADOW_DATABASE_URL {why}" in logs[-1]["exception"]
            assert told(await client.get(USER)) == (200, None, None)
            database.execute(mend.format(SHADOW))
            assert told(await client.get(USER, headers=MARKED)) == (200, None, None)
    finally:
        database.execute(mend.format(SHADOW))


@pytest.mark.parametrize("deed", [command("SET", "tempted", "1"), set_a_key_on_the_line])
async def test_a_redis_user_that_may_write_is_not_asked(
    settings: Settings, left: Callable[[], Any], deed: Deed
) -> None:
    may_write = replace(settings, shadow_redis_url=settings.redis_url)
    async with tempted(may_write, deed) as client:
        assert told(await client.get("/", headers=MARKED)) == (503, "refused", "1")
    assert left() == ([], [])


@pytest.mark.parametrize(
    "words",
    [("AUTH", "default", "x"), ("auth default", "x"), (b"Reset",), ("HELLO", 3, "AUTH", "default", "x")],
    ids=lambda words: str(words[0]),
)
async def test_a_connection_stays_its_users_whoever_asks(settings: Settings, words: tuple[Any, ...]) -> None:
    theirs = settings.of_shadows()
    assert theirs is not None
    async with Resources.open(theirs, shadow=True) as held, held.redis.client() as client:
        for command in (words, ("SET", "tempted", 1)):
            with pytest.raises(NoPermissionError):
                await ask(client, *command)


async def test_what_redis_refuses_while_nobody_is_watched_is_noted_nowhere(settings: Settings) -> None:
    theirs = settings.of_shadows()
    assert theirs is not None
    async with Resources.open(theirs, shadow=True) as held:
        assert await held.redis.get("tempted") is None
        with pytest.raises(RedisError):
            await held.redis.set("tempted", 1)
    assert shadow.attempts.get() is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"SHADOW_REDIS_URL": "redis://shadow@x"}, "set both SHADOW_DATABASE_URL and SHADOW_REDIS_URL, or neither"),
        ({"SHADOW_DATABASE_URL": "postgresql:///x"}, "set both SHADOW_DATABASE_URL and SHADOW_REDIS_URL, or neither"),
        ({"SHADOW_DATABASE_URL": "x", "SHADOW_REDIS_URL": "redis://x"}, "SHADOW_DATABASE_URL must be a URL"),
        ({"SHADOW_DATABASE_URL": "postgresql:///x", "SHADOW_REDIS_URL": "x"}, "SHADOW_REDIS_URL must be a URL"),
        ({"SHADOW_DATABASE_POOL": "0"}, "SHADOW_DATABASE_POOL must be a whole number"),
    ],
)
def test_addresses_of_shadows_that_cannot_be_meant_are_named(given: dict[str, str], reason: str) -> None:
    with pytest.raises(MisconfiguredError, match=reason):
        Settings.from_environment(ENVIRONMENT | given)


def test_the_environment_says_where_shadows_read() -> None:
    given = {"SHADOW_DATABASE_URL": "postgresql:///y", "SHADOW_REDIS_URL": "redis://y", "SHADOW_DATABASE_POOL": "3"}
    theirs = Settings.from_environment(ENVIRONMENT | given | {"SENTRY_DSN": "https://key@host/1"}).of_shadows()
    assert theirs is not None
    assert (theirs.database_url, theirs.redis_url, theirs.database_pool) == ("postgresql:///y", "redis://y", 3)
    assert theirs.sentry_dsn == ""  # reports have one way


def test_the_two_addresses_of_shadows_belong_together(settings: Settings) -> None:
    assert settings.of_shadows() == replace(
        settings,
        database_url=settings.shadow_database_url,
        redis_url=settings.shadow_redis_url,
        database_pool=settings.shadow_database_pool,
        database_wait=settings.shadow_database_wait,
    )
    assert replace(settings, shadow_redis_url="").of_shadows() is None


async def test_a_socket_is_no_shadow(own: Application, settings: Settings) -> None:
    app = Messaging(settings, ROUTES)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [(b"x-strangler-shadow", b"1")], "query_string": b""}
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_the_address_of_shadows_is_that_of_the_application_but_for_the_user() -> None:
    assert of_shadows("postgresql://postgres@127.0.0.1:5/x?a=b") == "postgresql://shadow:shadow@127.0.0.1:5/x?a=b"
    assert of_shadows("redis://127.0.0.1:6379/2") == "redis://shadow:shadow@127.0.0.1:6379/2"


async def test_the_shadows_user_may_read_and_nothing_else(tmp_path: Any) -> None:
    server = start_redis(tmp_path)
    with server.service, Redis.from_url(of_shadows(server.url()), decode_responses=True) as reader:
        assert reader.get("x") is None
        for words in ("SET x 1", "PUBLISH x 1", "FLUSHALL", "CONFIG GET save", "ACL LIST", "KEYS *"):
            with pytest.raises(RedisError, match="no permissions"):
                reader.execute_command(*words.split())
