"""The wrapper around everything: who asks, under which request id; and one record of every request."""

from __future__ import annotations

import os
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import SideFailed
from proxy.exchange import Exchange
from proxy.headers import Header, forward_request, forward_response
from proxy.headers import request_id as request_id_of
from proxy.peers import Peers

log = structlog.get_logger()
# uvicorn counts bytes against Content-Length even where an answer has no body; the header may be left out of these.
BODILESS = frozenset({204, 304})


def new_trace() -> str:
    """A W3C trace context of our own, sampled."""
    drawn = os.urandom(24).hex()
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


class Forwarding:
    """Turns the scope of a request as it came into the one that sides are asked with."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def __call__(self, scope: Scope) -> Scope:
        """A new scope: forwarding headers set, hop-by-hop ones gone, request id and client beside them."""
        came: list[Header] = scope["headers"]
        peer = scope["client"][0] if scope["client"] else ""
        request_id = request_id_of(came) or os.urandom(16).hex()
        headers = forward_request(
            came,
            client=peer,
            scheme=scope["scheme"],
            request_id=request_id,
            trace=new_trace(),
            trusted=self._peers.trusts(peer),
            http_version=scope["http_version"],
        )
        if any(name == b"transfer-encoding" for name, _ in came):
            headers.append((b"transfer-encoding", b"chunked"))  # the next hop's own framing: the length is not known
        client = self._peers.client(came, peer)
        return {**scope, "headers": headers, "strangler.request_id": request_id, "strangler.client": client}


class Access:
    def __init__(self, app: ASGIApp, forwarding: Forwarding, *, records: bool) -> None:
        self._app, self._forwarding, self._records = app, forwarding, records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        inner = self._forwarding(scope)

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = forward_response(message["headers"])
                if message["status"] in BODILESS:
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
            if self._records:
                self._record(inner, time.perf_counter() - started)

    def _record(self, scope: Scope, elapsed: float) -> None:
        exchange: Exchange | None = scope.get("strangler.exchange")
        if exchange is None:
            return
        log.info(
            "request",
            request_id=scope["strangler.request_id"],
            client=scope["strangler.client"],
            method=scope["method"],
            path=scope["path"],
            status=exchange.status,
            route=exchange.route,
            side=exchange.decision.primary.value,
            reason=exchange.decision.reason.value,
            asked_last=exchange.asked_last.value,
            failure=exchange.failure,
            left=exchange.left,
            ms=round(elapsed * 1000, 1),
        )
