"""What surrounds every request, as pure ASGI: its identity, conditional answers, Rails' reading of its target."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
import uuid
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import target
from .headers import header

Failed = Callable[[Exception, Scope, float], None]  # why, of which request, after how many seconds

REVALIDATE = (b"cache-control", b"max-age=0, private, must-revalidate")
NO_CACHE = (b"cache-control", b"no-cache")
ANNOUNCE_A_BODY = (b"content-length", b"transfer-encoding")
UNSAFE_IN_REQUEST_ID = re.compile(r"[^\w\-@]", re.ASCII)


def request_id(inbound: bytes | None) -> str:
    """The caller's id, cut to what is safe in a header and a log, else a new one."""
    if not inbound or not inbound.strip():
        return str(uuid.uuid4())
    return UNSAFE_IN_REQUEST_ID.sub("", inbound.decode("latin-1"))[:255]


class RequestContext:
    """Gives the request its id and a state of its own, and has its failure written down. The caller's scope is left."""

    def __init__(self, app: ASGIApp, failed: Failed) -> None:
        self.app, self.failed = app, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = request_id(header(scope, b"x-request-id"))
        state = {**scope.get("state", {}), "request_id": identity, "commit_sent": False}
        scope, started = {**scope, "state": state}, time.perf_counter()

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", identity.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, identified)
        finally:
            if "error" in state:
                self.failed(state["error"], scope, time.perf_counter() - started)


class HearOut:
    """Reads on for a while when the answer has been given and the caller still sends.

    A server that closes a connection with bytes unread resets it, which may take the answer along (RFC 9112, 9.6).
    """

    def __init__(self, app: ASGIApp, most: int = 8 * 2**20, seconds: float = 5.0) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not any(name in ANNOUNCE_A_BODY for name, _ in scope["headers"]):
            await self.app(scope, receive, send)
            return
        heard = False

        async def hear() -> Message:
            nonlocal heard
            message = await receive()
            heard = not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if heard or not last:
                await send(message)
                return
            await send({**message, "more_body": True})
            left = self.most
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.seconds):
                    while not heard and left > 0:
                        left -= len((await hear()).get("body", b""))
            await send({"type": "http.response.body"})

        await self.app(scope, hear, answer)


class ConditionalGet:
    """`ETag`, `Cache-Control` and 304, as Rack::ETag and Rack::ConditionalGet set them.

    Every answer here is one message of body, so the digest needs no buffering; one that is streamed passes untouched.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def conditional(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                if not message.get("more_body", False):
                    start, message = tagged(scope, start, message)
                await send(start)
                start = None
            await send(message)

        await self.app(scope, receive, conditional)


def tagged(scope: Scope, start: Message, message: Message) -> tuple[Message, Message]:
    """The same answer with its tag and caching, or the 304 that takes its place."""
    body, status, headers = message.get("body", b""), start["status"], [*start.get("headers", ())]
    tag = b'W/"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"' if status in (200, 201) and body else None
    if tag is not None:
        headers.append((b"etag", tag))
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(REVALIDATE if tag is not None else NO_CACHE)
    safe = scope["method"] in ("GET", "HEAD")
    if safe and status == 200 and tag is not None and header(scope, b"if-none-match") == tag:
        status, body = 304, b""
        headers = [(name, value) for name, value in headers if name not in (b"content-type", b"content-length")]
    if scope["method"] == "HEAD":
        body = b""
    return {**start, "status": status, "headers": headers}, {**message, "body": body}


class RailsTarget:
    """Routes by the path, and reads parameters, as Rails would."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"]["parameters"] = target.parameters(scope["query_string"])
            scope = {**scope, "path": target.path(scope.get("raw_path"), scope["path"])}
        await self.app(scope, receive, send)
