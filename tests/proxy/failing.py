"""A native application that fails at a chosen point of its unit of work, and a ledger of what it has kept.

A request names its fault, such as `raises-after`, and the ledger, a file that outlives the application.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

DISCARDED = {"X-Strangler-Discarded": "1"}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    request = Request(scope, receive)
    await request.body()
    work, _, moment = request.headers["x-fault"].partition("-")
    _note(request, "begun")
    if moment == "after":
        _note(request, "kept")
    match work:
        case "raises":
            raise RuntimeError("a bug")
        case "fails":
            await PlainTextResponse("native fails", 500)(scope, receive, send)
        case "discards":
            await PlainTextResponse("native discards", 503, DISCARDED)(scope, receive, send)
        case "hangs":
            await asyncio.Event().wait()
        case "ends":
            return
        case "breaks":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("a late bug")
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            await PlainTextResponse("native")(scope, receive, send)


def _note(request: Request, what: str) -> None:
    """Reads keep nothing."""
    if what == "begun" or request.method == "POST":
        with Path(request.headers["x-ledger"]).open("a") as ledger:
            ledger.write(f"{what} {request.headers['x-fault']}\n")
