"""How long a request may take before it is given up."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Deadline:
    """Gives up what takes too long, so that it can still be said that nothing of it was kept.

    Whoever waits in front of us gives up some time as well, and of what it has left unheard it knows nothing. The
    caller's own time does not count, in which a body comes or an answer goes, and what has sent its COMMIT is seen
    through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop, state, begun = asyncio.get_running_loop(), scope["state"], False
        seconds: float = scope["app"].state.resources.settings.request_limit
        limit = asyncio.timeout(None)

        def give_up() -> None:
            if not (begun or state["commit_sent"]):
                limit.reschedule(loop.time())

        timer = loop.call_later(seconds, give_up)

        async def receive_in_own_time() -> Message:
            nonlocal timer
            timer.cancel()
            try:
                return await receive()
            finally:
                timer = loop.call_later(seconds, give_up)

        async def send_in_own_time(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with limit:
                await self.app(scope, receive_in_own_time, send_in_own_time)
        finally:
            timer.cancel()
