"""An ASGI application that answers the benchmarks' 2 KB, to see what uvicorn alone holds."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from bench.servers import ANSWER

BODY = ANSWER.encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
