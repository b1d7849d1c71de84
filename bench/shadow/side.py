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
LEGACY, NATIVE, SLOW = 0.010, 0.003, 0.020  # seconds, the median
SPREAD = 0.4  # of the logarithm
CARRIES = PLACES / (LEGACY * math.exp(SPREAD**2 / 2))  # questions a second, of legacy
HUGE, PIECE = 1 << 30, bytes(1 << 16)
NUMBER = b"x-number: "  # of a question

_LINES = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items() if name not in ("X-Runtime", "X-Request-Id"))
_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n{_LINES}"
_SAME = json.dumps(json.loads(ANSWER), sort_keys=True)  # other bytes that mean the same, so that they are compared
ANSWERS = {
    name: f"{_HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    for name, body in (("legacy", ANSWER), ("native", _SAME))
}
Answer = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


def seconds(median: float, question: bytes) -> float:
    """Each question takes as long as its number says, whoever asks it and however often."""
    number = question.lower().partition(NUMBER)[2].partition(b"\r\n")[0]
    chance = random.Random(number)  # chance, not secrecy
    return chance.lognormvariate(math.log(median), SPREAD)


def taking(median: float, whole: bytes) -> Answer:
    free = asyncio.Semaphore(PLACES)

    async def answer(writer: asyncio.StreamWriter, question: bytes) -> None:
        async with free:
            await asyncio.sleep(seconds(median, question))
        writer.write(whole)

    return answer


async def hangs(writer: asyncio.StreamWriter, question: bytes) -> None:
    await writer.wait_closed()


async def crashes(writer: asyncio.StreamWriter, question: bytes) -> None:
    writer.transport.abort()


def pouring(framing: str, before: bytes = b"", after: bytes = b"") -> Answer:
    """`before`, `after`: what stands around each piece."""
    head, piece = f"{_HEAD}{framing}\r\n\r\n".encode(), before + PIECE + after

    async def answer(writer: asyncio.StreamWriter, question: bytes) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(PIECE))
        writer.write(head)
        for _ in range(HUGE // len(PIECE)):
            writer.write(piece)
            await writer.drain()

    return answer


def how(name: str) -> Answer:
    return {
        "legacy": taking(LEGACY, ANSWERS["legacy"]),
        "native": taking(NATIVE, ANSWERS["native"]),
        "slow": taking(SLOW, ANSWERS["native"]),
        "hangs": hangs,
        "crashes": crashes,
        "pours": pouring(f"Content-Length: {HUGE}"),
        "pours untold": pouring("Transfer-Encoding: chunked", b"%x\r\n" % len(PIECE), b"\r\n"),
    }[name]


async def serve(port: int, answer: Answer) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while question := await reader.readuntil(b"\r\n\r\n"):
                await answer(writer, question)
        writer.close()

    server = await asyncio.start_server(converse, LOOPBACK, port)
    await server.serve_forever()


async def main(port: int, name: str) -> None:
    if name != "legacy":  # it would have a machine of its own: here it runs while users and legacy leave a core idle
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    await serve(port, how(name))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
