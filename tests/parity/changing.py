"""Changing rows on one side, and seeing what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.parity.sides import Case, Reply, Sides
from tests.parity.tables import given


def change(sides: Sides, side: str, target: str, token: str, **fields: Any) -> dict[str, Any]:
    reply = sides.ask(side, Case("change", 200, target, "PATCH", token, given(**fields)))
    assert reply.status == 200, reply
    content: dict[str, Any] = json.loads(reply.body)
    return content


def row(database: psycopg.Connection, name: str, id: int) -> dict[str, Any]:
    statement = sql.SQL("select * from {} where id = %s").format(sql.Identifier(name))
    found = database.cursor(row_factory=dict_row).execute(statement, [id]).fetchone()
    assert found is not None
    return found


@contextmanager
def unchanged(database: psycopg.Connection, name: str, id: int) -> Iterator[None]:
    """The block does not even write the row anew."""
    statement = sql.SQL("select xmin, * from {} where id = %s").format(sql.Identifier(name))
    before = database.execute(statement, [id]).fetchone()
    yield
    assert database.execute(statement, [id]).fetchone() == before


def during(
    database: psycopg.Connection,
    statement: LiteralString,
    values: Sequence[Any] | Mapping[str, Any],
    asks: Sequence[Callable[[], Reply]],
) -> list[Reply]:
    """The answers to requests that come while a change is not yet committed, each of which waits for it."""
    with ThreadPoolExecutor(len(asks)) as threads:
        with database.transaction():
            database.execute(statement, values)
            asked: list[Future[Reply]] = [threads.submit(ask) for ask in asks]
            await_waiting(database, len(asks))
        return [reply.result(30) for reply in asked]


def await_waiting(database: psycopg.Connection, count: int) -> None:
    """Return once so many other connections wait for a lock."""
    deadline = time.monotonic() + 30
    while True:
        # Within a transaction the connections would stay those of the first look, without any that is opened since.
        database.execute("select pg_stat_clear_snapshot()")
        found = database.execute(
            """select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'"""
        ).fetchone()
        if found == (count,):
            return
        assert time.monotonic() < deadline, f"{found} wait for a lock, not {count}"
