"""Users: one of the account's, and changing one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from psycopg.rows import TupleRow
from pydantic import PlainValidator
from starlette.requests import Request

from . import entries, inputs
from .answers import Answer
from .auth import authenticate, permitted
from .cached import cached
from .inputs import Input, Name
from .unit import Reading, Scoped, unit_of_work

ROLES = ("agent", "admin")


def user(row: TupleRow) -> dict[str, Any]:
    id, account_id, email, name, role = row
    return {"id": id, "accountId": account_id, "email": email, "name": name, "role": role}


SHOW = Scoped("""
select id, account_id, email, name, role from users where id = %(id)s and account_id = %(account_id)s
""")


async def show(request: Request) -> Answer:
    caller, id = authenticate(request), request.path_params["id"]

    async def load(database: Reading) -> dict[str, Any] | None:
        row = await database.row(SHOW, id=id)
        return {"data": user(row)} if row else None

    return await cached(request, caller, entries.user(id), load)


def check_role(value: object) -> str:
    return inputs.check_choice(value, ROLES)


class UserChanges(Input):
    name: Name = None
    role: Annotated[str | None, PlainValidator(check_role)] = None


# The caller's row and the one that is to change are locked together, in one order, and read as they are then: nobody
# gives himself back the role that is just being taken from him.
UPDATE = Scoped("""
with people as materialized (
     select id, account_id, email, name, role,
            coalesce(%(name)s, name) as new_name, coalesce(%(role)s, role) as new_role
       from users
      where id in (%(user_id)s, %(id)s) and account_id = %(account_id)s
      order by id
        for no key update),
wanted as (
     select p.*, caller.role = 'admin' or (p.id = caller.id and %(role)s is null) as allowed,
            (p.name, p.role) is distinct from (p.new_name, p.new_role) as differs
       from people p, people caller
      where p.id = %(id)s and caller.id = %(user_id)s),
changed as (
     update users
        set name = wanted.new_name, role = wanted.new_role, updated_at = %(now)s
       from wanted
      where users.id = wanted.id and wanted.allowed and wanted.differs)
select wanted.id is not null, wanted.allowed, wanted.differs,
       wanted.id, wanted.account_id, wanted.email, wanted.new_name, wanted.new_role
  from people caller left join wanted on true
 where caller.id = %(user_id)s
""")


async def update(request: Request) -> Answer:
    caller = authenticate(request)
    changes = await inputs.changes(request, UserChanges)
    async with unit_of_work(request, caller) as unit:
        row = await unit.row(
            UPDATE,
            user_id=caller.user_id,
            id=request.path_params["id"],
            name=changes.name,
            role=changes.role,
            now=datetime.now(UTC).replace(tzinfo=None),
        )
        differs, *shown = permitted(row)
        if differs:
            unit.forget(*entries.of_user(request.path_params["id"], caller.account_id))
    return Answer({"data": user(tuple(shown))})
