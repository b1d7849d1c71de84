from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.front import Front
from proxy.patience import Patience
from proxy.pipeline import FEW, PIPELINE
from proxy.progress import PROGRESS
from proxy.reply import HIGH_WATER
from tests.fidelity.cases import TE, answer, ask, chunked, length
from tests.fidelity.framing import answers
from tests.fidelity.origin import OK, Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Signals, Tell, Until, Whole, connected
from tests.proxy.slow import DeafSide, deaf, taking, unread
from tests.proxy.stage import Stage, eventually, settled, staged
from tests.proxy.ways import WAYS, on

UPGRADE = ask("GET /cable", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
OTHER = b"Connection: Upgrade", b"Upgrade: h2c"


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture
async def stage(origin: Origin) -> AsyncIterator[Stage]:
    async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage:
        yield stage


MALFORMED = {
    "a length and chunks": ask("POST /x", b"Content-Length: 3", TE, body=chunked(b"abc")),
    "two lengths": ask("POST /x", b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
    "a length that is none": ask("POST /x", b"Content-Length: +3", body=b"abc"),
    "a list of lengths": ask("POST /x", b"Content-Length: 3, 3", body=b"abc"),
    "chunked, but not last": ask("POST /x", b"Transfer-Encoding: chunked, gzip", body=chunked(b"abc")),
    "an encoding that is none": ask("POST /x", b"Transfer-Encoding: xchunked", body=b"abc"),
    "a space ahead of a colon": ask("GET /x", b"X-A : 1"),
    "a folded line": ask("GET /x", b"X-A: 1", b" 2"),
    "a line without a colon": ask("GET /x", b"X-A"),
    "a control character in a value": ask("GET /x", b"X-A: \x001"),
    "a space in the target": b"GET /x y HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "quotes in the target": ask('GET /x?q="a"'),
    "angle brackets in the target": ask("GET /x?q=<a>"),
    "a fragment in the target": ask("GET /x#a"),
    "bytes beyond ASCII in the target": b"GET /x\xc3\xa4 HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "a method that is none": b"FOO /x HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "a tunnel": b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "another version": b"GET /x HTTP/3.0\r\nHost: example.test\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("fault", MALFORMED)
async def test_what_is_not_http_is_refused_and_reaches_nobody(fault: str, stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(MALFORMED[fault])
        await user.until(lambda: user.ended is not None)
        [refused] = answers(user.raw, [b"GET"], ended=True)
        assert refused.start == b"HTTP/1.1 400 Bad Request"
    assert origin.received == []


RTSP = b"GET /x RTSP/1.1\r\nHost: example.test\r\n\r\n"


@pytest.mark.parametrize("end", range(1, len(RTSP), 5))
async def test_rtsp_is_refused_wherever_its_pieces_end(end: int, stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(RTSP[:end])
        await eventually(lambda: any(front._raw for front in stage.fronts))
        await user.send(RTSP[end:])
        await user.until(lambda: user.ended is not None)
        [refused] = answers(user.raw, [b"GET"], ended=True)
        assert b"RTSP" in refused.body
    assert origin.received == []


async def test_rtsp_is_what_a_request_says_of_itself_and_not_what_its_body_says(stage: Stage, origin: Origin) -> None:
    body = b"log:\r\nPOST /x RTSP/1.0\r\n"
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", length(len(body)), body=body))
        await user.until(lambda: user.raw.endswith(b"ok"))
    assert [message.body for message in origin.received] == [body]


async def test_a_good_request_is_answered_though_rtsp_asks_for_the_same_behind_it(stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(ask("GET /x") + RTSP)
        await user.until(lambda: user.ended is not None)
        good, refused = answers(user.raw, [b"GET", b"GET"], ended=True)
        assert (good.start, refused.start) == (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request")
    assert len(origin.received) == 1


async def test_nothing_is_kept_of_what_was_read(stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", b"X-A: GET / RTSP/1.0", length(3))[:-2])
        await eventually(lambda: any(front._raw for front in stage.fronts))
        await user.send(b"\r\nabc")
        await user.until(lambda: user.raw.endswith(b"ok"))
        assert [front._raw for front in stage.fronts] == [b""]


async def test_spaces_behind_a_value_are_no_part_of_it(stage: Stage, origin: Origin) -> None:
    origin.begin(
        (
            Until(b"\r\n\r\n"),
            b"HTTP/1.1 100 Continue\r\n\r\n",
            Whole(),
            answer("200 OK", TE + b" ", body=chunked(b"ok")),
        )
    )
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", b"X-A: 1 ", b"Expect: 100-continue  ", TE + b" ").replace(b".test", b".test "))
        await user.until(lambda: user.raw.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"))  # the side's own, at once
        await user.send(chunked(b"abc"))
        await user.until(lambda: user.raw.endswith(b"0\r\n\r\n"))
    [message] = origin.received
    assert message.body == b"abc"
    assert {(b"x-a", b"1"), (b"host", b"example.test"), (b"expect", b"100-continue")} <= set(message.headers)


async def test_http_1_0_asks_for_no_upgrade(stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"))
        await user.until(lambda: user.ended is not None)
        assert [answer.status for answer in answers(user.raw, [b"GET"], ended=True)] == [200]
    assert not any(name in (b"upgrade", b"connection") for name, _ in origin.received[0].headers)


async def test_a_bad_chunk_ends_an_upload_visibly(stage: Stage, origin: Origin) -> None:
    origin.begin((Gone(),))
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", TE, body=b"3\r\nabc\r\n"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(b"zz\r\n")
        await user.until(lambda: user.ended is not None)
        assert b"it saw it break off" in user.raw
    await origin.until(lambda: origin.finished == 1)
    assert not origin.received[0].complete


async def test_a_bad_chunk_behind_an_unanswered_request_says_that_nobody_was_asked(
    stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), Hear("go"), *OK[1:]), signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /x") + ask("POST /x", TE, body=b"zz\r\n"))
        await origin.until(lambda: len(origin.received) == 1)
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        assert b"so nobody was asked" in user.raw
    assert len(origin.received) == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 3", TE])
@pytest.mark.parametrize("together", [True, False])
async def test_an_upgrade_that_is_not_offered_is_served_as_a_request_with_its_body(
    framing: bytes, together: bool, stage: Stage, origin: Origin
) -> None:
    body = chunked(b"a", b"bc") if framing is TE else b"abc"
    head, rest = ask("POST /x", *OTHER, framing), body + ask("GET /y")
    async with connected(stage.port) as user:
        for piece in [head + rest] if together else [head, *(bytes([byte]) for byte in rest)]:
            await user.send(piece)
        await user.until(lambda: user.raw.count(b"ok") == 2)
    assert [(message.start, message.body) for message in origin.received] == [
        (b"POST /x HTTP/1.1", b"abc"),
        (b"GET /y HTTP/1.1", b""),
    ]


async def test_an_upgrade_behind_an_unanswered_request_is_refused_once_that_is_answered(
    stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), Hear("go"), *OK), signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /x"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(UPGRADE)
        assert await settled(lambda: len(user.raw)) == 0
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        assert [answer.status for answer in answers(user.raw, [b"GET"] * 2, ended=True)] == [200, 400]
    assert [message.start for message in origin.received] == [b"GET /x HTTP/1.1"]


async def test_a_user_who_leaves_with_requests_in_the_pipeline_is_missed_by_the_one_being_answered(
    stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), Tell("asked"), Gone()), signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /1") + ask("GET /2"))
        await signals["asked"].wait()
    await origin.until(lambda: origin.finished == 1)
    await eventually(lambda: not stage.server.server_state.tasks)
    assert [message.start for message in origin.received] == [b"GET /1 HTTP/1.1"]


async def test_trailers_of_a_request_are_no_headers(stage: Stage, origin: Origin) -> None:
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", TE, body=chunked(b"abc", trailers=b"X-Admin: 1\r\nHost: evil\r\n")))
        await user.until(lambda: user.raw.endswith(b"ok"))
    [came] = origin.received
    assert came.values(b"x-admin") == []
    assert came.values(b"host") == [b"example.test"]


OLD = b"GET /old HTTP/1.0\r\nHost: example.test\r\n\r\n"


async def test_an_answer_that_breaks_off_does_not_pass_for_whole_at_an_http_1_0_client(
    stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), answer("200 OK", TE, body=b"4\r\nhalf\r\n"), Hear("half"), Close()), signals=signals)
    async with connected(stage.port) as user:
        await user.send(OLD)
        await user.until(lambda: user.raw.endswith(b"half"))
        signals["half"].set()
        await user.until(lambda: user.ended is not None)
        assert user.ended == "reset"
        assert b"transfer-encoding" not in user.raw


async def test_an_http_1_0_client_gets_an_empty_answer_whole(stage: Stage, origin: Origin) -> None:
    origin.begin((Whole(), answer("200 OK", TE, body=chunked())))
    async with connected(stage.port) as user:
        await user.send(OLD)
        await user.until(lambda: user.ended is not None)
        assert user.ended == "closed"
        assert bytes(user.raw) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


async def test_connections_are_used_again(stage: Stage, origin: Origin) -> None:
    origin.begin(OK)
    async with connected(stage.port) as user:
        for number in range(1, 4):
            await user.send(ask("GET /x"))
            await user.until(lambda number=number: user.raw.count(b"ok") == number)  # type: ignore[misc]  # of this round
    assert origin.accepted == 1


# One after the other


async def test_requests_in_the_pipeline_are_answered_in_their_order(stage: Stage, origin: Origin) -> None:
    signals = Signals()
    said = [answer("200 OK", length(1), body=b"%d" % number) for number in range(3)]
    origin.begin((Whole(), Hear("go"), said[0]), *((Whole(), raw) for raw in said[1:]), signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /0") + ask("POST /1", length(3), body=b"abc") + ask("GET /2"))
        await origin.until(lambda: len(origin.received) == 1)
        signals["go"].set()
        await user.until(lambda: user.raw.endswith(b"2"))
        assert [each.body for each in answers(user.raw, [b"GET", b"POST", b"GET"], ended=False)] == [b"0", b"1", b"2"]
    assert [message.body for message in origin.received] == [b"", b"abc", b""]


async def test_a_long_pipeline_is_read_as_it_is_answered(stage: Stage, origin: Origin) -> None:
    many = 10 * PIPELINE
    async with connected(stage.port) as user:
        for number in range(many):
            await user.send(ask(f"GET /{number}"))
        await user.until(lambda: user.raw.count(b"\r\n\r\nok") == many)
    assert [message.start.split()[1] for message in origin.received] == [b"/%d" % number for number in range(many)]


TINY = b"GET /%d HTTP/1.1\r\nHost:a\r\n\r\n"
MOST = PIPELINE + FEW // len(b"GET / HTTP/1.1\r\nHost:a\r\n\r\n")  # requests that are ever taken apart and wait


@pytest.mark.parametrize(
    "asked", [ask("GET /x", b"X-A: " + b"a" * 1024), b"GET / HTTP/1.1\r\nHost:a\r\n\r\n"], ids=["large", "tiny"]
)
async def test_a_pipeline_without_end_is_not_read_without_end(asked: bytes, stage: Stage, origin: Origin) -> None:
    origin.begin((Whole(), Gone()))
    async with taking(stage) as user:
        user.ask(asked * (32 * 1024 * 1024 // len(asked)))
        await origin.until(lambda: len(origin.received) == 1)
        [front] = stage.fronts
        assert PIPELINE <= await settled(lambda: len(front.pipeline)) <= MOST
        assert user.unsent > 0
    await origin.until(lambda: origin.open == 0)  # that it has left is seen all the same
    await eventually(lambda: stage.connections == 0)


async def test_a_pipeline_without_end_is_read_no_faster_than_it_is_answered(stage: Stage, origin: Origin) -> None:
    async with taking(stage, ahead=1 << 20) as user:
        user.ask(TINY % 1 * (1024 * 1024))
        await origin.until(lambda: len(origin.received) > 500)
        [front] = stage.fronts
        assert len(front._unparsed) < 512 * 1024
        assert user.unsent > 16 * 1024 * 1024


@pytest.mark.parametrize("together", [True, False], ids=["with it", "after it"])
async def test_of_many_tiny_requests_few_are_taken_apart_before_it_is_their_turn(
    together: bool, stage: Stage, origin: Origin
) -> None:
    many, signals = 2_000, Signals()
    origin.begin((Whole(), Hear("go"), *OK[1:]), OK, signals=signals)
    first, rest = TINY % 0, b"".join(TINY % number for number in range(1, many))
    async with connected(stage.port) as user:
        await user.send(first + rest if together else first)
        await origin.until(lambda: len(origin.received) == 1)
        if not together:
            await user.send(rest)
        [front] = stage.fronts
        assert PIPELINE <= await settled(lambda: len(front.pipeline)) <= MOST
        signals["go"].set()
        most = 0
        while user.raw.count(b"\r\n\r\nok") < many:
            most = max(most, len(front.pipeline))
            await asyncio.sleep(0)
    assert most <= MOST
    assert [message.start.split()[1] for message in origin.received] == [b"/%d" % number for number in range(many)]


async def test_a_body_that_holds_what_looks_like_requests_passes_behind_a_request_that_waits(
    stage: Stage, origin: Origin
) -> None:
    signals, body = Signals(), TINY % 1 * 5 * PIPELINE
    origin.begin((Whole(), Hear("go"), *OK[1:]), OK, signals=signals)
    async with connected(stage.port) as user:
        await user.send(
            ask("GET /x") + TINY % 2 * 2 * PIPELINE + ask("POST /y", length(len(body)), body=body) + TINY % 3
        )
        await origin.until(lambda: len(origin.received) == 1)
        signals["go"].set()
        await user.until(lambda: user.raw.count(b"\r\n\r\nok") == 2 * PIPELINE + 3)
    assert origin.received[-2].body == body
    assert origin.received[-1].start == b"GET /3 HTTP/1.1"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("unit", [b"\r\n\r\n", TINY % 1], ids=["ends of heads", "requests"])
async def test_an_upload_is_not_taken_apart_in_tiny_pieces_whatever_it_holds(
    unit: bytes, way: str, stage: Stage, origin: Origin
) -> None:
    body, before = unit * (1024 * 1024 // len(unit)), PROGRESS.steps
    async with connected(stage.port) as user:
        await user.send(on(way, "POST /x", length(len(body)), body=body) + TINY % 2)
        await user.until(lambda: user.raw.count(b"\r\n\r\nok") == 2)
    assert origin.received[0].body == body
    assert PROGRESS.steps - before < 2 * len(body) // FEW


@pytest.mark.parametrize(("last", "status"), [(b"no HTTP\r\n\r\n", 400), (UPGRADE, 400)], ids=["no HTTP", "an upgrade"])
async def test_what_is_refused_behind_a_full_pipeline_is_refused_in_its_turn(
    last: bytes, status: int, stage: Stage, origin: Origin
) -> None:
    many, signals = 4 * PIPELINE, Signals()
    origin.begin((Whole(), Hear("go"), *OK[1:]), OK, signals=signals)
    async with connected(stage.port) as user:
        await user.send(b"".join(TINY % number for number in range(many)) + last + TINY % many)
        await origin.until(lambda: len(origin.received) == 1)
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        told = [each.status for each in answers(user.raw, [b"GET"] * (many + 1), ended=True)]
    assert told == [*[200] * many, status]
    assert len(origin.received) == many


async def test_who_leaves_while_the_pipeline_is_full_is_missed(stage: Stage, origin: Origin) -> None:
    origin.begin((Whole(), Tell("asked"), Gone()), signals=(signals := Signals()))
    async with connected(stage.port) as user:
        await user.send(b"".join(TINY % number for number in range(10 * PIPELINE)))
        await signals["asked"].wait()
    await origin.until(lambda: origin.finished == 1)
    await stage.quiet()
    assert len(origin.received) == 1


LARGE_BODY = bytes(1 << 17)  # more than is kept of what waits


async def test_who_leaves_with_a_large_body_and_more_behind_a_request_is_missed(origin: Origin) -> None:
    origin.begin((Whole(), Gone()))
    behind = ask("POST /x", length(len(LARGE_BODY)), body=LARGE_BODY) + ask("GET /x")
    legacy, patience = {"url": f"http://127.0.0.1:{origin.port}"}, Patience(look=0.05)
    async with staged(legacy=legacy, ways={"patience": patience}) as stage:
        async with connected(stage.port) as user:
            await user.send(ask("GET /x"))
            await origin.until(lambda: len(origin.received) == 1)
            [front] = stage.fronts
            front.data_received(behind)  # in one piece, or the rest of it would be left unread
            assert front.flow.read_paused
        await origin.until(lambda: origin.finished == 1)


async def test_who_leaves_a_full_pipeline_after_having_read_slowly_is_missed(origin: Origin) -> None:
    size, patience = 64 * HIGH_WATER, Patience(look=0.05)
    origin.begin((Whole(), answer("200 OK", length(size), body=bytes(size))), (Whole(), Tell("asked"), Gone()))
    async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}, ways={"patience": patience}) as stage:
        async with taking(stage, ahead=1 << 13) as user:
            front = await narrowed(stage)
            user.ask(b"".join(TINY % number for number in range(10 * PIPELINE)))
            await eventually(lambda: front.flow.write_paused and front.flow.read_paused)
            await user.take(size)
            await origin.until(lambda: len(origin.received) == 2)
            assert front.flow.read_paused
        await origin.until(lambda: origin.finished == 2)


@pytest.mark.parametrize("together", [True, False])
async def test_a_bad_request_behind_a_good_one_is_refused_once_that_is_answered(
    together: bool, stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), Hear("go"), *OK), signals=signals)
    async with connected(stage.port) as user:
        for piece in [ask("GET /x") + b"no HTTP\r\n\r\n"] if together else [ask("GET /x"), b"no HTTP\r\n\r\n"]:
            await user.send(piece)
            await origin.until(lambda: len(origin.received) == 1)
        assert await settled(lambda: len(user.raw)) == 0
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        assert [each.status for each in answers(user.raw, [b"GET"] * 2, ended=True)] == [200, 400]
    assert len(origin.received) == 1


async def test_who_leaves_with_a_bad_request_behind_a_good_one_is_missed(stage: Stage, origin: Origin) -> None:
    origin.begin((Whole(), Gone()))
    async with connected(stage.port) as user:
        await user.send(ask("GET /x"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(b"no HTTP\r\n\r\n")
    await origin.until(lambda: origin.finished == 1)


async def test_who_is_refused_can_read_why_though_more_was_sent(stage: Stage) -> None:
    async with connected(stage.port) as user:
        await user.send(b"no HTTP\r\n\r\n" + bytes(1 << 20))
        await user.until(lambda: user.ended is not None)
        assert user.raw.startswith(b"HTTP/1.1 400 ")
        await user.send(bytes(1 << 20))


# Time


@pytest.fixture
async def hasty(origin: Origin) -> AsyncIterator[Stage]:
    """A proxy that loses its patience with users at once."""
    patience = Patience(idle=0.3, head=0.3, parting=0.3, linger=0.3, reader=0.3)
    async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}, ways={"patience": patience}) as stage:
        yield stage


@pytest.mark.parametrize("first", [b"", ask("GET /x")], ids=["from the start", "after a request"])
async def test_an_idle_connection_is_closed_without_a_word(first: bytes, hasty: Stage) -> None:
    async with connected(hasty.port) as user:
        await user.send(first)
        await user.until(lambda: user.ended is not None)
        assert (user.ended, user.raw.count(b"HTTP/1.1 ")) == ("closed", bool(first))


@pytest.mark.parametrize("first", [b"", ask("GET /x")], ids=["from the start", "behind a request"])
async def test_a_head_that_does_not_come_in_time_is_refused(first: bytes, origin: Origin) -> None:
    legacy, patience = {"url": f"http://127.0.0.1:{origin.port}"}, Patience(head=0.1)
    async with staged(legacy=legacy, ways={"patience": patience}) as stage, connected(stage.port) as user:
        await user.send(first + b"GET /slow HTTP/1.1\r\nX-A:")
        while user.ended is None:  # byte by byte for ever
            await user.send(b" ")
            await asyncio.sleep(0)
        assert answers(user.raw, [b"GET"] * 2, ended=True)[-1].status == 408
    assert [message.start for message in origin.received] == [b"GET /x HTTP/1.1"] * bool(first)


async def test_a_head_that_waits_for_its_turn_has_its_time_from_then_on(hasty: Stage, origin: Origin) -> None:
    signals = Signals()
    origin.begin((Whole(), Hear("go"), *OK), OK, signals=signals)
    async with connected(hasty.port) as user:
        await user.send(ask("GET /x") + b"GET /y HTTP/1.1\r\n")
        asyncio.get_running_loop().call_later(0.5, signals["go"].set)
        await user.until(lambda: b"ok" in user.raw)
        await user.send(b"Host: example.test\r\n\r\n")
        await user.until(lambda: user.raw.count(b"ok") == 2)
        assert len(origin.received) == 2


async def test_who_is_refused_and_does_not_go_is_cut_off(hasty: Stage) -> None:
    async with connected(hasty.port) as user:
        await user.send(b"no HTTP\r\n\r\n")
        await eventually(lambda: hasty.connections == 0)


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_nobody_takes_does_not_keep_a_connection_that_is_closed_after_it(
    way: str, hasty: Stage, origin: Origin
) -> None:
    origin.begin((Whole(), answer("200 OK", length(HIGH_WATER), body=bytes(HIGH_WATER))))
    async with taking(hasty, ahead=1 << 12) as user:
        front = await narrowed(hasty)
        user.ask(on(way, "GET /x", b"Connection: close"))
        await origin.until(lambda: origin.finished == 1)
        await eventually(lambda: unread(hasty) > 0)
        assert not front.full  # so that nothing but its end is waited for
        await eventually(lambda: hasty.connections == 0)


async def narrowed(stage: Stage) -> Front:
    """The only user's connection, of which this system takes little ahead of the user."""
    await eventually(lambda: stage.connections == 1)
    [front] = stage.fronts
    front.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    return front


@pytest.mark.parametrize("size", [HIGH_WATER, 8 * HIGH_WATER])
async def test_who_is_answered_early_has_time_to_read_the_answer(size: int, origin: Origin) -> None:
    patience = Patience(linger=0.05, reader=1.0)
    origin.begin((Until(b"abc"), answer("413 Too Large", length(size), body=bytes(size)), Gone()))
    async with (
        staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}, ways={"patience": patience}) as stage,
        taking(stage, ahead=1 << 13) as user,
    ):
        await narrowed(stage)
        user.ask(ask("POST /x", b"Connection: close", length(6), body=b"abc"))
        await user.take(size, pauses=3)
        await eventually(lambda: stage.connections == 0)


async def test_who_is_answered_while_legacy_takes_no_more_can_read_it() -> None:
    side, size = DeafSide(says=answer("413 Too Large", length(2), body=b"no")), 64 << 20
    async with (
        deaf(side) as port,
        staged(legacy={"url": f"http://127.0.0.1:{port}"}) as stage,
        connected(stage.port) as user,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(user.send(ask("POST /x", b"Connection: close", length(size)) + bytes(size)))
        await user.until(lambda: user.ended is not None)
        assert (user.raw.endswith(b"no"), user.ended) == (True, "closed")


@pytest.mark.parametrize("way", WAYS)
async def test_a_user_of_http_1_0_who_leaves_amid_an_answer_is_no_fault_of_ours(
    way: str, stage: Stage, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    origin.begin((Whole(), answer("200 OK", TE, body=b"4\r\nhalf\r\n"), Gone()))
    async with connected(stage.port) as user:
        await user.send(on(way, "GET /old").replace(b"HTTP/1.1", b"HTTP/1.0"))
        await user.until(lambda: user.raw.endswith(b"half"))
    await origin.until(lambda: origin.finished == 1)
    await stage.quiet()
    assert caplog.records == []


# Size


@pytest.mark.parametrize("pieces", [1, 100])
@pytest.mark.parametrize("ends", [True, False])
async def test_a_head_beyond_its_bound_is_refused(pieces: int, ends: bool, stage: Stage, origin: Origin) -> None:
    raw = b"GET /x HTTP/1.1\r\nHost: example.test\r\n" + b"X-A: %b\r\n" % (b"a" * 1000) * 100 + b"\r\n" * ends
    async with connected(stage.port) as user:
        for at in range(0, len(raw), len(raw) // pieces):
            await user.send(raw[at : at + len(raw) // pieces])
        await user.until(lambda: user.ended is not None)
        assert user.raw.startswith(b"HTTP/1.1 431 ")
    assert origin.received == []


async def test_trailers_beyond_their_bound_end_an_upload(stage: Stage, origin: Origin) -> None:
    origin.begin((Gone(),))
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", TE, body=b"3\r\nabc\r\n"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(b"0\r\n" + b"X-A: %b\r\n" % (b"a" * 1000) * 100)
        await user.until(lambda: user.ended is not None)
        assert user.raw.startswith(b"HTTP/1.1 431 ")
    await origin.until(lambda: origin.finished == 1)
    assert not origin.received[0].complete


# Leaving


async def test_a_request_in_flight_is_the_last_when_the_server_stops(stage: Stage, origin: Origin) -> None:
    signals = Signals()
    origin.begin((Whole(), Hear("go"), *OK), signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /x"))
        await origin.until(lambda: len(origin.received) == 1)
        stage.server.stop()
        await eventually(lambda: all(front._leaving for front in stage.fronts))
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.body, told.values(b"connection"), user.ended) == (b"ok", [b"close"], "closed")


async def test_an_answer_that_has_begun_is_finished_when_the_server_stops_and_one_request_more_is_served(
    stage: Stage, origin: Origin
) -> None:
    signals = Signals()
    origin.begin((Whole(), answer("200 OK", length(4), body=b"ha"), Hear("go"), b"lf"), OK, signals=signals)
    async with connected(stage.port) as user:
        await user.send(ask("GET /x"))
        await user.until(lambda: user.raw.endswith(b"ha"))
        stage.server.stop()
        await eventually(lambda: all(front._leaving for front in stage.fronts))
        signals["go"].set()
        await user.until(lambda: user.raw.endswith(b"half"))
        await user.send(ask("GET /y"))
        await user.until(lambda: user.ended is not None)
        first, last = answers(user.raw, [b"GET"] * 2, ended=True)
        assert (first.body, first.values(b"connection")) == (b"half", [])
        assert (last.body, last.values(b"connection")) == (b"ok", [b"close"])


async def test_an_idle_user_may_still_ask_once_when_the_server_stops(hasty: Stage, origin: Origin) -> None:
    async with connected(hasty.port) as user, connected(hasty.port) as other:
        await eventually(lambda: hasty.connections == 2)
        hasty.server.stop()
        await eventually(lambda: all(front._leaving for front in hasty.fronts))
        await user.send(ask("GET /x"))
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.body, told.values(b"connection")) == (b"ok", [b"close"])
        await other.until(lambda: other.ended is not None)
        assert (other.ended, bytes(other.raw)) == ("closed", b"")


# Faults of our own


async def test_a_fault_of_our_own_is_logged_and_not_taken_for_the_user_s(
    origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(*_: object) -> None:
        raise RuntimeError("a bug")

    async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}, ways={"decide": decide}) as stage:
        async with connected(stage.port) as user:
            await user.send(ask("GET /x"))
            await user.until(lambda: user.ended is not None)
            assert user.raw == b""
        await eventually(lambda: stage.connections == 0)
    assert "a bug" in caplog.text
