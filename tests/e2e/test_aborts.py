"""Thousands of users who leave at every moment of a request, on both ways: nothing of them may be left."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import cast

import pytest
import uvloop
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.alarm import Alarm
from proxy.connection import Connection
from proxy.early import Early
from proxy.end import End
from proxy.front import Front
from proxy.patience import Patience
from proxy.relayed import Relayed
from proxy.reply import Reply
from proxy.upstream import Errand
from tests.fidelity.cases import TE, answer, ask
from tests.fidelity.wire import Peer
from tests.proxy.stage import Stage, eventually, staged

AT_ONCE = 100
CONNECTIONS = 80  # half of them for uploads that are not whole: seldom enough for all, and then one is kept
PART = bytes(64 * 1024)
EXPECT = b"Expect: 100-continue"
WEBSOCKET = b"Connection: Upgrade", b"Upgrade: websocket"
OTHER = b"Connection: Upgrade", b"Upgrade: h2c"
PATHS = ("whole", "half", "endless", "early", "invites", "hang")


@dataclass
class Side:
    """Answers `/whole`, begins to answer `/half`, sends `/endless` for ever, says something ahead of its answer to
    `/early` and `/invites`, agrees to `/cable`, listens no more for a while after `/deaf`, and leaves everything else
    unanswered.

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
        match path.rpartition(b"/")[2]:
            case b"whole":
                self._transport.write(answer("200 OK", b"Content-Length: 5", body=b"whole"))
            case b"half":
                self._transport.write(answer("200 OK", b"Content-Length: 9", body=b"half"))
            case b"endless":
                self._transport.write(answer("200 OK", TE))
                self._pour()
            case b"early":
                self._transport.write(answer("103 Early Hints", b"Link: </a>"))
            case b"invites":
                self._transport.write(answer("100 Continue"))
            case b"cable":
                self._transport.write(answer("101 Switching Protocols", *WEBSOCKET))
            case b"deaf":
                self._transport.pause_reading()
                asyncio.get_running_loop().call_later(0.2, self._listen)

    def _listen(self) -> None:
        """Or it would never hear that it was left."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

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
    upload_is_kept: Callable[[], bool]  # whether the proxy keeps the beginning of one, for many are under way

    def ask(self, path: str, *headers: bytes, method: str = "GET") -> bytes:
        return ask(f"{method} {self.prefix}{path}?{self.number}", *headers)


async def silent(user: User) -> None:
    """Leaves without a word."""


async def half_a_head(user: User) -> None:
    await user.peer.send(user.ask("/hang")[:-10])


async def at_once(user: User) -> None:
    await user.peer.send(user.ask("/hang"))


async def refused(user: User) -> None:
    await user.peer.send(b"no HTTP\r\n\r\n" + PART)


async def before_the_answer(user: User) -> None:
    await user.peer.send(user.ask("/hang"))
    await user.asked.wait()


async def by_http_1_0(user: User) -> None:
    await user.peer.send(user.ask("/endless").replace(b"HTTP/1.1", b"HTTP/1.0"))
    await user.peer.until(lambda: PART[:100] in user.peer.raw)


async def in_the_pipeline(user: User) -> None:
    await user.peer.send(user.ask("/whole") + user.ask("/hang") + user.ask("/hang"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"whole"))


async def in_a_long_pipeline(user: User) -> None:
    await user.peer.send(user.ask("/hang") * 20)
    await user.asked.wait()


async def with_nonsense_behind(user: User) -> None:
    await user.peer.send(user.ask("/hang") + b"no HTTP\r\n\r\n")
    await user.asked.wait()


async def in_mid_upload(user: User) -> None:
    await user.peer.send(user.ask("/hang", b"Content-Length: 99999999", method="POST") + PART)
    await user.asked.wait()


async def in_a_chunk(user: User) -> None:
    await user.peer.send(user.ask("/hang", TE, method="POST") + b"ffff\r\nbegun")
    await user.asked.wait()


async def in_a_bad_chunk(user: User) -> None:
    await user.peer.send(user.ask("/hang", TE, method="POST") + b"5\r\nbegun\r\n")
    await user.asked.wait()
    await user.peer.send(b"zz\r\n")


async def under_another_protocol(user: User) -> None:
    await user.peer.send(user.ask("/hang", *OTHER, b"Content-Length: 9", method="POST") + b"begun")
    await user.asked.wait()


async def ahead_of_the_invitation(user: User) -> None:
    await user.peer.send(user.ask("/hang", EXPECT, b"Content-Length: 9", method="POST"))
    await user.asked.wait()


async def behind_the_invitation(user: User) -> None:
    await user.peer.send(user.ask("/invites", EXPECT, b"Content-Length: 9", method="POST"))
    await user.peer.until(lambda: b"100 Continue" in user.peer.raw)
    await user.peer.send(b"begun")


async def behind_a_hint(user: User) -> None:
    await user.peer.send(user.ask("/early"))
    await user.asked.wait()


async def in_mid_answer(user: User) -> None:
    await user.peer.send(user.ask("/half"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"half"))


async def in_mid_answer_to_half_an_upload(user: User) -> None:
    await user.peer.send(user.ask("/half", b"Content-Length: 9", method="POST") + b"begun")
    await eventually(lambda: user.peer.raw.endswith(b"half") or user.upload_is_kept())


async def in_a_stream(user: User) -> None:
    await user.peer.send(user.ask("/endless"))
    await user.peer.until(lambda: PART[:100] in user.peer.raw)


async def unread(user: User) -> None:
    """Leaves with an answer under way that it has read nothing of."""
    await user.peer.send(user.ask("/endless"))
    await user.asked.wait()


async def untaken(user: User) -> None:
    """Leaves with an upload under way that the side takes nothing of."""
    await user.peer.send(user.ask("/deaf", b"Content-Length: 99999999", method="POST"))
    await user.asked.wait()
    await user.peer.send(PART * 4)


async def in_a_handshake(user: User) -> None:
    await user.peer.send(user.ask("/hang", *WEBSOCKET))
    await user.asked.wait()


async def in_a_tunnel(user: User) -> None:
    await user.peer.send(user.ask("/cable", *WEBSOCKET))
    await user.peer.until(lambda: b"101 Switching" in user.peer.raw)
    await user.peer.send(PART)


async def after_its_answer(user: User) -> None:
    await user.peer.send(user.ask("/whole"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"whole"))


async def after_a_last_answer(user: User) -> None:
    await user.peer.send(user.ask("/whole", b"Connection: close"))
    await user.peer.until(lambda: user.peer.raw.endswith(b"whole"))


MOMENTS: tuple[Callable[[User], Awaitable[None]], ...] = (
    silent, half_a_head, at_once, refused, before_the_answer, by_http_1_0, in_the_pipeline, in_a_long_pipeline,
    with_nonsense_behind, in_mid_upload, in_a_chunk, in_a_bad_chunk, under_another_protocol,
    ahead_of_the_invitation, behind_the_invitation, behind_a_hint, in_mid_answer, in_mid_answer_to_half_an_upload,
    in_a_stream, unread, untaken, in_a_handshake, in_a_tunnel, after_its_answer, after_a_last_answer,
)  # fmt: skip
# Tunnels lead there; and on the ASGI way nobody hears that a user has left while a side takes nothing.
BY_LEGACY = (in_a_handshake, in_a_tunnel, untaken)


def keeps_uploads(stage: Stage) -> bool:
    return any(pool.unfinished.kept for pool in stage.strangler.pools.values())


async def leave(stage: Stage, number: int, sides: dict[str, Side], chance: random.Random) -> None:
    moment = chance.choice(MOMENTS)
    prefix = "" if moment in BY_LEGACY else chance.choice(["", "/native"])
    answering = sides[prefix]
    asked = answering.asked.setdefault(str(number).encode(), asyncio.Event())
    peer = Peer(*await asyncio.open_connection("127.0.0.1", stage.port))
    listening = asyncio.get_running_loop().create_task(peer.listen())
    try:
        async with asyncio.timeout(30):
            await moment(User(peer, prefix, number, asked, lambda: keeps_uploads(stage)))
    finally:
        peer.reset() if chance.random() < 0.5 else peer.close()
        listening.cancel()
        answering.asked.pop(str(number).encode(), None)


KINDS = (Front, Relayed, RequestResponseCycle, Errand, Early, Reply, End, Connection, Alarm)


def left_behind() -> Counter[str]:
    """Objects that live only as long as a request or a connection does."""
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, KINDS))


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextmanager
def uncollected() -> Iterator[None]:
    """What leads back to itself stays: here nothing should."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.timeout(600)
