"""Stands ahead of the front where every connection begins with whom it is from (`proxy_protocol: true`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy.peers import Peers
from proxy.preface import Malformed, Preface, parse

log = structlog.get_logger()
PATIENCE = 5.0  # seconds until the header must have come; a lost segment of it takes three
ONCE_IN = 60.0  # seconds for which one record speaks for all connections that were closed for the same reason

STRANGER = (
    "connections from outside trusted_proxies are closed: with proxy_protocol, only a balancer may say who is calling; "
    "let users connect through it, or add its network to trusted_proxies"
)
UNPREFACED = (
    "connections of a balancer are closed, and their users get no answer: they must begin with a header of the PROXY "
    "protocol; turn it on at the balancer, or set proxy_protocol: false"
)


def prefaced(
    make_front: Callable[..., HttpToolsProtocol], peers: Peers, patience: float = PATIENCE
) -> Callable[..., asyncio.Protocol]:
    """What a server makes for each connection in place of a front."""
    closed = _Closed()

    def doorkeeper(server_state: ServerState, **server: Any) -> asyncio.Protocol:
        front = partial(make_front, server_state=server_state, **server)
        return Doorkeeper(front, peers, closed, server_state.connections, patience)

    return doorkeeper


class Doorkeeper(asyncio.Protocol):
    """Reads the header of the PROXY protocol, and hands the connection to a front that takes its source for the peer.

    Until then it stands among the server's connections, so that a server that shuts down waits for it.
    """

    def __init__(
        self,
        make_front: Callable[[], HttpToolsProtocol],
        peers: Peers,
        closed: _Closed,
        connections: set[Any],
        patience: float,
    ) -> None:
        self._make_front, self._peers, self._closed, self._connections = make_front, peers, closed, connections
        self._patience = patience
        self.transport: asyncio.Transport  # from the time it is connected
        self._timer: asyncio.TimerHandle | None = None
        self._peer = ""
        self._came = b""
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # it has left already, as balancers do that only look whether the port is open
            self.transport.abort()
            return
        self._connections.add(self)
        self._peer = str(peer[0])
        if self._peers.trusts(self._peer):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._patience, self._refuse, UNPREFACED, "none has come in time")
        else:
            self._refuse(STRANGER, "the peer is not trusted")

    def data_received(self, data: bytes) -> None:
        self._came += data
        try:
            preface = parse(self._came)
        except Malformed as error:
            self._refuse(UNPREFACED, str(error))
        else:
            if preface is not None:
                self._hand_over(preface)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()

    def shutdown(self) -> None:
        """Serve the request that is about to come, and nothing after it."""
        self._leaving = True

    def _hand_over(self, preface: Preface) -> None:
        front, rest = self._make_front(), self._came[preface.length :]
        self._let_go()
        self.transport.set_protocol(front)
        front.connection_made(self.transport)
        if preface.source is not None:
            front.client = preface.source
        if preface.encrypted:
            front.scheme = "https"
        if rest:
            front.data_received(rest)
        if self._leaving:
            front.shutdown()

    def _refuse(self, what: str, why: str) -> None:
        self._closed.add(what, why, self._peer)
        self.transport.close()

    def _let_go(self) -> None:
        self._connections.discard(self)
        self._came = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Closed:
    """Connections that were closed unserved: each kind is recorded at once, and then once a minute."""

    def __init__(self) -> None:
        self._number: Counter[str] = Counter()
        self._silent_until: dict[str, float] = {}

    def add(self, what: str, why: str, peer: str) -> None:
        self._number[what] += 1
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until.get(what, now):
            self._silent_until[what] = now + ONCE_IN
            log.warning(what, why=why, peer=peer, closed=self._number.pop(what))
