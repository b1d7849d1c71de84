"""Users who ask all the time, and never twice for the same: each request is counted, whatever becomes of it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

from demo.service import LOOPBACK

ASK = b"GET /things HTTP/1.1\r\nHost: example\r\n\r\n"
LAST = b"GET /things HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n"
# Users by how they connect: at once again on the same connection, again after a while, on a new one each time.
BUSY, SELDOM, FRESH = 8, 8, 4
WHILE, BREATH = 0.3, 0.002  # seconds


@dataclass
class Load:
    """`answers` by status, and `failures` by what the user saw."""

    port: int
    answers: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    lasting: int = 0  # answers that said that they were their connection's last, unasked
    _users: Iterator[int] = field(default_factory=count)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def answered(self) -> int:
        return self.answers.total()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._all())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as users:
            for number in range(BUSY + SELDOM):
                users.create_task(self._keeps(0.0 if number < BUSY else WHILE))
            for _ in range(FRESH):
                users.create_task(self._comes_anew())

    async def _keeps(self, pause: float) -> None:
        while not self._over.is_set():
            async with self._connected() as (reader, writer):
                last = False
                while not (last or self._over.is_set()):
                    last = await self._asked(reader, writer, ASK)
                    self.lasting += last
                    await self._pause(pause)

    async def _comes_anew(self) -> None:
        while not self._over.is_set():
            async with self._connected() as (reader, writer):
                await self._asked(reader, writer, LAST)
            await self._pause(BREATH)

    async def _pause(self, seconds: float) -> None:
        """Until the next request is due, or it is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            with closing(writer):
                yield reader, writer
        except (OSError, EOFError) as error:
            self.failures[type(error).__name__] += 1

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bool:
        """Ask, each time as somebody else, and read the whole answer; whether it said that it was the last."""
        writer.write(request.replace(b"\r\n\r\n", b"\r\nX-User: %d\r\n\r\n" % next(self._users)))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        self.answers[int(head[9:12])] += 1
        return b"connection: close" in head


@contextmanager
def loading(port: int) -> Iterator[Load]:
    """Load from a thread of its own, until the block ends and every user has his answer."""
    load = Load(port)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.end()
        thread.join()
