"""Running the application in this process, and asking it as an agent of the seeds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
from starlette.routing import BaseRoute

from handlers import tokens
from handlers.app import ROUTES, Messaging
from handlers.resources import Settings
from handlers.tokens import Caller

AGENT = Caller(user_id=2, account_id=1)  # agent1@acme.example
STRANGER = Caller(user_id=16, account_id=2)  # agent1@globex.example
CREATE = "/api/v1/messages"


def bearer(settings: Settings, caller: Caller = AGENT) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(caller, settings.jwt_secret, int(time.time()))}"}


@asynccontextmanager
async def serving(settings: Settings, routes: Sequence[BaseRoute] = ROUTES) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, signed in as an agent."""
    app = Messaging(settings, routes)
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        yield client


def asking(app: Messaging, settings: Settings) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://native", headers=bearer(settings))


async def eventually(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Return once the condition holds, giving other tasks their turn in between."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0)
