"""What can go wrong, as a tree, and the one place that turns it into an answer."""

from __future__ import annotations

from typing import Any

import psycopg
import redis
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import Answer

DISCARDED = (b"x-strangler-discarded", b"1")


class Fault(Exception):
    status: int
    error: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": self.error}


class CallersFault(Fault):
    """The request cannot be served as it was asked."""


class BadRequest(CallersFault):
    """A path or a query that cannot be read."""

    status, error = 400, "bad_request"


class MalformedJson(CallersFault):
    status, error = 400, "malformed_json"


class Invalid(CallersFault):
    """Fields or parameters that are not as they must be: every one of them, as (field, message)."""

    status, error = 400, "invalid_request"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(faults)
        self.faults = faults

    def body(self, request_id: str) -> dict[str, Any]:
        return {"errors": [{"field": field, "message": message} for field, message in self.faults]}


class Unauthorized(CallersFault):
    status, error = 401, "unauthorized"


class InvalidCredentials(CallersFault):
    status, error = 401, "invalid_credentials"


class RefreshTokenExpired(CallersFault):
    """Or unknown, or revoked, or of a user who is gone: which of these is not told."""

    status, error = 401, "refresh_token_expired"


class Forbidden(CallersFault):
    """The caller sees the row, but its role may not change it."""

    status, error = 403, "forbidden"


class NotFound(CallersFault):
    status, error = 404, "not_found"


class IdempotencyKeyReused(CallersFault):
    """A key that was sent with another request before."""

    status, error = 422, "idempotency_key_reused"


class IdempotencyKeyInUse(CallersFault):
    """A key whose first request is still being answered."""

    status, error = 409, "idempotency_key_in_use"
    headers = ((b"retry-after", b"1"),)


class PayloadTooLarge(CallersFault):
    status, error = 413, "payload_too_large"


class UnsupportedMediaType(CallersFault):
    status, error = 415, "unsupported_media_type"


class ClientLeft(Fault):
    """Nobody's fault, and nobody is left to answer. The status is the one that nginx writes down."""

    status, error = 499, "client_left"


class OurFault(Fault):
    """The request was good; we could not serve it. The answer tells the request id, and nothing else."""

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": self.error, "requestId": request_id}


class InternalServerError(OurFault):
    status, error = 500, "internal_server_error"


class ServiceUnavailable(OurFault):
    status, error = 503, "service_unavailable"


class NoConnection(psycopg.OperationalError):
    """None to PostgreSQL: all are in use, or it takes none."""


def fault(error: Exception) -> Fault:
    match error:
        case Fault():
            return error
        case HTTPException():  # the router's, 404 or 405: Rails knows no route for that method and path either way
            return NotFound()
        case ClientDisconnect():
            return ClientLeft()
        case psycopg.OperationalError() | psycopg.InterfaceError() | redis.RedisError() | TimeoutError():
            return ServiceUnavailable()
        case _:
            return InternalServerError()


def answer(error: Exception, scope: Scope) -> Answer:
    """The answer to a request that failed. `middleware.RequestContext` writes down why."""
    state, found = scope["state"], fault(error)
    state["error"] = error
    discarded = found.status >= 500 and not state["commit_sent"]
    headers = [*found.headers, DISCARDED] if discarded else found.headers
    return Answer(found.body(state["request_id"]), found.status, headers)


class AnswerFaults:
    """Answers whatever the application raises. An answer that has begun is left broken, and the fault passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            scope["state"]["error"] = error
            if isinstance(error, ClientDisconnect):
                return
            if started:
                raise
            await answer(error, scope)(scope, receive, send)
