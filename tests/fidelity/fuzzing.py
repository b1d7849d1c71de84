"""Broken input by the thousand: how it is made, who sends it, and an origin that takes nothing but HTTP.

Every request that the origin gets must have come through the proxy's own hands: readable in one way only, and with one
Via and one X-Request-Id of its own. What somebody smuggled past the proxy within another request would have neither.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast

from tests.fidelity.cases import TE, answer, ask, chunked
from tests.fidelity.framing import Malformed, Message, answers, first_request
from tests.fidelity.refusals import BODIES, HEADS, REFUSALS
from tests.fidelity.table import CASES
from tests.fidelity.wire import PATIENCE

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"  # whatever the method
AT_ONCE = 100
LONGEST_SEED = 4096
REFUSED = frozenset({400, 414, 431, 505})
PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"#", b"%", b"\x7f", b"\xff", b"\r\n\r\n", b"\r\n ",
    b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"5;a=b\r\nhello\r\n", b"-1\r\n", b"Host: evil.test\r\n", b" HTTP/1.0",
    b"Content-Length: 0\r\n", b"Content-Length: 40\r\n", b"Content_Length: 40\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"Connection: close, content-length\r\n", b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    b"Upgrade: h2c\r\n", b"X-Strangler-Shadow: 1\r\n", b"GET http://evil.test/h HTTP/1.1\r\n", b"x" * 300,
    ask("GET /h"), ask("POST /put", b"Content-Length: 3", body=b"abc"), ask("POST /put", TE, body=chunked(b"abc")),
    b"X-Strangler-Discarded: 1\r\n", b"HTTP/2.0 ", answer("103 Early Hints"), answer("204 No Content"),
    answer("200 OK"),
)  # fmt: skip


def seeds() -> list[bytes]:
    """What the suite's clients send, good and bad."""
    cases = [b"".join(step for step in case.client if isinstance(step, bytes)) for case in CASES]
    bodies = [ask("POST /put", TE, body=body) for body in BODIES.values()]
    return [seed for seed in [*cases, *HEADS.values(), *bodies] if len(seed) <= LONGEST_SEED]


def answer_seeds() -> list[bytes]:
    """What the suite's origins answer."""
    scripts = [script for origin in (*[c.origin for c in CASES], *[r.origin for r in REFUSALS]) for script in origin]
    whole = [b"".join(step for step in script if isinstance(step, bytes)) for script in scripts]
    return [seed for seed in whole if 0 < len(seed) <= LONGEST_SEED]


