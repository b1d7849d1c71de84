"""A side that is listened to: how long its answers take, and how it fails."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import SideFailed
from proxy.replay.tally import Heard

TRAIL: Final = "strangler.trail"  # in the scope of a question: the answers to it, a list
LATE: Final = "late"


@dataclass(frozen=True, slots=True)
class Listening:
    """As the side, and writes down what it heard in the question's trail."""

    side: str
    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        heard = Heard(self.side)
        trail: list[Heard] = scope[TRAIL]
        trail.append(heard)
        began, cut = time.perf_counter(), False

        async def told(message: Message) -> None:
            nonlocal cut
            if message["type"] == "http.response.start" and message["status"] >= 500:
                heard.failure = "5xx"
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                heard.elapsed = time.perf_counter() - began
            try:
                await send(message)
            except OSError:  # whoever asked has heard enough
                cut = True
                raise

        try:
            await self.app(scope, receive, told)
        except asyncio.CancelledError:
            if heard.elapsed is None:
                heard.failure = LATE
            raise
        except Exception as fault:
            if heard.elapsed is None and not cut:
                heard.failure = fault.kind if isinstance(fault, SideFailed) else "exception"
            raise
