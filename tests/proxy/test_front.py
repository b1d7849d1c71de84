from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.front import origin_form
from tests.fidelity.cases import TE, answer, ask, chunked
from tests.fidelity.framing import answers
from tests.fidelity.origin import OK, Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Signals, Tell, Whole, connected
from tests.proxy.stage import Stage, eventually, staged

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


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        (b"/", b"/", None),
        (b"/a%2Fb//c/../d?", b"/a%2Fb//c/../d?", None),
        (b"//host/path", b"//host/path", None),
        (b"*", b"*", None),
        (b"http://example.test", b"/", b"example.test"),
        (b"http://example.test?a=/b", b"/?a=/b", b"example.test"),
        (b"http://example.test:81/a?b=http://c", b"/a?b=http://c", b"example.test:81"),
        (b"http://user:secret@example.test/", b"/", b"example.test"),
        (b"http://[::1]:81/a", b"/a", b"[::1]:81"),
    ],
)
def test_a_target_is_asked_in_origin_form(url: bytes, target: bytes, authority: bytes | None) -> None:
    assert origin_form(url) == (target, authority)


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


async def test_a_bad_chunk_ends_an_upload_visibly(stage: Stage, origin: Origin) -> None:
    origin.begin((Gone(),))
    async with connected(stage.port) as user:
        await user.send(ask("POST /x", TE, body=b"3\r\nabc\r\n"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(b"zz\r\n")
        await user.until(lambda: user.ended is not None)
    await origin.until(lambda: origin.finished == 1)
    assert not origin.received[0].complete


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


async def test_an_upgrade_behind_an_unanswered_request_is_refused(stage: Stage, origin: Origin) -> None:
    origin.begin((Gone(),))
    async with connected(stage.port) as user:
        await user.send(ask("GET /x"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(UPGRADE)
        await user.until(lambda: user.ended is not None)
        assert user.raw.startswith(b"HTTP/1.1 400 ")
    await origin.until(lambda: origin.finished == 1)
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
