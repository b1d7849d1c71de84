from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from starlette.requests import Request

from demo.stack import Application
from handlers.errors import Invalid
from handlers.idempotency import LONGEST, Key, key
from handlers.messages import MessageRequest
from handlers.resources import Settings
from tests.handlers.serving import AGENT, CREATE, STRANGER, bearer, eventually, serving
from tests.parity.conftest import start_native

HELLO = {"content": "hello", "conversationId": 4}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
REPLAYED = "idempotent-replayed"


@pytest.fixture(autouse=True)
def no_keys(database: psycopg.Connection) -> Iterator[None]:
    database.execute("truncate idempotency_keys")
    yield
    database.execute("truncate idempotency_keys")


def messages(database: psycopg.Connection, conversation: int = 4) -> int:
    statement = "select count(*) from messages where conversation_id = %s"
    (count,) = database.execute(statement, [conversation]).fetchone() or (None,)
    assert count is not None
    return int(count)


def keys(database: psycopg.Connection) -> int:
    (count,) = database.execute("select count(*) from idempotency_keys").fetchone() or (None,)
    assert count is not None
    return int(count)


def age(database: psycopg.Connection, interval: str) -> None:
    database.execute("update idempotency_keys set created_at = created_at - %s::interval", [interval])


def asked(*values: bytes) -> Request:
    headers = [(b"idempotency-key", value) for value in values]
    return Request({"type": "http", "method": "POST", "path": CREATE, "headers": headers})


@pytest.mark.parametrize(
    ("value", "kept"),
    [(b"a", "a"), (b" \ta-1_~!\t ", "a-1_~!"), (b'"quoted"', '"quoted"'), (b"x" * LONGEST, "x" * LONGEST)],
)
def test_a_key_is_taken_as_it_stands(value: bytes, kept: str) -> None:
    assert key(asked(value), AGENT) == Key(AGENT.user_id, kept, f"POST {CREATE}")


def test_without_the_header_there_is_no_key() -> None:
    assert key(asked(), AGENT) is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ([b""], "can't be blank"),
        ([b" \t"], "can't be blank"),
        ([b"x" * (LONGEST + 1)], "is too long (maximum is 255 characters)"),
        ([b"a b"], "is invalid"),
        ([b"a", b"a"], "is invalid"),
        ([b"\xc3\xa9"], "is invalid"),
        ([b"a\x7f"], "is invalid"),
    ],
)
def test_what_is_no_key_is_a_fault_of_the_header(values: list[bytes], fault: str) -> None:
    with pytest.raises(Invalid) as caught:
        key(asked(*values), AGENT)
    assert caught.value.faults == [("Idempotency-Key", fault)]


def test_a_fingerprint_is_of_what_a_request_says_and_not_of_how_it_says_it() -> None:
    def fingerprint(**fields: Any) -> str:
        return Key(1, "k", "POST /").fingerprint(MessageRequest.model_validate(fields))

    one = fingerprint(content="a", conversationId=1)
    assert fingerprint(conversationId=1, content="a", unknown=True) == one
    others = [fingerprint(content="a", conversationId=2), fingerprint(content="b", conversationId=1)]
    others.append(Key(1, "k", "POST /other").fingerprint(MessageRequest(content="a", conversationId=1)))
    assert len({one, *others}) == 4


