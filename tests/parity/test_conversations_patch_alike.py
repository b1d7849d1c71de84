from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from redis import Redis

from tests.parity.changing import change, during, row, unchanged
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.stage import AWKWARD, CHANGED, ELSEWHERE, SILENT
from tests.parity.tables import HIGHEST, bodies, given, no_ids, strangers, table
from tests.parity.tokens import ADMIN, AGENT, STRANGER

FORM = "/api/v1/conversations/{}"
TARGET = FORM.format(CHANGED)

STATUSES: dict[str, Any] = {
    "null": None,
    "empty": "",
    "unknown": "closed",
    "upper case": "OPEN",
    "a number": 1,
    "a boolean": False,
    "a list": ["open"],
    "an object": {"open": True},
}
NO_ASSIGNEES: dict[str, Any] = {
    "a string": "2",
    "empty": "",
    "a fraction": 2.0,
    "an exponent": 1e3,
    "a boolean": True,
    "a list": [2],
    "an object": {"id": 2},
}
MISSING: dict[str, int] = {
    "unknown": 77_777_777,
    "of another account": STRANGER,
    "zero": 0,
    "negative": -AGENT,
    "highest": HIGHEST,
    "beyond 64 bits": 2**63,
    "huge": 10**400,
}


def of_update() -> list[Case]:
    """Those that change nothing, and those that the first side changes and the second finds changed."""

    def patch(name: str, status: int, /, target: str = TARGET, by: str = "agent", **fields: Any) -> Case:
        return Case(name, status, target, "PATCH", by, given(**fields))

    gone, theirs = FORM.format(77_777_777), FORM.format(ELSEWHERE)
    return [
        *(patch(f"status {name}", 400, status=value) for name, value in STATUSES.items()),
        *(patch(f"assignee {name}", 400, assigneeId=value) for name, value in NO_ASSIGNEES.items()),
        *(patch(f"assignee {name}", 400, assigneeId=value) for name, value in MISSING.items()),
        *(patch(f"assignee {name}, of nobody's", 404, gone, assigneeId=value) for name, value in MISSING.items()),
        patch("every fault at once", 400, assigneeId="2", status=None),
        patch("one good and one bad", 400, status="open", assigneeId="2"),
        patch("one good and one missing", 400, status="resolved", assigneeId=STRANGER),
        patch("fields in snake case", 200, assignee_id="x"),
        patch("unknown fields", 200, id=1, accountId=2, inboxId=2, contactId=1, lastActivityAt="x", messages=[]),
        Case("the last of two fields", 400, TARGET, "PATCH", body=b'{"status":"open","status":"x"}'),
        Case("minus zero", 400, TARGET, "PATCH", body=b'{"assigneeId":-0}'),
        Case("a number of 5000 digits", 400, TARGET, "PATCH", body=b'{"assigneeId":' + b"9" * 5000 + b"}"),
        patch("to oneself", 200, assigneeId=AGENT),
        patch("to another", 200, assigneeId=ADMIN),
        patch("to one with an awkward name", 200, assigneeId=AWKWARD),
        patch("to nobody", 200, assigneeId=None),
        patch("to nobody again", 200, assigneeId=None),
        *(patch(f"status {status}", 200, status=status) for status in ("open", "resolved", "pending")),
        patch("both", 200, status="resolved", assigneeId=AGENT),
        patch("as an admin", 200, by="admin", status="open"),
        patch("with messages of every kind", 200, FORM.format(AWKWARD), assigneeId=AWKWARD),
        patch("without messages", 200, FORM.format(SILENT), status="pending"),
        patch("of another account", 404, theirs, status="open"),
        patch("ours, asked by them", 404, by="stranger", status="open"),
        patch("theirs, to one of them", 200, theirs, "stranger", assigneeId=STRANGER),
        patch("theirs, to one of us", 400, theirs, "stranger", assigneeId=AGENT),
        patch("something invalid of nobody's", 400, gone, status=1),
        patch("by one who is gone", 401, by="gone", status="open"),
        patch("by one who is gone, nothing", 401, by="gone"),
        patch("by one who is gone, of nobody's", 401, gone, "gone", status="open"),
        patch("by one who is gone, to nobody there", 401, by="gone", assigneeId=77_777_777),
        patch("by one who is gone, something invalid", 400, by="gone", status=1),
        patch("by a user of another account", 401, by="user of another account", status="open"),
        patch("of no account", 401, by="no such account", status="open"),
        Case("malformed and unauthenticated", 401, TARGET, "PATCH", None, b"{"),
        *no_ids(FORM, method="PATCH", body=given(status="open")),
        *bodies(TARGET, given(status="open"), "agent", 200, "PATCH", 200),
        *strangers(TARGET, 200, "PATCH", given(status="open")),
    ]


