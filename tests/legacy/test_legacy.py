"""The legacy application behaves as docs/api.md says."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
import redis
from psycopg.rows import dict_row
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from demo.service import READY_WITHIN, Service, free_port
from demo.stack import Application, Postgres, prepare_database, start_rails, start_redis

ACME, GLOBEX = "agent1@acme.example", "agent1@globex.example"
Row = dict[str, Any]


@contextmanager
def signed_in(url: str, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        answer = client.post("/auth/login", json={"email": email, "password": "password"})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['accessToken']}"
        yield client


@pytest.fixture(scope="module")
def agent(rails: Service) -> Iterator[httpx.Client]:
    with signed_in(rails.url, ACME) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(rails: Service) -> Iterator[httpx.Client]:
    """An agent of another account."""
    with signed_in(rails.url, GLOBEX) as client:
        yield client


@pytest.fixture(scope="module")
def database(application: Application) -> Iterator[psycopg.Connection[Row]]:
    with psycopg.connect(application.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture(scope="module")
def store(application: Application) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(application.redis_url, decode_responses=True) as client:
        yield client


def pages(client: httpx.Client, path: str, **parameters: str) -> Iterator[list[Row]]:
    cursor: str | None = ""
    while cursor is not None:
        answer = client.get(path, params={**parameters, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        yield answer.json()["data"]
        cursor = answer.json()["meta"]["nextCursor"]


def eventually(condition: Callable[[], bool], pause: Callable[[], object]) -> bool:
    """Whether the condition comes true; `pause` blocks for a moment on something that is about to happen."""
    deadline = time.monotonic() + READY_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause()
    return True


def token(application: Application, **changes: object) -> dict[str, str]:
    now = int(time.time())
    claims = {"sub": "2", "account_id": 1, "iat": now, "exp": now + 60, "jti": "a"} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return {"Authorization": f"Bearer {jwt.encode(kept, application.jwt_secret, algorithm='HS256')}"}


@contextmanager
def subscribed(
    rails: Service, authorization: str, conversation: int
) -> Iterator[tuple[ClientConnection, Iterator[Row]]]:
    """A socket with a confirmed subscription to a conversation, and the frames that follow."""
    cable = f"ws://127.0.0.1:{rails.port}/cable?token={authorization.removeprefix('Bearer ')}"
    identifier = json.dumps({"channel": "ConversationChannel", "id": conversation})
    with connect(cable, origin=Origin(rails.url), subprotocols=[Subprotocol("actioncable-v1-json")]) as socket:
        socket.send(json.dumps({"command": "subscribe", "identifier": identifier}))
        frames = (json.loads(frame) for frame in socket)
        assert any(frame.get("type") == "confirm_subscription" for frame in frames)
        yield socket, frames


@contextmanager
def subscription(rails: Service, authorization: str, conversation: int) -> Iterator[Iterator[Row]]:
    with subscribed(rails, authorization, conversation) as (_, frames):
        yield frames


def test_login_answers_both_tokens_and_remembers_the_refresh_token_for_a_week(
    rails: Service, application: Application, database: psycopg.Connection[Row], store: redis.Redis
) -> None:
    before = database.execute("SELECT * FROM users WHERE email = %s", [ACME]).fetchone()
    answer = httpx.post(
        f"{rails.url}/auth/login", json={"email": f"  {ACME.upper()} ", "password": "password"}, timeout=30
    )
    after = database.execute("SELECT * FROM users WHERE email = %s", [ACME]).fetchone()

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert before is not None
    assert after is not None
    assert body["user"] == {
        "id": after["id"],
        "accountId": 1,
        "email": ACME,
        "name": after["name"],
        "role": "agent",
    }
    claims = jwt.decode(body["accessToken"], application.jwt_secret, algorithms=["HS256"])
    assert claims["sub"] == str(after["id"])
    assert claims["account_id"] == 1
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert len(body["refreshToken"]) == 43
    assert store.get(f"refresh:token:{body['refreshToken']}") == str(after["id"])
    assert 604_700 < int(store.ttl(f"refresh:token:{body['refreshToken']}")) <= 604_800
    assert after["last_sign_in_at"] != before["last_sign_in_at"]
    assert after["updated_at"] == before["updated_at"]


@pytest.mark.parametrize(
    ("email", "password"),
    [(ACME, "wrong"), ("nobody@acme.example", "password"), (ACME, "password" + "x" * 65), ("   ", "password")],
)
def test_wrong_credentials_are_all_refused_alike(rails: Service, email: str, password: str) -> None:
    answer = httpx.post(f"{rails.url}/auth/login", json={"email": email, "password": password}, timeout=10)
    assert (answer.status_code, answer.content) == (401, b'{"error":"invalid_credentials"}')


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer W10.W10.W10"},  # headers and claims that are JSON, but no objects
        {"Authorization": "Bearer bnVsbA.bnVsbA."},
        {"Authorization": f"Bearer {jwt.encode({'sub': '2', 'account_id': 1}, None, algorithm='none')}"},
    ],
)
def test_a_stranger_learns_nothing_but_that_he_is_one(rails: Service, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{rails.url}/api/v1/messages", content=b"{", headers=headers, timeout=30)
    assert (answer.status_code, answer.content) == (401, b'{"error":"unauthorized"}')


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": "0"},
        {"sub": "x"},
        {"sub": "9" * 19},
        {"account_id": "1"},
        {"account_id": -1},
        {"iat": None},
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"jti": None},
    ],
)
def test_a_token_with_a_doubtful_claim_is_refused(
    rails: Service, application: Application, changes: dict[str, object]
) -> None:
    url = f"{rails.url}/api/v1/conversations"
    assert httpx.get(url, headers=token(application), timeout=30).status_code == 200
    assert httpx.get(url, headers=token(application, **changes), timeout=30).status_code == 401


def test_the_pages_of_the_list_hold_every_conversation_once_and_in_order(
    agent: httpx.Client, database: psycopg.Connection[Row]
) -> None:
    query = "SELECT id FROM conversations WHERE account_id = 1 ORDER BY last_activity_at DESC, id DESC"
    expected = [row["id"] for row in database.execute(query)]
    listed = [row["id"] for page in pages(agent, "/api/v1/conversations", limit="67") for row in page]
    assert listed == expected


def test_the_list_can_be_narrowed_to_a_status(agent: httpx.Client, database: psycopg.Connection[Row]) -> None:
    listed = [row for page in pages(agent, "/api/v1/conversations", limit="100", status="pending") for row in page]
    query = "SELECT count(*) FROM conversations WHERE account_id = 1 AND status = 'pending'"
    count = database.execute(query).fetchone()
    assert count is not None
    assert len(listed) == count["count"]
    assert {row["status"] for row in listed} == {"pending"}


def test_the_pages_of_messages_hold_every_message_once_newest_first(
    agent: httpx.Client, database: psycopg.Connection[Row]
) -> None:
    longest = """SELECT conversation_id AS id FROM messages WHERE account_id = 1 AND id <= 40000
                 GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"""
    conversation = database.execute(longest).fetchone()
    assert conversation is not None
    path = f"/api/v1/conversations/{conversation['id']}/messages"
    listed = [row["id"] for page in pages(agent, path, limit="30") for row in page]
    query = "SELECT id FROM messages WHERE conversation_id = %s ORDER BY id DESC"
    assert listed == [row["id"] for row in database.execute(query, [conversation["id"]])]
    assert len(listed) > 100


def test_eager_loading_answers_the_same_bytes(stack_directory: Path, application: Application, rails: Service) -> None:
    with start_rails(stack_directory, application, name="eager", workers=1, extra={"EAGER": "1"}) as eager:
        for query in ("limit=100", "limit=100&status=resolved", "limit=1"):
            path = f"/api/v1/conversations?{query}"
            answers = [
                httpx.get(f"{side.url}{path}", headers=token(application), timeout=30) for side in (rails, eager)
            ]
            assert answers[0].content == answers[1].content
            assert answers[0].headers["ETag"] == answers[1].headers["ETag"]


def test_a_page_has_the_etag_of_its_bytes_and_is_not_sent_twice(agent: httpx.Client) -> None:
    answer = agent.get("/api/v1/conversations")
    assert answer.headers["ETag"] == f'W/"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    assert answer.headers["Cache-Control"] == "max-age=0, private, must-revalidate"
    again = agent.get("/api/v1/conversations", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["", "/messages"])
def test_another_accounts_conversation_is_not_found(stranger: httpx.Client, agent: httpx.Client, path: str) -> None:
    mine = agent.get("/api/v1/conversations?limit=1").json()["data"][0]["id"]
    for id in (mine, 2**62, 2**64, "01", "1x", 0):
        answer = stranger.get(f"/api/v1/conversations/{id}{path}")
        assert (answer.status_code, answer.content) == (404, b'{"error":"not_found"}')


def test_a_message_is_stored_shown_and_told_to_the_other_agents(
    agent: httpx.Client,
    rails: Service,
    sidekiq: Service,
    database: psycopg.Connection[Row],
    store: redis.Redis,
) -> None:
    conversation = agent.get("/api/v1/conversations?limit=1").json()["data"][0]["id"]
    keys = [f"conversation:{conversation}", f"conversation:{conversation}:messages"]
    for key in keys:
        store.set(key, "stale")
    content = f"<b>5 &amp; 6</b> \u2028 😀 {uuid4()}"

    with subscription(rails, agent.headers["Authorization"], conversation) as frames:
        answer = agent.post("/api/v1/messages", json={"content": content, "conversationId": conversation})
        shown = next(frame["message"] for frame in frames if frame.get("type") != "ping")

    assert answer.status_code == 201
    assert rb"\u003cb\u003e5 \u0026amp; 6\u003c/b\u003e \u2028 " in answer.content
    message = answer.json()["data"]
    assert message["content"] == content
    assert shown == {"event": "message.created", "data": message}
    assert store.exists(*keys) == 0

    moved = database.execute(
        """SELECT c.last_activity_at = m.created_at AND c.updated_at = m.created_at AS moved
           FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = %s""",
        [message["id"]],
    ).fetchone()
    assert moved == {"moved": True}

    def told() -> list[int]:
        query = "SELECT user_id FROM notifications WHERE message_id = %s ORDER BY user_id"
        return [row["user_id"] for row in database.execute(query, [message["id"]])]

    others = [
        row["id"] for row in database.execute("SELECT id FROM users WHERE account_id = 1 AND email <> %s", [ACME])
    ]
    assert eventually(lambda: told() != [], lambda: database.execute("SELECT pg_sleep(0.05)"))
    assert told() == sorted(others)


BLANK, NO_STRING, NO_INTEGER = "can't be blank", "must be a string", "must be an integer"
FOLLOWING = ["NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob"]
TOO_LONG = "is too long (maximum is 10000 characters)"


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"content": BLANK, "conversationId": BLANK}),
        ({"content": " \u3000\n", "conversationId": "1"}, {"content": BLANK, "conversationId": NO_INTEGER}),
        ({"content": 1, "conversationId": True}, {"content": NO_STRING, "conversationId": NO_INTEGER}),
        ({"content": "x" * 10_001, "conversationId": 1.0}, {"content": TOO_LONG, "conversationId": NO_INTEGER}),
        ({"content": "\0", "conversationId": 1}, {"content": "is invalid"}),
        ([], {"": "must be an object"}),
    ],
)
def test_every_fault_of_a_message_is_listed(agent: httpx.Client, body: object, faults: dict[str, str]) -> None:
    answer = agent.post("/api/v1/messages", json=body)
    assert answer.status_code == 400
    assert answer.json() == {"errors": [{"field": field, "message": message} for field, message in faults.items()]}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b" ",
        b"{'a':1}",
        b"[NaN]",
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        rb'{"a":"\ud800xxxxxxxxxxx"}',
        rb'{"a":"\q"}',
        rb'{"a":"\udc00"}',
        b"/**/{}",
        b"[" * 101 + b"]" * 101,
    ],
)
def test_what_is_not_json_is_malformed(agent: httpx.Client, body: bytes) -> None:
    answer = agent.post("/api/v1/messages", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.content) == (400, b'{"error":"malformed_json"}')


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "///"])
def test_another_media_type_is_not_read(agent: httpx.Client, type: str) -> None:
    answer = agent.post("/api/v1/messages", content=b'{"a":"%zz"}', headers={"Content-Type": type})
    assert (answer.status_code, answer.content) == (415, b'{"error":"unsupported_media_type"}')


@pytest.mark.parametrize(
    "target",
    ["?a=%zz", "?a=%ff", "?limit=1&limit[a]=2", "?a" + "[b]" * 120 + "=1", "?" + "a&" * 5_000, "/%ff", "/%ff/messages"],
)
def test_what_cannot_be_decoded_is_a_bad_request(agent: httpx.Client, target: str) -> None:
    answer = agent.get(f"/api/v1/conversations{target}")
    assert (answer.status_code, answer.content) == (400, b'{"error":"bad_request"}')


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("status=x&limit=0&cursor=!", ["status", "limit", "cursor"]),
        ("cursor[]=1&limit[a]=2&status[]=open", ["status", "limit", "cursor"]),
        ("limit=101", ["limit"]),
        ("limit=010", ["limit"]),
        ("limit=%00", ["limit"]),
        (f"cursor={base64.urlsafe_b64encode(b'253402300800000000:1').decode().rstrip('=')}", ["cursor"]),
        (f"cursor={base64.urlsafe_b64encode(b'1:9223372036854775808').decode().rstrip('=')}", ["cursor"]),
        (f"cursor={base64.urlsafe_b64encode(b'01:1').decode().rstrip('=')}", ["cursor"]),
        ("cursor=MTox==", ["cursor"]),
    ],
)
def test_every_fault_of_a_query_is_listed(agent: httpx.Client, query: str, fields: list[str]) -> None:
    answer = agent.get(f"/api/v1/conversations?{query}")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == fields


def test_unknown_routes_answer_json_and_health_asks_nobody(rails: Service) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/nope"),
        ("PUT", "/api/v1/messages"),
        ("GET", "/api/v1/conversations.json"),
    ]:
        answer = httpx.request(method, f"{rails.url}{path}", timeout=30)
        assert (answer.status_code, answer.content) == (404, b'{"error":"not_found"}')
    assert httpx.get(f"{rails.url}/up", timeout=30).json() == {"status": "ok"}


def test_an_application_without_its_stores_stays_up_and_says_so(
    stack_directory: Path, application: Application
) -> None:
    redis_server = start_redis(stack_directory)
    alone = Application(f"postgresql://127.0.0.1:{free_port()}/legacy", redis_server.url())
    shown = {"refreshToken": "a"}
    with redis_server.service, start_rails(stack_directory, alone, name="alone", workers=0) as rails:
        with redis.Redis.from_url(redis_server.url()) as store:
            store.set("refresh:token:a", 2)
            assert httpx.post(f"{rails.url}/auth/refresh", json=shown, timeout=30).status_code == 503
            assert store.keys("refresh:*") == [b"refresh:token:a"]
            assert httpx.post(f"{rails.url}/auth/logout", json=shown, timeout=30).status_code == 200
            assert store.keys("refresh:*") == []
        redis_server.service.kill()
        assert httpx.get(f"{rails.url}/up", timeout=30).status_code == 200
        for method, path, body in [
            ("GET", "/api/v1/conversations", None),
            ("POST", "/auth/login", {"email": ACME, "password": "password"}),
            ("POST", "/auth/refresh", shown),
            ("POST", "/auth/logout", shown),
        ]:
            answer = httpx.request(method, f"{rails.url}{path}", json=body, headers=token(application), timeout=30)
            assert answer.status_code == 503
            assert answer.json() == {"error": "service_unavailable", "requestId": answer.headers["X-Request-Id"]}


def test_a_session_outlives_a_redis_that_hangs(stack_directory: Path, application: Application) -> None:
    redis_server = start_redis(stack_directory)
    stalled = Application(application.database_url, redis_server.url())
    shown = {"refreshToken": "a"}
    with redis_server.service, start_rails(stack_directory, stalled, name="stalled", workers=0) as rails:
        with redis.Redis.from_url(redis_server.url()) as store:
            store.set("refresh:token:a", 2)
        redis_server.service.pause()
        for path in ("/auth/refresh", "/auth/logout"):
            body = shown if path == "/auth/refresh" else {"refreshToken": "b"}
            assert httpx.post(f"{rails.url}{path}", json=body, timeout=30).status_code == 503
        redis_server.service.resume()
        assert httpx.post(f"{rails.url}/auth/refresh", json=shown, timeout=30).status_code == 200


def test_a_job_is_enqueued_once_however_long_redis_takes(stack_directory: Path, application: Application) -> None:
    redis_server = start_redis(stack_directory)
    stalled = Application(application.database_url, redis_server.url())
    with redis_server.service, start_rails(stack_directory, stalled, name="stalled", workers=0) as rails:

        def create() -> int:
            body = {"content": "hello", "conversationId": 1}
            url = f"{rails.url}/api/v1/messages"
            created = httpx.post(url, json=body, headers=token(stalled), timeout=30)
            assert created.status_code == 201
            return int(created.json()["data"]["id"])

        first = create()
        redis_server.service.pause()
        second = create()
        redis_server.service.resume()
        third = create()
        with redis.Redis.from_url(redis_server.url(), decode_responses=True) as store:
            queued = [json.loads(job) for job in store.lrange("queue:default", 0, -1)]
        with psycopg.connect(stalled.database_url, autocommit=True) as connection:
            kept = connection.execute("delete from outbox returning job, args").fetchall()
        # Nobody is there who would hand it over later: its jobs are kept, all of them, and those of nobody before it.
        following = [*FOLLOWING, "FacebookSendJob"]
        assert sorted(job for job in kept if job[1] != [third]) == sorted((name, [second]) for name in following)
        for name in FOLLOWING:
            ids = [job["args"] for job in queued if job["class"] == name]
            assert ids.count([first]) == 1
            # Who comes when Redis has just been away does not ask it.
            assert ids.count([third]) + kept.count((name, [third])) == 1
            # Whether Redis took this one, nobody knows who was not answered.
            assert ids.count([second]) <= 1


def test_typing_is_told_to_the_others_and_not_to_the_typist(rails: Service, application: Application) -> None:
    def typing() -> str:
        identifier = json.dumps({"channel": "ConversationChannel", "id": 1})
        return json.dumps({"command": "message", "identifier": identifier, "data": '{"action":"typing_on"}'})

    first, second = token(application)["Authorization"], token(application, sub="3")["Authorization"]
    with subscribed(rails, first, 1) as (one, hears_one), subscribed(rails, second, 1) as (two, hears_two):
        one.send(typing())
        told = next(frame["message"] for frame in hears_two if "message" in frame and frame.get("type") != "ping")
        assert told == {"event": "typing_on", "data": {"conversationId": 1, "userId": 2}}
        two.send(typing())
        told = next(frame["message"] for frame in hears_one if "message" in frame and frame.get("type") != "ping")
        assert told == {"event": "typing_on", "data": {"conversationId": 1, "userId": 3}}


def test_clients_of_the_cable_are_told_to_come_again_when_redis_is_lost(
    stack_directory: Path, application: Application
) -> None:
    redis_server = start_redis(stack_directory)
    lonely = Application(application.database_url, redis_server.url())
    with redis_server.service, start_rails(stack_directory, lonely, name="lonely", workers=0) as rails:
        with subscription(rails, token(application)["Authorization"], 1) as frames:
            redis_server.service.kill()
            farewell = next(frame for frame in frames if frame.get("type") != "ping")
        assert farewell == {"type": "disconnect", "reason": "server_restart", "reconnect": True}
        assert (
            httpx.get(f"{rails.url}/api/v1/conversations?limit=1", headers=token(application), timeout=30).status_code
            == 200
        )
        assert rails.running


def test_the_seeds_are_the_same_rows_each_time(
    stack_directory: Path, postgres: Postgres, application: Application
) -> None:
    postgres.create_database("seeds")
    seeds = Application(postgres.url("seeds"), application.redis_url, seed_bcrypt_cost=4)
    tables = ["accounts", "users", "inboxes", "contacts", "conversations", "messages", "notifications", "metrics"]

    def rows() -> dict[str, Row | None]:
        query = psycopg.sql.SQL("SELECT count(*), md5(string_agg(t::text, ';' ORDER BY id)) FROM {} t")
        with psycopg.connect(seeds.database_url, row_factory=dict_row) as connection:
            return {name: connection.execute(query.format(psycopg.sql.Identifier(name))).fetchone() for name in tables}

    prepare_database(stack_directory, seeds)
    first = rows()
    prepare_database(stack_directory, seeds)
    assert rows() == first
    counts = {name: row["count"] for name, row in first.items() if row is not None}
    assert counts | {"accounts": 2, "users": 20, "inboxes": 5, "conversations": 2_000, "messages": 40_000} == counts


def test_the_seeds_have_the_odd_rows_too(database: psycopg.Connection[Row]) -> None:
    odd = database.execute(
        """SELECT count(*) FILTER (WHERE messages = 0) AS silent,
                  count(*) FILTER (WHERE assignee_id IS NULL) AS unassigned,
                  count(*) FILTER (WHERE twins > 1) AS tied
           FROM (SELECT assignee_id,
                        count(*) OVER (PARTITION BY account_id, last_activity_at) AS twins,
                        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.id <= 40000) AS messages
                 FROM conversations c WHERE id <= 2000) AS seeds"""
    ).fetchone()
    assert odd is not None
    assert odd["silent"] == 100
    assert odd["unassigned"] > 100
    assert odd["tied"] > 100
