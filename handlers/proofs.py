"""Whether the role and the user by which shadows read may indeed do no more: looked at with each new connection."""

from __future__ import annotations

import secrets
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError, ResponseError

from .shadow import Unproved, attempts

# What a shadow's role may do that it should not, and may not that it should; with the rights of every role that it can
# put on, whether it inherits them or not. Who owns something needs no right to drop it, or to give himself any. Rails
# asks the same: legacy/app/services/shadow/role.rb.
RIGHTS: Final = """
with roles as (
       select oid, rolname, rolcreaterole or rolcreatedb or rolreplication as makes
         from pg_roles where pg_has_role(session_user, oid, 'MEMBER')),
     schemas as (
       select oid, nspname, nspowner, nspname = any (current_schemas(false)) as searched
         from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
     relations as (
       select pg_class.oid, pg_class.oid::regclass::text as name, relowner, relkind = 'S' as counts, searched
         from pg_class join schemas on schemas.oid = relnamespace where relkind in ('r', 'p', 'v', 'm', 'f', 'S')),
     found (what, which) as (
       select 'may change', name from relations, roles where case
           when counts then has_sequence_privilege(roles.oid, relations.oid, 'USAGE, UPDATE')
           else has_table_privilege(roles.oid, relations.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
             or has_any_column_privilege(roles.oid, relations.oid, 'INSERT, UPDATE, REFERENCES') end
        union
       select 'may make something in', nspname from schemas, roles
        where has_schema_privilege(roles.oid, schemas.oid, 'CREATE')
        union
       select 'may make something in', current_database() from roles
        where has_database_privilege(roles.oid, current_database(), 'CREATE')
        union
       select 'may make roles, databases or replicas as', rolname from roles where makes
        union
       select 'may do what is not for readers as', rolname from roles
        where rolname ~ '^pg_' and rolname !~ '^pg_(read_all_|stat_|monitor$|database_owner$)'
        union
       select 'owns', name from relations join roles on roles.oid = relowner
        union
       select 'owns', nspname from schemas join roles on roles.oid = nspowner
        union
       select 'owns', datname from pg_database join roles on roles.oid = datdba where datname = current_database()
        union
       select 'may not read', name from relations
        where searched and not counts and not has_table_privilege(relations.oid, 'SELECT'))
select what || ' ' || string_agg(which, ', ' order by which) from found group by what order by what
"""
# A command of each kind, none of which would do anything: nobody has the key, and nobody listens to the channel. Rails
# tries the same: legacy/app/services/shadow/user.rb.
TRIED: Final = (
    "DEL {}",
    "EXPIRE {} 1",
    "SET {} 1 XX",
    "HDEL {} 1",
    "LPUSHX {} 1",
    "SREM {} 1",
    "ZREM {} 1",
    "XDEL {} 1",
    "PUBLISH {} 1",
    "CONFIG GET {}",
)


async def prove_role(connection: AsyncConnection[TupleRow]) -> None:
    told = await (await connection.execute(RIGHTS, prepare=False)).fetchall()
    if told:
        raise Unproved(f"the role of SHADOW_DATABASE_URL {' and '.join(what for (what,) in told)}")


async def prove_user(connection: AbstractConnection) -> None:
    """Introduces a new connection, and tries in vain."""
    token, key = attempts.set(None), f"shadow:{secrets.token_hex(8)}"
    try:
        await connection.on_connect()
        commands = [command.format(key).split() for command in TRIED]
        await connection.send_packed_command(connection.pack_commands(commands))
        may = [command[0] for command in commands if not await refused(connection)]
    finally:
        attempts.reset(token)
    if may:
        raise Unproved(f"the user of SHADOW_REDIS_URL may {', '.join(may)}")


async def refused(connection: AbstractConnection) -> bool:
    """Whether Redis' next reply is that this user may not run the command, be it on other keys or channels, or that
    nobody may."""
    try:
        await connection.read_response()
    except NoPermissionError as error:
        return "to run the" in str(error)
    except ResponseError as error:
        return "unknown command" in str(error)
    return False
