"""A proxy that asks both sides at once and answers when both have: `python -m bench.shadow.joined PORT LEGACY NATIVE`.

So do libraries that compare within the call of the user (LaunchDarkly's migrations, GitHub's Scientist one after the
other). It does nothing else, so that what it shows is the waiting.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import uvloop

from bench.shadow.side import ANSWERS
from demo.service import LOOPBACK

PATIENCE = 1.0  # seconds for a side to answer; the candidate of the proxy has as long


class Peer:
    """Connections to one side, as many as it takes."""

    def __init__(self, port: int, length: int) -> None:
        self._port, self._length = port, length
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, question: bytes) -> bytes:
        """The answer, or nothing."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(LOOPBACK, self._port)
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(question)
                answer = await reader.readexactly(self._length)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return b""
        self._idle.append((reader, writer))
        return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def joined(question: bytes, legacy: Peer, native: Peer) -> bytes:
    """Legacy's answer, as soon as both have answered."""
    answer, _ = await asyncio.gather(legacy.ask(question), native.ask(question))
    return answer


async def serve(port: int, legacy: Peer, native: Peer) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while question := await reader.readuntil(b"\r\n\r\n"):
                writer.write(await joined(question, legacy, native))
        writer.close()

    server = await asyncio.start_server(converse, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    own, *ports = map(int, sys.argv[1:])
    legacy, native = (Peer(port, len(answer)) for port, answer in zip(ports, ANSWERS.values(), strict=True))
    uvloop.run(serve(own, legacy, native))
