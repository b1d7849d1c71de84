"""Rows that the seeds lack: awkward texts and awkward times, in conversations whose ids the tables can name."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

AWKWARD = 900_001  # texts and names of every kind
ELSEWHERE = 900_002  # in another account
SILENT = 900_003  # without messages or assignee
WRITTEN_TO = 900_004  # where the tests write
CHANGED = 900_005  # whose status and assignee the tests change
DEPUTY = 900_005  # an admin, beside the one of the seeds
SECRET = "never-to-be-shown"
TIED = range(900_010, 900_016)  # all of the same moment

TEXTS = [
    "<script>alert('1 & 2')</script>",
    "line\u2028separator and paragraph\u2029separator",
    "emoji 🎉👩‍👩‍👧‍👦 and an astral 𝒳",
    'quotes " and \\ backslash / slash',
    "controls \x01\x08\x0b\x0c\x1f\x7f tab\tline\nreturn\r",
    "combining é, right-to-left שלום عربى, wide 日本語",
    "noncharacters \ufffe\uffff and a replacement \ufffd and a mark \ufeff",
    "private \ue000 \U0010ffff no-break\xa0space",
    " \t\n ",
    "x" * 10_000,
]
NAME = 'Zoë <b>&amp;</b> \u2028 😀 "quoted" \\'


def build(connection: psycopg.Connection) -> None:
    connection.execute(
        """insert into contacts (id, account_id, name, created_at, updated_at) values (900001, 1, %s, now(), now())""",
        [NAME],
    )
    connection.execute(
        """insert into users (id, account_id, email, password_digest, name, role, created_at, updated_at)
           select 900001, 1, 'zoë@acme.example', password_digest, %s, 'agent', now(), now() from users where id = 2""",
        [NAME],
    )
    people_and_inboxes(connection)
    other = "(select min(id) from inboxes where account_id = 2), (select min(id) from contacts where account_id = 2)"
    for id, account, rest, at in [
        (AWKWARD, 1, "1, 900001, 900001", "2030-01-01 00:00:00.000999"),
        (ELSEWHERE, 2, f"{other}, null", "2030-01-02"),
        (SILENT, 1, "1, 900001, null", "1970-01-01 00:00:00.000001"),
        (WRITTEN_TO, 1, "1, 900001, null", "2000-01-03 12:00:00.9999"),
        (CHANGED, 1, "1, 900001, null", "2000-01-02 12:00:00.9999"),
        *((id, 1, "1, 900001, null", "2029-12-31 12:00:00.123456") for id in TIED),
    ]:
        connection.execute(
            f"""insert into conversations (id, account_id, inbox_id, contact_id, assignee_id, status,
                                           last_activity_at, created_at, updated_at)
                values ({id}, {account}, {rest}, 'pending', '{at}', '{at}', '{at}')"""  # noqa: S608  literals
        )
    for number, text in enumerate(TEXTS):
        sender = ("outgoing", 900001, None) if number % 2 else ("incoming", None, 900001)
        connection.execute(
            """insert into messages (id, account_id, inbox_id, conversation_id, direction, user_id, contact_id, content,
                                     status, created_at, updated_at)
               values (%s, 1, 1, %s, %s, %s, %s, %s, 'delivered',
                       '0999-01-01 00:00:00.0009', '9999-12-31 23:59:59.9999')""",
            [900_000 + number, AWKWARD, *sender, text],
        )


def people_and_inboxes(connection: psycopg.Connection) -> None:
    """Users and inboxes that the tables can name by the same ids: an awkward one, one elsewhere, and a plain one."""
    for id, account, role in [(ELSEWHERE, 2, "agent"), (SILENT, 1, "agent"), (DEPUTY, 1, "admin")]:
        connection.execute(
            """insert into users (id, account_id, email, password_digest, name, role, created_at, updated_at)
               select %s, %s, %s, password_digest, 'Somebody', %s, now(), now() from users where id = 2""",
            [id, account, f"{id}@example.org", role],
        )
    secrets = {"pageId": "page <&>", "pageToken": SECRET, "appSecret": SECRET}
    for id, account, name, channel, config in [
        (AWKWARD, 1, NAME, "facebook", secrets),
        (ELSEWHERE, 2, "Elsewhere", "facebook", secrets | {"pageId": "elsewhere"}),
        (SILENT, 1, "Plain", "web", {}),
    ]:
        connection.execute(
            """insert into inboxes (id, account_id, name, channel, config, created_at, updated_at)
               values (%s, %s, %s, %s, %s, '2026-01-02 03:04:05.678999', '9999-12-31 23:59:59.9999')""",
            [id, account, name, channel, Jsonb(config)],
        )
