from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic import ValidationError
from redis import Redis

from handlers.messages import MessageRequest, message
from handlers.resources import Settings
from handlers.tokens import Caller
from tests.handlers.serving import CREATE, bearer, eventually

AT = datetime(2026, 1, 2, 3, 4, 5, 678_900)
CONVERSATION = 2
FOLLOWING = ["NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob", "FacebookSendJob"]  # it is in such an inbox


def row(user_id: int | None, contact_id: int | None) -> tuple[Any, ...]:
    direction = "outgoing" if user_id else "incoming"
    return (1, 2, user_id, contact_id, "Zoë", direction, "hello", "sent", AT, AT)


@pytest.mark.parametrize(
    ("user_id", "contact_id", "sender"),
    [(3, None, {"type": "user", "id": 3, "name": "Zoë"}), (None, 4, {"type": "contact", "id": 4, "name": "Zoë"})],
)
def test_a_message_shows_who_sent_it(user_id: int | None, contact_id: int | None, sender: dict[str, Any]) -> None:
    shown = message(row(user_id, contact_id))
    assert shown["sender"] == sender
    assert shown["createdAt"] == shown["updatedAt"] == "2026-01-02T03:04:05.678Z"


async def test_a_message_is_stored_and_moves_its_conversation_up(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    answer = await client.post(CREATE, json={"content": "hello", "conversationId": CONVERSATION})
    assert answer.status_code == 201
    created = answer.json()["data"]
    stored = database.cursor(row_factory=dict_row).execute(
        """select m.account_id, m.user_id, m.contact_id, m.content, m.direction, m.status, m.external_id,
                  m.inbox_id = c.inbox_id as in_inbox, m.updated_at = m.created_at as unchanged,
                  c.last_activity_at = m.created_at and c.updated_at = m.created_at as moved
             from messages m join conversations c on c.id = m.conversation_id where m.id = %s""",
        [created["id"]],
    )
    assert stored.fetchone() == {
        "account_id": 1,
        "user_id": 2,
        "contact_id": None,
        "content": "hello",
        "direction": "outgoing",
        "status": "sent",
        "external_id": None,
        "in_inbox": True,
        "unchanged": True,
        "moved": True,
    }
    newest = (await client.get("/api/v1/conversations?limit=1")).json()["data"][0]
    assert (newest["id"], newest["lastMessage"]) == (CONVERSATION, created)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "can't be blank"),
        (" \u2003\n", "can't be blank"),
        (1, "must be a string"),
        ("a\0", "is invalid"),
        ("x" * 10_001, "is too long (maximum is 10000 characters)"),
    ],
)
def test_content_has_one_fault_at_most(content: object, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MessageRequest.model_validate({"content": content, "conversationId": 1})
    assert [error["msg"] for error in caught.value.errors()] == [fault]


@pytest.mark.parametrize(
    ("id", "fault"), [(None, "can't be blank"), *((id, "must be an integer") for id in ("1", 1.0, True))]
)
def test_an_id_is_an_integer(id: object, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MessageRequest.model_validate({"content": "hello", "conversationId": id})
    assert [error["msg"] for error in caught.value.errors()] == [fault]


@pytest.mark.parametrize(("id", "looked_up"), [(1, 1), (0, 0), (-1, 0), (2**63 - 1, 2**63 - 1), (2**63, 0)])
def test_an_integer_that_is_no_id_is_no_rows_id(id: int, looked_up: int) -> None:
    assert MessageRequest.model_validate({"content": "hello", "conversationId": id}).conversation_id == looked_up


async def test_a_user_who_is_gone_writes_nothing(client: httpx.AsyncClient, settings: Settings, redis: Redis) -> None:
    headers = bearer(settings, Caller(user_id=999_999, account_id=1))
    for id in (CONVERSATION, 999_999):
        answer = await client.post(CREATE, json={"content": "hello", "conversationId": id}, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized"})
    assert redis.keys("*") == []


async def test_pages_are_walked_without_loss_or_repetition(client: httpx.AsyncClient) -> None:
    whole = (await client.get("/api/v1/conversations/432/messages?limit=100")).json()
    walked, following = [], ""
    while following is not None:
        page = (await client.get(f"/api/v1/conversations/432/messages?limit=7&cursor={following}")).json()
        walked += page["data"]
        following = page["meta"]["nextCursor"]
    assert walked == whole["data"]
    assert whole["meta"]["nextCursor"] is None
    for cursor in ("!", "MTox"):
        assert (await client.get(f"/api/v1/conversations/432/messages?cursor={cursor}")).status_code == 400


async def test_messages_written_at_once_are_all_stored_and_told(client: httpx.AsyncClient, redis: Redis) -> None:
    async with asyncio.TaskGroup() as group:
        body = {"content": "at once", "conversationId": CONVERSATION}
        tasks = [group.create_task(client.post(CREATE, json=body)) for _ in range(10)]
    ids = {task.result().json()["data"]["id"] for task in tasks}
    assert len(ids) == 10
    await eventually(lambda: redis.llen("queue:default") == 40)
    jobs = Counter((job["class"], *job["args"]) for job in map(json.loads, redis.lrange("queue:default", 0, -1)))
    assert jobs == Counter((name, id) for id in ids for name in FOLLOWING)


async def test_a_refusal_is_an_answer_and_not_a_discarded_failure(client: httpx.AsyncClient, redis: Redis) -> None:
    for body, status in [({"content": "", "conversationId": 1}, 400), ({"content": "x", "conversationId": 2**62}, 404)]:
        answer = await client.post(CREATE, json=body)
        assert answer.status_code == status
        assert "x-strangler-discarded" not in answer.headers
    assert redis.keys("*") == []
