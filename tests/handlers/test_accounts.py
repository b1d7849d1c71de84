from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import ValidationError
from redis import Redis

from handlers.accounts import TIMEZONES, SettingsChanges
from handlers.resources import Settings
from handlers.tokens import Caller
from tests.handlers.serving import STRANGER, bearer

ADMIN = Caller(user_id=1, account_id=1)
SETTINGS = "/api/v1/accounts/1/settings"


@pytest.fixture(autouse=True)
def settings_of_before(database: psycopg.Connection, redis: Redis) -> Iterator[None]:
    row = database.execute("select settings, updated_at from accounts where id = 1").fetchone()
    assert row is not None
    yield
    database.execute("update accounts set settings = %s, updated_at = %s where id = 1", [Jsonb(row[0]), row[1]])


async def test_settings_are_shown_to_their_account_and_nobody_else(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.get(SETTINGS)
    assert answer.json() == {"data": {"locale": "en", "timezone": None, "autoReply": True}}
    for theirs, headers in [(SETTINGS, bearer(settings, STRANGER)), ("/api/v1/accounts/2/settings", {})]:
        assert (await client.get(theirs, headers=headers)).status_code == 404


async def test_only_admins_change_settings(client: httpx.AsyncClient, settings: Settings) -> None:
    refused = await client.patch(SETTINGS, json={"locale": "fr"})
    assert (refused.status_code, refused.json()) == (403, {"error": "forbidden"})
    changed = await client.patch(SETTINGS, json={"locale": "fr", "autoReply": None}, headers=bearer(settings, ADMIN))
    assert changed.json() == {"data": {"locale": "fr", "timezone": None, "autoReply": None}}
    assert (await client.get(SETTINGS)).json() == changed.json()


async def test_settings_that_are_changed_at_once_are_all_kept(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    headers = bearer(settings, ADMIN)
    wanted = {"locale": "de", "timezone": "Europe/Berlin", "autoReply": False}
    for _ in range(5):
        database.execute("""update accounts set settings = '{"theme": "dark"}' where id = 1""")
        async with asyncio.TaskGroup() as group:
            for name, value in wanted.items():
                group.create_task(client.patch(SETTINGS, json={name: value}, headers=headers))
        assert database.execute("select settings from accounts where id = 1").fetchone() == (
            {"theme": "dark"} | wanted,
        )


async def test_no_change_leaves_the_row_alone(
    client: httpx.AsyncClient, settings: Settings, database: psycopg.Connection
) -> None:
    before = database.execute("select xmin, * from accounts where id = 1").fetchone()
    for fields in ({}, {"locale": "en"}, {"timezone": None}, {"theme": "dark"}):
        assert (await client.patch(SETTINGS, json=fields, headers=bearer(settings, ADMIN))).status_code == 200
    assert database.execute("select xmin, * from accounts where id = 1").fetchone() == before


def test_timezones_are_those_of_the_database_of_zones() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"} <= TIMEZONES
    assert not {"localtime", "posixrules", "Europe", "../UTC", "zone.tab"} & TIMEZONES


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        (
            {"locale": "xx", "timezone": "Mars", "autoReply": 1},
            ["is not included in the list"] * 2 + ["must be a boolean"],
        ),
        ({"timezone": ["UTC"]}, ["is not included in the list"]),
        ({"autoReply": "true"}, ["must be a boolean"]),
    ],
)
def test_what_cannot_be_set_is_listed(fields: dict[str, object], faults: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        SettingsChanges.model_validate(fields)
    assert [error["msg"] for error in caught.value.errors()] == faults
