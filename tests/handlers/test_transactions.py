"""An answer takes one transaction at most: no route of the application may forget it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis
from starlette.routing import Route

from demo.graph import delivery, signed
from handlers.app import ROUTES, Messaging
from handlers.resources import Resources, Settings
from handlers.tokens import Caller
from tests.handlers.serving import bearer
from tests.handlers.wire import overheard

ADMIN = Caller(user_id=1, account_id=1)
SECRET, TOKEN, REFRESH = "app-secret", "verify-token", "a refresh token"
TOLD = delivery([{"id": "acme-page", "messaging": []}])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is answered well, and does all that its route ever does in the database."""

    path: str
    transactions: int = 1
    json: dict[str, Any] | None = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


ASKED = {
    # Between looking for the user and noting the sign-in bcrypt takes its quarter of a second, which is none to spend
    # in a transaction, with a connection that others wait for.
    "POST /auth/login": Asked("/auth/login", 2, {"email": "agent1@acme.example", "password": "password"}),
    "POST /auth/refresh": Asked("/auth/refresh", 1, {"refreshToken": REFRESH}),
    "POST /auth/logout": Asked("/auth/logout", 0, {"refreshToken": REFRESH}),
    "GET /webhooks/facebook": Asked(
        f"/webhooks/facebook?hub.mode=subscribe&hub.verify_token={TOKEN}&hub.challenge=1", 0
    ),
    "POST /webhooks/facebook": Asked("/webhooks/facebook", 0, content=TOLD, headers=signed(TOLD, SECRET)),
    "GET /api/v1/conversations": Asked("/api/v1/conversations?status=open"),
    "GET /api/v1/conversations/{id:row}": Asked("/api/v1/conversations/1"),
    "PATCH /api/v1/conversations/{id:row}": Asked("/api/v1/conversations/1", json={}),
    "GET /api/v1/conversations/{id:row}/messages": Asked("/api/v1/conversations/1/messages"),
    "POST /api/v1/messages": Asked(
        "/api/v1/messages",
        json={"content": "hello", "conversationId": 3},
        headers={"Idempotency-Key": secrets.token_hex()},
    ),
    "GET /api/v1/users/{id:row}": Asked("/api/v1/users/2"),
    "PATCH /api/v1/users/{id:row}": Asked("/api/v1/users/2", json={}),
    "GET /api/v1/accounts/{id:row}/settings": Asked("/api/v1/accounts/1/settings"),
    "PATCH /api/v1/accounts/{id:row}/settings": Asked("/api/v1/accounts/1/settings", json={}),
    "GET /api/v1/inboxes/{id:row}": Asked("/api/v1/inboxes/1"),
    "PATCH /api/v1/inboxes/{id:row}": Asked("/api/v1/inboxes/1", json={}),
}


@pytest.fixture(autouse=True)
def no_jobs_are_left(database: psycopg.Connection, redis: Redis) -> Iterator[None]:
    redis.set(f"refresh:token:{REFRESH}", ADMIN.user_id)
    yield
    database.execute("truncate outbox")


def names(route: Route) -> set[str]:
    return {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}


def test_every_route_is_looked_at() -> None:
    assert ASKED.keys() == set().union(*map(names, ROUTES))


@pytest.mark.parametrize("name", ASKED)
async def test_an_answer_takes_one_transaction_at_most(settings: Settings, tmp_path: Path, name: str) -> None:
    asked, method = ASKED[name], name.split()[0]
    app = Messaging(
        replace(
            settings,
            database_pool=1,
            outbox_pause=3600,
            cache_look=3600,
            facebook_app_secret=SECRET,
            facebook_verify_token=TOKEN,
        )
    )
    headers = bearer(settings, ADMIN) | asked.headers
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://native", headers=headers) as client,
    ):
        # The cache has looked around by then, which it does now and then; and nobody relays jobs meanwhile.
        assert (await client.get("/api/v1/conversations/2")).status_code == 200
        held: Resources = app.state.resources
        await held.outbox.close()
        async with overheard(held, tmp_path) as wire:
            answer = await client.request(method, asked.path, json=asked.json, content=asked.content)
        assert answer.status_code in (200, 201), answer.text
    assert wire.transactions == asked.transactions, wire.messages
