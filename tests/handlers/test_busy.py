"""A shadow's answer says so while users need the connections to PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

from handlers.app import Messaging
from handlers.resources import Settings
from tests.handlers.serving import asking

BUSY, MARKED = "x-strangler-busy", {"X-Strangler-Shadow": "r-1"}


async def test_a_shadow_is_told_while_few_of_the_users_connections_are_left_and_users_are_not(
    settings: Settings,
) -> None:
    app = Messaging(replace(settings, database_pool=4, shadow_database_wait=30.0))
    async with app.router.lifespan_context(app), asking(app, settings) as client:

        async def is_told(**headers: str) -> bool:
            return BUSY in (await client.get("/api/v1/users/2", headers=headers)).headers

        users = app.state.resources
        taken = [await users.take() for _ in range(3)]
        assert not await is_told(**MARKED)  # one of four is left
        taken.append(await users.take())
        assert await is_told(**MARKED)
        await users.give_back(taken.pop())
        assert not await is_told()
        for connection in taken:
            await users.give_back(connection)
        assert not await is_told(**MARKED)
