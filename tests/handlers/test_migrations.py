"""Rails changes the schema while native serves: nobody notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest

from demo.service import run
from demo.stack import LEGACY, Application, rails_environment
from handlers.resources import Resources, Settings
from handlers.tokens import Caller
from handlers.unit import Reading, Scoped, Unit
from tests.handlers.serving import AGENT, CREATE, serving

# What Rails' own commands would run, on the tables that every request reads or writes. Twice there and back again.
MIGRATION = """
ActiveRecord::Migration.verbose = false
change = Class.new(ActiveRecord::Migration[6.1]) do
  def up
    add_column :conversations, :priority, :integer, null: false, default: 0
    change_column :conversations, :status, :text
    change_column :messages, :content, :string
    change_column :contacts, :name, :text
    change_column :users, :name, :text
    add_column :messages, :seen_at, :datetime
    add_index :messages, :seen_at
  end

  def down
    remove_column :messages, :seen_at
    change_column :users, :name, :string
    change_column :contacts, :name, :string
    change_column :messages, :content, :text
    change_column :conversations, :status, :string
    remove_column :conversations, :priority
  end
end
2.times { change.migrate(:up); change.migrate(:down) }
"""
LIST = Scoped("select id, name from contacts where account_id = %(account_id)s order by id limit 1")
TOUCH = Scoped("update contacts set name = name where account_id = %(account_id)s and id = %(id)s returning name")
PREPARED = 10  # times a statement is run until it surely is


async def test_migrations_of_what_is_being_read_and_written_fail_no_request(
    settings: Settings, own: Application, tmp_path: Path
) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    over = asyncio.Event()

    async def keep_asking(client: httpx.AsyncClient, number: int) -> None:
        while not over.is_set():
            for path in ("/api/v1/conversations?limit=5", "/api/v1/conversations?status=open", f"{CREATE}?"):
                if path.startswith(CREATE):
                    body = {"content": "meanwhile", "conversationId": number}
                    answer = await client.post(CREATE, json=body)
                else:
                    answer = await client.get(path)
                answers[path, answer.status_code] += 1

    async def migrate() -> None:
        command, environment = ["bundle", "exec", "rails", "runner", MIGRATION], rails_environment(tmp_path, own)
        try:
            await asyncio.to_thread(run, "migration", command, environment=environment, directory=LEGACY)
        finally:
            over.set()

    async with serving(replace(settings, database_pool=4)) as client, asyncio.TaskGroup() as group:
        for number in range(1, 5):
            group.create_task(keep_asking(client, number))
        group.create_task(migrate())
    assert {status for _, status in answers} == {200, 201}
    assert min(answers.values()) > 4 * PREPARED


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[Resources]:
    async with Resources.open(settings) as held:
        yield held


@pytest.fixture
def retyped(database: psycopg.Connection) -> Iterator[None]:
    yield
    database.execute("alter table contacts alter column name type character varying")


async def retype(database: psycopg.Connection) -> None:
    await asyncio.to_thread(database.execute, "alter table contacts alter column name type text")


async def test_a_statement_whose_column_has_changed_its_type_is_planned_anew(
    held: Resources, database: psycopg.Connection, retyped: None
) -> None:
    connection = await held.take()
    try:
        reading = Reading(connection, AGENT)
        for _ in range(PREPARED):
            before = await reading.row(LIST)
        assert (await (await connection.execute("select count(*) from pg_prepared_statements")).fetchone()) == (1,)
        await retype(database)
        assert await reading.row(LIST) == before
    finally:
        await held.give_back(connection)


async def test_a_unit_whose_first_statement_is_outdated_begins_again(
    held: Resources, database: psycopg.Connection, retyped: None
) -> None:
    connection = await held.take()
    try:
        for number in range(PREPARED + 1):
            await connection.execute("begin read write", prepare=False)
            if number == PREPARED:
                await retype(database)
            unit = Unit(connection, AGENT, "begin read write")
            assert await unit.row(TOUCH, id=1) is not None
            assert await unit.row(LIST) is not None
            await connection.execute("commit", prepare=False)
    finally:
        await held.give_back(connection)


async def test_a_later_statement_of_a_unit_is_never_outdated(
    held: Resources, database: psycopg.Connection, retyped: None
) -> None:
    connection = await held.take()
    try:
        for _ in range(PREPARED):
            await Reading(connection, AGENT).row(LIST)
        await connection.execute("begin read write", prepare=False)
        unit = Unit(connection, Caller(1, 2), "begin read write")
        await unit.row(Scoped("select count(*) from inboxes where account_id = %(account_id)s"))
        await retype(database)  # nothing of the unit's holds it up
        assert await unit.row(LIST) is not None
        await connection.execute("rollback", prepare=False)
    finally:
        await held.give_back(connection)
