"""What the users of an account share, and what each of them knows of what the others have done."""

from __future__ import annotations

import psycopg

from demo.promises import MARK, Changing, Room

ROOMS = 6  # conversations that all of an account write in
CHATS = 3  # people who write to its page
CONVERSATIONS = """
select c.id, c.status, (select count(*) from messages where conversation_id = c.id)
  from conversations c join inboxes i on i.id = c.inbox_id
 where c.account_id = %s and i.channel = 'web' order by c.last_activity_at desc"""
# Messages from outside end up in a contact's latest conversation: this is it.
PEOPLE = """
select distinct on (p.id) p.external_id, c.id
  from contacts p join conversations c on c.contact_id = p.id join inboxes i on i.id = c.inbox_id
 where p.account_id = %s and p.external_id is not null and i.channel = 'facebook'
 order by p.id, c.last_activity_at desc, c.id desc limit %s"""
KEPT = "select content, array_agg(id) from messages where content like %s group by content"


class Account:
    """Its first users, of whom the first is its admin. Each has a desk: a conversation whose status nobody else
    changes."""

    def __init__(self, database: psycopg.Connection, id: int, users: int) -> None:
        self.id = id
        people = database.execute(
            "select id, email, name from users where account_id = %s order by id limit %s", [id, users]
        ).fetchall()
        inboxes = database.execute(
            "select id, name, channel, config ->> 'pageId' from inboxes where account_id = %s order by id", [id]
        ).fetchall()
        conversations = database.execute(CONVERSATIONS, [id]).fetchall()
        self.rooms = [Room(number, messages) for number, _, messages in conversations[:ROOMS]]
        self.desks = [(number, Changing[str](status)) for number, status, _ in conversations[ROOMS:][: len(people)]]
        self.emails = {user: email for user, email, _ in people}
        self.names = {user: Changing[str](name) for user, _, name in people}
        self.inboxes = {inbox: Changing[str](name) for inbox, name, _, _ in inboxes}
        self.timezone = Changing[str | None](None)
        (self.page,) = (page for _, _, channel, page in inboxes if channel == "facebook")
        # Those who write to the page, each with the conversation in which they are answered.
        self.chats: dict[str, int] = dict(database.execute(PEOPLE, [id, CHATS]).fetchall())


def kept(database: psycopg.Connection) -> dict[str, list[int]]:
    """The ids under which each content that was sent is kept."""
    return dict(database.execute(KEPT, [f"{MARK}%"]).fetchall())
