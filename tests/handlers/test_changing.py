"""What a change of a row costs: one transaction, in as few round trips as there can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from redis import Redis

from handlers.app import Messaging
from handlers.resources import Settings
from handlers.tokens import Caller
from tests.handlers.serving import bearer
from tests.handlers.wire import overheard

ADMIN = Caller(user_id=1, account_id=1)
SHADOW = {"X-Strangler-Shadow": "1"}
# A change that changes something, its path, and the statements between BEGIN and COMMIT.
CHANGES: list[tuple[str, dict[str, Any], int]] = [
    ("/api/v1/users/3", {"name": "Changed"}, 1),
    ("/api/v1/inboxes/1", {"name": "Changed"}, 1),
    ("/api/v1/accounts/1/settings", {"timezone": "UTC"}, 1),
    ("/api/v1/conversations/3", {"assigneeId": 5, "status": "pending"}, 2),
]


def everything(database: psycopg.Connection) -> list[tuple[Any, ...] | None]:
    return [
        database.execute("select name, updated_at from users where id = 3").fetchone(),
        database.execute("select name, updated_at from inboxes where id = 1").fetchone(),
        database.execute("select settings, updated_at from accounts where id = 1").fetchone(),
        database.execute("select status, assignee_id, updated_at from conversations where id = 3").fetchone(),
    ]


@pytest.fixture(autouse=True)
def before(database: psycopg.Connection, redis: Redis) -> Iterator[list[tuple[Any, ...] | None]]:
    user, inbox, account, conversation = rows = everything(database)
    assert account is not None
    yield rows
    database.execute("update users set (name, updated_at) = (%s, %s) where id = 3", user)
    database.execute("update inboxes set (name, updated_at) = (%s, %s) where id = 1", inbox)
    values = [Jsonb(account[0]), account[1]]
    database.execute("update accounts set (settings, updated_at) = (%s, %s) where id = 1", values)
    columns = "(status, assignee_id, updated_at)"
    database.execute(f"update conversations set {columns} = (%s, %s, %s) where id = 3", conversation)  # noqa: S608  literal


@pytest.mark.parametrize(("path", "fields", "statements"), CHANGES, ids=[path for path, *_ in CHANGES])
async def test_a_change_is_one_transaction_of_as_few_statements_as_can_be(
    settings: Settings, tmp_path: Path, path: str, fields: dict[str, Any], statements: int
) -> None:
    app = Messaging(replace(settings, database_pool=1, outbox_pause=3600.0))
    transport, headers = httpx.ASGITransport(app), bearer(settings, ADMIN)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://native", headers=headers) as client,
    ):
        assert (await client.get("/api/v1/conversations/2")).status_code == 200
        async with overheard(app.state.resources, tmp_path) as wire:
            assert (await client.patch(path, json=fields)).status_code == 200
    assert wire.statements == statements + 2, wire.messages
    assert (wire.count("begin read write"), wire.count("commit")) == (1, 1)


@pytest.mark.parametrize(("path", "fields", "_"), CHANGES, ids=[path for path, *_ in CHANGES])
async def test_a_shadow_changes_nothing(
    client: httpx.AsyncClient,
    settings: Settings,
    database: psycopg.Connection,
    before: list[tuple[Any, ...] | None],
    path: str,
    fields: dict[str, Any],
    _: int,
) -> None:
    answer = await client.patch(path, json=fields, headers=bearer(settings, ADMIN) | SHADOW)
    assert (answer.status_code, answer.headers["x-strangler-discarded"]) == (500, "1")
    assert everything(database) == before


@pytest.mark.parametrize(("path", "fields", "_"), CHANGES, ids=[path for path, *_ in CHANGES])
async def test_what_changed_is_what_is_read_next(
    client: httpx.AsyncClient, settings: Settings, path: str, fields: dict[str, Any], _: int
) -> None:
    first = (await client.get(path)).json()
    assert (await client.get(path)).json() == first
    changed = await client.patch(path, json=fields, headers=bearer(settings, ADMIN))
    assert changed.json() != first
    assert (await client.get(path)).json() == changed.json()
