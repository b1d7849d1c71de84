"""Who is to do nothing but read, and may do more: by which way whatever, he is found out, and shadows are refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from redis import Redis
from redis.asyncio import Redis as Asynchronous
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from handlers.connections import redis_client
from handlers.proofs import RIGHTS, TRIED, refused
from handlers.settings import Settings
from handlers.shadow import Unproved

LEGACY = Path(__file__).parents[2] / "legacy/app/services/shadow"
READS_METRICS = ["revoke all on metrics, metrics_id_seq from tempted", "grant select on metrics to tempted"]
READER = [
    "create role tempted login",
    "grant usage on schema public to tempted",
    "grant select on all tables in schema public to tempted",
]
WRITERS = ["create role writers", "grant insert on metrics to writers", "grant writers to tempted"]
OWNED_BY_WRITERS = ["alter table metrics owner to writers", "revoke all on metrics, metrics_id_seq from writers"]
FOUND = {
    "nothing": ([], []),
    "a table": (["grant delete on metrics to tempted"], ["may change metrics"]),
    "a column": (["grant update (value) on metrics to tempted"], ["may change metrics"]),
    "a table for everybody": (["grant insert on users to public"], ["may change users"]),
    "triggers": (["grant trigger on metrics to tempted"], ["may change metrics"]),
    "a sequence": (["grant usage on sequence metrics_id_seq to tempted"], ["may change metrics_id_seq"]),
    "a role that it is": (WRITERS, ["may change metrics"]),
    "a role that it can put on": (["alter role tempted noinherit", *WRITERS], ["may change metrics"]),
    "a role of a role": (
        ["create role between", *WRITERS[:2], "grant writers to between", "grant between to tempted"],
        ["may change metrics"],
    ),
    "another schema": (
        ["create schema apart", "create table apart.t (id int)", "grant insert on apart.t to tempted"],
        ["may change apart.t"],
    ),
    "a place for tables": (["grant create on schema public to tempted"], ["may make something in public"]),
    "a place for schemas": (["grant create on database {} to tempted"], ["may make something in {}"]),
    "roles": (["alter role tempted createrole"], ["may make roles, databases or replicas as tempted"]),
    "databases": (["alter role tempted createdb"], ["may make roles, databases or replicas as tempted"]),
    "other sessions": (
        ["grant pg_signal_backend to tempted"],
        ["may do what is not for readers as pg_signal_backend"],
    ),
    "a table of its own": (["alter table metrics owner to tempted", *READS_METRICS], ["owns metrics, metrics_id_seq"]),
    "a sequence of its own": (
        ["create sequence counted", "alter sequence counted owner to tempted", "revoke all on counted from tempted"],
        ["owns counted"],
    ),
    "a schema of its own": (
        ["create schema apart authorization tempted", "revoke all on schema apart from tempted"],
        ["owns apart"],
    ),
    "the database": (
        ["alter database {} owner to tempted", "revoke all on database {} from tempted"],
        ["may make something in public", "owns {}, public"],
    ),
    "a table of a role that it can put on": (
        ["alter role tempted noinherit", *WRITERS[:1], *OWNED_BY_WRITERS, WRITERS[2], *READS_METRICS],
        ["owns metrics, metrics_id_seq"],
    ),
    "more to read": (["grant pg_read_all_data, pg_monitor to tempted"], []),
    "less to read": (["revoke select on messages, users from tempted"], ["may not read messages, users"]),
    "all there is": (
        ["grant update on metrics to tempted", "revoke select on users from tempted"],
        ["may change metrics", "may not read users"],
    ),
}


@pytest.mark.parametrize("given", FOUND)
def test_of_a_role_it_is_told_what_it_may_do_beyond_reading(database: psycopg.Connection, given: str) -> None:
    name, (grants, told) = database.info.dbname, FOUND[given]
    with database.transaction(force_rollback=True):  # so that no role is ever there for others
        for statement in (*READER, *grants):
            database.execute(statement.replace("{}", name).encode())
        database.execute("set session authorization tempted")
        found = [what for (what,) in database.execute(RIGHTS).fetchall()]
    assert found == [what.replace("{}", name) for what in told]


def test_what_a_role_may_do_once_it_puts_off_another_is_told_too(database: psycopg.Connection) -> None:
    puts_on = ["grant shadow to tempted", "set session authorization tempted", "set role shadow"]
    with database.transaction(force_rollback=True):
        for statement in (*READER, *WRITERS, *puts_on):
            database.execute(statement.encode())
        assert database.execute(RIGHTS).fetchall() == [("may change metrics",)]


def test_of_our_own_role_it_is_told_that_it_may_do_everything(database: psycopg.Connection) -> None:
    changes, *others = [what for (what,) in database.execute(RIGHTS).fetchall()]
    assert {"users", "messages", "outbox"} <= set(changes.removeprefix("may change ").split(", "))
    assert [what.partition(" ")[0] for what in others] == [*["may"] * 3, "owns"]


@pytest.fixture
def reader(redis: Redis, settings: Settings) -> Iterator[Settings]:
    """Shadows' own, with a user that a test can give rights to."""
    parts = urlsplit(settings.shadow_redis_url)
    address = parts._replace(netloc=f"tempted:tempted@{parts.netloc.rpartition('@')[2]}").geturl()
    theirs = replace(settings, shadow_redis_url=address).of_shadows()
    assert theirs is not None
    yield theirs
    redis.acl_deluser("tempted")


