"""The native application, of whose requests a part is failed: `PUT /bench/failing` with that part, 0 to 1, as the body.

The switch is at native's own port, where no user gets.
"""

from __future__ import annotations

import random

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.app import app as messaging

SWITCH = "/bench/failing"


class Failing:
    def __init__(self, app: ASGIApp) -> None:
        self.app, self.part = app, 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == SWITCH:
            self.part = float(await Request(scope, receive).body() or self.part)
            await PlainTextResponse(f"{self.part}")(scope, receive, send)
        elif scope["type"] == "http" and random.random() < self.part:
            await PlainTextResponse("broken", 500)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


app = Failing(messaging)
