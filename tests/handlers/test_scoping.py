"""No statement over an account's rows runs without the account, whichever module it stands in."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

import handlers
from handlers import cursors
from handlers.ids import LARGEST_ID
from handlers.unit import Reading, Scoped, ScopeError, Unscoped

MODULES = [importlib.import_module(f"handlers.{module.name}") for module in pkgutil.iter_modules(handlers.__path__)]
# Of one account each, and named where they are defined.
STATEMENTS = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Scoped)
}
UNSCOPED = [value for module in MODULES for value in vars(module).values() if isinstance(value, Unscoped)]
# Who holds connections: the unit itself, and what keeps tables that are nobody's (jobs to relay, keys to forget).
HOLDERS = {"unit", "resources", "outbox", "trust"}

# Rows that are there, of account 1.
VALUES: dict[str, Any] = {
    "conversation_id": 1,
    "user_id": 2,
    "at": cursors.at(cursors.LAST_MICROSECOND),
    "before": LARGEST_ID,
    "rows": 26,
    "content": "hello",
    "now": "2026-01-02",
    "assigns": False,
    "set": Jsonb({}),
    "taken_back": [],
}


def run(database: psycopg.Connection, statement: Scoped, account_id: int | None) -> list[tuple[Any, ...]]:
    """Its rows as an account would see them. Nothing is kept."""
    names = re.findall(r"%\((\w+)\)s", statement.sql)
    values = VALUES | {"id": LARGEST_ID if "at" in names else 1, "status": 201 if "key" in names else "open"}
    bound = {name: values.get(name) for name in names} | {"account_id": account_id}
    with database.transaction(force_rollback=True):
        cursor = database.execute(statement.sql, bound)
        return cursor.fetchall() if cursor.description else [()] * cursor.rowcount


def test_there_are_statements_in_every_module_that_serves_rows() -> None:
    serving = {"users", "accounts", "inboxes", "conversations", "messages", "idempotency"}
    assert serving <= {name.split(".")[1] for name in STATEMENTS}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_that_forgot_the_account_stops_its_module_from_being_imported(name: str) -> None:
    with pytest.raises(ScopeError):
        Scoped(STATEMENTS[name].sql.replace("%(account_id)s", "1"))


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_finds_and_changes_nothing_for_no_account(name: str, database: psycopg.Connection) -> None:
    with suppress(psycopg.errors.NotNullViolation):  # a row that it would make belongs to somebody
        assert run(database, STATEMENTS[name], None) == []


@pytest.mark.parametrize("name", [name for name in STATEMENTS if "idempotency" not in name])
def test_the_same_statement_finds_something_for_the_account(name: str, database: psycopg.Connection) -> None:
    assert run(database, STATEMENTS[name], 1) != []


def test_a_statement_of_no_account_says_why_it_may_be() -> None:
    assert UNSCOPED
    assert all(len(statement.reason.split()) > 3 for statement in UNSCOPED)


async def test_text_is_no_statement(database: psycopg.Connection) -> None:
    """mypy refuses it as well; nothing of it reaches the connection, which there is none of here."""
    reading = Reading(None, None)  # type: ignore[arg-type]  # it is not to be touched
    with pytest.raises(AttributeError, match="sql"):
        await reading.rows("select * from users")  # type: ignore[arg-type]  # the mistake that is made here


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_nobody_else_takes_a_connection(module: Any) -> None:
    """Without one, `reading` and `unit_of_work` are the only ways to the database."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    takers = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "take"]
    assert not takers or module.__name__.removeprefix("handlers.") in HOLDERS
