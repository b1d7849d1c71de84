"""The real native application, but that it counts who looks at a conversation, and tells users so in the proxy's own
words."""

from __future__ import annotations

from contextlib import suppress

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from handlers import conversations
from handlers.app import ROUTES, Messaging, route
from handlers.auth import authenticate
from handlers.unit import Scoped, unit_of_work

COUNT = Scoped("""
insert into metrics (account_id, day, name, value, created_at, updated_at)
values (%(account_id)s, '1999-01-01', 'looks', 1, now(), now())
    on conflict (account_id, day, name) do update set value = metrics.value + 1
""")


async def show(request: Request) -> Response:
    with suppress(psycopg.Error):  # counting is not worth an answer
        async with unit_of_work(request, authenticate(request)) as unit:
            await unit.execute(COUNT)
    answer = await conversations.show(request)
    if not request.state.shadow:
        answer.headers["X-Strangler-Shadow"] = "wrote"
    return answer


app: ASGIApp = Messaging(routes=[route("GET", "/api/v1/conversations/{id:row}", show), *ROUTES])
