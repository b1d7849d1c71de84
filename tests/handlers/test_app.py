from __future__ import annotations

import asyncio
import copy
import os
import sys
from typing import Any

import httpx
import psycopg
import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from handlers.app import Messaging
from handlers.resources import Settings
from tests.handlers.serving import CREATE, STRANGER, bearer, serving

LIST = "/api/v1/conversations"


def scope(settings: Settings, path: str = LIST, method: str = "GET") -> dict[str, Any]:
    """As little as the specification demands."""
    headers = [(name.lower().encode(), value.encode()) for name, value in bearer(settings).items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"limit=1",
        "headers": [*headers, (b"content-type", b"application/json")],
    }


async def call(app: Messaging, scope: dict[str, Any], *requests: Message) -> list[Message]:
    incoming, sent = list(requests), []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_scope_of_nothing_but_the_specification_is_served_and_left_alone(settings: Settings) -> None:
    app = Messaging(settings)
    asked = scope(settings)
    before = copy.deepcopy(asked)
    async with app.router.lifespan_context(app):
        start, body = await call(app, asked, {"type": "http.request"})
    assert start["status"] == 200
    assert body["body"].startswith(b'{"data":[')
    assert asked == before


async def test_the_lifespan_is_served_as_the_specification_has_it(settings: Settings) -> None:
    app = Messaging(settings)
    sent = await call(app, {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_without_settings_or_environment_the_start_fails_and_says_why() -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "uvicorn", "handlers.app:app", "--port", "0"],
        env={"PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode != 0
    assert b"set DATABASE_URL, REDIS_URL, JWT_SECRET in the environment" in errors


async def test_a_caller_who_leaves_while_sending_is_not_answered_and_leaves_nothing(
    settings: Settings, database: psycopg.Connection
) -> None:
    before = database.execute("select count(*) from messages").fetchone()
    app = Messaging(settings)
    part: Message = {"type": "http.request", "body": b'{"content":', "more_body": True}
    async with app.router.lifespan_context(app):
        with capture_logs() as logs:
            sent = await call(app, scope(settings, CREATE, "POST"), part, {"type": "http.disconnect"})
        assert sent == []
        assert [entry["log_level"] for entry in logs] == ["info"]
        start, _ = await call(app, scope(settings), {"type": "http.request"})
        assert start["status"] == 200
    assert database.execute("select count(*) from messages").fetchone() == before


async def test_a_socket_is_refused(settings: Settings) -> None:
    app = Messaging(settings)
    async with app.router.lifespan_context(app):
        sent = await call(app, {**scope(settings), "type": "websocket"}, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/messages", "/auth/login", "/api/v1/conversations.json"])
async def test_what_is_no_route_is_not_found_whoever_asks(client: httpx.AsyncClient, path: str) -> None:
    for headers in ({}, {"Authorization": ""}):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})
        assert "allow" not in answer.headers


async def test_both_accounts_see_their_own_and_nothing_else(settings: Settings, database: psycopg.Connection) -> None:
    rows = database.execute("select min(id) from conversations group by account_id order by account_id").fetchall()
    (acmes,), (globexs,) = rows
    async with serving(settings) as client:
        for path in (f"{LIST}/{{}}", f"{LIST}/{{}}/messages"):
            assert (await client.get(path.format(acmes))).status_code == 200
            assert (await client.get(path.format(globexs))).status_code == 404
            other = bearer(settings, STRANGER)
            assert (await client.get(path.format(globexs), headers=other)).status_code == 200
            assert (await client.get(path.format(acmes), headers=other)).status_code == 404
        refused = await client.post(CREATE, json={"content": "hello", "conversationId": globexs})
        assert refused.status_code == 404
