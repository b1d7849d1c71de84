"""Applications that stand for a side: well, failing, hanging, or the real native one with a fault in it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.app import app as messaging

JSON = (b"content-type", b"application/json; charset=utf-8")


def answering(side: str, status: int = 200) -> ASGIApp:
    """Says who it is, whatever it is asked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        while (await receive()).get("more_body"):
            continue
        await send({"type": "http.response.start", "status": status, "headers": [JSON]})
        await send({"type": "http.response.body", "body": json.dumps({"side": side}).encode()})

    return app


legacy = answering("legacy")
native = answering("native")
failing = answering("native", 500)
refusing = answering("native", 401)


async def deployable(scope: Scope, receive: Receive, send: Send) -> None:
    """Native with a start and an end, as `strangler handlers` serves it."""
    if scope["type"] != "lifespan":
        return await native(scope, receive, send)
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})
    return None


async def dawdling(scope: Scope, receive: Receive, send: Send) -> None:
    """Native that takes its time."""
    if scope["type"] == "http":
        await asyncio.sleep(0.2)
    await native(scope, receive, send)


async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes every request and answers none."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    await asyncio.Event().wait()


async def blocking(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes its event loop along when it is asked anything, for longer than a watchdog waits."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    time.sleep(30)  # noqa: ASYNC251  # the fault that it stands for


async def held_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Native that holds up the whole event loop for the path `/things/blocked`, until its pipe is closed."""
    if scope["type"] == "http" and scope["path"] == "/things/blocked":
        Path(os.environ["BLOCKED_UNTIL"]).read_text()  # noqa: ASYNC240  # to block is what it is for
    await native(scope, receive, send)


async def altered(scope: Scope, receive: Receive, send: Send) -> None:
    """The real application, but that it writes the status of a single conversation in capitals."""

    async def change(message: Message) -> None:
        if message["type"] == "http.response.body" and (body := message.get("body", b"")):
            shown = json.loads(body)
            if isinstance(shown.get("data"), dict):
                capitals = shown["data"]["status"].upper().encode()
                message = {**message, "body": body.replace(shown["data"]["status"].encode(), capitals, 1)}
        await send(message)

    await messaging(scope, receive, change if scope["type"] == "http" else send)
