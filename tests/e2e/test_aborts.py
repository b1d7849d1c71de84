"""Ten thousand users who leave at every moment of a request: nothing of them may be left."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
import uvloop
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.connection import Connection
from proxy.reply import Reply
from proxy.upstream import Errand
from proxy.websocket import End
from tests.fidelity.cases import TE, answer, ask
from tests.fidelity.wire import Peer
from tests.proxy.stage import Stage, eventually, staged

USERS = 10_000
AT_ONCE = 100
PART = bytes(64 * 1024)
EXPECT = b"Expect: 100-continue"
UPGRADE = b"Connection: Upgrade", b"Upgrade: websocket"


@dataclass
class Side:
    """Answers `/whole`, begins to answer `/half`, sends `/endless` for ever, and leaves everything else unanswered.

    `asked`: who waits to hear that the request with its number has come.
    """

    port: int = 0
    open: int = 0
    asked: dict[bytes, asyncio.Event] = field(default_factory=dict)

    def connection(self) -> SideConnection:
        return SideConnection(self)


class SideConnection(asyncio.Protocol):
    def __init__(self, side: Side) -> None:
        self._side, self._raw, self._paused = side, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._side.open += 1
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._side.open -= 1
        self._paused = True

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pour()

    def data_received(self, data: bytes) -> None:
        self._raw += data
        while b"\r\n\r\n" in self._raw and (head := self._raw.partition(b"\r\n\r\n")[0]).startswith((b"GET", b"POST")):
            self._raw = self._raw[len(head) + 4 :]
            self._answer(head.split(b" ")[1])

    def _answer(self, target: bytes) -> None:
        path, _, number = target.partition(b"?")
        if (asked := self._side.asked.pop(number, None)) is not None:
            asked.set()
        if path.endswith(b"/whole"):
            self._transport.write(answer("200 OK", b"Content-Length: 5", body=b"whole"))
        elif path.endswith(b"/half"):
            self._transport.write(answer("200 OK", b"Content-Length: 9", body=b"half"))
        elif path.endswith(b"/endless"):
            self._transport.write(answer("200 OK", TE))
            self._pour()

    def _pour(self) -> None:
        if not self._paused:
            self._transport.write(b"%x\r\n%b\r\n" % (len(PART), PART))
            asyncio.get_running_loop().call_soon(self._pour)


@asynccontextmanager
async def side() -> AsyncIterator[Side]:
    side = Side()
    server = await asyncio.get_running_loop().create_server(side.connection, "127.0.0.1", 0)
    side.port = server.sockets[0].getsockname()[1]
    try:
        yield side
        await eventually(lambda: side.open == 0)
    finally:
        server.close()
    await server.wait_closed()


@dataclass(frozen=True, slots=True)
class User:
    """One who leaves. `number` tells the side whose request it is; `asked` is set when it has got there."""

    peer: Peer
    prefix: str
    number: int
    asked: asyncio.Event

    def ask(self, path: str, *headers: bytes, method: str = "GET") -> bytes:
        return ask(f"{method} {self.prefix}{path}?{self.number}", *headers)


async def silent(user: User) -> None:
    """Leaves without a word."""


async def half_a_head(user: User) -> None:
    await user.peer.send(user.ask("/hang")[:-10])


async def at_once(user: User) -> None:
    await user.peer.send(user.ask("/hang"))


async def before_the_answer(user: User) -> None:
    await user.peer.send(user.ask("/hang"))
    await user.asked.wait()


async def in_the_pipeline(user: User) -> None:
    await user.peer.send(user.ask("/whole") + user.ask("/hang") + user.ask("/hang"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"whole"))


async def in_mid_upload(user: User) -> None:
    await user.peer.send(user.ask("/hang", b"Content-Length: 99999999", method="POST") + PART)
    await user.asked.wait()


async def in_a_chunk(user: User) -> None:
    await user.peer.send(user.ask("/hang", TE, method="POST") + b"ffff\r\nbegun")
    await user.asked.wait()


async def ahead_of_the_invitation(user: User) -> None:
    await user.peer.send(user.ask("/hang", EXPECT, b"Content-Length: 9", method="POST"))
    await user.asked.wait()


async def in_mid_answer(user: User) -> None:
    await user.peer.send(user.ask("/half"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"half"))


async def in_a_stream(user: User) -> None:
    await user.peer.send(user.ask("/endless"))
    await user.peer.until(lambda: PART[:100] in user.peer.raw)


async def unread(user: User) -> None:
    """Leaves with an answer under way that it has read nothing of."""
    await user.peer.send(user.ask("/endless"))
    await user.asked.wait()


async def in_a_handshake(user: User) -> None:
    await user.peer.send(user.ask("/hang", *UPGRADE))
    await user.asked.wait()


async def after_its_answer(user: User) -> None:
    await user.peer.send(user.ask("/whole"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"whole"))


MOMENTS: tuple[Callable[[User], Awaitable[None]], ...] = (
    silent,
    half_a_head,
    at_once,
    before_the_answer,
    in_the_pipeline,
    in_mid_upload,
    in_a_chunk,
    ahead_of_the_invitation,
    in_mid_answer,
    in_a_stream,
    unread,
    in_a_handshake,
    after_its_answer,
)


async def leave(stage: Stage, number: int, sides: dict[str, Side], chance: random.Random) -> None:
    prefix = chance.choice(["", "/native"])
    moment = chance.choice(MOMENTS)
    answering = sides["" if moment is in_a_handshake else prefix]
    asked = answering.asked.setdefault(str(number).encode(), asyncio.Event())
    peer = Peer(*await asyncio.open_connection("127.0.0.1", stage.port))
    listening = asyncio.get_running_loop().create_task(peer.listen())
    try:
        async with asyncio.timeout(30):
            await moment(User(peer, prefix, number, asked))
    finally:
        peer.reset() if chance.random() < 0.5 else peer.close()
        listening.cancel()
        answering.asked.pop(str(number).encode(), None)


def left_behind() -> Counter[str]:
    """Objects that live only as long as a request or a tunnel does, and connections to sides."""
    gc.collect()
    kinds = (RequestResponseCycle, Errand, Reply, End, Connection)
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


@pytest.mark.timeout(180)
def test_ten_thousand_users_who_leave_are_forgotten() -> None:
    uvloop.run(thousands())


async def thousands() -> None:
    matches = [
        f"{method} /native/{path}" for method in ("GET", "POST") for path in ("whole", "half", "endless", "hang")
    ]
    routes = [{"name": f"r{number}", "match": match, "share": "100%"} for number, match in enumerate(matches)]
    limits = {"connections": AT_ONCE, "queue": USERS, "wait": "30s"}
    async with (
        side() as legacy,
        side() as native,
        staged(
            legacy={"url": f"http://127.0.0.1:{legacy.port}", **limits},
            native={"url": f"http://127.0.0.1:{native.port}", "connections": AT_ONCE, "budget": "30s"},
            routes=routes,
        ) as stage,
    ):
        before, places = left_behind(), asyncio.Semaphore(AT_ONCE)
        chance = random.Random(20_260)  # noqa: S311  # the same every time; no secret

        async def one(number: int) -> None:
            async with places:
                await leave(stage, number, {"": legacy, "/native": native}, chance)

        async with asyncio.TaskGroup() as tasks:
            for number in range(USERS):
                tasks.create_task(one(number))
        await nothing_is_left(stage, {"legacy": legacy, "native": native})
        kept = left_behind() - before
        assert kept == Counter(Connection=pooled(stage, "legacy", "idle") + pooled(stage, "native", "idle"))
        assert (await stage.user.get("/whole")).text == "whole"


def pooled(stage: Stage, pool: str, state: str) -> int:
    return int(stage.metric("pool", pool=pool, state=state))


async def nothing_is_left(stage: Stage, sides: dict[str, Side]) -> None:
    await eventually(lambda: stage.connections == 0 and stage.metric("tunnels") == 0)
    await eventually(lambda: stage.tasks == stage.at_rest)
    for name, asked in sides.items():
        await eventually(lambda name=name: pooled(stage, name, "busy") == 0)  # type: ignore[misc]  # of this round
        assert pooled(stage, name, "waiting") == 0
        await eventually(lambda name=name, asked=asked: asked.open == pooled(stage, name, "idle"))  # type: ignore[misc]
