"""A side behind an address, as an ASGI app: every byte of the request out, every byte of the answer back.

httpx is not used here: its transport normalises paths, adds headers, and its pool is quadratic in concurrency.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack

from starlette.types import Receive, Scope, Send

from proxy.connection import Connection
from proxy.early import INVITATION, Early, gathered, until_whole
from proxy.errors import Broken, ClientLeft, ClientStalled, Refused, SideFailed
from proxy.headers import Header, message_head
from proxy.leaving import Leaving, leaving_of
from proxy.pool import Limits, Pool
from proxy.reply import Counted, Reply
from proxy.request import Request
from proxy.tasks import Tasks


class Upstream:
    """Raises SideFailed when no answer begins or one breaks off, ClientLeft when the user has gone.

    `by_route`: the limits of routes that have their own.
    """

    def __init__(self, pool: Pool, tasks: Tasks, by_route: Mapping[str, Limits] | None = None) -> None:
        self.pool, self.tasks = pool, tasks
        self.authority = pool.dial.authority
        self._by_route = by_route or {}

    def limits(self, route: str) -> Limits:
        return self._by_route.get(route, self.pool.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[Header] = scope["headers"]
        if all(name != b"host" for name, _ in headers):  # HTTP/1.0 may leave it out, HTTP/1.1 may not
            headers = [*headers, (b"host", self.authority)]
        head = message_head(b"%b %b HTTP/1.1" % (scope["method"].encode(), target(scope)), headers)
        request = Request(scope["method"], head, headers)
        limits, leaving = self.limits(scope.get("strangler.route", "")), leaving_of(scope)
        if not request.has_body:
            return await self._ask(request, limits, leaving, receive, send)
        unfinished = self.pool.unfinished
        with ExitStack() as place:
            if unfinished.begin():
                place.callback(unfinished.end)
            else:
                receive = await self._in_turn(receive, limits, leaving, place)
            return await self._ask(request, limits, leaving, until_whole(receive, place.close), send)

    async def _in_turn(self, receive: Receive, limits: Limits, leaving: Leaving, place: ExitStack) -> Receive:
        """An upload that is whole, or else has its place among those that are not."""
        unfinished = self.pool.unfinished
        early = Early(unfinished)

        def passed_on() -> None:
            place.callback(unfinished.end)

        try:
            receive, whole = await gathered(receive, early, passed_on, limits.stall)
            if whole:
                place.close()
            elif early.line_up():
                async with leaving.heeded():
                    await unfinished.begin_in_turn()
                passed_on()
        finally:
            early.go()
        return receive

    async def _ask(self, request: Request, limits: Limits, leaving: Leaving, receive: Receive, send: Send) -> None:
        connection = take_idle(self.pool, request)
        if connection is None:
            async with leaving.heeded():
                connection = await self.pool.take()
        reused = connection.asked > 0
        errand = Errand(self, connection, request, limits)
        try:
            return await errand.run(receive, send)
        except Broken as broken:
            # A connection that the side closed just as we used it: nobody has answered, and nothing was asked twice.
            again = not broken.reached or (request.repeatable and not errand.reply.touched)
            if not (reused and again):
                raise
            try:
                async with leaving.heeded():
                    connection = await self.pool.take(fresh=True)
            except SideFailed as failure:
                raise to_tell(broken, failure) from None
        return await Errand(self, connection, request, limits).run(receive, send)

    def close(self) -> None:
        self.pool.close()


class Errand:
    """One question on one connection, which is given back as soon as it is free: when the answer has come whole, not
    when the user has read it."""

    __slots__ = (
        "_answering", "_connection", "_limits", "_listening", "_pool", "_released", "_request", "_tasks", "_uploaded",
        "reply",
    )  # fmt: skip

    def __init__(self, upstream: Upstream, connection: Connection, request: Request, limits: Limits) -> None:
        self._pool, self._tasks, self._limits = upstream.pool, upstream.tasks, limits
        self._connection, self._request = connection, request
        to_side = self._release, connection.go_on
        self.reply = Reply(*to_side) if limits.pieces is None else Counted(*to_side, limits.pieces)
        self._uploaded = not request.has_body
        self._answering = asyncio.Event() if request.expects else None
        self._listening: asyncio.Task[None] | None = None
        self._released = False

    async def run(self, receive: Receive, send: Send) -> None:
        reply, limits = self.reply, self._limits
        self._connection.ask(self._request, reply, limits)
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
            self.reply.close()  # it leads back here: break the circle

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
            connection.expect_answer()
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
                await self._writable()
                continue
            if chunked:
                connection.write(b"0\r\n\r\n")
            self._uploaded = True
            connection.expect_answer()
        while (await receive())["type"] != "http.disconnect":
            pass
        return connection.fail(ClientLeft())

    async def _writable(self) -> None:
        """Wait until the side takes more bytes; a side that takes none for too long has failed."""
        connection = self._connection
        if not connection.write_paused or connection.closed:
            return
        writable = asyncio.Event()
        connection.when_writable(writable.set)
        connection.expect_answer()
        try:
            await writable.wait()
        finally:
            connection.when_writable(None)
            connection.awaits_nothing()


def to_tell(broken: Broken, failure: SideFailed) -> SideFailed:
    """What has failed where a kept connection broke and there is no fresh one. If the side takes none, it may have died
    of what it was asked, and not only be on its way."""
    return broken if broken.reached and isinstance(failure, Refused) else failure


def take_idle(pool: Pool, request: Request) -> Connection | None:
    """A kept connection to ask this on: what may not be asked twice goes out on none that the side is closing."""
    connection = pool.take_idle()
    while not (connection is None or request.repeatable or connection.is_quiet()):
        connection.close()
        pool.give(connection)
        connection = pool.take_idle()
    return connection


async def take(pool: Pool, request: Request) -> Connection:
    """The same, or a new one, or the next that comes free."""
    return take_idle(pool, request) or await pool.take()


def target(scope: Scope) -> bytes:
    """The request target as it came, `?` and all, where the server keeps it; else put together from the scope."""
    raw: bytes | None = scope.get("strangler.target")
    if raw is not None:
        return raw
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path
