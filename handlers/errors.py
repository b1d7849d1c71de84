"""What can go wrong, as a tree, and the one place that turns it into an answer."""

from __future__ import annotations

import traceback
from typing import Any

import psycopg
import redis
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import Answer

log = structlog.get_logger("handlers")

DISCARDED = (b"x-strangler-discarded", b"1")


class Fault(Exception):
    status: int
    error: str

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

    status, error = 400, "invalid"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(faults)
        self.faults = faults

    def body(self, request_id: str) -> dict[str, Any]:
        return {"errors": [{"field": field, "message": message} for field, message in self.faults]}


class Unauthorized(CallersFault):
    status, error = 401, "unauthorized"


class InvalidCredentials(CallersFault):
    status, error = 401, "invalid_credentials"


class NotFound(CallersFault):
    status, error = 404, "not_found"


class PayloadTooLarge(CallersFault):
    status, error = 413, "payload_too_large"


class UnsupportedMediaType(CallersFault):
    status, error = 415, "unsupported_media_type"


class OurFault(Fault):
    """The request was good; we could not serve it. The answer tells the request id, and nothing else."""

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": self.error, "requestId": request_id}


class InternalServerError(OurFault):
    status, error = 500, "internal_server_error"


class ServiceUnavailable(OurFault):
    status, error = 503, "service_unavailable"


def fault(error: Exception) -> Fault:
    match error:
        case Fault():
            return error
        case HTTPException():  # the router's, 404 or 405: Rails knows no route for that method and path either way
            return NotFound()
        case psycopg.OperationalError() | psycopg.InterfaceError() | redis.RedisError() | TimeoutError():
            return ServiceUnavailable()
        case _:
            return InternalServerError()


def answer(error: Exception, scope: Scope) -> Answer:
    """The answer to a request that failed. A caller's fault is logged as a warning, ours as an error."""
    state, found = scope["state"], fault(error)
    request = {"request_id": state["request_id"], "method": scope["method"], "path": scope["path"]}
    if isinstance(found, OurFault):
        # As text: what renders a traceback for us may add local variables, and those hold tokens and passwords.
        trace = "".join(traceback.format_exception(error))
        log.error(found.error, status=found.status, exception=trace, **request)
    else:
        log.warning(found.error, status=found.status, **request)
    discarded = found.status >= 500 and not state["commit_sent"]
    return Answer(found.body(state["request_id"]), found.status, [DISCARDED] if discarded else [])


async def no_route(request: Request, error: Exception) -> Answer:
    return answer(error, request.scope)


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
        except ClientDisconnect:
            log.info("client_left", request_id=scope["state"]["request_id"], path=scope["path"])
        except Exception as error:
            if started:
                raise
            await answer(error, scope)(scope, receive, send)
