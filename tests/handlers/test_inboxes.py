from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest
from pydantic import ValidationError
from redis import Redis

from handlers.inboxes import InboxChanges
from handlers.resources import Settings
from handlers.tokens import Caller
from tests.handlers.serving import STRANGER, bearer

ADMIN = Caller(user_id=1, account_id=1)
FACEBOOK = "/api/v1/inboxes/2"


@pytest.fixture(autouse=True)
def restored(database: psycopg.Connection, redis: Redis) -> Iterator[None]:
    before = database.execute("select name, status, updated_at from inboxes where id = 2").fetchone()
    yield
    database.execute("update inboxes set (name, status, updated_at) = (%s, %s, %s) where id = 2", before)


async def test_an_inbox_is_shown_without_what_one_is_let_into_facebook_with(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    row = database.execute("select config ->> 'pageToken', config ->> 'appSecret' from inboxes where id = 2").fetchone()
    assert row is not None
    assert all(row)
    shown = await client.get(FACEBOOK)
    changed = await client.patch(FACEBOOK, json={"name": "Page"}, headers=bearer(settings, ADMIN))
    for answer in (shown, changed):
        assert answer.json()["data"]["pageId"] == "acme-page"
        assert not any(secret in answer.text for secret in row)
    assert (await client.get(FACEBOOK, headers=bearer(settings, STRANGER))).status_code == 404


async def test_only_admins_change_an_inbox(client: httpx.AsyncClient, settings: Settings) -> None:
    refused = await client.patch(FACEBOOK, json={"status": "disconnected"})
    assert (refused.status_code, refused.json()) == (403, {"error": "forbidden"})
    changed = await client.patch(FACEBOOK, json={"status": "disconnected"}, headers=bearer(settings, ADMIN))
    assert changed.json()["data"]["status"] == "disconnected"
    assert (await client.get(FACEBOOK)).json() == changed.json()


async def test_the_conversations_of_an_inbox_show_its_new_name(client: httpx.AsyncClient, settings: Settings) -> None:
    conversations = (await client.get("/api/v1/conversations?limit=100")).json()["data"]
    ids = [conversation["id"] for conversation in conversations if conversation["inbox"]["id"] == 2]
    before = (await client.get(f"/api/v1/conversations/{ids[0]}")).json()["data"]
    await client.patch(FACEBOOK, json={"name": "Another name"}, headers=bearer(settings, ADMIN))
    after = (await client.get(f"/api/v1/conversations/{ids[0]}")).json()["data"]
    assert after == before | {"inbox": before["inbox"] | {"name": "Another name"}}


@pytest.mark.parametrize("status", [None, "closed", ["active"], True])
def test_a_status_is_one_of_two(status: object) -> None:
    with pytest.raises(ValidationError) as caught:
        InboxChanges.model_validate({"status": status, "name": " "})
    assert [error["msg"] for error in caught.value.errors()] == ["can't be blank", "is not included in the list"]
