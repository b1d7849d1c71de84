"""What is written down of requests that failed: one JSON object a line, with who asked for what."""

from __future__ import annotations

import sys
import traceback
from typing import Any
from urllib.parse import quote

import psycopg
import structlog
from starlette.types import Scope

from .errors import CallersFault, OurFault, fault
from .headers import header
from .shadow import MARK

log = structlog.get_logger("handlers")


def configure() -> None:
    """JSON on standard output, unless the process around us has its own way."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )


def context(scope: Scope, seconds: float) -> dict[str, Any]:
    """Whose request it was, and for what; never its query or its headers, which may hold secrets."""
    state, raw_path = scope["state"], scope.get("raw_path")
    told = {
        "request_id": state["request_id"],
        "method": scope["method"],
        "path": raw_path.decode("latin-1") if raw_path is not None else quote(scope["path"]),
        "duration_ms": round(seconds * 1000, 1),
    }
    if caller := state.get("caller"):
        told |= {"user_id": caller.user_id, "account_id": caller.account_id}
    if header(scope, MARK) is not None:
        told["shadow"] = True
    return told


def write(error: Exception, told: dict[str, Any]) -> None:
    """The one line of a request that failed: a warning if it is the caller's fault, an error if it is ours."""
    match found := fault(error):
        case OurFault():
            log.error(found.error, status=found.status, **told, exception=traced(error))
        case CallersFault():
            log.warning(found.error, status=found.status, **told)
        case _:
            log.info(found.error, status=found.status, **told)


def traced(error: BaseException) -> str:
    """As text: what renders a traceback for us may add local variables, and those hold tokens and passwords."""
    text = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        # The row that failed, as PostgreSQL shows it, is what people write to each other.
        if isinstance(link, psycopg.Error) and link.diag.message_detail:
            text = text.replace(link.diag.message_detail, "[…]")
        link = link.__cause__ or link.__context__
    return text
