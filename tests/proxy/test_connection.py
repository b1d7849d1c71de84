from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from proxy.address import Address
from proxy.connection import HIGH_WATER, Connection
from proxy.errors import Broken, NoAnswer
from proxy.pool import Limits, Pool
from proxy.reply import Reply
from tests.fidelity.cases import TE, answer, chunked
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Reset, Script, Signals, Whole
from tests.proxy.stage import eventually, settled

HEAD = b"GET /x HTTP/1.1\r\nHost: example.test\r\n\r\n"
BIG = 32 * 1024 * 1024


@asynccontextmanager
async def connection_to(*answers: Script, signals: Signals | None = None) -> AsyncIterator[tuple[Connection, Origin]]:
    async with running_origin() as origin:
        origin.begin(*answers, signals=signals)
        pool = Pool(Address("127.0.0.1", origin.port), Limits())
        connection = await pool.take()
        yield connection, origin
        connection.close()
        await eventually(lambda: pool.opened == 0)


class DeafSide(asyncio.Protocol):
    """Reads nothing after the first bytes until it is told to `listen`."""

    heard = 0
    listens = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += len(data)
        if not self.listens:
            self._transport.pause_reading()

    def listen(self) -> None:
        self.listens = True
        self._transport.resume_reading()


@asynccontextmanager
async def deaf_side() -> AsyncIterator[tuple[DeafSide, Connection]]:
    side = DeafSide()
    server = await asyncio.get_running_loop().create_server(lambda: side, "127.0.0.1", 0)
    pool = Pool(Address("127.0.0.1", server.sockets[0].getsockname()[1]), Limits())
    async with server:
        connection = await pool.take()
        try:
            yield side, connection
        finally:
            connection.close()
            side.listen()
        await eventually(lambda: pool.opened == 0)


def ask(connection: Connection, *, head_only: bool = False) -> Reply:
    return connection.ask(HEAD, lambda: None, head_only=head_only)


async def whole(reply: Reply) -> bytes:
    body = b""
    while not reply.complete:
        body += await reply.read()
    return body + await reply.read()


