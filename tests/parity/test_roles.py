"""A role that is taken from somebody while he changes something: what counts is the moment of the change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.parity.changing import await_waiting, during
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.stage import SILENT
from tests.parity.tables import given
from tests.parity.tokens import ACME, ADMIN

CHANGES = {
    "settings": Case("settings", 200, f"/api/v1/accounts/{ACME}/settings", "PATCH", "admin", given(locale="pt")),
    "an inbox": Case("an inbox", 200, f"/api/v1/inboxes/{SILENT}", "PATCH", "admin", given(name="Changed")),
}
LOCKED = {
    "settings": f"select from accounts where id = {ACME} for update",
    "an inbox": f"select from inboxes where id = {SILENT} for update",
}
DEMOTE = "update users set role = 'agent' where id = %s"


@pytest.fixture(autouse=True)
def roles_and_settings_of_before(database: psycopg.Connection) -> Iterator[None]:
    yield
    database.execute("update users set role = 'admin' where id = %s", [ADMIN])
    database.execute("""update accounts set settings = '{"locale": "en"}' where id = %s""", [ACME])


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_who_is_just_losing_the_role_changes_nothing_more(
    sides: Sides, database: psycopg.Connection, side: str, what: str
) -> None:
    (reply,) = during(database, DEMOTE, [ADMIN], [lambda: sides.ask(side, CHANGES[what])])
    assert (reply.status, reply.body) == (403, b'{"error":"forbidden"}')


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_who_is_changing_something_keeps_the_role_until_it_is_done(
    sides: Sides, database: psycopg.Connection, side: str, what: str
) -> None:
    with (
        psycopg.connect(database.info.dsn, autocommit=True) as another,
        ThreadPoolExecutor(1) as threads,
    ):
        another.execute("set lock_timeout = '50ms'")
        with database.transaction():
            database.execute(LOCKED[what])
            asked = threads.submit(sides.ask, side, CHANGES[what])
            await_waiting(database, 1)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                another.execute(DEMOTE, [ADMIN])
        assert asked.result(30).status == 200
        assert another.execute(DEMOTE, [ADMIN]).rowcount == 1


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_two_admins_change_something_at_once_without_waiting_for_each_others_rows(
    sides: Sides, database: psycopg.Connection, side: str, what: str
) -> None:
    """Their own rows are shared: both wait for what they change, and for nothing else."""
    asks = [lambda by=by: sides.ask(by, CHANGES[what]) for by in (side, LEGACY, NATIVE)]
    replies = during(database, LOCKED[what], [], asks)
    assert {reply.status for reply in replies} == {200}
