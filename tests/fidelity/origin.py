"""An HTTP server that writes down the bytes it gets, and answers with the bytes it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fidelity.framing import Malformed, Message, first_request
from tests.fidelity.wire import PATIENCE, Close, Gone, Peer, Reset, Script, Signals, Whole

PROBE = b"GET /probe HTTP/1.1\r\nHost: example.test\r\n\r\n"
PROBED: Script = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive",)
OK: Script = (Whole(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
LAST = (Close, Reset, Gone)  # steps after which a connection is of no more use


@dataclass
class Origin:
    """`received`: the requests since `begin`, in the order of their arrival, but for those to `/probe` and, if it
    `skips_shadows`, those of comparisons. `finished`: for how many of them the script has ended. `faults`: what came
    and was no request, or did not come although the script waited for it."""

    port: int = 0
    skips_shadows: bool = False
    received: list[Message] = field(default_factory=list)
    finished: int = 0
    open: int = 0
    accepted: int = 0
    faults: list[str] = field(default_factory=list)
    _answers: Sequence[Script] = (OK,)
    _signals: Signals = field(default_factory=Signals)
    _turn: int = 0
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _peers: set[Peer] = field(default_factory=set)

    def begin(self, *answers: Script, signals: Signals | None = None) -> None:
        """From now on answer with these, one a request; the last of them answers all that come after it."""
        self._answers, self._signals = answers or (OK,), Signals() if signals is None else signals
        self.received, self.finished, self._turn = [], 0, 0
        self.faults.clear()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready` holds; it is asked again at each request and each end of a connection."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            async with asyncio.timeout(PATIENCE):
                while not ready():
                    changed.clear()
                    await changed.wait()
        finally:
            self._waiting.discard(changed)

    def end(self) -> None:
        for peer in self._peers:
            peer.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._peers.add(peer)
        self.open += 1
        self.accepted += 1
        try:
            async with peer.listening():
                try:
                    while await self._converse(peer):
                        pass
                except (Malformed, TimeoutError) as why:
                    self.faults.append(f"{why!r} after {bytes(peer.raw[:200])!r}")
                    peer.reset()
        finally:
            self._peers.discard(peer)
            self.open -= 1
            self._tell()

    async def _converse(self, peer: Peer) -> bool:
        """Answer one request; True if another may follow on this connection."""
        await peer.until(lambda: first_request(peer.raw) is not None, patience=None)
        came = first_request(peer.raw)
        if came is None:
            return False
        noted = not self._is_aside(came[0])
        script, record = (self._next(), self.received) if noted else (PROBED, None)
        place = self._note(came[0]) if noted else 0
        await peer.play(script, lambda: _whole(peer), self._signals)
        goes_on = not isinstance(script[-1], LAST)
        if goes_on:
            await peer.until(lambda: _whole(peer))
        came = first_request(peer.raw)
        assert came is not None
        if record is self.received:
            self.received[place] = came[0]
            self.finished += 1
            self._tell()
        del peer.raw[: came[1]]
        return goes_on and came[0].complete

    def _is_aside(self, request: Message) -> bool:
        return b" /probe " in request.start or (self.skips_shadows and bool(request.values(b"x-strangler-shadow")))

    def _note(self, request: Message) -> int:
        self.received.append(request)
        self._tell()
        return len(self.received) - 1

    def _next(self) -> Script:
        turn, self._turn = self._turn, self._turn + 1
        return self._answers[min(turn, len(self._answers) - 1)]

    def _tell(self) -> None:
        for event in self._waiting:
            event.set()


def _whole(peer: Peer) -> bool:
    found = first_request(peer.raw)
    return found is not None and found[0].complete


@asynccontextmanager
async def running_origin(*, skips_shadows: bool = False) -> AsyncIterator[Origin]:
    origin = Origin(skips_shadows=skips_shadows)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
        await origin.until(lambda: origin.open == 0)
    finally:
        server.close()
        origin.end()
        await server.wait_closed()