@pytest.mark.parametrize(
    ("raw", "reusable"),
    [
        (answer("200 OK", b"Content-Length: 2", body=b"ok"), True),
        (answer("200 OK", TE, body=chunked(b"o", b"k")), True),
        (answer("200 OK", b"Connection: close", b"Content-Length: 2", body=b"ok"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", True),
        (answer("200 OK", b"Content-Length: 2", body=b"ok") + answer("200 OK", b"Content-Length: 0"), False),
        (answer("200 OK", b"Content-Length: 2", body=b"ok and more"), False),
    ],
    ids=["length", "chunks", "close", "HTTP/1.0", "HTTP/1.0 that keeps alive", "two answers", "too long a body"],
)
async def test_a_connection_is_used_again_only_if_the_side_keeps_it_and_its_word(raw: bytes, reusable: bool) -> None:
    async with connection_to((Whole(), raw)) as (connection, _):
        assert await whole(ask(connection)) == b"ok"
        assert connection.reusable is reusable


@pytest.mark.parametrize(
    ("raw", "reusable"),
    [
        (answer("200 OK", b"Content-Length: 9"), True),
        (answer("200 OK", b"Connection: close", b"Content-Length: 9"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\n", True),
        (answer("200 OK", b"Content-Length: 4", body=b"body"), False),
    ],
    ids=["length", "close", "HTTP/1.0", "HTTP/1.0 that keeps alive", "a body all the same"],
)
async def test_an_answer_to_head_ends_with_its_head(raw: bytes, reusable: bool) -> None:
    async with connection_to((Whole(), raw)) as (connection, _):
        reply = ask(connection, head_only=True)
        assert (await reply.head())[0] == 200
        assert await whole(reply) == b""
        assert connection.reusable is reusable


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_bytes_after_an_answer_that_has_no_body_end_the_connection(status: str) -> None:
    async with connection_to((Whole(), answer(status, body=b"smuggled"))) as (connection, _):
        assert await whole(ask(connection)) == b""
        assert not connection.reusable


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    signals = Signals()
    said = (Whole(), answer("200 OK", b"Content-Length: 0"), Hear("idle"), answer("408 Too Slow", b"Content-Length: 0"))
    async with connection_to(said, signals=signals) as (connection, _):
        assert await whole(ask(connection)) == b""
        signals["idle"].set()
        await eventually(lambda: connection.closed)


@pytest.mark.parametrize("together", [True, False])
async def test_trailers_are_no_headers(together: bool) -> None:
    head, body = answer("200 OK", TE), chunked(b"abc", trailers=b"Set-Cookie: forged=1\r\n")
    signals = Signals()
    script = (Whole(), head + body) if together else (Whole(), head, Hear("head"), body)
    async with connection_to(script, signals=signals) as (connection, _):
        reply = ask(connection)
        _, headers = await reply.head()
        signals["head"].set()
        assert await whole(reply) == b"abc"
        assert headers == [(b"Transfer-Encoding", b"chunked")]


async def test_the_headers_of_an_interim_answer_are_not_those_of_the_answer() -> None:
    early = answer("103 Early Hints", b"Link: </a>; rel=preload")
    async with connection_to((Whole(), early, answer("200 OK", b"Content-Length: 0"))) as (connection, _):
        assert await ask(connection).head() == (200, [(b"Content-Length", b"0")])


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ((Whole(), Close()), "ended before the answer did"),
        ((Whole(), Reset()), "ended before the answer did"),
        ((Whole(), b"HTTP/1.1 200 OK\r\nX-A", Close()), "ended before the answer did"),
        ((Whole(), b"SSH-2.0-OpenSSH\r\n\r\n", Gone()), "is not HTTP"),
        ((Whole(), answer("200 OK", b"Content-Length: 1", b"Content-Length: 2"), Gone()), "is not HTTP"),
        ((Whole(), answer("200 OK", b"Content-Length: x"), Gone()), "is not HTTP"),
        ((Whole(), answer("999 Denied", b"Content-Length: 0"), Gone()), "its status 999 is none of HTTP's"),
        ((Whole(), answer("101 Switching", b"Upgrade: x", b"Connection: upgrade"), Gone()), "switched protocols"),
    ],
    ids=["closed", "reset", "half a head", "no HTTP", "two lengths", "no length", "no status", "an upgrade"],
)
async def test_what_is_no_answer_breaks_the_exchange(script: Script, why: str) -> None:
    async with connection_to(script) as (connection, _):
        with pytest.raises(Broken, match=why):
            await ask(connection).head()
        assert not connection.reusable


@pytest.mark.parametrize(
    "raw",
    [
        answer("200 OK", b"Content-Length: 9", body=b"half"),
        answer("200 OK", TE, body=b"4\r\nhalf\r\n"),
        answer("200 OK", TE, body=b"9\r\nhalf"),
        answer("200 OK", TE, body=b"4\r\nhalf\r\nzz\r\n"),
    ],
    ids=["within its length", "between chunks", "within a chunk", "no chunk"],
)
async def test_what_came_before_the_break_can_be_read(raw: bytes) -> None:
    async with connection_to((Whole(), raw, Close())) as (connection, _):
        reply = ask(connection)
        await eventually(lambda: reply.failure is not None)
        assert await reply.read() == b"half"
        with pytest.raises(Broken):
            await reply.read()


async def test_a_body_without_a_length_ends_with_its_connection_but_not_with_a_crash() -> None:
    async with connection_to((Whole(), answer("200 OK", body=b"all"), Close())) as (connection, _):
        assert await whole(ask(connection)) == b"all"
    signals = Signals()
    crash = (Whole(), answer("200 OK", body=b"all"), Hear("read"), Reset())
    async with connection_to(crash, signals=signals) as (connection, _):
        reply = ask(connection)
        assert await reply.read() == b"all"
        signals["read"].set()
        with pytest.raises(Broken):
            await reply.read()


async def test_an_answer_that_nobody_reads_is_read_ahead_only_so_far() -> None:
    raw = answer("200 OK", b"Content-Length: %d" % BIG, body=bytes(BIG))
    async with connection_to((Whole(), raw)) as (connection, origin):
        reply = ask(connection)
        await eventually(lambda: reply.buffered > HIGH_WATER)
        assert await settled(lambda: reply.buffered) < 4 * HIGH_WATER
        assert origin.finished == 0  # it is still sending
        assert len(await whole(reply)) == BIG
        assert connection.reusable


async def test_an_upload_waits_for_the_side() -> None:
    async with deaf_side() as (side, connection):
        ask(connection)
        sent = 0

        async def upload() -> None:
            nonlocal sent
            while sent < BIG:
                connection.write(bytes(65536))
                sent += 65536
                await connection.drained(60)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(upload())
            assert await settled(lambda: sent) < BIG
            side.listen()
        await eventually(lambda: side.heard == BIG + len(HEAD))


async def test_a_side_that_takes_no_bytes_for_too_long_has_failed() -> None:
    async with deaf_side() as (_, connection):
        reply = ask(connection)
        connection.write(bytes(BIG))
        await connection.drained(0.01)
        with pytest.raises(NoAnswer, match=r"nothing came within 0\.01 s"):
            await reply.head()


async def test_the_clock_stops_when_the_head_has_come() -> None:
    signals = Signals()
    script = (Whole(), answer("200 OK", b"Content-Length: 2"), Hear("late"), b"ok")
    async with connection_to(script, signals=signals) as (connection, _):
        reply = ask(connection)
        connection.expect_within(0.05)
        await reply.head()
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.06, passed.set)
        await passed.wait()
        signals["late"].set()
        assert await whole(reply) == b"ok"
