"""Sequences of operations, each built on the answers before it, asked of both sides in the same state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test
from psycopg import sql
from redis import Redis

from demo.stack import Application
from tests.parity import rules
from tests.parity.apart import Apart
from tests.parity.sides import LEGACY, NATIVE, Case, Reply
from tests.parity.soaking import part
from tests.parity.stage import AWKWARD, ELSEWHERE, SILENT, TIED, WRITTEN_TO
from tests.parity.tables import given
from tests.parity.test_creating import await_relayed
from tests.parity.tokens import ACME, AGENT, GLOBEX, STRANGER

LIST = "/api/v1/conversations"
CALLERS = st.sampled_from(["agent", "agent", "admin", "stranger"])
CONVERSATIONS = st.sampled_from([AWKWARD, ELSEWHERE, SILENT, WRITTEN_TO, *TIED, 1, 2, 3, 432])
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["<b>&\u2028", "🎉", " ", "x" * 10_001]))
LIMITS = st.integers(1, 7)


@dataclass(frozen=True, slots=True)
class Both:
    """Something of which each side has its own: legacy's and native's."""

    legacy: str
    native: str


def both(replies: tuple[Reply, Reply], *path: str) -> Both:
    """The text at this place in both answers, or nothing where there is none.

    Never nothing at all: hypothesis chooses what comes next by how much there is to go on with, whatever was answered.
    """
    found = [json.loads(reply.body) for reply in replies]
    for name in path:
        found = [each.get(name) or {} for each in found]
    return Both(*(each or "" for each in found))


BEGINNING = Both("", "")


class Journey(RuleBasedStateMachine):
    """What clients do one after the other. Whatever they were handed, they use: cursors, tokens, tags and ids."""

    pages = Bundle("pages")  # (caller, target, the cursors of what follows)
    tagged = Bundle("tagged")  # (caller, target, tags)
    sessions = Bundle("sessions")  # refresh tokens

    def __init__(self, apart: Apart) -> None:
        super().__init__()
        self.apart = apart

    def ask(self, caller: str | None, method: str, target: str, **fields: Any) -> tuple[Reply, Reply]:
        return self.apart.compare(Case(target, 0, target, method, caller, given(**fields) if fields else None))

    @rule(target=tagged, caller=CALLERS, id=CONVERSATIONS)
    def show(self, caller: str, id: int) -> Any:
        return self.read(caller, f"{LIST}/{id}")

    @rule(
        target=tagged,
        caller=CALLERS,
        path=st.sampled_from(
            [
                *(f"/api/v1/users/{id}" for id in (1, AGENT, 3, STRANGER, 900_001)),
                *(f"/api/v1/accounts/{id}/settings" for id in (ACME, GLOBEX)),
                *(f"/api/v1/inboxes/{id}" for id in (1, 2, 4, 5)),
            ]
        ),
    )
    def look_up(self, caller: str, path: str) -> Any:
        return self.read(caller, path)

    def read(self, caller: str, target: str) -> Any:
        replies = self.ask(caller, "GET", target)
        return caller, target, Both(*(reply.headers.get("etag", "") for reply in replies))

    @rule(known=tagged)
    def ask_whether_it_changed(self, known: tuple[str, str, Both]) -> None:
        caller, target, tags = known
        legacy, native = (
            Case("conditional", 0, target, token=caller, headers=(("If-None-Match", tag),))
            for tag in (tags.legacy, tags.native)
        )
        self.apart.compare(legacy, native)

    @rule(
        target=pages,
        caller=CALLERS,
        status=st.sampled_from(["", "&status=open", "&status=pending", "&status=resolved"]),
        limit=LIMITS,
    )
    def list_conversations(self, caller: str, status: str, limit: int) -> Any:
        return self.turn_to(caller, f"{LIST}?limit={limit}{status}", BEGINNING)

    @rule(target=pages, caller=CALLERS, id=CONVERSATIONS, limit=LIMITS)
    def list_messages(self, caller: str, id: int, limit: int) -> Any:
        return self.turn_to(caller, f"{LIST}/{id}/messages?limit={limit}", BEGINNING)

    @rule(target=pages, page=pages)
    def list_what_follows(self, page: tuple[str, str, Both]) -> Any:
        return self.turn_to(*page)

    def turn_to(self, caller: str, target: str, cursors: Both) -> Any:
        legacy, native = (
            Case("page", 0, f"{target}&cursor={cursor}", token=caller) for cursor in (cursors.legacy, cursors.native)
        )
        return caller, target, both(self.apart.compare(legacy, native), "meta", "nextCursor")

    @rule(target=tagged, caller=CALLERS, id=CONVERSATIONS, content=TEXTS, again=st.booleans())
    def write(self, caller: str, id: int, content: str, again: bool) -> Any:
        key = (("Idempotency-Key", f"{self.apart.asked.total()}"),) if again else ()
        body = given(content=content, conversationId=id)
        case = Case("write", 0, "/api/v1/messages", "POST", caller, body, headers=key)
        replies = self.apart.compare(case)
        if again and replies[0].status == 201:
            assert [reply.body for reply in self.apart.compare(case)] == [reply.body for reply in replies]
        return self.read(caller, f"{LIST}/{id}/messages")

    @rule(
        caller=CALLERS,
        id=CONVERSATIONS,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "status": st.sampled_from(["open", "pending", "resolved", "closed", None]),
                "assigneeId": st.sampled_from([1, AGENT, STRANGER, 900_001, None, 0]),
            },
        ),
    )
    def change_a_conversation(self, caller: str, id: int, changes: dict[str, Any]) -> None:
        self.ask(caller, "PATCH", f"{LIST}/{id}", **changes)
        self.ask(caller, "GET", f"{LIST}/{id}")

    @rule(
        caller=CALLERS,
        id=st.sampled_from([AGENT, 3, STRANGER, 900_001]),
        changes=st.fixed_dictionaries(
            {}, optional={"name": st.text(max_size=101), "role": st.sampled_from(["agent", "admin", "boss"])}
        ),
    )
    def change_a_user(self, caller: str, id: int, changes: dict[str, Any]) -> None:
        self.ask(caller, "PATCH", f"/api/v1/users/{id}", **changes)
        self.ask(caller, "GET", f"/api/v1/users/{id}")

    @rule(
        caller=CALLERS,
        account=st.sampled_from([ACME, GLOBEX]),
        changes=st.fixed_dictionaries(
            {},
            optional={
                "locale": st.sampled_from(["en", "de", "tlh", None]),
                "timezone": st.sampled_from(["Europe/Berlin", "Mars", None]),
                "autoReply": st.sampled_from([True, False, None, 1]),
            },
        ),
    )
    def change_settings(self, caller: str, account: int, changes: dict[str, Any]) -> None:
        self.ask(caller, "PATCH", f"/api/v1/accounts/{account}/settings", **changes)
        self.ask(caller, "GET", f"/api/v1/accounts/{account}/settings")

    @rule(
        caller=CALLERS,
        id=st.sampled_from([1, 2, 4]),
        changes=st.fixed_dictionaries(
            {},
            optional={"name": st.text(max_size=101), "status": st.sampled_from(["active", "disconnected", "gone"])},
        ),
    )
    def change_an_inbox(self, caller: str, id: int, changes: dict[str, Any]) -> None:
        self.ask(caller, "PATCH", f"/api/v1/inboxes/{id}", **changes)
        self.ask(caller, "GET", f"/api/v1/inboxes/{id}")

    @rule(target=sessions, e_mail=st.sampled_from(["agent1@acme.example", "Admin@globex.example "]))
    def sign_in(self, e_mail: str) -> Any:
        return both(self.ask(None, "POST", "/auth/login", email=e_mail, password="password"), "refreshToken")

    @rule(target=sessions, tokens=sessions)
    def refresh(self, tokens: Both) -> Any:
        return both(self.with_token("/auth/refresh", tokens), "refreshToken")

    @rule(tokens=sessions)
    def sign_out(self, tokens: Both) -> None:
        self.with_token("/auth/logout", tokens)

    def with_token(self, target: str, tokens: Both) -> tuple[Reply, Reply]:
        legacy, native = (
            Case(target, 0, target, "POST", None, given(refreshToken=token)) for token in (tokens.legacy, tokens.native)
        )
        return self.apart.compare(legacy, native)


def travel(apart: Apart, journeys: int, steps: int, **changes: Any) -> int:
    """So many journeys of so many steps each; the number of requests that were asked of both."""
    before = apart.asked.total()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        lambda: Journey(apart),
        settings=settings(
            max_examples=journeys,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # what was written stays written: nothing can be shrunk by asking again
            suppress_health_check=list(HealthCheck),
            **changes,
        ),
    )
    return apart.asked.total() - before


@pytest.mark.timeout(600)
def test_sequences_are_answered_alike(apart: Apart) -> None:
    assert travel(apart, 40, 50, derandomize=True) >= 2_000


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_very_long_sequences_are_answered_alike(apart: Apart) -> None:
    assert travel(apart, part(400), 200) >= part(80_000)


# Of one side alone, or filled by it in another way; each with the reason.
NOT_COMPARED = {
    "outbox": "jobs on their way to Redis",
    "ar_internal_metadata": "when Rails made the schema",
}


def test_both_sides_are_left_with_the_same_rows(apart: Apart, own_states: dict[str, Application]) -> None:
    legacy, native = (tables(own_states[side], apart) for side in (LEGACY, NATIVE))
    assert legacy.keys() == native.keys()
    for name, rows in legacy.items():
        assert native[name] == rows, f"in {name}"


def tables(application: Application, apart: Apart) -> dict[str, list[str]]:
    """Every row as JSON, with what the rules are about taken out."""
    with psycopg.connect(application.database_url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public' order by 1")
        names = [name for (name,) in found if name not in NOT_COMPARED]
        return {name: rows(connection, name, apart) for name in names}


def rows(connection: psycopg.Connection, table: str, apart: Apart) -> list[str]:
    statement = sql.SQL("select to_jsonb(t)::text from {} t").format(sql.Identifier(table))
    return sorted(rules.ruled(row.encode(), apart.since)[0].decode() for (row,) in connection.execute(statement))


def test_both_sides_have_enqueued_the_same_jobs(apart: Apart, own_states: dict[str, Application]) -> None:
    legacy, native = (jobs(own_states[side]) for side in (LEGACY, NATIVE))
    assert native == legacy


def jobs(application: Application) -> list[str]:
    """The queue as it was filled, without what each job has of its own."""
    with psycopg.connect(application.database_url, autocommit=True) as database:
        await_relayed(database)
    with Redis.from_url(application.redis_url, decode_responses=True) as client:
        pushed = [json.loads(job) for job in client.lrange("queue:default", 0, -1)]
    return sorted(json.dumps([job["class"], job["queue"], job["retry"], job["args"]]) for job in pushed)
