"""What goes wrong is answered, logged and reported alike, and is over when its cause is."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from demo.graph import signed
from demo.stack import Application
from tests.parity.faulty import POOL, PROJECTS, Faulty, eventually, faulty
from tests.parity.sides import LEGACY, NATIVE, Case
from tests.parity.tables import given, table

SHOW = "/api/v1/conversations/1"
CREATE = "/api/v1/messages"
LOGIN = "/auth/login"
SHOWN = Case("show", 200, SHOW)
LISTED = Case("list", 200, "/api/v1/conversations?limit=1")  # of which no cache knows
CREATED = Case("create", 201, CREATE, "POST", body=given(content="hello", conversationId=1))
SIGNED_IN = Case("sign in", 200, LOGIN, "POST", None, given(email="agent1@acme.example", password="password"))
CALLERS = {"user_id": 2, "account_id": 1}
each_side = pytest.mark.parametrize("side", [LEGACY, NATIVE])


def but(case: Case, status: int) -> Case:
    return Case(case.name, status, case.target, case.method, case.token, case.body)


@pytest.fixture(scope="module")
def there(application: Application) -> Iterator[Faulty]:
    with (
        tempfile.TemporaryDirectory(prefix="strangler-faults-") as directory,
        faulty(Path(directory), application) as it,
    ):
        yield it


@pytest.fixture
def admin(there: Faulty) -> Iterator[psycopg.Connection]:
    with psycopg.connect(there.application.database_url, autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def locked(there: Faulty, conversation: int) -> Iterator[None]:
    """Whoever writes to the conversation waits."""
    with psycopg.connect(there.application.database_url) as connection:
        connection.execute("select id from conversations where id = %s for update", [conversation])
        yield


CALLERS_FAULTS = [
    Case("malformed JSON", 400, CREATE, "POST", body=b"{"),
    Case("invalid fields", 400, CREATE, "POST", body=b"{}"),
    Case("a body of 2 MB", 413, CREATE, "POST", body=b" " * 2_000_000),
    Case("a body of 2 MB of another type", 415, CREATE, "POST", body=b" " * 2_000_000, media_type="text/plain"),
    Case("a body of 2 MB from nobody", 401, CREATE, "POST", None, b" " * 2_000_000),
    Case("a body of 2 MB to nowhere", 404, "/nowhere", "POST", body=b" " * 2_000_000),
    Case("no route", 404, "/nowhere?token=secret"),
    Case("no such method here", 404, SHOW, "DELETE"),
    Case("a method of WebDAV", 404, SHOW, "PROPFIND"),
    Case("a method that Rails does not know", 404, SHOW, "QUERY"),
    Case("another one, to nowhere", 404, "/nowhere", "LINK"),
    Case("an unreadable query", 400, f"{SHOW}?x=%"),
    Case("an escaped path", 404, "/no%20where"),
    Case("no token", 401, SHOW, token=None),
    Case("wrong password", 401, LOGIN, "POST", None, given(email="agent1@acme.example", password="wrong")),
    Case("another account's row", 404, SHOW, token="stranger"),
]


@table(CALLERS_FAULTS)
def test_a_callers_fault_is_a_warning_with_its_request(case: Case, there: Faulty) -> None:
    for line in there.compare(case).values():
        assert line["level"] == "warning"
        assert line["path"] == case.target.partition("?")[0]
        assert (line["method"], line["status"]) == (case.method, case.status)


@pytest.mark.parametrize(("method", "target"), [("GET", "/nowhere/é".encode().decode("latin-1")), ("FOO", "/nowhere")])
def test_what_is_no_http_is_refused_by_natives_server_where_rails_finds_nothing(
    there: Faulty, method: str, target: str
) -> None:
    legacy, native = there.sides.both(Case("no HTTP", 404, target, method))
    assert (legacy.status, legacy.body, native.status) == (404, b'{"error":"not_found"}', 400)


def test_a_caller_is_named_once_it_is_known(there: Faulty) -> None:
    lines = there.compare(Case("invalid", 400, CREATE, "POST", body=b"{}"))
    assert all(CALLERS.items() <= line.items() for line in lines.values())


def test_a_bug_is_an_error_in_the_log_and_an_event_without_anything_of_the_users(
    there: Faulty, admin: psycopg.Connection
) -> None:
    secret = "what nobody else may read"
    case = Case("create", 500, CREATE, "POST", body=given(content=secret, conversationId=1))
    admin.execute("alter table messages add constraint none_is_good check (content not like 'what nobody%')")
    try:
        lines = there.compare(case)
    finally:
        admin.execute("alter table messages drop constraint none_is_good")
    for side, project in PROJECTS.items():
        assert "CheckViolation" in lines[side]["exception"]
        assert secret not in lines[side]["exception"]
        (event,) = there.sentry.expect(1, project)
        assert event["request"] == {"method": "POST", "url": CREATE}
        assert event["tags"] == {"request_id": lines[side]["request_id"], "account_id": "1"}
        assert event["user"] == {"id": "2"}
        assert any("CheckViolation" in exception["type"] for exception in event["exception"]["values"])
        said = str(event)
        assert secret not in said
        assert there.sides.authorizations["agent"].split()[1] not in said
        assert "vars" not in said
    there.served(CREATED)


def test_a_statement_on_a_column_that_is_gone_is_a_bug_and_is_over_when_it_is_back(
    there: Faulty, admin: psycopg.Connection
) -> None:
    case = Case("list", 500, "/api/v1/conversations/1/messages")
    admin.execute("alter table messages rename content to text")
    try:
        lines = there.compare(case)
    finally:
        admin.execute("alter table messages rename text to content")
    assert all(line["event"] == "internal_server_error" for line in lines.values())
    there.served(but(case, 200))


def test_who_finds_every_connection_taken_is_refused_and_the_others_are_not(
    there: Faulty, admin: psycopg.Connection
) -> None:
    refused = {}
    for side in (LEGACY, NATIVE):
        with locked(there, 5):
            body = given(content="waits", conversationId=5)
            blocked = [there.begin(Case("waits", 201, CREATE, "POST", body=body), side) for _ in range(POOL)]
            eventually(lambda: there.waiting_for_a_lock(admin) == POOL, "the pool is exhausted")
            identity, answer = there.begin(LISTED, side)
            answer.result(timeout=30)
            refused[side] = identity, answer
        assert [answer.result(timeout=30).status for _, answer in blocked] == [201] * POOL
    lines = there.compare(but(LISTED, 503), refused)
    assert all(line["level"] == "error" for line in lines.values())
    there.served(LISTED)


def test_a_request_whose_postgresql_stops_is_refused_and_the_next_is_served_when_it_is_back(there: Faulty) -> None:
    case = Case("create", 503, CREATE, "POST", body=given(content="lost", conversationId=7))
    with contextlib.suppress(psycopg.OperationalError), locked(there, 7):
        begun = {side: there.begin(case, side) for side in (LEGACY, NATIVE)}
        with psycopg.connect(there.application.database_url, autocommit=True) as admin:
            eventually(lambda: there.waiting_for_a_lock(admin) == 2, "both sides are in the middle of it")
        there.postgres.service.kill()  # a polite stop might end the lock's holder first, and let them through
        lines = there.compare(case, begun)
        assert all((line["level"], line["event"]) == ("error", "service_unavailable") for line in lines.values())
        for asked in (LISTED, CREATED, SIGNED_IN):
            there.compare(but(asked, 503))
    there.start_postgresql()
    there.served(LISTED, CREATED, SIGNED_IN)
    with psycopg.connect(there.application.database_url) as connection:
        assert connection.execute("select from messages where content = 'lost'").fetchall() == []


def test_without_redis_signing_in_is_refused_and_everything_else_goes_on(there: Faulty) -> None:
    there.redis.service.kill()
    there.compare(but(SIGNED_IN, 503))
    there.served(SHOWN, LISTED, CREATED)
    there.start_redis()
    there.served(SIGNED_IN)


def test_a_redis_that_hangs_is_waited_for_no_longer_than_for_none(there: Faulty) -> None:
    there.redis.service.pause()
    try:
        there.compare(but(SIGNED_IN, 503))
        there.served(CREATED)
    finally:
        there.redis.service.resume()
    there.served(SIGNED_IN)


def with_token(target: str, token: str) -> Case:
    return Case(target, 200, target, "POST", None, given(refreshToken=token))


@each_side
def test_redis_may_hang_up_on_who_is_silent_and_nobody_notices(
    there: Faulty, admin: psycopg.Connection, side: str
) -> None:
    delivery = b'{"entry":[{}]}'
    proof = tuple(signed(delivery, there.application.facebook_app_secret).items())
    webhook = Case("webhook", 200, "/webhooks/facebook", "POST", None, delivery, headers=proof)
    with Redis.from_url(there.application.redis_url) as client, client.pubsub() as channel:
        channel.subscribe("conversation:1")
        assert channel.get_message(timeout=5)

        def ask(case: Case) -> dict[str, Any]:
            """Over connections that were closed while they were idle."""
            eventually(lambda: not admin.execute("select from outbox").fetchall(), "all jobs are handed over")
            assert client.client_kill_filter(_type="normal", skipme=True)
            reply = there.sides.ask(side, case)
            assert reply.status == case.status, reply
            return dict(json.loads(reply.body))

        # After a Redis that hung nothing is told for a moment.
        eventually(
            lambda: there.sides.ask(side, CREATED) and channel.get_message(timeout=2), "broadcasts are heard again"
        )
        said = len(there.complaints(side))
        signed_in = ask(SIGNED_IN)
        went_on = ask(with_token("/auth/refresh", signed_in["refreshToken"]))
        ask(with_token("/auth/logout", went_on["refreshToken"]))
        ask(webhook)
        created = [ask(CREATED) for _ in range(2)]
        heard = [channel.get_message(timeout=5) for _ in range(2)]
    assert [json.loads(told["data"])["data"] for told in heard if told] == [each["data"] for each in created]
    assert there.complaints(side)[said:] == []


@each_side
def test_a_session_whose_connection_is_lost_before_redis_has_answered_goes_on_over_another(
    there: Faulty, side: str
) -> None:
    with Redis.from_url(there.application.redis_url, decode_responses=True) as client:
        there.sides.ask(side, SIGNED_IN)  # over a connection that lives: one loss is survived, not two in a row

        def ask(case: Case) -> dict[str, Any]:
            client.client_pause(5_000, all=False)  # what writes waits
            _, answer = there.begin(case, side)
            eventually(lambda: client.info("clients")["blocked_clients"] == 1, f"{side} waits for Redis")
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_unpause()
            reply = answer.result(timeout=30)
            assert reply.status == case.status, reply
            return dict(json.loads(reply.body))

        signed_in = ask(SIGNED_IN)
        went_on = ask(with_token("/auth/refresh", signed_in["refreshToken"]))
        ask(with_token("/auth/logout", went_on["refreshToken"]))
        assert there.sides.ask(side, with_token("/auth/refresh", went_on["refreshToken"])).status == 401


def test_only_bugs_are_reported(there: Faulty) -> None:
    # All but the first two tests' were no bugs.
    for project in PROJECTS.values():
        assert len(there.sentry.events(project)) == 2
