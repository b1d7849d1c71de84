"""The native application with two bugs that the story switches on and off.

They sit around `handlers.app:app`, which stays clean, and are switched at native's own port, where no user gets: `PUT
/demo/bugs {"on": ["conversations.list"]}`. `GET` tells which are on, and when a user's request last arrived here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.app import app as messaging

SWITCH = "/demo/bugs"
SHADOW = b"x-strangler-shadow"
Bug = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]


async def fail_at_once(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A fault before anything was done."""
    await _broken(scope, receive, send)


async def lose_the_answer(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A fault after the commit: what was asked is done, and nobody hears of it."""

    async def unheard(message: Message) -> None:
        return

    await app(scope, receive, unheard)
    await _broken(scope, receive, send)


# By the route that each breaks; nothing else on its path is touched.
BUGS: dict[str, tuple[str, str, Bug]] = {
    "conversations.list": ("GET", "/api/v1/conversations", fail_at_once),
    "messages.create": ("POST", "/api/v1/messages", lose_the_answer),
}


class Buggy:
    """An application whose bugs are switched while it runs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.on: frozenset[str] = frozenset()
        self.last_asked = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == SWITCH:
            await (await self._switch(Request(scope, receive)))(scope, receive, send)
        else:
            if not any(name == SHADOW for name, _ in scope["headers"]):
                self.last_asked = time.time()
            await self._bug(scope)(self.app, scope, receive, send)

    def _bug(self, scope: Scope) -> Bug:
        for name in self.on:
            method, path, bug = BUGS[name]
            if (scope["method"], scope["path"]) == (method, path):
                return bug
        return sound

    async def _switch(self, request: Request) -> JSONResponse:
        if request.method == "PUT":
            asked = frozenset((await request.json())["on"])
            if not asked <= BUGS.keys():
                return JSONResponse({"error": f"known bugs: {', '.join(BUGS)}"}, 400)
            self.on = asked
        return JSONResponse({"on": sorted(self.on), "lastAsked": self.last_asked})


async def sound(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def _broken(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"error": "internal_server_error"}, 500)(scope, receive, send)


app = Buggy(messaging)
