"""Conversations: the list and one of them, each in one statement, and changing one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, LiteralString

from psycopg.rows import TupleRow
from pydantic import Field, PlainValidator
from starlette.requests import Request

from . import cursors, entries, inputs, messages
from .answers import Answer, instant
from .auth import authenticate, permitted
from .cached import cached
from .cursors import LAST_MICROSECOND
from .errors import Invalid, NotFound
from .events import ConversationUpdated
from .ids import LARGEST_ID
from .inputs import Input, Limit, wrong
from .unit import Reading, Scoped, reading, unit_of_work

STATUSES = ("open", "pending", "resolved")


def conversation(row: TupleRow) -> dict[str, Any]:
    id, status, inbox_id, inbox, channel, contact_id, contact, assignee_id, assignee, count = row[:10]
    activity_at, created_at, updated_at = row[10:13]
    last = row[13:]
    return {
        "id": id,
        "status": status,
        "inbox": {"id": inbox_id, "name": inbox, "channel": channel},
        "contact": {"id": contact_id, "name": contact},
        "assignee": {"id": assignee_id, "name": assignee} if assignee_id is not None else None,
        "messageCount": count,
        "lastMessage": messages.message(last) if last[0] is not None else None,
        "lastActivityAt": instant(activity_at),
        "createdAt": instant(created_at),
        "updatedAt": instant(updated_at),
    }


def shown(selection: LiteralString) -> Scoped:
    """What the API shows of the conversations that are selected, newest activity first, in one statement.

    Whatever belongs to a conversation is looked up for each row of the page, of which there are a hundred at most: the
    cost follows the page, and never the tables. Columns are named one by one: a prepared statement survives a column
    that Rails adds, with `*` it would not.
    """
    return Scoped(f"""
select c.id, c.status, i.id, i.name, i.channel,
       c.contact_id, (select name from contacts where id = c.contact_id),
       c.assignee_id, (select name from users where id = c.assignee_id),
       (select count(*) from messages where conversation_id = c.id),
       c.last_activity_at, c.created_at, c.updated_at, {messages.COLUMNS}
  from (select id, status, inbox_id, contact_id, assignee_id, last_activity_at, created_at, updated_at
          from conversations
         where account_id = %(account_id)s and {selection}) c
 cross join lateral (select id, name, channel from inboxes where id = c.inbox_id limit 1) i
  left join lateral (
       select id, conversation_id, user_id, contact_id, direction, content, status, created_at, updated_at
         from messages
        where conversation_id = c.id
        order by id desc
        limit 1) m on true
 order by c.last_activity_at desc, c.id desc
""")  # noqa: S608  every part is a literal of this package; values are bound


PAGE: LiteralString = """(last_activity_at, id) < (%(at)s, %(id)s)
         order by last_activity_at desc, id desc
         limit %(rows)s"""
# Two texts, for an optional condition would keep the planner from the index by status.
LIST = shown(PAGE)
LIST_BY_STATUS = shown(f"status = %(status)s and {PAGE}")
SHOW = shown("id = %(id)s")


def check_status(value: object) -> str:
    return inputs.check_choice(value, STATUSES)


def check_cursor(value: object) -> tuple[int, int]:
    numbers = cursors.decode(value, LAST_MICROSECOND, LARGEST_ID) if isinstance(value, str) else None
    if numbers is None:
        raise wrong("is invalid")
    return numbers[0], numbers[1]


class ConversationsRequest(Input):
    status: Annotated[str | None, PlainValidator(check_status)] = None
    limit: Limit = 25
    cursor: Annotated[tuple[int, int], PlainValidator(check_cursor)] = (LAST_MICROSECOND, LARGEST_ID)


async def index(request: Request) -> Answer:
    caller = authenticate(request)
    page = inputs.query(request, ConversationsRequest)
    microseconds, id = page.cursor
    async with reading(request, caller) as database:
        # One row more than asked for tells whether there is a next page.
        rows = await database.rows(
            LIST_BY_STATUS if page.status else LIST,
            status=page.status,
            at=cursors.at(microseconds),
            id=id,
            rows=page.limit + 1,
        )
    following = None
    if len(rows) > page.limit:
        del rows[page.limit :]
        id, activity_at = rows[-1][0], rows[-1][10]
        following = cursors.encode(cursors.microseconds(activity_at), id)
    return Answer({"data": [conversation(row) for row in rows], "meta": {"nextCursor": following}})


async def show(request: Request) -> Answer:
    caller, id = authenticate(request), request.path_params["id"]

    async def load(database: Reading) -> dict[str, Any] | None:
        row = await database.row(SHOW, id=id)
        return {"data": conversation(row)} if row else None

    return await cached(request, caller, entries.conversation(id, caller.account_id), load)


def check_assignee(value: object) -> int | None:
    return None if value is None else messages.check_row_id(value)


class ConversationChanges(Input):
    status: Annotated[str | None, PlainValidator(check_status)] = None
    assignee_id: Annotated[int | None, PlainValidator(check_assignee)] = Field(None, alias="assigneeId")


# Locked before it is compared: of two changes at once, the second is compared with what the first has left.
UPDATE = Scoped("""
with caller as (
     select id from users where id = %(user_id)s and account_id = %(account_id)s),
found as materialized (
     select id, status, assignee_id, coalesce(%(status)s, status) as new_status,
            case when %(assigns)s then %(assignee_id)s else assignee_id end as new_assignee_id
       from conversations
      where id = %(id)s and account_id = %(account_id)s
        for no key update),
wanted as (
     select *, (status, assignee_id) is distinct from (new_status, new_assignee_id) as differs,
            new_assignee_id is null
            or exists (select from users where id = new_assignee_id and account_id = %(account_id)s) as assignable
       from found),
changed as (
     update conversations
        set status = wanted.new_status, assignee_id = wanted.new_assignee_id, updated_at = %(now)s
       from wanted, caller
      where conversations.id = wanted.id and wanted.differs and wanted.assignable)
select wanted.id is not null, true, wanted.assignable, wanted.differs
  from caller left join wanted on true
""")


async def update(request: Request) -> Answer:
    caller = authenticate(request)
    changes = await inputs.changes(request, ConversationChanges)
    id = request.path_params["id"]
    async with unit_of_work(request, caller) as unit:
        row = await unit.row(
            UPDATE,
            user_id=caller.user_id,
            id=id,
            status=changes.status,
            assigns="assignee_id" in changes.model_fields_set,
            assignee_id=changes.assignee_id,
            now=datetime.now(UTC).replace(tzinfo=None),
        )
        assignable, differs = permitted(row)
        if not assignable:
            raise Invalid([("assigneeId", "must exist")])
        # A statement of its own: it sees what came in while the one before waited for the row, and so is no step back
        # for those who have heard of that.
        shown = await unit.row(SHOW, id=id)
        if shown is None:
            raise NotFound
        updated = conversation(shown)
        if differs:
            unit.forget(*entries.of_conversation(id, caller.account_id))
            unit.emit(ConversationUpdated(updated))
    return Answer({"data": updated})
