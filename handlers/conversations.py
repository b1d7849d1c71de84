"""Conversations: the list and one of them, each in one statement."""

from __future__ import annotations

from typing import Annotated, Any, LiteralString

from psycopg.rows import TupleRow
from pydantic import PlainValidator
from starlette.requests import Request

from . import cursors, inputs, messages
from .answers import Answer, instant
from .auth import authenticate
from .cursors import LAST_MICROSECOND
from .errors import NotFound
from .ids import LARGEST_ID
from .inputs import Input, Limit, wrong
from .unit import Scoped, reading

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
    if value not in STATUSES:
        raise wrong("is not included in the list")
    return str(value)


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
    caller = authenticate(request)
    async with reading(request, caller) as database:
        row = await database.row(SHOW, id=request.path_params["id"])
    if row is None:
        raise NotFound
    return Answer({"data": conversation(row)})
