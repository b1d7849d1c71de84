"""As whom a shadow was asked, said on its answer: what is proved of the sides' parity is told by role."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psycopg
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .headers import header
from .shadow import MARK, NoShadows
from .tokens import Caller
from .unit import Scoped, reading

ROLE: Final = b"x-strangler-role"
FRESH: Final = 60.0  # seconds for which a role that was read is said: nobody is let in by it
MOST: Final = 4096  # callers whose roles are remembered

READ = Scoped("select role from users where id = %(user_id)s and account_id = %(account_id)s")


class Roles:
    """Adds its caller's role to each answer to a shadow, those that say of a fault included. Users get none.

    `clock` is one that nobody sets.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.clock = app, clock
        self.known: dict[Caller, tuple[float, list[tuple[bytes, bytes]]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or header(scope, MARK) is None:
            await self.app(scope, receive, send)
            return

        async def saying_so(message: Message) -> None:
            caller = scope["state"].get("caller")
            if message["type"] == "http.response.start" and caller is not None:
                message = {**message, "headers": [*message.get("headers", ()), *await self._of(caller, scope)]}
            await send(message)

        await self.app(scope, receive, saying_so)

    async def _of(self, caller: Caller, scope: Scope) -> list[tuple[bytes, bytes]]:
        now = self.clock()
        until, role = self.known.get(caller, (now, []))
        if now < until or isinstance(scope["state"].get("error"), NoShadows):
            return role
        try:
            async with reading(Request(scope), caller) as database:
                row = await database.row(READ, user_id=caller.user_id)
        except psycopg.Error:
            return []
        if len(self.known) >= MOST:
            self.known.clear()
        role = [(ROLE, row[0].encode())] if row else []
        self.known[caller] = now + FRESH, role
        return role
