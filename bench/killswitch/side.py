"""A side that answers at once, and notes when it was last asked: `python -m bench.killswitch.side PORT FILE`."""

from __future__ import annotations

import asyncio
import mmap
import sys
import time
from pathlib import Path
from struct import Struct
from typing import Any, cast

import uvloop

from bench.servers import ANSWER
from demo.service import LOOPBACK

NOTE = Struct("dQ")  # seconds on the machine's own clock, which all of its processes share; how many requests so far
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)


class Side(asyncio.Protocol):
    """For requests without a body."""

    asked = 0

    def __init__(self, notes: mmap.mmap) -> None:
        self._notes = notes
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now, requests = time.monotonic(), data.count(b"\r\n\r\n")
        Side.asked += requests
        NOTE.pack_into(self._notes, 0, now, Side.asked)
        if self._transport is not None:
            self._transport.write((HEAD + ANSWER.encode()) * requests)


class Notes:
    """What a side has noted, as another process reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(NOTE.size))
        with path.open("r+b") as file:
            self._notes = mmap.mmap(file.fileno(), NOTE.size)

    @property
    def last(self) -> float:
        at: float = NOTE.unpack_from(self._notes)[0]
        return at

    @property
    def asked(self) -> int:
        count: int = NOTE.unpack_from(self._notes)[1]
        return count


async def serve(port: int, path: Path) -> None:
    with path.open("r+b") as file:
        notes: Any = mmap.mmap(file.fileno(), NOTE.size)
    server = await asyncio.get_running_loop().create_server(lambda: Side(notes), LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
