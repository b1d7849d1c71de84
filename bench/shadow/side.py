"""A side that takes its time: `python -m bench.shadow.side PORT HOW`."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvloop

from bench.servers import ANSWER, HEADERS
from demo.service import LOOPBACK

PLACES = 8  # questions that legacy has in hand at once, like threads of puma
LEGACY, NATIVE = 0.010, 0.003  # seconds, the median
SPREAD = 0.4  # of the logarithm
CARRIES = PLACES / (LEGACY * math.exp(SPREAD**2 / 2))  # questions a second, of legacy
NICE = 10  # of what plays native: it would have a machine of its own, and here it must not take users' time
HUGE, PIECE = 1 << 30, bytes(1 << 16)

_LINES = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items() if name not in ("X-Runtime", "X-Request-Id"))
_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n{_LINES}Content-Length: %d\r\n\r\n"
_SAME = json.dumps(json.loads(ANSWER), sort_keys=True)  # other bytes that mean the same, so that they are compared
ANSWERS = {name: (_HEAD % len(body) + body).encode() for name, body in (("legacy", ANSWER), ("native", _SAME))}
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def taking(median: float, whole: bytes) -> Answer:
    chance, free = random.Random(1), asyncio.Semaphore(PLACES)  # chance, not secrecy

    async def answer(writer: asyncio.StreamWriter) -> None:
        async with free:
            await asyncio.sleep(chance.lognormvariate(math.log(median), SPREAD))
        writer.write(whole)

    return answer


async def hangs(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def crashes(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def pours(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(PIECE))
    writer.write((_HEAD % HUGE).encode())
    for _ in range(HUGE // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


def how(name: str) -> Answer:
    if name in ANSWERS:
        return taking(LEGACY if name == "legacy" else NATIVE, ANSWERS[name])
    return {"hangs": hangs, "crashes": crashes, "pours": pours}[name]


async def serve(port: int, answer: Answer) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await answer(writer)
        writer.close()

    server = await asyncio.start_server(converse, LOOPBACK, port)
    await server.serve_forever()


async def main(port: int, name: str) -> None:
    if name != "legacy":
        os.nice(NICE)
    await serve(port, how(name))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