async def test_the_same_key_gets_the_same_answer_and_nothing_is_created_or_told_again(
    client: httpx.AsyncClient, database: psycopg.Connection, redis: Redis
) -> None:
    first = await client.post(CREATE, json=HELLO, headers=KEY)
    await eventually(lambda: redis.llen("queue:default") == 3)
    before = messages(database)
    again = await client.post(
        CREATE, content=json.dumps(HELLO, indent=4), headers=KEY | {"Content-Type": "application/json"}
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert (first.headers.get(REPLAYED), again.headers.get(REPLAYED)) == (None, "true")
    assert messages(database) == before
    await eventually(lambda: database.execute("select from outbox").fetchone() is None)
    assert redis.llen("queue:default") == 3


async def test_requests_without_a_key_are_each_their_own(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    before = messages(database)
    ids = {(await client.post(CREATE, json=HELLO)).json()["data"]["id"] for _ in range(2)}
    assert len(ids) == 2
    assert (messages(database), keys(database)) == (before + 2, 0)


async def test_a_key_with_another_request_is_refused(client: httpx.AsyncClient, database: psycopg.Connection) -> None:
    assert (await client.post(CREATE, json=HELLO, headers=KEY)).status_code == 201
    before = messages(database)
    # Also with one that could not be served: the key is looked at first.
    for other in (HELLO | {"content": "another"}, HELLO | {"conversationId": 2**62}):
        answer = await client.post(CREATE, json=other, headers=KEY)
        assert (answer.status_code, answer.json()) == (422, {"error": "idempotency_key_reused"})
        assert "x-strangler-discarded" not in answer.headers
    assert messages(database) == before


async def test_keys_are_of_one_user(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    conversation = database.execute("select min(id) from conversations where account_id = 2").fetchone()
    assert conversation is not None
    own = await client.post(CREATE, json=HELLO, headers=KEY)
    colleague = await client.post(CREATE, json=HELLO, headers=KEY | bearer(settings, replace(AGENT, user_id=3)))
    theirs = {"content": "hello", "conversationId": conversation[0]}
    stranger = await client.post(CREATE, json=theirs, headers=KEY | bearer(settings, STRANGER))
    answers = [own, colleague, stranger]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["data"]["id"] for answer in answers}) == 3


async def test_a_request_that_was_refused_leaves_its_key_free(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    gone = bearer(settings, replace(AGENT, user_id=999_999))
    for body, headers, status in [
        (HELLO | {"content": ""}, KEY, 400),
        (HELLO | {"conversationId": 2**62}, KEY, 404),
        (HELLO, KEY | gone, 401),
        (HELLO, KEY | {"X-Strangler-Shadow": "1"}, 500),
    ]:
        assert (await client.post(CREATE, json=body, headers=headers)).status_code == status
    assert keys(database) == 0
    assert (await client.post(CREATE, json=HELLO, headers=KEY)).status_code == 201


async def test_a_key_is_free_again_after_a_day(client: httpx.AsyncClient, database: psycopg.Connection) -> None:
    first = await client.post(CREATE, json=HELLO, headers=KEY)
    age(database, "23:59:00")
    assert (await client.post(CREATE, json=HELLO, headers=KEY)).content == first.content
    age(database, "00:01:00")
    other = await client.post(CREATE, json=HELLO | {"content": "another"}, headers=KEY)
    assert (other.status_code, other.headers.get(REPLAYED)) == (201, None)
    again = await client.post(CREATE, json=HELLO | {"content": "another"}, headers=KEY)
    assert (again.content, again.headers.get(REPLAYED)) == (other.content, "true")
    assert keys(database) == 1


async def test_each_new_key_takes_two_along_that_have_long_expired(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    for number in range(5):
        await client.post(CREATE, json=HELLO, headers={"Idempotency-Key": f"old-{number}"})
    age(database, "25:00:00")
    left = []
    for number in range(4):
        await client.post(CREATE, json=HELLO, headers={"Idempotency-Key": f"new-{number}"})
        left.append(keys(database))
    assert left == [5 - 2 + 1, 3 - 2 + 2, 1 - 1 + 3, 4]


async def test_of_many_at_once_one_creates_and_the_others_get_its_answer(
    settings: Settings, database: psycopg.Connection
) -> None:
    before = messages(database)
    async with serving(replace(settings, database_pool=8)) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.post(CREATE, json=HELLO, headers=KEY)) for _ in range(20)]
    answers = [task.result() for task in tasks]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert [answer.headers.get(REPLAYED) for answer in answers].count(None) == 1
    assert messages(database) == before + 1


async def test_who_has_waited_long_enough_is_told_to_come_again(
    settings: Settings, database: psycopg.Connection, own: Application
) -> None:
    before = messages(database)
    async with serving(replace(settings, database_pool=4)) as client:
        with psycopg.connect(own.database_url) as first:
            claimed(first)
            answer = await client.post(CREATE, json=HELLO, headers=KEY)
            assert (answer.status_code, answer.json()) == (409, {"error": "idempotency_key_in_use"})
            assert answer.headers["retry-after"] == "1"
            first.rollback()
        assert messages(database) == before
        again = await client.post(CREATE, json=HELLO, headers=KEY)
        assert (again.status_code, again.headers.get(REPLAYED)) == (201, None)


async def test_if_the_first_of_two_fails_the_second_creates(
    settings: Settings, database: psycopg.Connection, own: Application
) -> None:
    before = messages(database)
    async with serving(settings) as client:
        with psycopg.connect(own.database_url) as first:
            claimed(first)
            second = asyncio.get_running_loop().create_task(client.post(CREATE, json=HELLO, headers=KEY))
            await eventually(lambda: blocked(database) == 1)
            first.rollback()
        answer = await second
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    assert messages(database) == before + 1


async def test_a_create_that_ends_a_deadlock_begins_again_with_its_key(
    settings: Settings, database: psycopg.Connection, redis: Redis, own: Application
) -> None:
    soon = replace(settings, database_url=f"{settings.database_url}?options=-c%20deadlock_timeout%3D2s")
    before = messages(database)
    async with serving(soon) as client, await psycopg.AsyncConnection.connect(own.database_url) as other:
        await other.execute("set deadlock_timeout = '1min'")  # it is never the one to end it
        await other.execute(
            "select from inboxes where id = (select inbox_id from conversations where id = 4) for update"
        )
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(client.post(CREATE, json=HELLO, headers=KEY))
            await eventually(lambda: blocked(database) == 1)  # the conversation is written to, its inbox awaited
            await other.execute("select from conversations where id = 4 for update")
            await other.rollback()
        again = await client.post(CREATE, json=HELLO, headers=KEY)
        await eventually(lambda: database.execute("select from outbox").fetchone() is None)
    assert (answer.result().status_code, answer.result().headers.get(REPLAYED)) == (201, None)
    assert (again.content, again.headers.get(REPLAYED)) == (answer.result().content, "true")
    assert messages(database) == before + 1
    assert redis.llen("queue:default") == 3


def claimed(connection: psycopg.Connection) -> None:
    """The key, in a transaction that is still open: as by a request that is being answered."""
    connection.execute(
        """insert into idempotency_keys (account_id, user_id, key, fingerprint, created_at)
           values (%s, %s, %s, '', %s)""",
        [AGENT.account_id, AGENT.user_id, KEY["Idempotency-Key"], datetime(2026, 1, 1)],
    )


def blocked(database: psycopg.Connection) -> int:
    (count,) = database.execute("select count(*) from pg_locks where not granted").fetchone() or (None,)
    assert count is not None
    return int(count)


def test_a_process_that_dies_before_its_commit_leaves_the_key_free(
    own: Application, database: psycopg.Connection, tmp_path: Path, settings: Settings
) -> None:
    headers, before = KEY | bearer(settings), messages(database)
    with start_native(tmp_path, own) as service, psycopg.connect(own.database_url) as other:
        other.execute("select from conversations where id = 4 for update")
        with ThreadPoolExecutor(1) as callers:
            asked = callers.submit(httpx.post, f"{service.url}{CREATE}", json=HELLO, headers=headers, timeout=30)
            while not blocked(database):
                assert not asked.done()
            service.kill()  # the key is claimed, the conversation awaited
            assert isinstance(asked.exception(), httpx.TransportError)
        while blocked(database):
            pass  # PostgreSQL has not noticed yet
        other.rollback()
    assert (messages(database), keys(database)) == (before, 0)
    with start_native(tmp_path, own, name="native-again") as service:
        answer = httpx.post(f"{service.url}{CREATE}", json=HELLO, headers=headers, timeout=30)
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    assert messages(database) == before + 1
