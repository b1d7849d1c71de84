"""A shadow's request, which may only read: told from a user's, and answered for if it tries more.

What holds its hands is not here: it is given other resources than a user's (`resources.of`), which reach PostgreSQL as
a role that may SELECT and Redis as a user that may read (`connections`). What these refuse is noted for the request on
whose behalf it was tried, whoever catches the error: what it answers is nothing that a user would have got.
"""

from __future__ import annotations

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

        async def unless_it_wrote(message: Message) -> None:
            if message["type"] == "http.response.start":
                if tried:
                    raise Wrote
                if scope["app"].state.resources.short:
                    message = {**message, "headers": [*message.get("headers", ()), (BUSY, b"1")]}
            await send(message)

        token = attempts.set(tried)
        try:
            await self.app(scope, receive, unless_it_wrote)
        except Exception as error:
            if tried:
                raise Wrote from tried[0]
            if isinstance(error, NoConnection | Unproved):
                raise NoShadows(str(error)) from error
            raise
        finally:
            attempts.reset(token)
