"""A message that is created: the answer, the rows, and what others hear of it, on both sides."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from redis import Redis

from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides
from tests.parity.stage import WRITTEN_TO
from tests.parity.tables import given
from tests.parity.tokens import ACME, AGENT

CREATE = "/api/v1/messages"
ROOM = f"conversation:{WRITTEN_TO}"
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# Contents that are accepted, and come back as they were sent.
CONTENTS = {
    "plain": "hello",
    "one character": "x",
    "as long as may be": "y" * 10_000,
    "as long as may be in emoji": "🎉" * 10_000,
    "markup": "<b>1 & 2</b>",
    "separators": "a\u2028b\u2029c",
    "controls": "\x01\x1c\x1d\x1e\x1f\x7f",
    "a space that is not blank": "\u200b",
    "separators of information": "\x1c\x1d\x1e\x1f",
    "white space around": "  hello \n",
    "right to left": "שלום عربى",
    "emoji": "👩‍👩‍👧‍👦",
    "quotes": "\"'\\/",
    "noncharacters": "\uffff\ufffe",
    "looks like an escape": r"\u003c \n",
    "combining": "e\u0301 é",
}


def create(sides: Sides, side: str, content: str) -> tuple[Reply, dict[str, Any]]:
    reply = sides.ask(side, Case("create", 201, CREATE, "POST", body=given(content=content, conversationId=WRITTEN_TO)))
    assert reply.status == 201, reply
    return reply, json.loads(reply.body)["data"]


def row(database: psycopg.Connection, statement: str, id: int) -> dict[str, Any]:
    found = database.cursor(row_factory=dict_row).execute(statement, [id]).fetchone()
    assert found is not None
    return found


def await_relayed(database: psycopg.Connection) -> None:
    """Native hands jobs over after its answer: those of earlier tests too."""
    deadline = time.monotonic() + 60
    while database.execute("select from outbox limit 1").fetchone():
        assert time.monotonic() < deadline, "jobs are left in the outbox"


def pushed(redis: Redis, count: int) -> list[str]:
    """The jobs in the queue, once there are so many."""
    deadline = time.monotonic() + 60
    while redis.llen("queue:default") < count:
        assert time.monotonic() < deadline, redis.lrange("queue:default", 0, -1)
    return redis.lrange("queue:default", 0, -1)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_message_is_created_alike(sides: Sides, content: str) -> None:
    (legacy, theirs), (native, ours) = create(sides, LEGACY, content), create(sides, NATIVE, content)
    assert ours["id"] > theirs["id"]
    for message in (theirs, ours):
        assert TIME.fullmatch(message["createdAt"])
        assert message["updatedAt"] == message["createdAt"]
        assert message["content"] == content
    varies = {"id": 0, "createdAt": "", "updatedAt": ""}
    assert list((ours | varies).items()) == list((theirs | varies).items())  # in the same order, too
    for reply in (legacy, native):
        assert reply.headers["etag"] == reply.tag_of_body
    assert native.compared | {"etag": ""} == legacy.compared | {"etag": ""}


def test_what_one_side_created_both_show_alike(sides: Sides) -> None:
    for content in CONTENTS.values():
        create(sides, NATIVE, content)
    sides.compare(Case("messages", 200, f"/api/v1/conversations/{WRITTEN_TO}/messages?limit=100"))
    sides.compare(Case("conversation", 200, f"/api/v1/conversations/{WRITTEN_TO}"))
    sides.compare(Case("list", 200, "/api/v1/conversations?limit=3"))


def test_unknown_fields_are_ignored(sides: Sides) -> None:
    for side in (LEGACY, NATIVE):
        body = given(
            content="x", conversationId=WRITTEN_TO, status="failed", direction="incoming", userId=1, x={"y": [1]}
        )
        reply = sides.ask(side, Case("unknown fields", 201, CREATE, "POST", body=body))
        message = json.loads(reply.body)["data"]
        assert (message["status"], message["direction"], message["sender"]["id"]) == ("sent", "outgoing", AGENT)


def test_the_rows_are_alike(sides: Sides, database: psycopg.Connection) -> None:
    rows = []
    for side in (LEGACY, NATIVE):
        _, message = create(sides, side, "rows")
        stored = row(database, "select * from messages where id = %s", message["id"])
        touched = row(database, "select * from conversations where id = %s", WRITTEN_TO)
        created_at = stored["created_at"]
        assert created_at.isoformat(timespec="milliseconds") + "Z" == message["createdAt"]
        assert stored["updated_at"] == touched["last_activity_at"] == touched["updated_at"] == created_at
        varies = {"id": None, "created_at": None, "updated_at": None, "last_activity_at": None}
        rows.append((stored | varies, touched | varies))
    assert rows[0] == rows[1]
    assert rows[1][0]["user_id"] == AGENT
    assert rows[1][0]["account_id"] == ACME


def test_the_time_of_the_last_activity_never_goes_back(sides: Sides, database: psycopg.Connection) -> None:
    ahead, before = datetime(2031, 1, 1, 0, 0, 0, 123456), datetime(2000, 1, 1)
    statement = "update conversations set last_activity_at = %s, updated_at = %s where id = %s"
    for side in (LEGACY, NATIVE):
        database.execute(statement, [ahead, before, WRITTEN_TO])
        _, message = create(sides, side, "late")
        assert message["createdAt"] < "2031"
        touched = row(database, "select * from conversations where id = %s", WRITTEN_TO)
        database.execute(statement, [before, before, WRITTEN_TO])
        assert (touched["last_activity_at"], touched["updated_at"]) == (ahead, ahead)


def test_subscribers_hear_of_it_alike(sides: Sides, redis: Redis) -> None:
    for side in (LEGACY, NATIVE):
        with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            channel.subscribe(ROOM)
            assert channel.get_message(timeout=5)
            _, message = create(sides, side, "broadcast <&> \u2028 🎉")
            heard = channel.get_message(timeout=5)
            assert heard is not None
            assert json.loads(heard["data"]) == {"event": "message.created", "data": message}
            # ActionCable's clients take the payload as text into pages: the same escapes on both sides.
            assert r"\u003c\u0026\u003e \u2028 🎉" in heard["data"]


@pytest.mark.parametrize("channel", ["web", "facebook"])
def test_the_jobs_are_enqueued_alike(sides: Sides, database: psycopg.Connection, redis: Redis, channel: str) -> None:
    names = ["NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob", "FacebookSendJob"]
    wanted = names if channel == "facebook" else names[:3]
    enqueued = []
    inbox = "(select inbox_id from conversations where id = %s)"
    database.execute(f"update inboxes set channel = %s where id = {inbox}", [channel, WRITTEN_TO])  # noqa: S608  literal
    for side in (LEGACY, NATIVE):
        await_relayed(database)
        redis.delete("queues", "queue:default")
        _, message = create(sides, side, "job")
        jobs = [json.loads(job) for job in reversed(pushed(redis, len(wanted)))]
        assert redis.smembers("queues") == {"default"}
        assert [job["class"] for job in jobs] == wanted
        for job in jobs:
            assert job["args"] == [message["id"]]
            assert re.fullmatch("[0-9a-f]{24}", job["jid"])
            assert isinstance(job["created_at"], float)
            assert abs(job["enqueued_at"] - job["created_at"]) < 60
        varies = {"args": None, "jid": None, "created_at": None, "enqueued_at": None}
        enqueued.append([job | varies for job in jobs])
    database.execute(f"update inboxes set channel = 'web' where id = {inbox}", [WRITTEN_TO])  # noqa: S608  literal
    assert enqueued[0] == enqueued[1]


@pytest.mark.parametrize("status", ["open", "pending", "resolved"])
def test_a_reply_opens_its_conversation_alike(sides: Sides, database: psycopg.Connection, status: str) -> None:
    for side in (LEGACY, NATIVE):
        database.execute("update conversations set status = %s where id = %s", [status, WRITTEN_TO])
        create(sides, side, "reply")
        assert row(database, "select status from conversations where id = %s", WRITTEN_TO) == {"status": "open"}


def test_the_cache_forgets_the_conversation_alike(sides: Sides, redis: Redis) -> None:
    for side in (LEGACY, NATIVE):
        redis.mset({ROOM: "old", f"{ROOM}:messages": "old", "conversation:1": "kept", "user:2": "kept"})
        create(sides, side, "cache")
        assert redis.mget(ROOM, f"{ROOM}:messages", "conversation:1", "user:2") == [None, None, "kept", "kept"]


def test_a_refused_message_leaves_nothing(sides: Sides, database: psycopg.Connection, redis: Redis) -> None:
    def everything() -> tuple[Any, ...]:
        rows = database.execute("select count(*), max(id) from messages").fetchone()
        times = database.execute("select max(last_activity_at), max(updated_at) from conversations").fetchone()
        return rows, times, redis.llen("queue:default")

    await_relayed(database)
    before = everything()
    for token, body in [
        ("agent", given(content="", conversationId=WRITTEN_TO)),
        ("agent", given(content="x", conversationId=77_777_777)),
        ("stranger", given(content="x", conversationId=WRITTEN_TO)),
        ("gone", given(content="x", conversationId=WRITTEN_TO)),
    ]:
        for side in (LEGACY, NATIVE):
            assert sides.ask(side, Case("refused", 400, CREATE, "POST", token, body)).status in (400, 401, 404)
    assert everything() == before
