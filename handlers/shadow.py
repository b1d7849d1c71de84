"""A shadow's request, which may only read: told from a user's, and answered for if it tries more.

What holds its hands is not here: it is given other resources than a user's (`resources.of`), which reach PostgreSQL as
a role that may SELECT and Redis as a user that may read (`connections`). What these refuse is noted for the request on
whose behalf it was tried, whoever catches the error: what it answers is nothing that a user would have got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import InternalServerError, NoConnection, ServiceUnavailable
from .headers import header

MARK = b"x-strangler-shadow"
BUSY = b"x-strangler-busy"  # users need the connections to PostgreSQL: shadows should be fewer
# How Redis refuses a command, and one of a script (6 and 7.0, 7.2).
REFUSALS = ("NOPERM", "The user executing the script can't run", "ACL failure in script")
MOST = 1024 * 1024  # bytes of an answer that are kept until it is whole: more than is compared of any
# What the request at hand has tried in vain; None for a user's.
attempts: ContextVar[list[BaseException] | None] = ContextVar("attempts", default=None)


class Wrote(InternalServerError):
    """A shadow has tried to change something, or to tell of something."""

    headers = ((MARK, b"wrote"),)


class Unproved(RedisError):
    """Who is to do nothing but read may do more, or less."""


class NoShadows(ServiceUnavailable):
    """There is nothing that a shadow could be answered with, now or ever: nothing is said of how a user would fare."""

    headers = ((MARK, b"refused"),)


def shadowed(request: Request) -> bool:
    """True for a candidate's request: nothing of it may be kept or emitted (docs/contract.md)."""
    shadow: bool = request.state.shadow
    return shadow


def note(error: BaseException) -> None:
    """PostgreSQL or Redis has answered with this error."""
    tried = attempts.get()
    if tried is not None and refuses(error):
        tried.append(error)


def refuses(error: BaseException) -> bool:
    if isinstance(error, InsufficientPrivilege | ReadOnlySqlTransaction | NoPermissionError):
        return True
    return isinstance(error, ResponseError) and any(word in str(error) for word in REFUSALS)


def stay(command: Sequence[object]) -> None:
    """NoPermissionError for what makes whoever is connected to Redis another user: no ACL can forbid it, and whoever
    is lent the connection next would be that user, too."""
    texts = [word.decode("latin-1") if isinstance(word, bytes) else str(word) for word in command]
    name, *rest = " ".join(texts).upper().split() or [""]
    if name in ("AUTH", "RESET") or (name == "HELLO" and "AUTH" in rest):
        error = NoPermissionError(f"a shadow stays the user of Redis that it is: {name}")
        note(error)
        raise error


class Whole:
    """An answer, passed on when it is whole: what is tried while it is told counts as well.

    Of a long one, in bytes or seconds, what there is is passed on: whether anybody still listens is known by sending.
    """

    def __init__(self, send: Send, tried: Sequence[BaseException], seconds: float) -> None:
        self._send, self._tried = send, tried
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds
        self._kept: list[Message] = []
        self._size = 0

    async def tell(self, message: Message) -> None:
        self._kept.append(message)
        self._size += len(message.get("body", b""))
        more = message["type"] == "http.response.start" or message.get("more_body", False)
        if not more or self._size > MOST or self._loop.time() >= self._until:
            await self.pass_on()

    async def pass_on(self) -> None:
        kept, self._kept, self._size = self._kept, [], 0
        if kept and self._tried:
            raise Wrote
        for message in kept:
            await self._send(message)


class Shadows:
    """Tells the requests of shadows from those of users, and lets no shadow that wrote pass for one that did not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["state"]["shadow"] = marked = header(scope, MARK) is not None
        if not marked:
            await self.app(scope, receive, send)
            return
        if scope["app"].state.shadows is None:
            raise NoShadows("set SHADOW_DATABASE_URL and SHADOW_REDIS_URL")
        await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        tried: list[BaseException] = []
        held = scope["app"].state.resources
        answer = Whole(send, tried, held.settings.request_limit)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and held.short:
                message = {**message, "headers": [*message.get("headers", ()), (BUSY, b"1")]}
            await answer.tell(message)

        token = attempts.set(tried)
        try:
            await self.app(scope, receive, tell)
            await answer.pass_on()
        except Exception as error:
            if tried:
                raise Wrote from tried[0]
            if isinstance(error, NoConnection | Unproved):
                raise NoShadows(str(error)) from error
            await answer.pass_on()  # as much as a user would have got
            raise
        finally:
            attempts.reset(token)
