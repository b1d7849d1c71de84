"""A side behind an address, as an ASGI app: every byte of the request out, every byte of the answer back.

httpx is not used here: its transport normalises paths, adds headers, and its pool is quadratic in concurrency.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from proxy.address import Address
from proxy.connection import Connection
from proxy.errors import Broken, ClientLeft, ClientStalled
from proxy.pool import Limits, Pool
from proxy.tasks import Tasks

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
INVITATION = 1.0  # seconds that an upload waits for `100 Continue`: servers before HTTP/1.1 never send one


class Upstream:
    """Raises SideFailed when no answer begins or one breaks off, ClientLeft when the user has gone."""

    def __init__(self, address: Address, limits: Limits, tasks: Tasks) -> None:
        self.pool = Pool(address, limits)
        self.limits = limits
        self.tasks = tasks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, self.pool.address)
        connection = await self.pool.take()
        reused = connection.asked > 0
        errand = Errand(self, connection, request)
        try:
            return await errand.run(receive, send)
        except Broken:
            # A connection that the side closed just as we used it: nobody has answered, and nothing was asked twice.
            if not (reused and not errand.reply.touched and request.repeatable):
                raise
        connection = await self.pool.take(fresh=True)
        return await Errand(self, connection, request).run(receive, send)

    def close(self) -> None:
        self.pool.close()


class Errand:
    """One question on one connection, which is given back as soon as it is free: when the answer has come whole, not
    when the user has read it."""

    __slots__ = (
        "_answering", "_connection", "_limits", "_listening", "_pool", "_released", "_request", "_tasks", "_uploaded",
        "reply",
    )  # fmt: skip

    def __init__(self, upstream: Upstream, connection: Connection, request: Request) -> None:
        self._pool, self._tasks, self._limits = upstream.pool, upstream.tasks, upstream.limits
        self._connection, self._request = connection, request
        self.reply = connection.ask(request.head, self._release, head_only=request.method == "HEAD")
        self._uploaded = not request.has_body
        self._answering = asyncio.Event() if request.expects else None
        self._listening: asyncio.Task[None] | None = None
        self._released = False

    async def run(self, receive: Receive, send: Send) -> None:
        reply = self.reply
        self._listening = self._tasks.start(self._listen(receive))
        try:
            status, headers = await reply.head()
            await send({"type": "http.response.start", "status": status, "headers": headers})
            if self._answering is not None:
                self._answering.set()
            more = True
            while more:
                body = await reply.read()
                more = not reply.complete
                await send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            self._release()

    def _release(self) -> None:
        if self._released:
            return
        self._released = True
        listening, self._listening = self._listening, None  # its traceback leads back here: break the circle
        if listening is not None:
            listening.cancel()
        self._connection.keeps_alive = self._connection.keeps_alive and self._uploaded
        self._pool.give(self._connection)

    async def _listen(self, receive: Receive) -> None:
        """Carry the body to the side, then listen for the user's leaving: only `receive` tells of it."""
        connection, chunked = self._connection, self._request.chunked
        if self._uploaded:
            connection.expect_within(self._limits.first_byte)
        elif self._answering is not None and not await self.reply.invitation(INVITATION):
            await self._answering.wait()  # to receive is to invite the user, whom the side has just turned down
        while not self._uploaded:
            try:
                async with asyncio.timeout(self._limits.stall):
                    message = await receive()
            except TimeoutError:
                return connection.fail(ClientStalled())
            if message["type"] == "http.disconnect":
                return connection.fail(ClientLeft())
            if body := message.get("body", b""):
                connection.write_chunk(body) if chunked else connection.write(body)
            if message.get("more_body", False):
                await connection.drained(self._limits.first_byte)
                continue
            if chunked:
                connection.write(b"0\r\n\r\n")
            self._uploaded = True
            connection.expect_within(self._limits.first_byte)
        while (await receive())["type"] != "http.disconnect":
            pass
        return connection.fail(ClientLeft())


class Request:
    """An ASGI scope as the bytes of an HTTP/1.1 request's head."""

    __slots__ = ("chunked", "expects", "has_body", "head", "method", "repeatable")

    def __init__(self, scope: Scope, address: Address) -> None:
        self.method: str = scope["method"]
        parts = [self.method.encode(), b" ", target(scope), b" HTTP/1.1\r\n"]
        self.chunked = self.has_body = self.expects = False
        named = False
        for name, value in scope["headers"]:
            parts += (name, b": ", value, b"\r\n")
            key = name.lower()
            if key == b"transfer-encoding":
                self.chunked = self.has_body = True
            elif key == b"content-length":
                self.has_body = self.has_body or value != b"0"
            elif key == b"expect":
                self.expects = value.lower() == b"100-continue"
            elif key == b"host":
                named = True
        if not named:  # HTTP/1.0 may leave it out, HTTP/1.1 may not
            parts += (b"host: ", str(address).encode(), b"\r\n")
        parts.append(b"\r\n")
        self.head = b"".join(parts)
        self.repeatable = self.method in SAFE and not self.has_body


def target(scope: Scope) -> bytes:
    """The request target as it came, `?` and all, where the server keeps it; else put together from the scope."""
    raw: bytes | None = scope.get("strangler.target")
    if raw is not None:
        return raw
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path
