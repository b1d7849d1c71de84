"""Messages: a conversation's pages, and writing one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from psycopg.rows import TupleRow
from pydantic import Field, PlainValidator
from starlette.requests import Request

from . import cursors, entries, idempotency, inputs
from .answers import Answer, instant
from .auth import authenticate
from .cached import cached
from .errors import NotFound, Unauthorized
from .events import MessageCreated
from .ids import LARGEST_ID
from .inputs import Input, Limit, wrong
from .tokens import Caller
from .unit import Reading, Scoped, Unit, unit_of_work

LONGEST_CONTENT = 10_000

# The columns that `message` reads, of a message `m`. Its sender is either a user or a contact.
COLUMNS = """m.id, m.conversation_id, m.user_id, m.contact_id,
       coalesce((select name from users where id = m.user_id), (select name from contacts where id = m.contact_id)),
       m.direction, m.content, m.status, m.created_at, m.updated_at"""


def message(row: TupleRow) -> dict[str, Any]:
    id, conversation_id, user_id, contact_id, sender_name, direction, content, status, created_at, updated_at = row
    return {
        "id": id,
        "conversationId": conversation_id,
        "sender": {
            "type": "user" if user_id is not None else "contact",
            "id": user_id if user_id is not None else contact_id,
            "name": sender_name,
        },
        "direction": direction,
        "content": content,
        "status": status,
        "createdAt": instant(created_at),
        "updatedAt": instant(updated_at),
    }


def check_cursor(value: object) -> int:
    numbers = cursors.decode(value, LARGEST_ID) if isinstance(value, str) else None
    if numbers is None:
        raise wrong("is invalid")
    return numbers[0]


class MessagesRequest(Input):
    limit: Limit = 25
    cursor: Annotated[int, PlainValidator(check_cursor)] = LARGEST_ID


# One row at least if the conversation is there; its message is null if there is none.
LIST = Scoped(f"""
select {COLUMNS}
  from conversations c
  left join lateral (
       select id, conversation_id, user_id, contact_id, direction, content, status, created_at, updated_at
         from messages
        where conversation_id = c.id and id < %(before)s
        order by id desc
        limit %(rows)s) m on true
 where c.id = %(conversation_id)s and c.account_id = %(account_id)s
 order by m.id desc
""")  # noqa: S608  every part is a literal of this file; values are bound


async def index(request: Request) -> Answer:
    caller = authenticate(request)
    page = inputs.query(request, MessagesRequest)
    id = request.path_params["id"]

    async def load(database: Reading) -> dict[str, Any] | None:
        # One row more than asked for tells whether there is a next page.
        rows = await database.rows(LIST, conversation_id=id, before=page.cursor, rows=page.limit + 1)
        if not rows:
            return None
        data = [message(row) for row in rows[: page.limit] if row[0] is not None]
        following = cursors.encode(data[-1]["id"]) if len(rows) > page.limit else None
        return {"data": data, "meta": {"nextCursor": following}}

    entry = entries.first_page(id, caller.account_id) if page == MessagesRequest() else None
    return await cached(request, caller, entry, load)


def check_content(value: object) -> str:
    return inputs.check_text(value, LONGEST_CONTENT)


def check_row_id(value: object) -> int:
    if value is None:
        raise wrong("can't be blank")
    if type(value) is not int:  # a bool is an int, but no integer
        raise wrong("must be an integer")
    return value if 1 <= value <= LARGEST_ID else 0


class MessageRequest(Input):
    content: Annotated[str, PlainValidator(check_content)]
    conversation_id: Annotated[int, PlainValidator(check_row_id)] = Field(alias="conversationId")


# All or nothing in one round trip, with the jobs that follow, and word of what was missing: no row if the user is gone,
# one of nulls if the conversation is not there. To whom an agent replies, the conversation is open again.
CREATE = Scoped("""
with sender as (
     select id, name from users where id = %(user_id)s and account_id = %(account_id)s),
touched as (
     update conversations
        set status = 'open',
            last_activity_at = greatest(last_activity_at, %(now)s), updated_at = greatest(last_activity_at, %(now)s)
      where id = %(conversation_id)s and account_id = %(account_id)s and exists (select from sender)
  returning id, account_id, inbox_id),
made as (
     insert into messages
            (account_id, inbox_id, conversation_id, user_id, direction, content, status, created_at, updated_at)
     select account_id, inbox_id, touched.id, sender.id, 'outgoing', %(content)s, 'sent', %(now)s, %(now)s
       from touched, sender
  returning id, inbox_id, conversation_id, user_id, contact_id, direction, content, status, created_at, updated_at),
following as (
     insert into outbox (job, args, created_at)
     select job.class, jsonb_build_array(made.id), made.created_at
       from made
       join inboxes on inboxes.id = made.inbox_id
       join (values (1, 'NotifyAgentsJob'), (2, 'RunAutomationRulesJob'), (3, 'CountReplyJob'), (4, 'FacebookSendJob'))
            as job (position, class) on job.class <> 'FacebookSendJob' or inboxes.channel = 'facebook'
      order by job.position)
select m.id, m.conversation_id, m.user_id, m.contact_id, sender.name,
       m.direction, m.content, m.status, m.created_at, m.updated_at
  from sender left join made m on true
""")


async def create(request: Request) -> Answer:
    caller = authenticate(request)
    key = idempotency.key(request, caller)
    draft = await inputs.body(request, MessageRequest)
    async with unit_of_work(request, caller) as unit:
        return await idempotency.once(unit, key, draft, lambda: write(unit, caller, draft))


async def write(unit: Unit, caller: Caller, draft: MessageRequest) -> Answer:
    row = await unit.row(
        CREATE,
        user_id=caller.user_id,
        conversation_id=draft.conversation_id,
        content=draft.content,
        now=datetime.now(UTC).replace(tzinfo=None),
    )
    if row is None:
        raise Unauthorized
    if row[0] is None:
        raise NotFound
    created = message(row)
    unit.forget(*entries.of_message(created["conversationId"], caller.account_id))
    unit.emit(MessageCreated(created))
    return Answer({"data": created}, status=201)
