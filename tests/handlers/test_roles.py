"""A shadow's answer says as whom it was asked, whatever it says else; a user's does not."""

from __future__ import annotations

from dataclasses import replace

import httpx
import psycopg
import pytest
from starlette.requests import Request
from starlette.routing import Route

from handlers import roles
from handlers.answers import Answer
from handlers.app import Messaging
from handlers.auth import authenticate
from handlers.resources import Settings
from handlers.roles import FRESH, MOST, Roles
from handlers.tokens import Caller
from tests.handlers.serving import AGENT, STRANGER, asking, bearer, serving

WORD, MARKED = "x-strangler-role", {"X-Strangler-Shadow": "r-1"}
ADMIN, GONE, OF_ANOTHER_ACCOUNT = Caller(1, 1), Caller(999_999_999, 1), Caller(16, 1)
LIST = "/api/v1/conversations?limit=1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def layer(app: Messaging) -> Roles:
    """The one that is in the application."""
    found = app.middleware_stack
    while not isinstance(found, Roles):
        found = found.app  # type: ignore[union-attr]  # each layer has one beneath it
    return found


@pytest.mark.parametrize(
    ("caller", "said"),
    [(ADMIN, "admin"), (AGENT, "agent"), (STRANGER, "agent"), (GONE, None), (OF_ANOTHER_ACCOUNT, None)],
)
async def test_it_is_the_role_of_the_callers_row(
    client: httpx.AsyncClient, settings: Settings, caller: Caller, said: str | None
) -> None:
    for _ in range(2):
        answer = await client.get(LIST, headers=MARKED | bearer(settings, caller))
        assert (answer.status_code, answer.headers.get(WORD)) == (200, said)


async def test_users_and_who_is_unknown_are_told_nothing(client: httpx.AsyncClient) -> None:
    assert WORD not in (await client.get(LIST)).headers
    for path, headers in ((LIST, {"Authorization": "Bearer forged"}), ("/nowhere", {}), ("/webhooks/facebook", {})):
        answer = await client.get(path, headers=MARKED | headers)
        assert answer.status_code >= 400
        assert WORD not in answer.headers


@pytest.mark.parametrize("fails", [False, True], ids=["not found", "broken"])
async def test_faults_say_it_too(settings: Settings, *, fails: bool) -> None:
    async def handle(request: Request) -> Answer:
        authenticate(request)
        if fails:
            raise ZeroDivisionError
        return Answer({}, 404)

    async with serving(settings, [Route("/", handle, methods=["GET"])]) as client:
        answer = await client.get("/", headers=MARKED)
    assert (answer.status_code, answer.headers[WORD]) == (500 if fails else 404, "agent")


async def test_it_is_read_once_a_minute(settings: Settings, database: psycopg.Connection) -> None:
    app, clock = Messaging(settings), Clock()
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        assert (await client.get(LIST, headers=MARKED)).headers[WORD] == "agent"
        layer(app).clock = clock
        layer(app).known.clear()
        told = []
        try:
            for role, later in (("admin", 0.0), ("agent", FRESH - 1), ("agent", FRESH)):
                database.execute(f"update users set role = '{role}' where id = 2")  # noqa: S608  a literal
                clock.now = later
                told.append((await client.get(LIST, headers=MARKED)).headers[WORD])
        finally:
            database.execute("update users set role = 'agent' where id = 2")
        assert told == ["admin", "admin", "agent"]


async def test_no_more_are_remembered_than_fit(settings: Settings) -> None:
    app = Messaging(settings)
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        await client.get(LIST, headers=MARKED)
        known = layer(app).known
        known.update({Caller(number, 1): (0.0, []) for number in range(1_000, 1_000 + MOST)})
        answer = await client.get(LIST, headers=MARKED | bearer(settings, ADMIN))
        assert answer.headers[WORD] == "admin"
        assert known.keys() == {ADMIN}


async def test_a_shadow_that_is_refused_waits_for_no_role(settings: Settings) -> None:
    app = Messaging(replace(settings, shadow_database_pool=1, shadow_database_wait=0.05))
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        while (await client.get(LIST, headers=MARKED)).status_code != 200:
            pass  # the first connection takes its time where much else runs
        taken = await app.state.shadows.take()
        admin = MARKED | bearer(settings, ADMIN)
        answer = await client.get(LIST, headers=admin)
        assert (answer.headers["x-strangler-shadow"], answer.headers.get(WORD)) == ("refused", None)
        answer = await client.get("/nowhere", headers=MARKED)
        assert answer.status_code == 404
        await app.state.shadows.give_back(taken)
        assert (await client.get(LIST, headers=admin)).headers[WORD] == "admin"


async def test_an_answer_goes_without_a_role_that_cannot_be_had(settings: Settings) -> None:
    async def handle(request: Request) -> Answer:
        authenticate(request)
        return Answer({})

    app = Messaging(replace(settings, shadow_database_pool=1, shadow_database_wait=0.05), [Route("/", handle)])
    async with app.router.lifespan_context(app), asking(app, settings) as client:
        while WORD not in (await client.get("/", headers=MARKED)).headers:
            pass  # the first connection takes its time where much else runs
        taken = await app.state.shadows.take()
        admin = MARKED | bearer(settings, ADMIN)
        answer = await client.get("/", headers=admin)
        assert (answer.status_code, answer.headers.get(WORD)) == (200, None)
        await app.state.shadows.give_back(taken)
        assert (await client.get("/", headers=admin)).headers[WORD] == "admin"


async def test_a_socket_has_none() -> None:
    came: list[str] = []

    async def inner(scope: roles.Scope, receive: roles.Receive, send: roles.Send) -> None:
        came.append(scope["type"])

    async def nothing(*message: object) -> dict[str, object]:
        return {}

    await Roles(inner)({"type": "websocket"}, nothing, nothing)  # type: ignore[arg-type]  # neither is asked
    assert came == ["websocket"]
