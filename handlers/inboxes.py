"""Inboxes: where conversations come in. What one is let into Facebook with is never shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from psycopg.rows import TupleRow
from pydantic import PlainValidator
from starlette.requests import Request

from . import entries, inputs
from .answers import Answer, instant
from .auth import authenticate, permitted
from .cached import cached
from .inputs import Input, Name
from .unit import Reading, Scoped, unit_of_work

STATUSES = ("active", "disconnected")


def inbox(row: TupleRow) -> dict[str, Any]:
    id, name, channel, status, page_id, created_at, updated_at = row
    return {
        "id": id,
        "name": name,
        "channel": channel,
        "status": status,
        "pageId": page_id,
        "createdAt": instant(created_at),
        "updatedAt": instant(updated_at),
    }


# Of the configuration nothing but the page's public id leaves the database.
SHOW = Scoped("""
select id, name, channel, status, config ->> 'pageId', created_at, updated_at
  from inboxes
 where id = %(id)s and account_id = %(account_id)s
""")


async def show(request: Request) -> Answer:
    caller, id = authenticate(request), request.path_params["id"]

    async def load(database: Reading) -> dict[str, Any] | None:
        row = await database.row(SHOW, id=id)
        return {"data": inbox(row)} if row else None

    return await cached(request, caller, entries.inbox(id), load)


def check_status(value: object) -> str:
    return inputs.check_choice(value, STATUSES)


class InboxChanges(Input):
    name: Name = None
    status: Annotated[str | None, PlainValidator(check_status)] = None


# The caller's row is locked first: it stays an admin's until the change is committed. The inbox is locked before it is
# compared: of two changes at once, the second is compared with what the first has left.
UPDATE = Scoped("""
with caller as materialized (
     select role = 'admin' as allowed from users where id = %(user_id)s and account_id = %(account_id)s for share),
found as materialized (
     select id, name, channel, status, config ->> 'pageId' as page_id, created_at, updated_at,
            coalesce(%(name)s, name) as new_name, coalesce(%(status)s, status) as new_status
       from caller, inboxes
      where id = %(id)s and account_id = %(account_id)s
        for no key update of inboxes),
wanted as (
     select *, (name, status) is distinct from (new_name, new_status) as differs from found),
changed as (
     update inboxes
        set name = wanted.new_name, status = wanted.new_status, updated_at = %(now)s
       from wanted, caller
      where inboxes.id = wanted.id and wanted.differs and caller.allowed)
select wanted.id is not null, caller.allowed, wanted.differs,
       wanted.id, wanted.new_name, wanted.channel, wanted.new_status, wanted.page_id, wanted.created_at,
       case when wanted.differs then %(now)s else wanted.updated_at end
  from caller left join wanted on true
""")


async def update(request: Request) -> Answer:
    caller = authenticate(request)
    changes = await inputs.changes(request, InboxChanges)
    async with unit_of_work(request, caller) as unit:
        row = await unit.row(
            UPDATE,
            user_id=caller.user_id,
            id=request.path_params["id"],
            name=changes.name,
            status=changes.status,
            now=datetime.now(UTC).replace(tzinfo=None),
        )
        differs, *shown = permitted(row)
        if differs:
            unit.forget(*entries.of_inbox(request.path_params["id"], caller.account_id))
    return Answer({"data": inbox(tuple(shown))})