@table(of_update())
def test_a_change_of_a_conversation_is_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_only_what_is_given_changes_and_both_sides_show_it(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    change(sides, side, TARGET, "agent", status="pending", assigneeId=None)
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"status": "resolved"}, {"status": "resolved", "assignee_id": None}),
        ({"assigneeId": AGENT}, {"status": "resolved", "assignee_id": AGENT}),
        ({"assigneeId": ADMIN, "status": "open"}, {"status": "open", "assignee_id": ADMIN}),
        ({"assigneeId": None}, {"status": "open", "assignee_id": None}),
    ]
    for fields, stored in steps:
        before = row(database, "conversations", CHANGED)
        reply = change(sides, side, TARGET, "agent", **fields)
        after = row(database, "conversations", CHANGED)
        assert after["updated_at"] > before["updated_at"]
        assert after == before | stored | {"updated_at": after["updated_at"]}
        shown = sides.ask(side, Case("shown", 200, TARGET))
        assert json.loads(shown.body) == reply
        sides.compare(Case("changed", 200, TARGET))
        with unchanged(database, "conversations", CHANGED):
            for again in (fields, {}):
                assert change(sides, side, TARGET, "agent", **again) == reply


def test_subscribers_hear_of_a_change_alike_and_of_none_that_changes_nothing(sides: Sides, redis: Redis) -> None:
    heard = []
    for side in (LEGACY, NATIVE):
        change(sides, side, TARGET, "agent", status="pending", assigneeId=None)
        with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            channel.subscribe(f"conversation:{CHANGED}")
            assert channel.get_message(timeout=5)
            change(sides, side, TARGET, "agent")
            change(sides, side, TARGET, "agent", status="pending")
            updated = change(sides, side, TARGET, "agent", status="open", assigneeId=AWKWARD)
            change(sides, side, TARGET, "agent", status="open")
            message = channel.get_message(timeout=5)
            assert message is not None
            assert json.loads(message["data"]) == {"event": "conversation.updated", "data": updated["data"]}
            assert channel.get_message(timeout=0.05) is None
            heard.append(message["data"].replace(updated["data"]["updatedAt"], ""))
    assert heard[0] == heard[1]


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_changes_of_one_conversation_at_once_are_all_kept(
    side: str, sides: Sides, database: psycopg.Connection
) -> None:
    """Two fields are changed by one side each, while a third change is not yet committed."""
    change(sides, side, TARGET, "agent", status="pending", assigneeId=None)
    other = NATIVE if side is LEGACY else LEGACY
    resolve = Case("resolve", 200, TARGET, "PATCH", body=given(status="resolved"))
    assign = Case("assign", 200, TARGET, "PATCH", body=given(assigneeId=AGENT))
    asks = [lambda: sides.ask(side, resolve), lambda: sides.ask(other, assign)]
    touch = "update conversations set status = 'open', assignee_id = %s where id = %s"
    replies = during(database, touch, [ADMIN, CHANGED], asks)
    assert [reply.status for reply in replies] == [200, 200]
    after = row(database, "conversations", CHANGED)
    assert (after["status"], after["assignee_id"]) == ("resolved", AGENT)


@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_a_change_that_waited_for_a_message_shows_it(side: str, sides: Sides, database: psycopg.Connection) -> None:
    change(sides, side, TARGET, "agent", status="pending")
    write = """with message as (
                    insert into messages (account_id, inbox_id, conversation_id, contact_id, direction, content,
                                          created_at, updated_at)
                    select account_id, inbox_id, id, contact_id, 'incoming', 'in between', now(), now()
                      from conversations where id = %(id)s)
               update conversations set last_activity_at = last_activity_at where id = %(id)s"""
    resolve = Case("resolve", 200, TARGET, "PATCH", body=given(status="resolved"))
    (reply,) = during(database, write, {"id": CHANGED}, [lambda: sides.ask(side, resolve)])
    assert json.loads(reply.body)["data"]["lastMessage"]["content"] == "in between"
    database.execute("delete from messages where conversation_id = %s", [CHANGED])
