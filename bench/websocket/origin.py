"""An echo server on `websockets`, without limits of its own: `python -m bench.websocket.origin PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from demo.service import LOOPBACK


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        return


async def main(port: int) -> None:
    async with serve(echo, LOOPBACK, port, compression=None, max_size=None, ping_interval=None, backlog=4096):
        await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
