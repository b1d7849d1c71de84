"""Upgrades on their way to legacy's `/cable`: who opens tunnels, counts them, and answers for those that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from starlette.types import Scope

from flags.flag import Side
from proxy.answer import refusal_on_wire
from proxy.dial import Dial
from proxy.forwarding import Forwarding
from proxy.limits import Limits
from proxy.metrics import Metrics
from proxy.tasks import Tasks
from proxy.upgrades import request_head
from proxy.websocket import UserEnd, tunnel

log = structlog.get_logger()


class Tunnels:
    def __init__(self, legacy: Dial, limits: Limits, forwarding: Forwarding, metrics: Metrics, tasks: Tasks) -> None:
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
            user.answer(refusal_on_wire(Side.LEGACY.value, handshake.failure, scope["strangler.request_id"]))