@asynccontextmanager
async def allowed(redis: Redis, reader: Settings, rights: str) -> AsyncIterator[Asynchronous]:
    server: Any = redis
    server.execute_command("ACL", "SETUSER", "tempted", "reset", "on", ">tempted", *rights.split())
    async with redis_client(reader, shadow=True) as client:
        yield client


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        ("~* &* +@all -@write -@dangerous", "PUBLISH"),
        ("~* resetchannels +@all -@write -@dangerous", "PUBLISH"),  # a channel that may be his some day
        ("~* resetchannels +@all -@dangerous -publish -del -set", "EXPIRE, HDEL, LPUSHX, SREM, ZREM, XDEL"),
        ("~cache:* resetchannels +@read +set", "SET"),  # which other keys refuse as well
        ("~* resetchannels +@read +@hash", "HDEL"),
        ("~* resetchannels +@read +@list", "LPUSHX"),
        ("~* resetchannels +@read +config", "CONFIG"),
    ],
)
async def test_a_user_of_redis_that_may_do_more_than_read_is_not_asked(
    redis: Redis, reader: Settings, rights: str, may: str
) -> None:
    async with allowed(redis, reader, rights) as client:
        with pytest.raises(Unproved, match=f"^the user of SHADOW_REDIS_URL may {may}$"):
            await client.get("tempted")


@pytest.mark.parametrize("rights", ["~* resetchannels +@read", "~cache:* &* nocommands +@read +@connection +eval"])
async def test_a_user_of_redis_that_may_only_read_is_asked(redis: Redis, reader: Settings, rights: str) -> None:
    redis.set("cache:tempted", "1")
    before = set(redis.keys("*"))
    async with allowed(redis, reader, rights) as client:
        assert await client.get("cache:tempted") in ("1", b"1")
    assert set(redis.keys("*")) == before
    redis.delete("cache:tempted")


class Says:
    """A connection to a Redis that is set up as it likes."""

    def __init__(self, reply: object) -> None:
        self.reply = reply

    async def read_response(self) -> object:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.mark.parametrize(
    ("reply", "so"),
    [
        (NoPermissionError("this user has no permissions to run the 'config' command or its subcommand"), True),  # 6
        (NoPermissionError("User shadow has no permissions to run the 'del' command"), True),  # 7.2
        (NoPermissionError("No permissions to access a key"), False),
        (ResponseError("unknown command 'CONFIG', with args beginning with: 'GET'"), True),  # some hosts hide it
        (ReadOnlyError("You can't write against a read only replica."), False),  # only of today
        (0, False),
    ],
)
async def test_a_command_is_refused_where_nobody_may_run_it_or_this_user_may_not(reply: object, so: bool) -> None:
    connection: Any = Says(reply)
    assert await refused(connection) is so


def test_rails_asks_postgresql_the_same_and_tries_the_same_of_redis() -> None:
    asked = re.search(r"<<~'SQL'\n(.*?)\n +SQL\n", (LEGACY / "role.rb").read_text(), re.DOTALL)
    assert asked is not None
    assert asked[1].split() == RIGHTS.split()
    tried = re.findall(r"%w\[(.*)\]", (LEGACY / "user.rb").read_text())
    assert tuple(command.replace("%s", "{}") for command in tried) == TRIED
