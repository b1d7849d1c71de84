"""A side behind an address, as an ASGI app: every byte of the request out, every byte of the answer back.

httpx is not used here: its transport normalises paths, adds headers, and its pool is quadratic in concurrency.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from proxy.address import Address
from proxy.connection import Connection
from proxy.errors import Broken, ClientLeft
from proxy.pool import Limits, Pool
from proxy.tasks import Tasks

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
INVITATION = 1.0  # seconds that an upload waits for `100 Continue`: servers before HTTP/1.1 never send one


class Upstream:
    """Raises SideFailed when no answer begins or one breaks off, ClientLeft when the user has gone."""

    def __init__(self, address: Address, limits: Limits, tasks: Tasks) -> None:
        self.pool = Pool(address, limits)
        self.limits = limits
        self._tasks = tasks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        connection = await self.pool.take()
        reused = connection.asked > 0
        try:
            await self._exchange(connection, request, receive, send)
        except Broken:
            # A connection that the side closed just as we used it: nobody has answered, and nothing was asked twice.
            if not (reused and not connection.touched and request.repeatable):
                raise
        else:
            return
        connection = await self.pool.take(fresh=True)
        await self._exchange(connection, request, receive, send)

    def close(self) -> None:
        self.pool.close()

    async def _exchange(self, connection: Connection, request: Request, receive: Receive, send: Send) -> None:
        upload = Upload(connection, request, receive, self.limits.first_byte)
        listening = None
        try:
            connection.ask(request.head, head_only=request.method == "HEAD")
            listening = self._tasks.start(upload.run())
            status, headers = await connection.head()
            await send({"type": "http.response.start", "status": status, "headers": headers})
            while not connection.complete:
                await send({"type": "http.response.body", "body": await connection.read(), "more_body": True})
            rest = await connection.read()
        finally:
            if listening is not None:
                listening.cancel()
            connection.keeps_alive = connection.keeps_alive and upload.done
            self.pool.give(connection)
        await send({"type": "http.response.body", "body": rest, "more_body": False})


class Request:
    """An ASGI scope as the bytes of an HTTP/1.1 request's head."""

    __slots__ = ("chunked", "expects", "has_body", "head", "method", "repeatable")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        parts = [self.method.encode(), b" ", target(scope), b" HTTP/1.1\r\n"]
        self.chunked = self.has_body = self.expects = False
        for name, value in scope["headers"]:
            parts += (name, b": ", value, b"\r\n")
            key = name.lower()
            if key == b"transfer-encoding":
                self.chunked = self.has_body = True
            elif key == b"content-length":
                self.has_body = self.has_body or value != b"0"
            elif key == b"expect":
                self.expects = value.lower() == b"100-continue"
        parts.append(b"\r\n")
        self.head = b"".join(parts)
        self.repeatable = self.method in SAFE and not self.has_body


class Upload:
    """Carries the request's body to the side, then listens for the user's leaving: only `receive` tells of it."""

    __slots__ = ("_connection", "_limit", "_receive", "_request", "done")

    def __init__(self, connection: Connection, request: Request, receive: Receive, limit: float) -> None:
        self._connection, self._request, self._receive, self._limit = connection, request, receive, limit
        self.done = not request.has_body

    async def run(self) -> None:
        connection, chunked = self._connection, self._request.chunked
        if self.done:
            connection.expect_within(self._limit)
        elif self._request.expects:
            await connection.invited(INVITATION)
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return connection.fail(ClientLeft())
            if self.done:
                continue
            body = message.get("body", b"")
            if body:
                connection.write_chunk(body) if chunked else connection.write(body)
            if message.get("more_body", False):
                await connection.drained(self._limit)
                continue
            if chunked:
                connection.write(b"0\r\n\r\n")
            self.done = True
            connection.expect_within(self._limit)


def target(scope: Scope) -> bytes:
    """The request target as it came, `?` and all, where the server keeps it; else put together from the scope."""
    raw: bytes | None = scope.get("strangler.target")
    if raw is not None:
        return raw
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path
