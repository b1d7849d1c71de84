"""A shadow gets from both sides what a user gets, and may change as little."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from redis import Redis

from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.stage import AWKWARD, ELSEWHERE, SILENT, WRITTEN_TO
from tests.parity.tables import given
from tests.parity.tokens import ACME

MARK = ("X-Strangler-Shadow", "r-1")
LIST = "/api/v1/conversations"
SAID = {"agent": "agent", "stranger": "agent", "admin": "admin"}
READS = [
    Case("list", 200, f"{LIST}?limit=5"),
    Case("list of a stranger", 200, LIST, token="stranger"),
    Case("conversation", 200, f"{LIST}/{AWKWARD}"),
    Case("conversation elsewhere", 404, f"{LIST}/{ELSEWHERE}"),
    Case("messages", 200, f"{LIST}/{AWKWARD}/messages"),
    Case("user", 200, f"/api/v1/users/{AWKWARD}"),
    Case("settings", 200, f"/api/v1/accounts/{ACME}/settings"),
    Case("inbox", 200, f"/api/v1/inboxes/{AWKWARD}"),
    Case("head", 200, f"/api/v1/users/{AWKWARD}", "HEAD"),
    Case("conversation of an admin", 200, f"{LIST}/{AWKWARD}", token="admin"),
    Case("conversation of one who is gone", 200, f"{LIST}/{AWKWARD}", token="gone"),
    Case("nobody", 401, LIST, token=None),
    Case("no cursor", 400, f"{LIST}?cursor=none"),
    Case("no route", 404, "/nowhere"),
    Case("no token of Facebook's", 403, "/webhooks/facebook?hub.mode=subscribe"),
]
WRITES = [
    Case("message", 201, "/api/v1/messages", "POST", body=given(content="x", conversationId=WRITTEN_TO)),
    Case("once", 201, "/api/v1/messages", "POST", body=given(content="x", conversationId=WRITTEN_TO)),
    Case("user", 200, f"/api/v1/users/{SILENT}", "PATCH", "admin", given(name="Shadow")),
    Case("inbox", 200, f"/api/v1/inboxes/{SILENT}", "PATCH", "admin", given(name="Shadow")),
    Case("settings", 200, f"/api/v1/accounts/{ACME}/settings", "PATCH", "admin", given(timezone="Asia/Tokyo")),
    Case("conversation", 200, f"{LIST}/{WRITTEN_TO}", "PATCH", body=given(status="resolved")),
    Case("session", 200, "/auth/login", "POST", None, given(email="agent1@acme.example", password="password")),
]
WRITES[1] = replace(WRITES[1], headers=(("Idempotency-Key", "a-shadow"),))
STATE = """
select (select count(*) from messages), (select count(*) from outbox), (select count(*) from idempotency_keys),
       (select array_agg(u order by id) from users u)::text, (select array_agg(i order by id) from inboxes i)::text,
       (select array_agg(a order by id) from accounts a)::text, (select count(*) from keys_to_forget),
       (select array_agg(c order by id) from conversations c where account_id = 1)::text
"""


def marked(case: Case) -> Case:
    return replace(case, name=f"{case.name}, marked", headers=(*case.headers, MARK))


@pytest.mark.parametrize("case", READS, ids=lambda case: case.name)
def test_a_shadow_is_answered_alike_and_as_a_user_is_but_that_it_is_told_as_whom_it_was_asked(
    sides: Sides, case: Case
) -> None:
    sides.compare(marked(case))
    for side in (LEGACY, NATIVE):
        user, shadow = sides.ask(side, case), sides.ask(side, marked(case))
        said = {"x-strangler-role": SAID[case.token]} if case.token in SAID and case.target.startswith("/api/") else {}
        assert (shadow.status, shadow.compared, shadow.body) == (user.status, user.compared | said, user.body)


@pytest.mark.parametrize("case", WRITES, ids=lambda case: case.name)
def test_a_shadow_that_writes_is_told_from_others_alike_and_leaves_nothing(
    sides: Sides, database: psycopg.Connection, redis: Redis, case: Case
) -> None:
    redis.flushdb()
    before = database.execute(STATE).fetchone()
    legacy, native = (sides.ask(side, marked(case)) for side in (LEGACY, NATIVE))
    assert (native.status, native.body) == (legacy.status, legacy.body)
    assert native.compared == legacy.compared | {"x-strangler-discarded": "1"}
    assert (native.status, native.headers["x-strangler-shadow"]) == (500, "wrote")
    assert (database.execute(STATE).fetchone(), redis.keys("*")) == (before, [])
