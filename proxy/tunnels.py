"""Upgrades on their way to legacy's `/cable`: who opens tunnels, counts them, and answers for those that fail."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import Scope

from proxy.access import Forwarding
from proxy.address import Address
from proxy.errors import SideFailed
from proxy.metrics import Metrics
from proxy.pool import Limits
from proxy.tasks import Tasks
from proxy.websocket import UserEnd, request_head, tunnel

log = structlog.get_logger()


class Tunnels:
    def __init__(self, legacy: Address, limits: Limits, forwarding: Forwarding, metrics: Metrics, tasks: Tasks) -> None:
        self._legacy, self._limits, self._forwarding = legacy, limits, forwarding
        self._metrics, self._tasks = metrics, tasks

    def open(self, scope: Scope, transport: asyncio.Transport, connections: set[Any]) -> asyncio.Protocol:
        """Take over a user's connection whose request asks for an upgrade."""
        inner = self._forwarding(scope)
        user = UserEnd(transport, connections, self._metrics.tunnels.dec)
        self._metrics.tunnels.inc()
        self._tasks.start(self._join(inner, user))
        return user

    async def _join(self, scope: Scope, user: UserEnd) -> None:
        head = request_head(scope["method"], scope["strangler.target"], scope["headers"])
        handshake = await tunnel(user, head, self._legacy, self._limits)
        if handshake.status:
            self._metrics.upgrades.labels(str(handshake.status)).inc()
        log.info(
            "upgrade",
            request_id=scope["strangler.request_id"],
            client=scope["strangler.client"],
            target=scope["strangler.target"].partition(b"?")[0].decode("latin-1"),
            status=handshake.status,
            failure=handshake.failure and str(handshake.failure),
        )
        if handshake.failure is not None:
            user.answer(refusal(handshake.failure, scope["strangler.request_id"]))


def refusal(failure: SideFailed, request_id: str) -> bytes:
    """The whole HTTP answer for an upgrade that legacy did not answer."""
    body = json.dumps({"error": f"legacy_{failure.kind}", "requestId": request_id}).encode()
    head = (
        f"HTTP/1.1 {failure.status} {HTTPStatus(failure.status).phrase}\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
