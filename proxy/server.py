"""uvicorn, bound by us and stopped by us."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from proxy.address import Address
from proxy.config import ConfigError, Fault

BACKLOG = 2048
KEEP_ALIVE = 75  # seconds; a balancer must let go of an idle connection first, or it answers 502 for us
GRACE = 30  # seconds that requests in flight have when the process is told to stop


def listen(address: Address, place: str) -> socket.socket:
    """A listening socket; a ConfigError that names the place in the configuration if it cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError([Fault(place, f"cannot listen on {address}: {error.strerror}")]) from None
    sock.setblocking(False)
    return sock


class Server(uvicorn.Server):
    """Serves until `stop`; signals are the caller's business."""

    def __init__(
        self, app: ASGIApp, sock: socket.socket, *, lifespan: Literal["on", "off"] = "off", **options: Any
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # who is calling is told by `proxy.peers`, which believes trusted proxies only
                server_header=False,
                date_header=False,
                lifespan=lifespan,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
                **options,
            )
        )
        self._sock = sock

    async def run_until_stopped(self) -> None:
        await self.serve(sockets=[self._sock])

    def stop(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
