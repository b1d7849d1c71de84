"""Creates with an `Idempotency-Key`: asked again of the same side or of the other, in turn or at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import psycopg
import pytest
from redis import Redis

from demo.stack import Application
from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.stage import ELSEWHERE, WRITTEN_TO
from tests.parity.tables import given
from tests.parity.test_creating import await_relayed, pushed
from tests.parity.tokens import ACME, AGENT

CREATE = "/api/v1/messages"
PAIRS = [*itertools.product((LEGACY, NATIVE), repeat=2)]
HELLO = given(content="hello <&> \u2028 🎉", conversationId=WRITTEN_TO)


@pytest.fixture(autouse=True)
def no_keys(database: psycopg.Connection) -> Iterator[None]:
    database.execute("truncate idempotency_keys")
    yield
    database.execute("truncate idempotency_keys")


def asked(key: str | None, body: bytes = HELLO, *, token: str = "agent") -> Case:  # noqa: S107  opens nothing
    headers = () if key is None else (("Idempotency-Key", key),)
    return Case("create once", 201, CREATE, "POST", token, body, headers=headers)


def count(database: psycopg.Connection) -> int:
    (number,) = database.execute("select count(*) from messages").fetchone() or (None,)
    assert number is not None
    return int(number)


def replayed(reply: Reply) -> str | None:
    return reply.headers.get("idempotent-replayed")


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_asked_again_the_answer_is_the_same_and_nothing_is_done_twice(
    sides: Sides, database: psycopg.Connection, redis: Redis, first: str, second: str
) -> None:
    await_relayed(database)
    redis.delete("queue:default")
    before = count(database)
    one, again = sides.ask(first, asked("key")), sides.ask(second, asked("key"))
    assert (one.status, again.status) == (201, 201)
    assert again.body == one.body
    assert (replayed(one), replayed(again)) == (None, "true")
    assert again.compared == one.compared | {"idempotent-replayed": "true"}
    assert count(database) == before + 1
    assert len(pushed(redis, 3)) == 3
    await_relayed(database)
    assert redis.llen("queue:default") == 3


def test_what_is_kept_of_an_answer_is_alike(sides: Sides, database: psycopg.Connection) -> None:
    rows = []
    for side in (LEGACY, NATIVE):
        body = sides.ask(side, asked(side)).body
        row = database.execute(
            """select account_id, user_id, fingerprint, status, body, abs(extract(epoch from now() - created_at)) < 60
                 from idempotency_keys where key = %s""",
            [side],
        ).fetchone()
        assert row is not None
        assert row[4].encode() == body
        rows.append((*row[:4], row[5]))
    assert rows[0] == rows[1]
    assert rows[1][:2] == (ACME, AGENT)


# Header values that are refused. Servers strip the white space around a value, or leave it: so no case turns on that.
NO_KEYS = {
    "too long": "x" * 256,
    "too long by far": "x" * 5_000,
    "with a space": "a b",
    "with a tab": "a\tb",
    "beyond ASCII": "é",
    "empty": "",
    "too long and with a space": "a " * 200,
}


@pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_refused_alike(sides: Sides, key: str) -> None:
    sides.compare(Case("no key", 400, CREATE, "POST", body=HELLO, headers=(("Idempotency-Key", key),)))


def test_a_key_is_looked_at_after_the_caller_and_before_the_body(sides: Sides) -> None:
    no_key = (("Idempotency-Key", "a b"),)
    for case in [
        Case("stranger", 401, CREATE, "POST", None, HELLO, headers=no_key),
        Case("broken body", 400, CREATE, "POST", body=b"{", headers=no_key),
        Case("another media type", 400, CREATE, "POST", body=b"{}", media_type="text/plain", headers=no_key),
        Case("two keys", 400, CREATE, "POST", body=HELLO, headers=(("Idempotency-Key", "a"), ("Idempotency-Key", "a"))),
        Case("a good key and a bad body", 400, CREATE, "POST", body=b"{}", headers=(("Idempotency-Key", "a"),)),
        Case("ignored where nothing is created", 200, "/api/v1/conversations?limit=1", headers=no_key),
    ]:
        sides.compare(case)


# Keys that are good, each as long as may be or made of what may be.
KEYS = [
    "x",
    "x" * 255,
    "".join(map(chr, range(0x21, 0x7F))),
    '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    "';drop-table--",
]


@pytest.mark.parametrize("key", KEYS)
def test_any_visible_characters_are_a_key(sides: Sides, key: str) -> None:
    one, again = sides.ask(LEGACY, asked(key)), sides.ask(NATIVE, asked(key))
    assert (again.status, again.body, replayed(again)) == (201, one.body, "true")


def test_a_key_whose_name_has_an_underscore_is_one_too(sides: Sides) -> None:
    respelt = Case("create once", 201, CREATE, "POST", "agent", HELLO, headers=(("Idempotency_Key", "key"),))
    one, again = sides.ask(LEGACY, respelt), sides.ask(NATIVE, respelt)
    assert (again.status, again.body, replayed(again)) == (201, one.body, "true")


def test_of_keys_spelled_with_underscores_and_with_hyphens_the_latter_counts(sides: Sides) -> None:
    spelled = (("Idempotency_Key", "other"), ("Idempotency-Key", "spelled"), ("IDEMPOTENCY_KEY", "another"))
    respelt = Case("create once", 201, CREATE, "POST", "agent", HELLO, headers=spelled)
    one, again = sides.ask(LEGACY, respelt), sides.ask(NATIVE, respelt)
    assert (again.status, again.body, replayed(again)) == (201, one.body, "true")
    assert sides.ask(NATIVE, asked("spelled")).body == one.body


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_another_request_under_the_same_key_is_refused_alike(
    sides: Sides, database: psycopg.Connection, side: str
) -> None:
    assert sides.ask(side, asked("key")).status == 201
    before = count(database)
    for body in [
        given(content="another", conversationId=WRITTEN_TO),
        given(content="hello", conversationId=77_777_777),
        given(content="hello", conversationId=-1),
    ]:
        sides.compare(Case("reused", 422, CREATE, "POST", body=body, headers=(("Idempotency-Key", "key"),)))
    assert count(database) == before


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_same_request_may_be_spelled_differently(sides: Sides, first: str, second: str) -> None:
    one = sides.ask(first, asked("key"))
    fields = {"unknown": [1], "conversationId": WRITTEN_TO, "content": json.loads(HELLO)["content"]}
    again = sides.ask(second, asked("key", json.dumps(fields, indent=2).encode()))
    assert (again.status, again.body) == (201, one.body)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_request_that_was_refused_leaves_its_key_free(
    sides: Sides, database: psycopg.Connection, first: str, second: str
) -> None:
    for token, body, status in [
        ("agent", given(content="", conversationId=WRITTEN_TO), 400),
        ("agent", given(content="x", conversationId=ELSEWHERE), 404),
        ("gone", HELLO, 401),
    ]:
        assert sides.ask(first, asked("key", body, token=token)).status == status
    assert database.execute("select from idempotency_keys").fetchone() is None
    reply = sides.ask(second, asked("key"))
    assert (reply.status, replayed(reply)) == (201, None)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_key_is_free_again_after_a_day(sides: Sides, database: psycopg.Connection, first: str, second: str) -> None:
    sides.ask(first, asked("key"))
    database.execute("update idempotency_keys set created_at = created_at - interval '23:59:00'")
    assert replayed(sides.ask(second, asked("key"))) == "true"
    database.execute("update idempotency_keys set created_at = created_at - interval '00:01:00'")
    other = given(content="another", conversationId=WRITTEN_TO)
    assert replayed(sides.ask(second, asked("key", other))) is None
    assert replayed(sides.ask(first, asked("key", other))) == "true"


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_each_new_key_takes_two_along_that_have_long_expired(
    sides: Sides, database: psycopg.Connection, side: str
) -> None:
    database.execute(
        """insert into idempotency_keys (account_id, user_id, key, fingerprint, created_at)
           select 2, 16, 'old-' || n, '', now() - interval '25:01:00' from generate_series(1, 3) n"""
    )
    left = []
    for key in ("one", "two"):
        assert sides.ask(side, asked(key)).status == 201
        left.append(database.execute("select count(*) from idempotency_keys where key like 'old-%'").fetchone())
    assert left == [(1,), (0,)]


def test_of_many_at_once_on_both_sides_one_creates_and_the_others_get_its_answer(
    sides: Sides, database: psycopg.Connection
) -> None:
    before = count(database)
    asks = [(side, f"key-{number}") for number in range(10) for side in (LEGACY, NATIVE) for _ in range(2)]
    with ThreadPoolExecutor(4) as threads:
        replies = [*threads.map(lambda ask: sides.ask(ask[0], asked(ask[1])), asks)]
    assert count(database) == before + 10
    for number in range(10):
        same = [reply for (_, key), reply in zip(asks, replies, strict=True) if key == f"key-{number}"]
        assert {(reply.status, reply.body) for reply in same} == {(201, same[0].body)}
        assert [replayed(reply) for reply in same].count(None) == 1


def test_who_has_waited_long_enough_is_told_to_come_again_alike(
    sides: Sides, database: psycopg.Connection, own: Application
) -> None:
    before = count(database)
    with psycopg.connect(own.database_url) as busy, ThreadPoolExecutor(2) as threads:
        busy.execute(
            """insert into idempotency_keys (account_id, user_id, key, fingerprint, created_at)
               values (%s, %s, 'key', '', %s)""",
            [ACME, AGENT, datetime(2026, 1, 1)],
        )
        legacy, native = threads.map(lambda side: sides.ask(side, asked("key")), (LEGACY, NATIVE))
        busy.rollback()
    assert (native.status, native.body, native.compared) == (legacy.status, legacy.body, legacy.compared)
    assert (legacy.status, legacy.body) == (409, b'{"error":"idempotency_key_in_use"}')
    assert legacy.headers["retry-after"] == "1"
    assert count(database) == before
