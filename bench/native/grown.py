"""The tables after years of use: made from the seeds by PostgreSQL alone."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

MESSAGES = 4_000_000
PER_CONVERSATION = 20

# Without the rows' foreign keys and with the indexes made afterwards, this takes a minute, not an hour. The activity
# of what is added lies before that of the seeds, half a minute apart.
_STATEMENTS = """
set session_replication_role = replica;
insert into conversations (id, account_id, inbox_id, contact_id, assignee_id, status,
                           last_activity_at, created_at, updated_at)
select 2000 + n, 1, n % 3 + 1, n % 300 + 1, case when n % 5 > 0 then n % 14 + 1 end,
       (array['open', 'open', 'pending', 'resolved'])[n % 4 + 1], at, at - interval '1 day', at
  from generate_series(1, {conversations}) n, lateral (select timestamp '2026-01-05' - n * interval '30 seconds') t(at);
insert into messages (account_id, inbox_id, conversation_id, user_id, contact_id, direction, content, status,
                      created_at, updated_at)
select 1, n % 3 + 1, 2000 + n, case when m % 2 = 0 then n % 14 + 1 end, case when m % 2 = 1 then n % 300 + 1 end,
       case when m % 2 = 1 then 'incoming' else 'outgoing' end,
       'Message ' || m || ' of conversation ' || n || ': thank you, your parcel leaves today.', 'delivered', at, at
  from generate_series(1, {per_conversation}) m, generate_series(1, {conversations}) n,
       lateral (select timestamp '2026-01-05' - n * interval '30 seconds' - (20 - m) * interval '1 hour') t(at);
select setval('conversations_id_seq', (select max(id) from conversations));
"""


def grow(url: str, messages: int = MESSAGES) -> dict[str, int]:
    """Add conversations until there are so many messages; how many rows there are then."""
    with psycopg.connect(url, autocommit=True) as connection:
        present = _one(connection, "select count(*) from messages")
        conversations = (messages - present) // PER_CONVERSATION
        indexes = connection.execute(
            """select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
                where indrelid = 'messages'::regclass and not indisprimary"""
        ).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
        connection.execute("set maintenance_work_mem = '1GB'")
        connection.execute(
            sql.SQL(_STATEMENTS).format(
                conversations=sql.Literal(conversations), per_conversation=sql.Literal(PER_CONVERSATION)
            )
        )
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("vacuum analyze")
        return {
            "conversations": _one(connection, "select count(*) from conversations"),
            "messages": _one(connection, "select count(*) from messages"),
        }


def plan(url: str, statement: str, values: dict[str, Any]) -> dict[str, Any]:
    """How PostgreSQL carries a statement out: its indexes, the pages it looks at, the milliseconds of a warm run."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute("set jit = off")
        for _ in range(3):
            told = connection.execute(
                f"explain (analyze, buffers, format json) {statement}", values, prepare=True
            ).fetchone()
    assert told is not None
    root = told[0][0]
    nodes = list(_nodes(root["Plan"]))
    return {
        "ms": root["Execution Time"],
        "pages": root["Plan"]["Shared Hit Blocks"] + root["Plan"]["Shared Read Blocks"],
        "indexes": sorted({node["Index Name"] for node in nodes if "Index Name" in node}),
        "tables read whole": sorted({node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}),
        "plan": root["Plan"],
    }


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for inner in node.get("Plans", []) for found in _nodes(inner))]


def _one(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])
