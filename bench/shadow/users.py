"""Users who come when they come, whether others have been answered or not: who waits keeps nobody away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from bench.figures import quantile
from bench.patterns import PATH
from bench.shadow.side import NUMBER
from demo.service import LOOPBACK

QUESTION = b"GET %b HTTP/1.1\r\nHost: example.test\r\nAccept: application/json\r\n%b%d\r\n\r\n"
PATIENCE = 10.0  # seconds for those who are still waiting at the end
LENGTH = b"content-length: "
MOST = 1_000_000  # users of one round


@dataclass(frozen=True, slots=True)
class Visit:
    """A user who comes `at` so many seconds, with a question whose number says how long legacy takes over it."""

    at: float
    number: int

    @property
    def question(self) -> bytes:
        return QUESTION % (PATH.encode(), NUMBER, self.number)


@dataclass(frozen=True, slots=True)
class Waited:
    """Milliseconds from the moment at which a user asked."""

    p50: float
    p99: float
    requests: int
    failed: int  # no answer, or one that is no 200

    @classmethod
    def of(cls, seconds: Sequence[float], failed: int) -> Waited:
        p50, p99 = (round(1000 * quantile(seconds, part), 3) for part in (0.5, 0.99))
        return cls(p50, p99, len(seconds), failed)


def visits(of: int, rate: float, seconds: float) -> list[Visit]:
    """Who comes in a round: independent of each other (Poisson), and the same people with the same questions in every
    case, so that cases differ in nothing but what is done behind them."""
    chance, at, coming = random.Random(of), 0.0, list[Visit]()  # chance, not secrecy
    while (at := at + chance.expovariate(rate)) < seconds:
        coming.append(Visit(at, of * MOST + len(coming)))
    return coming


class User(asyncio.Protocol):
    """One question after the other on one connection."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bool] | None = None
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, question: bytes) -> asyncio.Future[bool]:
        assert self._transport is not None, "it is connected"
        self._seen, self.answered = b"", asyncio.get_running_loop().create_future()
        self._transport.write(question)
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


async def ask(port: int, coming: Sequence[Visit]) -> Waited:
    loop = asyncio.get_running_loop()
    idle: list[User] = []
    waited: list[float] = []
    failed = 0

    async def one(visit: Visit) -> None:
        nonlocal failed
        asked = time.perf_counter()  # the next one does not wait for this one, so nobody's waiting is left out
        user = idle.pop() if idle else (await loop.create_connection(User, LOOPBACK, port))[1]
        if await user.ask(visit.question):
            waited.append(time.perf_counter() - asked)
            idle.append(user)
        else:
            failed += 1
            user.close()

    began, asked = time.perf_counter(), list[asyncio.Task[None]]()
    async with asyncio.TaskGroup() as group:
        for visit in coming:
            if (pause := began + visit.at - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            asked.append(group.create_task(one(visit)))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(asked)
        for task in asked:
            task.cancel()
    for user in idle:
        user.close()
    return Waited.of(waited, failed + sum(task.cancelled() for task in asked))
