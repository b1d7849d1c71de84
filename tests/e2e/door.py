"""Something between a proxy and its Redis: all passes, until a word comes that is never to arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from demo.service import LOOPBACK


class Door:
    """`shut`: the word has come. It and all behind it were kept back, and nothing passes on its connection any more."""

    def __init__(self, beyond: int, word: bytes) -> None:
        self._beyond, self._word = beyond, word
        self._loop, self._over = asyncio.new_event_loop(), asyncio.Event()
        self.port, self.open, self.shut = 0, threading.Event(), threading.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stand())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _stand(self) -> None:
        server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        self.open.set()
        await self._over.wait()
        server.close()

    async def _connected(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection(LOOPBACK, self._beyond)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(near, to_far, self._word))
                ways.create_task(self._pass(far, to_near, None))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            to_near.close()
            to_far.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes | None) -> None:
        while data := await reader.read(1 << 16):
            if word is not None and word in data:
                self.shut.set()
                await self._over.wait()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


@contextmanager
def door(beyond: int, word: bytes) -> Iterator[Door]:
    """Before a port of this machine, until the block ends."""
    stood = Door(beyond, word)
    thread = threading.Thread(target=stood.run)
    thread.start()
    try:
        assert stood.open.wait(10)
        yield stood
    finally:
        stood.end()
        thread.join()
