"""The user's side of HTTP: uvicorn's httptools protocol, with the two things that it keeps to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

Upgrade = Callable[[Scope, asyncio.Transport, set[Any]], asyncio.Protocol]


class Front(HttpToolsProtocol):
    """Keeps the request target byte for byte (`/a?` is not `/a`) in the scope, and hands upgrades over."""

    def __init__(
        self,
        upgrade: Upgrade,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._upgrade = upgrade

    def on_headers_complete(self) -> None:
        # The request's task starts only after this callback, so that it finds the target in its scope.
        self.scope["strangler.target"] = origin_form(self.url)  # type: ignore[typeddict-unknown-key]  # ours
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        self.connections.discard(self)
        scope = cast("Scope", self.scope)
        self.transport.set_protocol(self._upgrade(scope, self.transport, self.connections))


def origin_form(url: bytes) -> bytes:
    """The path and query of a request target, untouched; an absolute-form target without its scheme and authority."""
    if url.startswith(b"/") or url == b"*":
        return url
    parsed = httptools.parse_url(url)
    path: bytes = parsed.path or b"/"
    return path if parsed.query is None else path + b"?" + parsed.query
