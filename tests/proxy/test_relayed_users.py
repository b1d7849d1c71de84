"""Users who leave, stop, read slowly or not at all: what that does to legacy, and to this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from proxy.patience import Patience
from proxy.reply import HIGH_WATER
from tests.fidelity.cases import TE, answer, length
from tests.fidelity.origin import OK
from tests.fidelity.wire import PATIENCE, Close, Gone, Hear, Peer, Script, Signals, Tell, Until, Whole, connected
from tests.proxy.slow import DeafSide, deaf, taking, unread
from tests.proxy.stage import Stage, eventually, settled, staged
from tests.proxy.ways import ROUTES, WAYS, before_legacy, booked, on

EXPECT = b"Expect: 100-continue"
BIG = 64 * 1024 * 1024
both_ways = pytest.mark.parametrize("way", WAYS)

# Leaving, and being left


@dataclass(frozen=True, slots=True)
class Moment:
    """What legacy plays until the user leaves, and what the user has sent by then."""

    script: Script
    line: str
    headers: tuple[bytes, ...] = ()
    body: bytes = b""


HEAD = Until(b"\r\n\r\n")
MOMENTS = {
    "before the answer": Moment((Whole(), Tell("there"), Gone()), "GET /things/1"),
    "before the answer to an upload": Moment((Whole(), Tell("there"), Gone()), "POST /things", (length(3),), b"abc"),
    "in mid-upload": Moment((Until(b"abc"), Tell("there"), Gone()), "POST /things", (length(6),), b"abc"),
    "in a chunk": Moment((Until(b"abc"), Tell("there"), Gone()), "POST /things", (TE,), b"6\r\nabc"),
    "ahead of an invitation": Moment((HEAD, Tell("there"), Gone()), "POST /things", (EXPECT, length(6))),
    "after an interim answer": Moment((Whole(), answer("103 Early"), Tell("there"), Gone()), "GET /things/1"),
    "in half a head": Moment((Whole(), b"HTTP/1.1 200 OK\r\nX-", Tell("there"), Gone()), "GET /things/1"),
    "in mid-answer": Moment(
        (Whole(), answer("200 OK", length(9), body=b"half"), Tell("there"), Gone()), "GET /things/1"
    ),
    "in an answer to half an upload": Moment(
        (Until(b"abc"), answer("200 OK", TE, body=b"4\r\nhalf\r\n"), Tell("there"), Gone()),
        "POST /things", (length(6),), b"abc",
    ),
    "with others in the pipeline": Moment(
        (Whole(), Tell("there"), Gone()), "GET /things/1", (), on("relay", "GET /things/2") * 3
    ),
}  # fmt: skip


@both_ways
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("leave", [Peer.close, Peer.reset], ids=["closes", "resets"])
async def test_legacy_s_connection_ends_when_its_user_leaves(
    way: str, moment: str, leave: Callable[[Peer], None]
) -> None:
    played, signals = MOMENTS[moment], Signals()
    async with before_legacy(played.script, signals=signals) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, played.line, *played.headers, body=played.body))
        await signals["there"].wait()
        leave(user)
        await origin.until(lambda: origin.finished == 1)
        await eventually(lambda: stage.connections == 0)
        assert (len(origin.received), stage.strangler.legacy.pool.opened) == (1, 0)
        route = "write" if played.line.startswith("POST") else "read"
        await eventually(lambda: booked(stage, route) == {"excluded": 1})
        assert stage.metric("failures_total", route=route, side="legacy", kind="broken") == 0


@both_ways
async def test_whose_connection_ends_amid_an_upload_may_send_on_and_so_has_time_to_read_why(way: str) -> None:
    loop = asyncio.get_running_loop()
    async with before_legacy((Until(b"abc"), answer("413 Large", length(2), body=b"no"), Gone())) as (stage, _):
        with socket.create_connection(("127.0.0.1", stage.port)) as user:
            user.setblocking(False)
            async with asyncio.timeout(PATIENCE):
                await loop.sock_sendall(user, on(way, "POST /things", b"Connection: close", length(BIG), body=b"abc"))
                raw = b""
                while piece := await loop.sock_recv(user, 1 << 16):
                    raw += piece
                for _ in range(64):  # to whom nobody listens any more this is an error
                    await loop.sock_sendall(user, bytes(1 << 16))
    assert (raw.startswith(b"HTTP/1.1 413 "), raw.endswith(b"\r\n\r\nno")) == (True, True)


@both_ways
async def test_who_has_sent_more_than_can_wait_reads_an_answer_that_breaks_off_as_far_as_it_came(way: str) -> None:
    loop, signals, half = asyncio.get_running_loop(), Signals(), answer("200 OK", length(9), body=b"half")
    async with before_legacy((Whole(), Hear("go"), half, Close()), signals=signals) as (stage, _):
        with socket.create_connection(("127.0.0.1", stage.port)) as user:
            user.setblocking(False)
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                tasks.create_task(loop.sock_sendall(user, on(way, "GET /things/1") + on("relay", "GET /x") * 400_000))
                await eventually(lambda: any(front.flow.held for front in stage.fronts))
                signals["go"].set()
                raw = b""
                while piece := await loop.sock_recv(user, 1 << 16):  # and no error
                    raw += piece
    assert (raw.startswith(b"HTTP/1.1 200 "), raw.endswith(b"half")) == (True, True)


@both_ways
async def test_who_leaves_while_waiting_for_a_connection_leaves_the_queue(way: str) -> None:
    signals = Signals()
    async with before_legacy((Whole(), Hear("go"), *OK), signals=signals, connections=1, wait="30s") as (stage, origin):
        async with connected(stage.port) as busy:
            await busy.send(on(way, "GET /things/1"))
            await origin.until(lambda: len(origin.received) == 1)
            async with connected(stage.port) as user:
                await user.send(on(way, "POST /things", length(6), body=b"abc"))
                await eventually(lambda: stage.strangler.legacy.pool.waiting == 1)
            await eventually(lambda: stage.strangler.legacy.pool.waiting == 0)
            await eventually(lambda: booked(stage, "write") == {"excluded": 1})
            signals["go"].set()
            await busy.until(lambda: busy.raw.endswith(b"ok"))
        assert len(origin.received) == 1


@both_ways
async def test_who_waited_longer_than_patience_lasts_and_left_was_failed(way: str) -> None:
    signals = Signals()
    async with before_legacy((Whole(), Tell("there"), Gone()), signals=signals) as (stage, _):
        async with connected(stage.port) as user:
            await user.send(on(way, "GET /things/1"))
            await signals["there"].wait()
            passed = asyncio.Event()
            asyncio.get_running_loop().call_later(1.1, passed.set)
            await passed.wait()
        await eventually(lambda: booked(stage, "read") == {"failed": 1})


@both_ways
async def test_who_stops_in_the_middle_of_an_upload_is_told_so_and_blames_nobody(way: str) -> None:
    async with before_legacy((Until(b"abc"), Gone())) as (stage, _), connected(stage.port) as user:
        pool = stage.strangler.legacy.pool
        pool.limits = replace(pool.limits, stall=0.05)  # of what belongs to no route
        await user.send(on(way, "POST /other", length(6), body=b"abc"))
        await user.until(lambda: b"client_stalled" in user.raw)
        assert user.raw.startswith(b"HTTP/1.1 408 ")
        await eventually(lambda: booked(stage, "unmatched") == {"excluded": 1})
        assert pool.opened == 0


# Writing


@asynccontextmanager
async def before_deaf(**knobs: Any) -> AsyncIterator[tuple[Stage, DeafSide]]:
    """A proxy ahead of a legacy that reads nothing until it is told to."""
    side = DeafSide()
    async with deaf(side) as port, staged(legacy={"url": f"http://127.0.0.1:{port}", **knobs}, routes=ROUTES) as stage:
        yield stage, side
        await stage.quiet()


@both_ways
async def test_a_large_upload_waits_for_a_slow_legacy(way: str) -> None:
    head = on(way, "POST /things", length(BIG))
    async with before_deaf() as (stage, side), taking(stage) as user:
        user.ask(head + bytes(BIG))
        await eventually(lambda: side.heard > 0)
        waiting = await settled(lambda: user.unsent)
        assert waiting > BIG // 2
        side.listen()
        await eventually(lambda: user.unsent == 0 and side.heard > BIG)
        assert side.heard < BIG + 1024


@both_ways
async def test_a_legacy_that_takes_nothing_of_an_upload_for_too_long_has_failed(way: str) -> None:
    async with before_deaf(first_byte="50ms") as (stage, _), taking(stage) as user:
        user.ask(on(way, "POST /things", length(BIG)) + bytes(BIG))
        await eventually(lambda: booked(stage, "write") == {"failed": 1})
        assert stage.metric("failures_total", route="write", side="legacy", kind="timeout") == 1


async def test_who_leaves_while_legacy_takes_nothing_of_an_upload_is_missed() -> None:
    async with before_deaf() as (stage, side):
        async with taking(stage) as user:
            user.ask(on("relay", "POST /things", length(BIG)) + bytes(BIG))
            await eventually(lambda: side.heard > 0)
            await settled(lambda: user.unsent)
        await eventually(lambda: booked(stage, "write") == {"excluded": 1})
        await eventually(lambda: stage.connections == 0)
        side.listen()
        await eventually(lambda: side.left)


async def test_what_is_uploaded_before_there_is_a_connection_for_it_is_bounded() -> None:
    signals, size = Signals(), 16 << 20
    async with (
        before_legacy((Whole(), Hear("go"), *OK), OK, signals=signals, connections=1, wait="30s") as (stage, origin),
        connected(stage.port) as busy,
        taking(stage) as user,
    ):
        await busy.send(on("relay", "GET /things/1"))
        await origin.until(lambda: len(origin.received) == 1)
        user.ask(on("relay", "POST /things", length(size)) + bytes(size))
        await eventually(lambda: stage.strangler.legacy.pool.waiting == 1)
        assert await settled(lambda: user.unsent) > 0
        signals["go"].set()
        await eventually(lambda: booked(stage, "write") == {"ok": 1})
        assert len(origin.received[1].body) == size


# Reading


@both_ways
async def test_an_answer_up_to_its_bound_frees_legacy_though_its_user_reads_nothing(way: str) -> None:
    raw = answer("200 OK", length(HIGH_WATER), body=bytes(HIGH_WATER))
    async with (
        before_legacy((Whole(), raw), connections=1) as (stage, origin),
        taking(stage) as one,
        taking(stage) as two,
    ):
        for number, user in enumerate((one, two), 1):
            user.ask(on(way, "GET /things/1"))
            await origin.until(lambda number=number: origin.finished == number)  # type: ignore[misc]  # of this round
            await eventually(lambda: stage.strangler.legacy.pool.idle == 1)


@both_ways
async def test_a_slow_reader_of_a_large_answer_keeps_legacy_waiting(way: str) -> None:
    raw = answer("200 OK", length(BIG), body=bytes(BIG))
    async with before_legacy((Whole(), raw)) as (stage, origin), taking(stage) as user:
        user.ask(on(way, "GET /things/1"))
        await eventually(lambda: unread(stage) > HIGH_WATER)
        await settled(lambda: unread(stage))
        assert unread(stage) < 4 * HIGH_WATER
        assert (origin.finished, stage.strangler.legacy.pool.idle) == (0, 0)
        await user.take(BIG)
        await eventually(lambda: booked(stage, "read") == {"ok": 1})


@both_ways
async def test_who_does_not_take_answers_cannot_ask_for_more_until_it_does(way: str) -> None:
    size, many = HIGH_WATER // 2, 200
    raw = answer("200 OK", length(size), body=bytes(size))
    async with before_legacy((Whole(), raw)) as (stage, origin), taking(stage) as user:
        for _ in range(many):  # each when those before it have been asked, or never will be
            user.ask(on(way, "GET /x"))
            await settled(lambda: len(origin.received), rounds=100)
        assert len(origin.received) < many
        assert unread(stage) < 4 * HIGH_WATER
        for _ in range(many):
            await user.take(size)
        assert len(origin.received) == many


@both_ways
@pytest.mark.parametrize("more", [b"", on("relay", "GET /things/2"), b"GET /half-a-h"], ids=["", "another", "half"])
async def test_who_takes_nothing_of_an_answer_for_too_long_is_given_up(way: str, more: bytes) -> None:
    raw = answer("200 OK", length(BIG), body=bytes(BIG))
    ways = {"patience": Patience(reader=0.1, head=0.05)}
    async with before_legacy((Whole(), raw), stage={"ways": ways}) as (stage, origin), taking(stage) as user:
        user.ask(on(way, "GET /things/1"))
        await eventually(lambda: unread(stage) > HIGH_WATER)
        user.ask(more)
        await eventually(lambda: stage.connections == 0)
        await origin.until(lambda: origin.open == 0)
        await eventually(lambda: booked(stage, "read") == {"excluded": 1})


@both_ways
async def test_who_takes_little_but_takes_it_is_not_given_up(way: str) -> None:
    raw = answer("200 OK", length(BIG), body=bytes(BIG))
    ways = {"patience": Patience(reader=0.7)}
    async with before_legacy((Whole(), raw), stage={"ways": ways}) as (stage, _), taking(stage) as user:
        user.ask(on(way, "GET /things/1"))
        await user.take(BIG, pauses=8)
