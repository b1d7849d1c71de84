"""A proxy ahead of an origin, before whose front something stands: TLS, or a TCP balancer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from proxy.address import Address
from proxy.app import Strangler
from proxy.sections import Config
from proxy.server import Server, listen
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Peer
from tests.proxy.stage import serving


@dataclass(frozen=True, slots=True)
class Entry:
    origin: Origin
    server: Server
    port: int

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def told(self, name: bytes) -> list[list[bytes]]:
        """What the origin was told in each request's headers of this name."""
        return [came.values(name) for came in self.origin.received]


@asynccontextmanager
async def entered(options: Callable[[Strangler], dict[str, Any]], **sections: Any) -> AsyncIterator[Entry]:
    """`options`: what the public server is started with."""
    async with running_origin() as origin:
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        strangler = Strangler(Config.model_validate({"legacy": legacy, **sections}))
        sock = listen(Address("127.0.0.1", 0), "listen")
        server = Server(strangler.app, sock, **options(strangler))
        port: int = sock.getsockname()[1]
        async with strangler.running(), serving(server):
            yield Entry(origin, server, port)


async def until_answered(user: Peer, times: int = 1) -> None:
    await user.until(lambda: user.raw.count(b"HTTP/1.1 200") == times and user.raw.endswith(b"ok"))
    assert user.raw.count(b"HTTP/1.1 200") == times
