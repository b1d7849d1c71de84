"""What legacy answers and nobody compares, on its way past ASGI."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.address import Address
from proxy.dial import Dial
from proxy.reply import HIGH_WATER
from tests.fidelity.cases import TE, answer, ask, chunked, length
from tests.fidelity.framing import Framing, Message, answers
from tests.fidelity.origin import OK, Origin
from tests.fidelity.wire import PATIENCE, Close, Gone, Hear, Peer, Reset, Script, Signals, Tell, Until, Whole, connected
from tests.proxy.ends import vanishing
from tests.proxy.stage import NOWHERE, Stage, eventually, settled, staged
from tests.proxy.ways import ROUTES, WAYS, before_legacy, booked, on

EXPECT = b"Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BIG = 64 * 1024 * 1024
both_ways = pytest.mark.parametrize("way", WAYS)


async def answered(user: Peer, *methods: bytes) -> list[Message]:
    """The answers to requests of these methods, interim ones too, once they are whole or the connection has ended."""

    def come() -> list[Message]:
        return answers(user.raw, list(methods), ended=user.ended is not None)

    def whole() -> bool:
        final = [message for message in come() if message.status >= 200]
        return len(final) == len(methods) and final[-1].complete and final[-1].framing is not Framing.CLOSE

    await user.until(whole)
    return come()


async def only(user: Peer, method: bytes = b"GET") -> Message:
    [message] = await answered(user, method)
    return message


# What passes


@both_ways
async def test_a_question_and_its_answer_pass_as_they_are(way: str) -> None:
    raw = answer("201 Created", b"X-A: 1", b"x-a: 2", length(2), body=b"ok")
    async with before_legacy((Whole(), raw)) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "POST /a%2Fb//c/../d?e=%20&e", b"X-B: 1", b"x-b: 2", length(6), body=b"abcdef"))
        told = await only(user, b"POST")
        assert (told.status, told.body, told.values(b"x-a")) == (201, b"ok", [b"1", b"2"])
        [came] = origin.received
        assert (came.start, came.body) == (b"POST /a%2Fb//c/../d?e=%20&e HTTP/1.1", b"abcdef")
        assert came.values(b"x-b") == [b"1", b"2"]


async def test_what_asgi_has_no_place_for_passes_too() -> None:
    script = (
        Whole(),
        answer("103 Early Hints", b"Link: </a>; rel=preload"),
        answer("200 All Is Well", TE, body=chunked(b"abc", trailers=b"Digest: x\r\nHost: forged\r\n")),
    )
    async with before_legacy(script) as (stage, _), connected(stage.port) as user:
        await user.send(ask("GET /x"))
        early, told = await answered(user, b"GET")
        assert (early.start, early.values(b"link")) == (b"HTTP/1.1 103 Early Hints", [b"</a>; rel=preload"])
        assert (told.start, told.body) == (b"HTTP/1.1 200 All Is Well", b"abc")
        assert told.trailers == ((b"digest", b"x"),)


async def test_a_status_without_a_phrase_is_given_the_usual_one() -> None:
    async with (
        before_legacy((Whole(), b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n")) as (stage, _),
        connected(stage.port) as user,
    ):
        await user.send(ask("GET /x"))
        assert (await only(user)).start == b"HTTP/1.1 404 Not Found"


@both_ways
@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", answer("200 OK", length(9))),
        ("HEAD", answer("200 OK", TE)),
        ("GET", answer("204 No Content", length(0))),
        ("GET", answer("304 Not Modified", length(9), b"ETag: a")),
    ],
    ids=["HEAD", "HEAD in chunks", "204", "304"],
)
async def test_an_answer_without_a_body_ends_with_its_head_and_its_connections_live_on(
    way: str, method: str, raw: bytes
) -> None:
    async with before_legacy((Whole(), raw), OK) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, f"{method} /x"))
        await user.until(lambda: b"\r\n\r\n" in user.raw)
        await user.send(on(way, "GET /y"))
        first, second = await answered(user, method.encode(), b"GET")
        assert (first.body, second.body) == (b"", b"ok")
        assert first.values(b"transfer-encoding") == []
        assert origin.accepted == 1


@both_ways
async def test_events_arrive_piece_by_piece_as_they_are_sent(way: str) -> None:
    signals = Signals()
    events = (b"data: 1\n\n", b"data: 2\n\n", b": still there\n\n")
    played = [step for n, event in enumerate(events) for step in (b"%x\r\n%b\r\n" % (len(event), event), Hear(str(n)))]
    head = answer("200 OK", b"Content-Type: text/event-stream", TE)
    async with (
        before_legacy((Whole(), head, *played, Close()), signals=signals) as (stage, _),
        connected(stage.port) as user,
    ):
        await user.send(on(way, "GET /events"))
        for number, event in enumerate(events):
            await user.until(lambda event=event: event in user.raw)  # type: ignore[misc]  # of this round
            assert not any(later in user.raw for later in events[number + 1 :])
            signals[str(number)].set()


async def test_a_request_without_a_host_is_asked_with_legacy_s() -> None:
    async with before_legacy(OK) as (stage, origin), connected(stage.port) as user:
        await user.send(b"GET /x HTTP/1.0\r\n\r\n")
        await user.until(lambda: user.ended is not None)
        assert user.raw.endswith(b"ok")
        assert origin.received[0].values(b"host") == [b"127.0.0.1:%d" % origin.port]


# What legacy must not do


@pytest.mark.parametrize(
    "raw",
    [
        answer("200 OK", length(3), TE, body=b"3\r\nabc\r\n0\r\n\r\n"),
        answer("200 OK", length(3), length(4), body=b"abc"),
        answer("200 OK", b"Content-Length: x", body=b"abc"),
        answer("101 Switching Protocols", b"Upgrade: x", b"Connection: upgrade"),
        answer("101 Switching Protocols"),
        answer("999 Denied", length(0)),
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
    ids=["a length and chunks", "two lengths", "no length", "an upgrade", "half an upgrade", "no status", "no HTTP"],
)
async def test_what_is_no_answer_reaches_nobody(raw: bytes) -> None:
    async with before_legacy((Whole(), raw, Gone())) as (stage, _), connected(stage.port) as user:
        await user.send(ask("GET /x"))
        told = await only(user)
        assert (told.status, b"legacy_broken" in told.body) == (502, True)


@both_ways
@pytest.mark.parametrize(
    "raw",
    [
        answer("200 OK", length(2), body=b"ok") + answer("200 OK", length(6), body=b"forged"),
        answer("200 OK", length(2), body=b"ok and forged"),
        answer("200 OK", length(2), body=b"ok") + answer("101 Switching", b"Upgrade: x", b"Connection: upgrade"),
        answer("204 No Content", body=b"forged"),
    ],
    ids=["two answers", "an answer and an upgrade", "too long a body", "a body for nothing"],
)
async def test_what_comes_behind_an_answer_is_nobody_s(way: str, raw: bytes) -> None:
    async with before_legacy((Whole(), raw, Gone()), OK) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "GET /x"))
        await user.until(lambda: b"\r\n\r\n" in user.raw)
        await origin.until(lambda: origin.finished == 1)
        await user.send(on(way, "GET /y"))
        _, second = await answered(user, b"GET", b"GET")
        assert (second.body, origin.accepted) == (b"ok", 2)
        assert b"forged" not in user.raw


# Failures, and what is counted of them


@dataclass(frozen=True, slots=True)
class Fate:
    """What a user gets, and how it is booked."""

    script: Script
    status: int
    error: bytes
    failure: str
    knobs: dict[str, Any]


FATES = {
    "closes": Fate((Whole(), Close()), 502, b"legacy_broken", "broken", {}),
    "resets": Fate((Whole(), Reset()), 502, b"legacy_broken", "broken", {}),
    "hangs": Fate((Whole(), Gone()), 504, b"legacy_timeout", "timeout", {"first_byte": "50ms"}),
    "hints only": Fate(
        (Whole(), answer("103 Early Hints"), Gone()), 504, b"legacy_timeout", "timeout", {"first_byte": "50ms"}
    ),
    "takes too long in all": Fate((Whole(), Gone()), 504, b"legacy_timeout", "timeout", {"total": "50ms"}),
}


@both_ways
@pytest.mark.parametrize("habit", FATES)
async def test_a_legacy_that_gives_no_answer_is_told_of_and_counted(way: str, habit: str) -> None:
    fate = FATES[habit]
    async with before_legacy(fate.script, **fate.knobs) as (stage, _), connected(stage.port) as user:
        await user.send(on(way, "GET /things/1", b"X-Request-Id: r-1"))
        told = (await answered(user, b"GET"))[-1]
        assert (told.status, fate.error in told.body) == (fate.status, True)
        assert told.values(b"x-request-id") == [b"r-1"]
        assert booked(stage, "read") == {"failed": 1}
        assert stage.metric("failures_total", route="read", side="legacy", kind=fate.failure) == 1
        assert stage.strangler.legacy.pool.opened == 0
        await user.send(on(way, "GET /things/1"))  # the user's connection lives on
        await user.until(lambda: user.raw.count(fate.error) == 2)


@both_ways
async def test_a_legacy_that_is_not_there_is_502(way: str) -> None:
    async with staged(legacy={"url": NOWHERE}, routes=ROUTES) as stage, connected(stage.port) as user:
        await user.send(on(way, "GET /things/1"))
        assert b"legacy_refused" in (await only(user)).body
        assert stage.metric("failures_total", route="read", side="legacy", kind="refused") == 1


async def test_a_fault_of_our_own_leaves_no_user_waiting() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise ValueError("a bug")

    async with staged(routes=ROUTES) as stage, connected(stage.port) as user:
        stage.strangler.legacy.pool.dial = Dial("legacy", [Address("legacy.test", 80)], resolve=resolve)
        with capture_logs() as logs:
            await user.send(ask("GET /things/1"))
            await user.until(lambda: user.ended is not None)
            await stage.quiet()
        assert (user.ended, bytes(user.raw)) == ("reset", b"")
        assert [record["event"] for record in logs] == ["a background task failed"]


@both_ways
@pytest.mark.parametrize(("queue", "wait"), [(0, "30s"), (1, "50ms")], ids=["no place in the queue", "too long in it"])
async def test_a_saturated_legacy_is_503_and_says_when_to_come_back(way: str, queue: int, wait: str) -> None:
    signals, limits = Signals(), dict[str, Any](connections=1, queue=queue, wait=wait)
    async with (
        before_legacy((Whole(), Hear("go"), *OK), signals=signals, **limits) as (stage, origin),
        connected(stage.port) as busy,
        connected(stage.port) as user,
    ):
        await busy.send(on(way, "GET /things/1"))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(on(way, "GET /things/2"))
        told = await only(user)
        assert (told.status, told.values(b"retry-after")) == (503, [b"1"])
        assert stage.metric("failures_total", route="read", side="legacy", kind="saturated") == 1
        signals["go"].set()
        assert (await only(busy)).body == b"ok"


@both_ways
async def test_who_waits_for_a_connection_gets_the_next_that_is_free(way: str) -> None:
    signals = Signals()
    async with (
        before_legacy((Whole(), Hear("go"), *OK), signals=signals, connections=1) as (stage, origin),
        connected(stage.port) as first,
        connected(stage.port) as second,
    ):
        await first.send(on(way, "POST /things", length(1), body=b"1"))
        await origin.until(lambda: len(origin.received) == 1)
        await second.send(on(way, "POST /things", length(1), body=b"2"))
        await eventually(lambda: stage.strangler.legacy.pool.waiting == 1)
        signals["go"].set()
        assert {(await only(user, b"POST")).body for user in (first, second)} == {b"ok"}
        assert ([message.body for message in origin.received], origin.accepted) == ([b"1", b"2"], 1)


HALVES = {
    "within its length": (answer("200 OK", length(9), body=b"half"), b"1.1"),
    "between chunks": (answer("200 OK", TE, body=b"4\r\nhalf\r\n"), b"1.1"),
    "within a chunk": (answer("200 OK", TE, body=b"9\r\nhalf"), b"1.1"),
    "for HTTP/1.0, which knows no chunks": (answer("200 OK", TE, body=b"4\r\nhalf\r\n"), b"1.0"),
}


@both_ways
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_an_answer_that_breaks_off_does_not_pass_for_whole(way: str, half: str, end: Close | Reset) -> None:
    raw, version = HALVES[half]
    signals = Signals()
    async with before_legacy((Whole(), raw, Hear("read"), end), signals=signals) as (stage, origin):
        async with connected(stage.port) as user:
            await user.send(on(way, "GET /things/1").replace(b"HTTP/1.1", b"HTTP/" + version))
            await user.until(lambda: b"half" in user.raw)
            signals["read"].set()
            await user.until(lambda: user.ended is not None)
            [told] = answers(user.raw, [b"GET"], ended=user.ended == "closed")
            assert (told.complete, told.body) == (False, b"half")
            assert user.ended == ("reset" if version == b"1.0" else "closed")
        assert booked(stage, "read") == {"failed": 1}
        assert stage.metric("failures_total", route="read", side="legacy", kind="broken") == 1
        assert stage.metric("answers_total", route="read", side="legacy", status="200") == 1
        assert len(origin.received) == 1


@both_ways
@pytest.mark.parametrize("knobs", [{"between_bytes": "50ms"}, {"total": "1s"}], ids=["between bytes", "total"])
async def test_an_answer_that_stops_for_too_long_is_broken_off(way: str, knobs: dict[str, Any]) -> None:
    script = (Whole(), answer("200 OK", length(9), body=b"half"), Gone())
    async with before_legacy(script, **knobs) as (stage, _), connected(stage.port) as user:
        await user.send(on(way, "GET /things/1"))
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.complete, told.body) == (False, b"half")
        assert stage.metric("failures_total", route="read", side="legacy", kind="timeout") == 1


@both_ways
async def test_pieces_that_come_in_time_may_take_any_time_in_all(way: str) -> None:
    signals = Signals()
    pieces = [step for number in range(5) for step in (Hear(str(number)), b"1\r\nx\r\n")]
    script = (Whole(), answer("200 OK", TE), *pieces, b"0\r\n\r\n")
    async with (
        before_legacy(script, signals=signals, between_bytes="2s") as (stage, _),
        connected(stage.port) as user,
    ):
        await user.send(on(way, "GET /things/1"))
        for number in range(5):
            asyncio.get_running_loop().call_later(0.5, signals[str(number)].set)
            await user.until(lambda number=number: user.raw.count(b"x\r\n") == number + 1)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        assert (await only(user)).complete


@both_ways
@pytest.mark.parametrize("knob", ["first_byte", "total"])
async def test_a_route_has_its_own_time(way: str, knob: str) -> None:
    hurried = {"routes": [{**ROUTES[0], "timeouts": {knob: "50ms"}}, ROUTES[1]]}
    signals = Signals()
    async with (
        before_legacy((Whole(), Hear("go"), *OK), signals=signals, stage=hurried) as (stage, origin),
        connected(stage.port) as patient,
        connected(stage.port) as user,
    ):
        await patient.send(on(way, "POST /things", length(0)))
        await origin.until(lambda: len(origin.received) == 1)
        await user.send(on(way, "GET /things/1"))
        assert (await only(user)).status == 504
        signals["go"].set()
        assert (await only(patient, b"POST")).status == 200


# Asking again


@both_ways
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_a_safe_question_is_asked_again_when_its_connection_was_stale(way: str, end: Close | Reset) -> None:
    async with before_legacy(OK, (Whole(), end), OK) as (stage, origin), connected(stage.port) as user:
        for number in (1, 2):
            await user.send(on(way, "GET /x"))
            assert [message.body for message in await answered(user, *[b"GET"] * number)] == [b"ok"] * number
        assert (len(origin.received), origin.accepted) == (3, 2)
        assert booked(stage, "unmatched") == {"ok": 2}


@both_ways
@pytest.mark.parametrize(
    "line", ["POST /things", "DELETE /things/1", "GET /things/1"], ids=["POST", "DELETE", "GET with a body"]
)
async def test_a_question_that_may_have_had_an_effect_is_seen_by_legacy_once(way: str, line: str) -> None:
    async with before_legacy(OK, (Whole(), Close()), OK) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "GET /x"))
        await only(user)
        await user.send(on(way, line, length(3), body=b"abc"))
        assert (await answered(user, b"GET", line.split()[0].encode()))[-1].status == 502
        assert len(origin.received) == 2


@both_ways
@pytest.mark.parametrize("line", ["POST /things", "GET /things/1"])
@pytest.mark.parametrize("closes_first", [True, False])
async def test_a_kept_connection_that_legacy_has_just_closed_is_not_asked(
    way: str, line: str, closes_first: bool
) -> None:
    loop, said = asyncio.get_running_loop(), answer("200 OK", length(2), body=b"ok")

    async def heard(sock: socket.socket, marker: bytes) -> None:
        raw = b""
        while marker not in raw:
            raw += (came := await loop.sock_recv(sock, 65536))
            assert came

    with socket.create_server(("127.0.0.1", 0)) as legacy:
        legacy.setblocking(False)
        url = f"http://127.0.0.1:{legacy.getsockname()[1]}"
        async with staged(legacy={"url": url}, routes=ROUTES) as stage, asyncio.timeout(PATIENCE):
            with socket.create_connection(("127.0.0.1", stage.port)) as user:
                user.setblocking(False)
                user.send(on(way, "GET /x"))
                kept, _ = await loop.sock_accept(legacy)
                await heard(kept, b"/x")
                kept.send(said)
                await heard(user, b"ok")
                # The event loop hears of both at once, and acts first on what came first.
                steps: list[Callable[[], object]] = [
                    kept.close,
                    lambda: user.send(on(way, line, length(3), body=b"abc")),
                ]
                for step in steps if closes_first else reversed(steps):
                    step()
                fresh, _ = await loop.sock_accept(legacy)
                with fresh:
                    await heard(fresh, b"abc")
                    fresh.send(said)
                    await heard(user, b"200 OK")


@both_ways
async def test_a_question_is_asked_again_only_once_and_not_on_a_fresh_connection(way: str) -> None:
    async with before_legacy(OK, (Whole(), Close())) as (stage, origin), connected(stage.port) as user:
        for statuses in ([200], [200, 502], [200, 502, 502]):
            await user.send(on(way, "GET /x"))
            assert [each.status for each in await answered(user, *[b"GET"] * len(statuses))] == statuses
        assert len(origin.received) == 4


@both_ways
async def test_a_legacy_that_takes_no_second_connection_after_it_was_asked_has_broken_off(way: str) -> None:
    origin, signals = Origin(), Signals()
    origin.begin(OK, (Whole(), Tell("asked"), Hear("left"), Close()), signals=signals)
    async with (
        vanishing(origin) as (address, leave),
        staged(legacy={"url": f"http://{address}"}) as stage,
        connected(stage.port) as user,
    ):
        await user.send(on(way, "GET /x"))
        await only(user)
        await user.send(on(way, "GET /x"))
        await signals["asked"].wait()
        leave()
        signals["left"].set()
        told = (await answered(user, b"GET", b"GET"))[-1]
        assert (told.status, json.loads(told.body)["error"]) == (502, "legacy_broken")
        assert stage.metric("failures_total", side="legacy", kind="broken", route="unmatched") == 1
        await user.send(on(way, "GET /x"))  # now nobody was asked
        told = (await answered(user, b"GET", b"GET", b"GET"))[-1]
        assert (told.status, json.loads(told.body)["error"]) == (502, "legacy_refused")


@both_ways
async def test_a_question_whose_answer_has_begun_is_not_asked_again(way: str) -> None:
    async with (
        before_legacy(OK, (Whole(), b"HTTP/1.1 200 OK\r\nX-", Close())) as (stage, origin),
        connected(stage.port) as user,
    ):
        await user.send(on(way, "GET /x"))
        await only(user)
        await user.send(on(way, "GET /x"))
        assert [each.status for each in await answered(user, b"GET", b"GET")] == [200, 502]
        assert len(origin.received) == 2


# Uploads


@both_ways
@pytest.mark.parametrize("framing", [length(6), TE], ids=["length", "chunks"])
async def test_an_upload_passes_as_it_comes(way: str, framing: bytes) -> None:
    signals = Signals()
    first, last = (b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n") if framing is TE else (b"abc", b"def")
    async with (
        before_legacy((Until(b"abc"), Tell("half"), *OK), signals=signals) as (stage, origin),
        connected(stage.port) as user,
    ):
        await user.send(on(way, "POST /things", framing, body=first))
        await signals["half"].wait()
        await user.send(last)
        assert (await only(user, b"POST")).body == b"ok"
        assert origin.received[0].body == b"abcdef"


@both_ways
async def test_an_answer_that_comes_before_the_upload_is_whole_ends_legacy_s_connection_and_not_the_user_s(
    way: str,
) -> None:
    early = answer("413 Too Large", length(2), body=b"no")
    async with before_legacy((Until(b"abc"), early, Gone()), OK) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "POST /things", length(6), body=b"abc"))
        assert (await only(user, b"POST")).body == b"no"
        await origin.until(lambda: origin.open == 0)
        await user.send(b"def" + on(way, "GET /x"))
        assert [each.status for each in await answered(user, b"POST", b"GET")] == [413, 200]
        assert booked(stage, "write") == {"ok": 1}


@both_ways
async def test_who_asks_whether_to_continue_hears_it_from_legacy(way: str) -> None:
    signals = Signals()
    script = (Until(b"\r\n\r\n"), Tell("asked"), Hear("go"), CONTINUE, *OK)
    async with before_legacy(script, signals=signals) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "POST /things", EXPECT, length(6)))
        await signals["asked"].wait()
        assert await settled(lambda: len(user.raw)) == 0
        signals["go"].set()
        await user.until(lambda: user.raw == CONTINUE)
        await user.send(b"abcdef")
        assert [each.status for each in await answered(user, b"POST")] == [100, 200]
        assert origin.received[0].body == b"abcdef"


@both_ways
async def test_who_asks_whether_to_continue_and_is_turned_down_is_not_invited(way: str) -> None:
    refusal = answer("417 Expectation Failed", length(2), body=b"no")
    async with before_legacy((Until(b"\r\n\r\n"), refusal, Gone())) as (stage, _), connected(stage.port) as user:
        await user.send(on(way, "POST /things", EXPECT, length(6)))
        assert [each.status for each in await answered(user, b"POST")] == [417]


@both_ways
async def test_who_asks_whether_to_continue_is_invited_when_legacy_has_no_word_for_it(way: str) -> None:
    async with before_legacy(OK) as (stage, origin), connected(stage.port) as user:
        await user.send(on(way, "POST /things", EXPECT, length(6)))
        await user.until(lambda: user.raw == CONTINUE)
        await user.send(b"abcdef")
        assert [each.status for each in await answered(user, b"POST")] == [100, 200]
        assert origin.received[0].body == b"abcdef"


async def test_an_invitation_that_nobody_waits_for_ends_here() -> None:
    async with before_legacy((Whole(), CONTINUE, *OK)) as (stage, _), connected(stage.port) as user:
        await user.send(ask("GET /x"))
        assert (await only(user)).body == b"ok"


# Pressure


def written(stage: Stage) -> int:
    """Bytes that wait in this process for users to take them."""
    return sum(each.transport.get_write_buffer_size() for each in stage.server.server_state.connections)


@both_ways
async def test_a_slow_reader_of_a_large_answer_keeps_legacy_waiting(way: str) -> None:
    raw = answer("200 OK", length(BIG), body=bytes(BIG))
    async with before_legacy((Whole(), raw)) as (stage, origin), slow(stage, on(way, "GET /things/1")) as reader:
        await eventually(lambda: written(stage) > HIGH_WATER)
        await settled(lambda: origin.finished)
        assert written(stage) < 4 * HIGH_WATER
        assert (origin.finished, stage.strangler.legacy.pool.idle) == (0, 0)
        size = 0
        while size < BIG:
            size += len(await reader.read(1 << 20))
        await eventually(lambda: stage.strangler.legacy.pool.idle == 1)
        assert booked(stage, "read") == {"ok": 1}


@asynccontextmanager
async def slow(stage: Stage, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A user who takes of the answer what is read from here, and whose system takes little ahead of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1 << 12)
    try:
        writer.write(request)
        yield reader
    finally:
        writer.transport.abort()