def test_users_who_leave_are_forgotten() -> None:
    uvloop.run(leaving(5_000))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_users_who_leave_are_forgotten() -> None:
    began, after_first, after_last = time.monotonic(), *uvloop.run(leaving(10_000, 90_000))
    grown = after_last - after_first
    print(f"{time.monotonic() - began:.0f} s, {grown >> 10} KiB more memory")  # noqa: T201  # the soak's figures
    assert grown < 16 << 20


async def leaving(*rounds: int) -> list[int]:
    """So many users leave; the memory that is held after each round."""
    matches = [f"{method} /native/{path}" for method in ("GET", "POST") for path in PATHS]
    routes = [{"name": f"r{number}", "match": match, "share": "100%"} for number, match in enumerate(matches)]
    limits = {"connections": CONNECTIONS, "queue": 100 * AT_ONCE, "wait": "30s"}
    async with (
        side() as legacy,
        side() as native,
        staged(
            ways={"patience": Patience(look=0.05, linger=0.05)},
            legacy={"url": f"http://127.0.0.1:{legacy.port}", **limits},
            native={"url": f"http://127.0.0.1:{native.port}", **limits, "budget": "30s"},
            routes=routes,
        ) as stage,
    ):
        numbers, chance = iter(range(sum(rounds))), random.Random(20_260)  # noqa: S311  # the same every time; no secret

        async def some(users: int) -> None:
            for number in islice(numbers, users):
                await leave(stage, number, {"": legacy, "/native": native}, chance)

        memory = []
        with uncollected():
            before = left_behind()
            for users in rounds:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(AT_ONCE):
                        tasks.create_task(some(users // AT_ONCE))
                await nothing_is_left(stage, {"legacy": legacy, "native": native})
                pooled = idle(stage, "legacy") + idle(stage, "native")
                assert left_behind() - before == Counter(Connection=pooled, Alarm=pooled)
                memory.append(resident())
        assert (await stage.user.get("/whole")).text == "whole"
        return memory


def idle(stage: Stage, pool: str) -> int:
    return stage.strangler.pools[pool].idle


async def nothing_is_left(stage: Stage, sides: dict[str, Side]) -> None:
    await eventually(lambda: stage.connections == 0 and stage.metric("tunnels") == 0)
    await stage.quiet()
    for name, asked in sides.items():
        await eventually(lambda name=name, asked=asked: asked.open == idle(stage, name))  # type: ignore[misc]  # of this round
