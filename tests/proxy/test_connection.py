from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.address import Address
from proxy.connection import Connection
from proxy.dial import Dial
from proxy.errors import Broken, ClientStalled, NoAnswer, StranglerError, Unasked
from proxy.headers import Header
from proxy.pool import Limits, Pool
from proxy.reply import HIGH_WATER, Reply
from proxy.request import Request
from proxy.strict import HEAD as HEAD_BOUND
from tests.fidelity.cases import TE, answer, chunked, length
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Reset, Script, Signals, Whole
from tests.proxy.slow import DeafSide, deaf
from tests.proxy.stage import eventually, settled

HEAD = b"GET /x HTTP/1.1\r\nHost: example.test\r\n\r\n"
BIG = 32 * 1024 * 1024


@asynccontextmanager
async def connection_to(*answers: Script, signals: Signals | None = None) -> AsyncIterator[tuple[Connection, Origin]]:
    async with running_origin() as origin:
        origin.begin(*answers, signals=signals)
        pool = Pool(Dial("legacy", [Address("127.0.0.1", origin.port)]), Limits())
        connection = await pool.take()
        yield connection, origin
        connection.close()
        await eventually(lambda: pool.opened == 0)


@asynccontextmanager
async def deaf_side() -> AsyncIterator[tuple[DeafSide, Connection]]:
    side = DeafSide()
    async with deaf(side) as port:
        pool = Pool(Dial("legacy", [Address("127.0.0.1", port)]), Limits())
        connection = await pool.take()
        try:
            yield side, connection
        finally:
            connection.close()
        await eventually(lambda: pool.opened == 0)


def ask(connection: Connection, *, method: str = "GET", **limits: float) -> Reply:
    reply = Reply(lambda: None, connection.go_on)
    connection.ask(Request(method, HEAD, []), reply, Limits(**limits))  # type: ignore[arg-type]  # counts are not asked
    return reply


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
        reply = ask(connection, method="HEAD")
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
        assert headers == [(b"transfer-encoding", b"chunked")]


async def test_the_headers_of_an_interim_answer_are_not_those_of_the_answer() -> None:
    early = answer("103 Early Hints", b"Link: </a>; rel=preload")
    async with connection_to((Whole(), early, answer("200 OK", b"Content-Length: 0"))) as (connection, _):
        assert await ask(connection).head() == (200, [(b"content-length", b"0")])


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
        await eventually(lambda: reply.full)
        await settled(lambda: origin.finished)
        ahead = len(await reply.read())
        assert HIGH_WATER < ahead < 4 * HIGH_WATER
        assert origin.finished == 0  # it is still sending
        assert ahead + len(await whole(reply)) == BIG
        assert connection.reusable


async def test_an_upload_waits_for_the_side() -> None:
    async with deaf_side() as (side, connection):
        ask(connection)
        sent, writable = 0, asyncio.Event()
        connection.when_writable(writable.set)

        async def upload() -> None:
            nonlocal sent
            while sent < BIG:
                connection.write(bytes(65536))
                sent += 65536
                if connection.write_paused:
                    writable.clear()
                    await writable.wait()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(upload())
            assert await settled(lambda: sent) < BIG
            side.listen()
        await eventually(lambda: side.heard == BIG + len(HEAD))


async def test_a_side_that_takes_no_bytes_for_too_long_has_failed() -> None:
    async with deaf_side() as (_, connection):
        reply = ask(connection, first_byte=0.01)
        connection.write(bytes(BIG))
        connection.expect_answer()
        with pytest.raises(NoAnswer, match=r"nothing came within 0\.01 s"):
            await reply.head()


async def test_the_clock_stops_when_the_head_has_come() -> None:
    signals = Signals()
    script = (Whole(), answer("200 OK", b"Content-Length: 2"), Hear("late"), b"ok")
    async with connection_to(script, signals=signals) as (connection, _):
        reply = ask(connection, first_byte=2)
        connection.expect_answer()
        await reply.head()
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(2.2, passed.set)
        await passed.wait()
        signals["late"].set()
        assert await whole(reply) == b"ok"


