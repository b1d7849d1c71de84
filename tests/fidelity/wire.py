"""Either end of a connection, played from a script: bytes are sent as they stand, and what comes is written down."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PATIENCE = 30.0  # seconds until a script that waits in vain fails its test, however busy the machine


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until these bytes have come."""

    marker: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """Wait until the other end's message has come whole."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Wait until the other end has closed."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close, after everything was sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Close as a crash would: what is under way is lost, and the other end sees an error."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Let the script at the other end go on past its `Hear` of the same name."""

    name: str


@dataclass(frozen=True, slots=True)
class Hear:
    name: str


Step = bytes | Until | Whole | Gone | Close | Reset | Tell | Hear
Script = tuple[Step, ...]


class Signals(defaultdict[str, asyncio.Event]):
    """What scripts of one run tell each other."""

    def __init__(self) -> None:
        super().__init__(asyncio.Event)


class Peer:
    """One end of a connection. `raw` is all that has come; `ended` how the other end left, if it has."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._changed = asyncio.Event()
        self.raw = bytearray()
        self.ended: str | None = None

    async def listen(self) -> None:
        """Write down what comes, until the other end closes."""
        ended = "closed"
        try:
            while data := await self._reader.read(1 << 18):
                self.raw += data
                self._changed.set()
        except ConnectionError:
            ended = "reset"
        self.ended = ended
        self._changed.set()

    async def until(self, ready: Callable[[], bool], patience: float | None = PATIENCE) -> None:
        """Return once `ready` holds, or once nothing more can come."""
        async with asyncio.timeout(patience):
            while not ready() and self.ended is None:
                self._changed.clear()
                await self._changed.wait()

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return  # the other end has gone; `listen` knows how

    async def play(self, script: Script, whole: Callable[[], bool], signals: Signals) -> None:
        for step in script:
            await self._do(step, whole, signals)

    async def _do(self, step: Step, whole: Callable[[], bool], signals: Signals) -> None:
        match step:
            case bytes():
                await self.send(step)
            case Until(marker):
                await self.until(lambda: marker in self.raw)
            case Tell(name):
                signals[name].set()
            case Hear(name):
                async with asyncio.timeout(PATIENCE):
                    await signals[name].wait()
            case Close():
                self.close()
            case Reset():
                self.reset()
            case Whole():
                await self.until(whole)
            case Gone():
                await self.until(lambda: False)

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        sock: socket.socket = self._writer.get_extra_info("socket")
        if sock.fileno() < 0:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs; afterwards the connection is closed."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.listen())
            try:
                yield
            finally:
                task.cancel()
                self.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    async with peer.listening():
        yield peer
