"""One record of every request, whichever way it went; and the wrapper around the ASGI way."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import SideFailed
from proxy.exchange import Exchange
from proxy.forwarding import Forwarding
from proxy.headers import BODILESS, forward_response
from shadow.observation import OF_SHADOWS

log = structlog.get_logger()

Record = Callable[[str, str, str, bytes, Exchange], None]


class Access:
    """`record` hears of each request and its exchange once it is over: request id, client, method, path as sent."""

    def __init__(self, app: ASGIApp, forwarding: Forwarding, record: Record | None = None) -> None:
        self._app, self._forwarding, self._record = app, forwarding, record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = scope if "strangler.request_id" in scope else self._forwarding(scope)

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = forward_response(message["headers"])
                if "shadow" in inner["strangler.words"]:  # of what has become of its shadow a proxy of ours is told
                    headers += [header for header in message["headers"] if header[0].lower() in OF_SHADOWS]
                if message["status"] in BODILESS:  # uvicorn would wait for a body of the length that is stated
                    headers = [header for header in headers if header[0].lower() != b"content-length"]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(inner, receive, outward)
        except SideFailed:
            return  # the answer had begun: the server now closes the connection, which is how the user learns of it
        except Exception:
            log.exception("a fault of the proxy's own", request_id=inner["strangler.request_id"], path=scope["path"])
            raise  # the server answers 500, or closes the connection if the answer had begun
        finally:
            exchange = inner.get("strangler.exchange")
            if self._record is not None and exchange is not None:
                ids = inner["strangler.request_id"], inner["strangler.client"]
                self._record(*ids, scope["method"], scope["raw_path"], exchange)
