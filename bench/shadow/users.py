"""Users who ask at a steady rate, whether they have been answered or not: who waits keeps nobody from coming."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from bench.figures import quantile
from bench.patterns import PATH
from demo.service import LOOPBACK

QUESTION = f"GET {PATH} HTTP/1.1\r\nHost: example.test\r\nAccept: application/json\r\n\r\n".encode()
PATIENCE = 10.0  # seconds for those who are still waiting at the end
LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Waited:
    """Milliseconds from the moment at which a user was to ask."""

    p50: float
    p99: float
    requests: int
    failed: int  # no answer, or one that is no 200

    @classmethod
    def of(cls, seconds: list[float], failed: int) -> Waited:
        p50, p99 = (round(1000 * quantile(seconds, part), 3) for part in (0.5, 0.99))
        return cls(p50, p99, len(seconds), failed)


class User(asyncio.Protocol):
    """One question after the other on one connection."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bool] | None = None
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self) -> asyncio.Future[bool]:
        assert self._transport is not None, "it is connected"
        self._seen, self.answered = b"", asyncio.get_running_loop().create_future()
        self._transport.write(QUESTION)
        return self.answered

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, ended, body = self._seen.partition(b"\r\n\r\n")
        if ended and self.answered is not None and not self.answered.done():
            length = int(head.lower().partition(LENGTH)[2].partition(b"\r\n")[0])
            if len(body) >= length:
                self.answered.set_result(head.startswith(b"HTTP/1.1 200 "))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(False)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def ask(port: int, rate: float, seconds: float) -> Waited:
    loop = asyncio.get_running_loop()
    idle: list[User] = []
    waited: list[float] = []
    failed = 0

    async def one(due: float) -> None:
        nonlocal failed
        user = idle.pop() if idle else (await loop.create_connection(User, LOOPBACK, port))[1]
        if await user.ask():
            waited.append(time.perf_counter() - due)
            idle.append(user)
        else:
            failed += 1
            user.close()

    began, asked = time.perf_counter(), list[asyncio.Task[None]]()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (pause := due - time.perf_counter()) > 0:  # uvloop's own clock goes by milliseconds
                await asyncio.sleep(pause)
            asked.append(group.create_task(one(due)))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(asked)
        for task in asked:
            task.cancel()
    for user in idle:
        user.close()
    return Waited.of(waited, failed + sum(task.cancelled() for task in asked))
