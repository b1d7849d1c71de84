"""Native applications with one habit each, named in configurations by their import strings."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

DISCARDED = {"X-Strangler-Discarded": "1"}


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what it was asked."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    request = Request(scope, receive)
    told = f"{request.method} {request.url.path} {(await request.body()).decode()}"
    await PlainTextResponse(told, headers=DISCARDED)(scope, receive, send)


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    """500, having read what it was sent."""
    await _answered(scope, receive, send, PlainTextResponse("native fails", 500))


async def fails_odd(scope: Scope, receive: Receive, send: Send) -> None:
    """500 for users whose number is odd."""
    odd = scope["type"] == "http" and int(dict(scope["headers"])[b"x-user"]) % 2
    await (fails if odd else answers)(scope, receive, send)


async def discards(scope: Scope, receive: Receive, send: Send) -> None:
    """500, and nothing was kept."""
    await _answered(scope, receive, send, PlainTextResponse("native discards", 500, DISCARDED))


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    raise RuntimeError("a bug")


async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Raises when half its answer is out."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a late bug")


async def greets(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without a look at the body."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    await PlainTextResponse("ok")(scope, receive, send)


async def _old_and_new(request: Request) -> Response:
    """How many objects Python will never look through again for rings, and after how many new ones it looks."""
    return JSONResponse({"old": gc.get_freeze_count(), "new": gc.get_threshold()[0]})


looks_back = Starlette(routes=[Route("/", _old_and_new)])


async def ends(scope: Scope, receive: Receive, send: Send) -> None:
    """Returns without an answer."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")


async def exits(scope: Scope, receive: Receive, send: Send) -> None:
    """Would have the process end."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    sys.exit("bad option")


async def exits_in_groups(scope: Scope, receive: Receive, send: Send) -> None:
    """The same, as it comes out of a group of tasks."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    raise BaseExceptionGroup("unhandled", [SystemExit("bad option")])


async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    await asyncio.Event().wait()


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends until its user leaves."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")

    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)  # to send waits for nobody while the user takes it, or has gone

    await StreamingResponse(forever())(scope, receive, send)


async def needs(scope: Scope, receive: Receive, send: Send) -> None:
    """Has a lifespan, without which it answers nothing."""
    if scope["type"] == "lifespan":
        assert await receive() == {"type": "lifespan.startup"}
        scope["state"]["ready"] = True
        await send({"type": "lifespan.startup.complete"})
        assert await receive() == {"type": "lifespan.shutdown"}
        await send({"type": "lifespan.shutdown.complete"})
        return
    await PlainTextResponse(f"ready: {scope['state']['ready']}")(scope, receive, send)


async def starts_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails to start the first time."""
    if scope["type"] != "lifespan":
        return await answers(scope, receive, send)
    await receive()
    attempts.append(scope)
    if len(attempts) == 1:
        await send({"type": "lifespan.startup.failed", "message": "not yet"})
    else:
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    return None


attempts: list[Scope] = []


async def _answered(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    await Request(scope, receive).body()
    await response(scope, receive, send)


async def ends_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Clings to its request when it is cancelled, until `let_go`, and then tries to answer after all."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await let_go.wait()
        await PlainTextResponse("too late")(scope, receive, send)


let_go = asyncio.Event()
