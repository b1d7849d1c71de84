"""What the users of an account share, and what each of them knows of what the others have done."""

from __future__ import annotations

import psycopg

from tests.e2e.promises import Changing, Room

USERS = {1: 8, 2: 4}  # by account
ROOMS = 6  # conversations that all of an account write in
CONVERSATIONS = """
select c.id, c.status, (select count(*) from messages where conversation_id = c.id)
  from conversations c join inboxes i on i.id = c.inbox_id
 where c.account_id = %s and i.channel = 'web' order by c.last_activity_at desc"""


class Account:
    """Its first users. Each has a desk: a conversation whose status nobody else changes."""

    def __init__(self, database: psycopg.Connection, id: int) -> None:
        self.id = id
        users = database.execute("select id, email, name from users where account_id = %s order by id", [id]).fetchall()
        users = users[: USERS[id]]
        conversations = database.execute(CONVERSATIONS, [id]).fetchall()
        everything = database.execute("select id from conversations where account_id = %s", [id])
        self.conversations = {number for (number,) in everything}
        self.rooms = [Room(number, messages) for number, _, messages in conversations[:ROOMS]]
        self.desks = [(number, Changing[str](status)) for number, status, _ in conversations[ROOMS:][: len(users)]]
        self.emails = {user: email for user, email, _ in users}
        self.names = {user: Changing[str](name) for user, _, name in users}
        self.timezone = Changing[str | None](None)
