"""uvicorn, bound by us and stopped by us."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import math
import socket
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.batched import Batched
from proxy.crowd import Share
from proxy.door import SPARE, Door
from proxy.meeting import Meetings
from proxy.sockets import listen
from proxy.tasks import Tasks
from proxy.websocket import UserEnd

__all__ = ["DRAIN", "KEEP_ALIVE", "Server", "listen", "settle"]

BACKLOG = 2048
KEEP_ALIVE = 75  # seconds; a balancer must let go of an idle connection first, or it answers 502 for us
DRAIN = 30.0  # seconds that requests in flight have when the process is told to stop
PARTING = 3.0  # seconds in which an idle user may still send a request to a server that stops
LOOK = 0.05  # seconds between two looks at who is still there
# New objects until rings among them are looked for. Requests on their way are more than Python's 700 at any moment:
# they would be taken for old ones, and for their sake all old ones be looked through again and again.
YOUNG = 10_000


def settle() -> None:
    """What is there now stays: to look through it again and again would stop traffic each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


class Parting(HttpToolsProtocol):
    """A user's connection that serves one request more once it is told to stop, and says then that it is the last.

    To close at once would meet a request on its way, which its user could not tell from one that was acted on.
    """

    _parting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.out = Batched(self.transport, self.loop)

    def shutdown(self) -> None:
        self._parting = True
        if self.cycle is None or self.cycle.response_complete:
            self._part()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None:  # else this is the start of a tunnel
            self.cycle.transport = cast(asyncio.Transport, self.out)  # uvicorn would send an answer's head alone
            if self._parting:
                self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        self.out.flush()
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._parting and self.cycle is not None and self.cycle.response_complete:
            self._part()

    def _part(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(PARTING, self.timeout_keep_alive_handler)


class Server(uvicorn.Server):
    """Serves until `stop`; signals are the caller's business. Then it has `drain` seconds to finish. `share`: its part
    of the users, where several workers have the socket. `spare`: files that no user of it may take."""

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        lifespan: Literal["on", "off"] = "off",
        drain: float = DRAIN,
        http: Any = Parting,
        share: Share | None = None,
        spare: int = SPARE,
        **options: Any,
    ) -> None:
        self._stop = asyncio.Event()
        # uvicorn hears of a user only after the TLS handshake.
        self._meetings = Meetings(http, leaving=self._stop.is_set)
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
                http=cast(Any, self._meetings),
                **options,
            )
        )
        self._sock, self._drain, self._arriving = sock, drain, Tasks()
        self._door = Door(sock, self._meet, share, spare)
        self.serving = asyncio.Event()

    async def run_until_stopped(self) -> None:
        await self.serve(sockets=[self._sock])

    def stop(self) -> None:
        self._stop.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self._door.open()

    async def main_loop(self) -> None:
        """uvicorn looks ten times a second whether it should stop."""
        self.serving.set()
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what waits to be accepted, and no more; finish what is in flight; tunnels end last.

        A user of a tunnel comes back as soon as it ends, and so would all of them at once: in the second half of the
        time they are let go evenly.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        half, ends = began + self._drain / 2, began + self._drain
        self._close_door()
        for connection in self._requesting:
            connection.shutdown()
        # Handshakes that are under way have as long as an idle user's request, which would follow them.
        await self._until(lambda: not (self._arriving or self._meetings), min(began + PARTING, half))
        await self._until(lambda: not self._busy, half)
        while self._busy and (left := ends - loop.time()) > 0:
            tunnels = self._tunnels
            for tunnel in tunnels[: math.ceil(len(tunnels) * LOOK / left)]:
                tunnel.shutdown()
            await asyncio.sleep(min(LOOK, left))
        self._cut()
        await self._until(lambda: not self._busy, loop.time() + 1.0)
        await self._arriving.close()
        await self.lifespan.shutdown()

    def _close_door(self) -> None:
        """Accept who waits for it, and nobody else."""
        waiting = self._sock.dup()  # to close it resets those whom nobody has accepted yet
        self._door.close()
        with waiting:
            for sock in _accepted(waiting):
                self._meet(sock)

    def _meet(self, sock: socket.socket) -> None:
        self._arriving.start(self._connect(sock))

    async def _connect(self, sock: socket.socket) -> None:
        with suppress(OSError):  # who is gone again has no use for an answer
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, sock, ssl=self.config.ssl)

    def _protocol(self) -> asyncio.Protocol:
        return self._meetings(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @property
    def _tunnels(self) -> list[UserEnd]:
        return [c for c in self._connections if isinstance(c, UserEnd)]

    @property
    def _requesting(self) -> list[Any]:
        return [c for c in self._connections if not isinstance(c, UserEnd)]

    @property
    def _connections(self) -> list[Any]:
        return list(self.server_state.connections)

    @property
    def _busy(self) -> bool:
        return bool(self.server_state.tasks) or not all(_only_parts(each.transport) for each in self._connections)

    async def _until(self, over: Callable[[], bool], at: float) -> None:
        loop = asyncio.get_running_loop()
        while not over() and loop.time() < at:  # noqa: ASYNC110  # uvicorn's sets tell nobody when they change
            await asyncio.sleep(LOOK)

    def _cut(self) -> None:
        """Time is up: whoever is in the middle of an answer sees that it is not whole."""
        for task in self.server_state.tasks:
            task.cancel()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _only_parts(transport: asyncio.Transport | None) -> bool:
    """Whether its user has all that was sent, and TLS waits for a goodbye, as it would for half a minute."""
    if transport is None or not transport.is_closing():
        return False
    sock = transport.get_extra_info("socket")
    try:
        unacknowledged = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:  # it is gone
        return True
    return unacknowledged == bytes(4)


def _accepted(sock: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            accepted, _ = sock.accept()
        except BlockingIOError:
            return
        except ConnectionError:
            continue  # it is gone again
        accepted.setblocking(False)
        yield accepted