class Heard:
    """A listener that writes down what it is told, and whether the connection was free by then."""

    full = complete = touched = False
    status = 0

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.told: list[tuple[object, ...]] = []

    def interim(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        self.told.append((status, phrase, headers))

    def begin(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        self.status = status
        self.told.append((status, phrase, headers))

    def feed(self, body: bytes) -> None:
        self.told.append(("body", body))

    def end(self, trailers: list[Header]) -> None:
        self.complete = True
        self.told.append(("end", trailers))

    def answered(self) -> None:
        self.told.append(("answered", self._connection.reusable))

    def wake(self) -> None:
        self.told.append(("wake",))

    def fail(self, failure: StranglerError) -> None:
        self.told.append((type(failure),))


async def test_a_listener_hears_all_of_an_answer_in_its_order() -> None:
    early = answer("103 Early", b"Link: a")
    raw = answer("200 Fine", b"X-A: 1", TE, body=chunked(b"ab", b"c", trailers=b"Digest: x\r\n"))
    async with connection_to((Whole(), early + raw)) as (connection, _):
        heard = Heard(connection)
        connection.ask(Request("GET", HEAD, []), heard, Limits())
        await eventually(lambda: heard.complete)
    assert heard.told == [
        (103, b"Early", [(b"link", b"a")]),
        (200, b"Fine", [(b"x-a", b"1"), (b"transfer-encoding", b"chunked")]),
        ("body", b"ab"),
        ("body", b"c"),
        ("end", [(b"digest", b"x")]),
        ("answered", True),
        ("wake",),
    ]


async def test_a_listener_of_an_answer_that_cannot_be_hears_only_that() -> None:
    async with connection_to((Whole(), answer("101 Switching", b"Upgrade: x", b"Connection: upgrade"), Gone())) as (
        connection,
        _,
    ):
        heard = Heard(connection)
        connection.ask(Request("GET", HEAD, []), heard, Limits())
        await eventually(lambda: bool(heard.told))
        assert heard.told[0] == (Broken,)
        assert not connection.reusable


async def test_a_connection_that_has_ended_is_not_asked() -> None:
    async with connection_to((Whole(), Close())) as (connection, origin):
        connection.close()
        await eventually(lambda: connection.closed)
        with pytest.raises(Unasked) as unasked:
            await ask(connection).head()
        assert not unasked.value.reached
        assert origin.received == []


async def test_an_answer_may_pause_only_so_long() -> None:
    async with connection_to((Whole(), answer("200 OK", b"Content-Length: 9", body=b"half"), Gone())) as (
        connection,
        _,
    ):
        reply = ask(connection, between_bytes=0.05)
        assert await reply.read() == b"half"
        with pytest.raises(NoAnswer, match=r"nothing more came within 0\.05 s"):
            await reply.read()


async def test_an_answer_may_take_only_so_long_in_all() -> None:
    signals = Signals()
    drops = [step for number in range(200) for step in (Hear(str(number)), b"1\r\nx\r\n")]
    async with connection_to((Whole(), answer("200 OK", TE), *drops), signals=signals) as (connection, _):
        reply, numbers = ask(connection, total=1.0), iter(range(200))

        async def read_drops() -> None:
            for number in numbers:
                asyncio.get_running_loop().call_later(0.01, signals[str(number)].set)
                assert await reply.read()

        with pytest.raises(NoAnswer, match="the whole answer did not come in the time"):
            await read_drops()
        assert next(numbers) > 1
        for number in range(200):
            signals[str(number)].set()


async def test_who_is_waited_for_is_who_has_failed() -> None:
    async with connection_to((Gone(),)) as (connection, _):
        reply = ask(connection, stall=0.01)
        connection.expect_upload()
        with pytest.raises(ClientStalled):
            await reply.head()


@pytest.mark.parametrize("ending", [Close(), Reset(), b"surprise"], ids=["closes", "resets", "speaks"])
async def test_a_connection_is_quiet_until_the_side_says_or_ends_something(ending: Close | Reset | bytes) -> None:
    signals = Signals()
    script = (Whole(), answer("200 OK", b"Content-Length: 0"), Hear("idle"), ending)
    async with connection_to(script, signals=signals) as (connection, _):
        await whole(ask(connection))
        assert connection.is_quiet()
        signals["idle"].set()
        await eventually(lambda: connection.closed or not connection.is_quiet())
        await eventually(lambda: connection.closed)
        assert not connection.reusable


@pytest.mark.parametrize("raw", [answer("200 OK", b"Content-Length: 0"), answer("200 OK", TE, body=chunked(b"a"))])
async def test_who_has_been_answered_hears_no_more_of_the_connection(raw: bytes) -> None:
    async with connection_to((Whole(), raw)) as (connection, _):
        heard, told = Heard(connection), list[str]()

        def whole(status: int, passed: bytes) -> bool:
            told.append("whole")
            return True

        connection.ask(Request("GET", HEAD, []), heard, Limits(), whole)
        connection.when_writable(lambda: told.append("writable"))
        await eventually(lambda: heard.complete or bool(told))
        connection.close()
        assert told == ([] if heard.complete else ["whole"])


# Size

LINE = b"X-A: %b\r\n" % (b"a" * 1000)
ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", LINE),
    "a header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 1000),
    "a phrase": (b"HTTP/1.1 200 ", b"a" * 1000),
    "interim answers": (b"", answer("103 Early Hints", b"Link: </a.css>")),
    "interim answers of nothing": (b"", b"HTTP/1.1 102 \r\n\r\n"),
    "trailers": (answer("200 OK", TE, body=b"2\r\nok\r\n0\r\n"), LINE),
    "a chunk's extension": (answer("200 OK", TE, body=b"2\r\nok\r\n2;a="), b"a" * 1000),
}


@pytest.mark.parametrize("piece", [1 << 12, 1 << 20], ids=["in pieces", "at once"])
@pytest.mark.parametrize("what", ENDLESS)
async def test_an_answer_whose_lines_do_not_end_is_broken(what: str, piece: int) -> None:
    begins, goes_on = ENDLESS[what]
    raw, signals = begins + goes_on * (4 * HEAD_BOUND // len(goes_on)), Signals()
    steps = [step for at in range(0, len(raw), piece) for step in (raw[at : at + piece], Hear("next"))]
    signals["next"].set()
    async with connection_to((Whole(), *steps, Gone()), signals=signals) as (connection, _):
        reply = ask(connection)
        await eventually(lambda: reply.failure is not None)
        with pytest.raises(Broken, match="its head, or its trailers, are larger than 64 KiB"):
            await whole(reply)
        assert connection.closed


@pytest.mark.parametrize(
    "raw",
    [
        answer("200 OK", *[LINE[:-2]] * 100, b"Content-Length: 0"),
        answer("200 " + "a" * 100_000, b"Content-Length: 0"),
        answer("103 Early Hints", *[LINE[:-2]] * 40) * 2 + answer("200 OK", b"Content-Length: 0"),
        answer("103 Early Hints", *[LINE[:-2]] * 40) + answer("200 OK", *[LINE[:-2]] * 40, b"Content-Length: 0"),
        answer("200 OK", TE, body=chunked(b"ok", trailers=LINE * 100)),
    ],
    ids=["headers", "a phrase", "interim answers", "an interim answer and the answer", "trailers"],
)
async def test_an_answer_beyond_its_bound_is_broken_though_it_ends(raw: bytes) -> None:
    async with connection_to((Whole(), raw, Gone())) as (connection, _):
        with pytest.raises(Broken, match="larger than 64 KiB"):
            await whole(ask(connection))
        assert connection.closed


async def test_bodies_and_earlier_answers_count_for_no_head() -> None:
    large = answer("103 Early", *[LINE[:-2]] * 20) + answer("200 OK", *[LINE[:-2]] * 20, length(BIG), body=bytes(BIG))
    pieces = chunked(*[b"a" * 100] * 10_000, trailers=LINE * 40)
    raws = [large, answer("200 OK", *[LINE[:-2]] * 40, TE, body=pieces)]
    async with connection_to(*[(Whole(), raw) for raw in raws * 2]) as (connection, _):
        for size in [BIG, 1_000_000] * 2:
            assert len(await whole(ask(connection))) == size
            assert connection.reusable


async def test_trailers_put_no_end_off() -> None:
    signals = Signals()
    drops = [step for number in range(100) for step in (Hear(str(number)), b"X-A: 1\r\n")]
    script = (Whole(), answer("200 OK", TE, body=b"2\r\nok\r\n0\r\n"), *drops)
    async with connection_to(script, signals=signals) as (connection, _):
        reply = ask(connection, between_bytes=0.1)
        assert await reply.read() == b"ok"
        for number in range(100):
            asyncio.get_running_loop().call_later(0.01 * number, signals[str(number)].set)
        with pytest.raises(NoAnswer, match=r"nothing more came within 0\.1 s"):
            await reply.read()
        assert not signals["99"].is_set()
        for number in range(100):
            signals[str(number)].set()


async def _between(connection: Connection) -> tuple[asyncio.Transport, socket.socket]:
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, ours)
    return transport, theirs


async def test_a_question_that_has_not_left_when_its_connection_ends_was_never_asked() -> None:
    lost: list[Connection] = []
    connection = Connection(lost.append)
    transport, theirs = await _between(connection)
    with theirs:
        reply = ask(connection, method="POST")
        transport.abort()
        with pytest.raises(Unasked, match="the connection ended"):
            await reply.read()
        assert theirs.recv(100) == b""
    assert lost == [connection]


async def test_what_a_side_says_before_the_question_has_left_is_no_answer_to_it() -> None:
    lost: list[Connection] = []
    connection = Connection(lost.append)
    _, theirs = await _between(connection)
    with theirs:
        reply = ask(connection, method="POST")
        connection.data_received(answer("408 Request Timeout", b"Content-Length: 0"))
        with pytest.raises(Unasked, match="before it was asked"):
            await reply.read()
        await eventually(lambda: lost == [connection])
        assert theirs.recv(100) == b""


async def test_a_question_with_a_body_leaves_at_once_and_none_leaves_on_a_connection_that_is_closing() -> None:
    connection = Connection(lambda _: None)
    transport, theirs = await _between(connection)
    with theirs:
        uploaded = Reply(lambda: None, connection.go_on)
        connection.ask(Request("POST", HEAD, [(b"content-length", b"5")]), uploaded, Limits())
        assert theirs.recv(100) == HEAD
        other = Connection(lambda _: None)
        closing, end = await _between(other)
        with end:
            closing.close()
            with pytest.raises(Unasked):
                await ask(other, method="POST").read()
            assert not other.reusable
        transport.abort()
        with pytest.raises(Broken):
            await uploaded.read()
