from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis

from handlers import conversations, cursors, messages
from handlers.app import Messaging
from handlers.ids import LARGEST_ID
from handlers.resources import Resources, Settings
from handlers.unit import Scoped
from tests.handlers.serving import STRANGER, bearer
from tests.handlers.wire import overheard

ENDLESS = {"at": cursors.at(cursors.LAST_MICROSECOND), "id": LARGEST_ID, "rows": 26}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/conversations?limit=100",
        "/api/v1/conversations?status=open",
        "/api/v1/conversations/1",
        "/api/v1/conversations/432/messages?limit=100",
        "/api/v1/users/2",
        "/api/v1/accounts/1/settings",
        "/api/v1/inboxes/1",
    ],
)
async def test_a_read_is_one_statement_in_one_round_trip(
    settings: Settings, tmp_path: Path, redis: Redis, path: str
) -> None:
    app = Messaging(replace(settings, database_pool=1, outbox_pause=3600, cache_look=3600))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://native", headers=bearer(settings)) as client,
    ):
        # The cache and the outbox have looked around by then, which they do now and then.
        assert (await client.get("/api/v1/conversations/2")).status_code == 200
        async with overheard(app.state.resources, tmp_path) as wire:
            assert (await client.get(path)).status_code == 200
    assert (wire.statements, wire.round_trips) == (1, 1), wire.messages


def plan(database: psycopg.Connection, statement: Scoped, **values: Any) -> list[dict[str, Any]]:
    """The nodes of the statement's plan, as it is made for any values."""
    database.execute("set plan_cache_mode = force_generic_plan")
    rows = database.execute(
        f"explain (format json) {statement.sql}", {"account_id": 1} | values, prepare=True
    ).fetchone()
    assert rows is not None
    nodes, found = [rows[0][0]["Plan"]], []
    while nodes:
        node = nodes.pop()
        found.append(node)
        nodes += node.get("Plans", [])
    return found


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (conversations.LIST, ENDLESS, "index_conversations_by_activity"),
        (conversations.LIST_BY_STATUS, ENDLESS | {"status": "open"}, "index_conversations_by_status_and_activity"),
        (conversations.SHOW, {"id": 1}, "conversations_pkey"),
        (messages.LIST, {"conversation_id": 1, "before": LARGEST_ID, "rows": 26}, "conversations_pkey"),
    ],
    ids=["list", "list by status", "show", "messages"],
)
def test_large_tables_are_reached_by_their_indexes(
    database: psycopg.Connection, statement: Scoped, values: dict[str, Any], index: str
) -> None:
    nodes = plan(database, statement, **values)
    assert index in {node.get("Index Name") for node in nodes}
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    assert not scanned & {"conversations", "messages", "contacts"}
    joined = {node["Node Type"] for node in nodes if "Join" in node["Node Type"]}
    assert not joined, "a join of whole tables makes a page cost what the tables do"


def test_messages_are_counted_and_found_by_conversation(database: psycopg.Connection) -> None:
    """The count does not even touch the rows: its index holds all that it asks for."""
    nodes = plan(database, conversations.LIST, **ENDLESS)
    used = {(node["Node Type"], node["Index Name"]) for node in nodes if node.get("Relation Name") == "messages"}
    index = "index_messages_on_conversation_id_and_id"
    assert used == {("Index Only Scan", index), ("Index Scan", index)}


async def test_a_statement_is_prepared_once_whatever_its_values(settings: Settings) -> None:
    app = Messaging(replace(settings, database_pool=1))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://native", headers=bearer(settings)) as client,
    ):
        for id in [*range(1, 61), 40_000, 40_001, 3_000_000_000, LARGEST_ID]:  # each once: no cache answers
            await client.get(f"/api/v1/conversations/{id}")
        held: Resources = app.state.resources
        connection = await held.take()
        rows = await (await connection.execute("select generic_plans from pg_prepared_statements")).fetchall()
        await held.give_back(connection)
    assert len(rows) == 1
    assert rows[0][0] >= 50


@pytest.mark.parametrize("status", ["", "open"])
async def test_pages_are_walked_without_loss_or_repetition(
    client: httpx.AsyncClient, database: psycopg.Connection, status: str
) -> None:
    ids, following = [], ""
    while following is not None:
        page = (await client.get(f"/api/v1/conversations?status={status}&limit=97&cursor={following}")).json()
        ids += [row["id"] for row in page["data"]]
        following = page["meta"]["nextCursor"]
    expected = database.execute(
        """select id from conversations where account_id = 1 and (%(status)s = '' or status = %(status)s)
            order by last_activity_at desc, id desc""",
        {"status": status},
    ).fetchall()
    assert [(id,) for id in ids] == expected


@pytest.mark.parametrize("query", ["status=closed", "cursor=!", "cursor=MQ", "limit=0"])
async def test_parameters_that_are_not_understood_are_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/v1/conversations?{query}")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"status": None, "assigneeId": "2"}, ["is not included in the list", "must be an integer"]),
        ({"assigneeId": True}, ["must be an integer"]),
        ({"assigneeId": 2.0, "status": "open"}, ["must be an integer"]),
    ],
)
async def test_what_a_conversation_cannot_become_is_listed(
    client: httpx.AsyncClient, fields: dict[str, Any], faults: list[str]
) -> None:
    answer = await client.patch("/api/v1/conversations/1", json=fields)
    assert answer.status_code == 400
    assert [fault["message"] for fault in answer.json()["errors"]] == faults


async def test_a_conversation_is_answered_by_nobody_of_another_account(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    before = database.execute("select xmin, assignee_id from conversations where id = 1").fetchone()
    for id in (STRANGER.user_id, 999_999, 0, 2**63):
        answer = await client.patch("/api/v1/conversations/1", json={"assigneeId": id, "status": "resolved"})
        assert answer.status_code == 400
        assert answer.json() == {"errors": [{"field": "assigneeId", "message": "must exist"}]}
    assert database.execute("select xmin, assignee_id from conversations where id = 1").fetchone() == before