def mutant(chance: random.Random, grown: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in up to three places."""
    data = bytearray(chance.choice(grown))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 1, 4, 16, 200)))
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                data[at:end] = chance.choice(PIECES)
            case 2:
                data[at:end] = b""
            case 3:
                data[at:at] = data[at:end]
            case 4:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                other = chance.choice(grown)
                data[at:] = other[chance.randint(0, len(other)) :]
    return bytes(data)


@dataclass
class Judge:
    """The origin. `faults`: what it should never have got; `seen`: what it has got since somebody emptied it."""

    port: int = 0
    faults: list[str] = field(default_factory=list)
    seen: list[Message] = field(default_factory=list)
    asked: int = 0
    open: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Callable[[], bytes] = lambda: ANSWER
    connections: set[JudgeConnection] = field(default_factory=set)

    @contextmanager
    def answering(self, answer: Callable[[], bytes]) -> Iterator[None]:
        """Within the block, answer with what this returns, but for probes."""
        self.answer = answer
        try:
            yield
        finally:
            self.answer = lambda: ANSWER

    def close(self) -> None:
        """Let go of every connection, whatever was said on it."""
        for connection in self.connections:
            connection.close()

    def found(self, message: Message) -> None:
        self.seen.append(message)
        self.asked += 1
        via, number = message.values(b"via"), message.values(b"x-request-id")
        if len(via) != 1 or not via[0].endswith(b" strangler") or len(number) != 1:
            self.faults.append(f"not the proxy's own: {message}")


class JudgeConnection(asyncio.Protocol):
    def __init__(self, judge: Judge) -> None:
        self._judge, self._raw, self._told = judge, bytearray(), False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._judge.open += 1
        self._judge.connections.add(self)
        self._transport = cast(asyncio.Transport, transport)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._raw += data
        try:
            while (came := first_request(self._raw)) is not None:
                if not self._told:
                    self._told = True
                    self._judge.found(came[0])
                if not came[0].complete:
                    return
                self._judge.seen[-1:] = [came[0]]
                del self._raw[: came[1]]
                self._told = False
                self._transport.write(ANSWER if b" /probe " in came[0].start else self._judge.answer())
        except Malformed as why:
            self._judge.faults.append(f"malformed, {why}: {bytes(self._raw)!r}")
            self._raw.clear()
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._judge.open -= 1
        self._judge.connections.discard(self)
        self._judge.left.set()
        if self._raw and not self._told:
            self._judge.faults.append(f"the end of a connection within a head: {bytes(self._raw)!r}")


@asynccontextmanager
async def judging() -> AsyncIterator[Judge]:
    judge = Judge()
    server = await asyncio.get_running_loop().create_server(lambda: JudgeConnection(judge), "127.0.0.1", 0)
    judge.port = server.sockets[0].getsockname()[1]
    async with server:
        yield judge


class Sender(asyncio.Protocol):
    """A client that has bytes to send, in two pieces. `raw` is what comes back."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self.first, self.rest, self.raw = first, rest, bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self.came = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.first)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        self.came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.came.set()
        if not self.ended.done():
            self.ended.set_result(None)

    def finish(self, *, crash: bool) -> None:
        if self.transport.is_closing():
            return
        self.transport.abort() if crash else self.transport.write_eof()

    def answers(self) -> list[Message]:
        return answers(self.raw, [self.first.partition(b" ")[0]], ended=True)

    def statuses(self) -> list[int]:
        """`ANSWER` is one to any method, and a refusal has a body even for HEAD: its request was not understood."""
        return [message.status for message in answers(self.raw, [], ended=True)]


class Gun:
    """Sends inputs to a proxy, many at once; a client that is served all the while tells when they have been read."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._port, self._chance = port, chance

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        self._probe = await self._connected(Sender(b"", b""))
        try:
            yield
        finally:
            self._probe.transport.abort()

    async def fire(self, inputs: Sequence[bytes], *judges: Judge) -> list[Sender]:
        """Return when every connection has ended; the clients that crashed are not among those that are returned.

        `judges` let go of their connections before.
        """
        senders = await asyncio.gather(*[self._connected(self._cut(data)) for data in inputs])
        await self.probe()
        for sender in senders:
            if sender.rest and not sender.transport.is_closing():
                sender.transport.write(sender.rest)
        for _ in range(2):  # there and back, for those who are asked on a fresh connection
            await self.probe()
        for judge in judges:
            judge.close()
        crashing = [self._chance.random() < 0.05 for _ in senders]
        for sender, crash in zip(senders, crashing, strict=True):
            sender.finish(crash=crash)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*[sender.ended for sender in senders])
        return [sender for sender, crash in zip(senders, crashing, strict=True) if not crash]

    async def probe(self) -> None:
        """A request among all the others, which must be served."""
        probe = self._probe
        probe.raw.clear()
        probe.transport.write(ask("GET /probe"))
        async with asyncio.timeout(PATIENCE):
            while not probe.raw.endswith(b"\r\n\r\n"):
                assert not probe.ended.done(), f"the probe's connection ended: {bytes(probe.raw)!r}"
                probe.came.clear()
                await probe.came.wait()
        assert probe.statuses() == [200], bytes(probe.raw)

    async def _connected(self, sender: Sender) -> Sender:
        await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", self._port)
        return sender

    def _cut(self, data: bytes) -> Sender:
        at = self._chance.randint(1, len(data)) if data and self._chance.random() < 0.5 else len(data)
        return Sender(data[:at], data[at:])
