"""The two ways on which legacy's answers reach users, and a proxy on which both can be taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fidelity.cases import ask
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Script, Signals
from tests.proxy.stage import Stage, staged

# A request that asks for a protocol that is not offered is served as if it had not asked, but not by the relay.
WAYS: dict[str, tuple[bytes, ...]] = {"relay": (), "ASGI": (b"Connection: Upgrade", b"Upgrade: h2c")}
ROUTES = [{"name": "read", "match": "GET /things/{id}"}, {"name": "write", "match": "POST /things"}]


def on(way: str, line: str, *headers: bytes, body: bytes = b"") -> bytes:
    """A request that takes this way."""
    return ask(line, *WAYS[way], *headers, body=body)


@asynccontextmanager
async def before_legacy(
    *answers: Script, signals: Signals | None = None, stage: dict[str, Any] | None = None, **knobs: Any
) -> AsyncIterator[tuple[Stage, Origin]]:
    """A proxy ahead of a scripted legacy, which is configured with `knobs`."""
    async with running_origin() as origin:
        origin.begin(*answers, signals=signals)
        legacy = {"url": f"http://127.0.0.1:{origin.port}", **knobs}
        async with staged(legacy=legacy, **{"routes": ROUTES, **(stage or {})}) as proxy:
            yield proxy, origin
            await proxy.quiet()


def booked(stage: Stage, route: str, side: str = "legacy") -> dict[str, float]:
    """How requests decided for a side ended."""
    outcomes = ("ok", "failed", "excluded")
    found = {name: stage.metric("requests_total", route=route, side=side, outcome=name) for name in outcomes}
    return {name: number for name, number in found.items() if number}
