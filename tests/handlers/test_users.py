from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg.rows import TupleRow
from pydantic import ValidationError
from redis import Redis

from handlers.resources import Settings
from handlers.tokens import Caller
from handlers.users import UserChanges
from tests.handlers.serving import AGENT, STRANGER, bearer

ADMIN = Caller(user_id=1, account_id=1)
OWN = f"/api/v1/users/{AGENT.user_id}"
COLLEAGUE = "/api/v1/users/3"


@pytest.fixture(autouse=True)
def people(database: psycopg.Connection, redis: Redis) -> Iterator[list[TupleRow]]:
    """The users whom these tests change, as they were and will be again. Nothing of them is cached."""
    columns = "id, name, role, updated_at"
    before = database.execute(f"select {columns} from users where id in (1, 2, 3) order by id").fetchall()  # noqa: S608  literal
    yield before
    for id, name, role, at in before:
        database.execute("update users set name = %s, role = %s, updated_at = %s where id = %s", [name, role, at, id])


async def test_a_user_is_shown_to_its_account_and_nobody_else(
    client: httpx.AsyncClient, settings: Settings, people: list[TupleRow]
) -> None:
    answer = await client.get(OWN)
    name = people[1][1]
    assert answer.json() == {
        "data": {"id": 2, "accountId": 1, "email": "agent1@acme.example", "name": name, "role": "agent"}
    }
    assert (await client.get(OWN, headers=bearer(settings, STRANGER))).status_code == 404


async def test_an_agent_changes_its_own_name_and_no_more(client: httpx.AsyncClient) -> None:
    renamed = await client.patch(OWN, json={"name": "Renamed"})
    assert (renamed.status_code, renamed.json()["data"]["name"]) == (200, "Renamed")
    for path, fields in [(OWN, {"role": "admin"}), (OWN, {"name": "x", "role": "agent"}), (COLLEAGUE, {"name": "x"})]:
        refused = await client.patch(path, json=fields)
        assert (refused.status_code, refused.json()) == (403, {"error": "forbidden"})
        assert "x-strangler-discarded" not in refused.headers
    assert (await client.get(OWN)).json()["data"]["name"] == "Renamed"


async def test_an_admin_changes_anybody_of_its_account(client: httpx.AsyncClient, settings: Settings) -> None:
    headers = bearer(settings, ADMIN)
    changed = await client.patch(COLLEAGUE, json={"name": "Colleague", "role": "admin"}, headers=headers)
    assert changed.status_code == 200
    shown = (await client.get(COLLEAGUE)).json()
    assert shown == changed.json()
    assert (shown["data"]["name"], shown["data"]["role"]) == ("Colleague", "admin")
    theirs = await client.patch(f"/api/v1/users/{STRANGER.user_id}", json={"name": "x"}, headers=headers)
    assert theirs.status_code == 404


async def test_who_has_lost_a_role_has_lost_it_at_once(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    """The token was issued to an admin, and is good for another quarter of an hour."""
    headers = bearer(settings, ADMIN)
    database.execute("update users set role = 'agent' where id = %s", [ADMIN.user_id])
    assert (await client.patch(COLLEAGUE, json={"name": "x"}, headers=headers)).status_code == 403


async def test_a_user_who_is_gone_changes_nobody(client: httpx.AsyncClient, settings: Settings) -> None:
    headers = bearer(settings, Caller(user_id=999_999, account_id=1))
    for path in (OWN, "/api/v1/users/999999"):
        answer = await client.patch(path, json={"name": "x"}, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized"})


async def test_no_change_leaves_the_row_alone(client: httpx.AsyncClient, database: psycopg.Connection) -> None:
    def written() -> TupleRow | None:
        return database.execute("select xmin, updated_at from users where id = %s", [AGENT.user_id]).fetchone()

    name = (await client.get(OWN)).json()["data"]["name"]
    before = written()
    for fields in ({}, {"name": name}, {"email": "new@acme.example"}):
        assert (await client.patch(OWN, json=fields)).status_code == 200
    assert written() == before


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"name": None, "role": None}, ["can't be blank", "is not included in the list"]),
        ({"name": 1}, ["must be a string"]),
        ({"name": "\u2003"}, ["can't be blank"]),
        ({"name": "a\0"}, ["is invalid"]),
        ({"name": "x" * 101}, ["is too long (maximum is 100 characters)"]),
        ({"role": ["admin"]}, ["is not included in the list"]),
    ],
)
def test_what_a_user_cannot_be_called_or_become_is_listed(fields: dict[str, object], faults: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        UserChanges.model_validate(fields)
    assert [error["msg"] for error in caught.value.errors()] == faults
