"""What the operators' port says when something is not done: always JSON, always in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flags.errors import Refused, Stale, StoreUnavailable, UnknownRoute
from proxy import told
from proxy.siblings import Silent

log = structlog.get_logger()
Handler = Callable[[Request], Awaitable[Response]]


def answered(handler: Handler) -> Handler:
    """What goes wrong is told in JSON too."""

    async def whole(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPException:
            raise
        except UnknownRoute as fault:
            return error(404, str(fault))
        except Refused as fault:
            return error(409, str(fault))
        except Stale as fault:
            return error(409, str(fault), flag={"route": fault.route, **told.flag(fault.current)})
        except StoreUnavailable as fault:
            return error(503, _unavailable(request, fault))
        except Silent as fault:
            return error(
                503,
                f"{fault}: without the other workers' counts the sum would fall, as if all began anew; ask again",
            )
        except Exception:
            log.exception("the operators' port failed", method=request.method, path=request.url.path)
            return error(
                500,
                "this failed inside the proxy, whose log says why; an order may or may not have been taken: look at "
                "`strangler status`",
            )

    return whole


def _unavailable(request: Request, fault: StoreUnavailable) -> str:
    if request.method == "GET":
        return f"the flags' store did not answer ({fault}): what was changed cannot be told; ask again"
    return (
        f"the flags' store did not answer ({fault}): the change may or may not have arrived, and until it "
        "does traffic goes on as it did; look at `strangler status`"
    )


def error(status: int, words: str, **more: Any) -> Response:
    return JSONResponse({"error": words, **more}, status)


async def refused(request: Request, fault: Exception) -> Response:
    """What was refused before a handler had it, or by one."""
    assert isinstance(fault, HTTPException)
    return JSONResponse({"error": fault.detail}, fault.status_code, fault.headers)
