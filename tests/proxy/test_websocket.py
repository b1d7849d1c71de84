from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from demo.service import Service
from proxy.tls import server_context
from tests.fidelity.cases import answer, ask
from tests.fidelity.framing import answers
from tests.fidelity.origin import Origin as Side
from tests.fidelity.origin import running_origin
from tests.fidelity.wire import Close, Gone, Hear, Script, Signals, Tell, Until, Whole, connected
from tests.proxy.certificates import Pair, self_signed
from tests.proxy.stage import NOWHERE, Stage, eventually, settled, staged

UPGRADE = ask(
    "GET /cable?token=a%2Fb",
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Protocol: actioncable-v1-json, other",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    b"Cookie: a=1",
    b"X-Strangler-Shadow: forged",
)
SWITCHED = answer("101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade", b"X-Case: Kept")
CABLE = Subprotocol("actioncable-v1-json")
LARGE = 10 * 1024 * 1024


@asynccontextmanager
async def scripted(*script: Any, signals: Signals | None = None, **legacy: Any) -> AsyncIterator[tuple[Stage, Side]]:
    async with running_origin() as origin:
        origin.begin(script, signals=signals)
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}", **legacy}) as stage:
            yield stage, origin
            await eventually(lambda: stage.metric("tunnels") == 0 and stage.connections == 0)
        await origin.until(lambda: origin.open == 0)


def upgrades(stage: Stage, status: int) -> float:
    return stage.metric("upgrades_total", status=str(status))


async def test_the_handshake_passes_with_its_own_headers_and_ours() -> None:
    async with scripted(Whole(), SWITCHED, Gone()) as (stage, origin), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.raw.endswith(b"\r\n\r\n"))
        assert user.raw == SWITCHED
        [came] = origin.received
        assert came.start == b"GET /cable?token=a%2Fb HTTP/1.1"
        assert came.values(b"connection") == [b"Upgrade"]
        assert came.values(b"upgrade") == [b"websocket"]
        assert came.values(b"sec-websocket-protocol") == [b"actioncable-v1-json, other"]
        assert came.values(b"sec-websocket-extensions") == [b"permessage-deflate; client_max_window_bits"]
        assert came.values(b"host") == [b"example.test"]
        assert came.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert came.values(b"x-forwarded-proto") == [b"http"]
        assert len(came.values(b"x-request-id")) == 1
        assert came.values(b"x-strangler-shadow") == []
        assert upgrades(stage, 101) == 1


async def test_bytes_pass_both_ways_untouched() -> None:
    noise = bytes(range(256)) * 40
    script = (Whole(), SWITCHED + noise, Until(noise), Close())
    async with scripted(*script) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.raw.endswith(noise))
        await user.send(noise)
        await user.until(lambda: user.ended is not None)
        assert user.raw == SWITCHED + noise


@pytest.mark.parametrize("together", [True, False])
async def test_what_the_user_says_too_early_waits_for_the_side_s_consent(together: bool) -> None:
    signals = Signals()
    script = (Whole(), Tell("asked"), Hear("go"), SWITCHED, Until(b"early"), b"heard", Gone())
    async with scripted(*script, signals=signals) as (stage, _), connected(stage.port) as user:
        for piece in [UPGRADE + b"early"] if together else [UPGRADE, b"early"]:
            await user.send(piece)
        await signals["asked"].wait()
        signals["go"].set()
        await user.until(lambda: user.raw.endswith(b"heard"))


@pytest.mark.parametrize("frames", [bytes(30_000), b"\r\n\r\n" * 7_500], ids=["any", "what looks like heads"])
async def test_frames_that_come_with_the_upgrade_pass_as_they_came(frames: bytes) -> None:
    frames += b"the last"
    async with (
        scripted(Whole(), SWITCHED, Until(frames), b"heard", Gone()) as (stage, _),
        connected(stage.port) as user,
    ):
        await user.send(UPGRADE + frames)
        await user.until(lambda: user.raw.endswith(b"heard"))


async def test_too_much_said_too_early_ends_the_tunnel() -> None:
    async with scripted(Whole(), Gone()) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE + bytes(100_000))
        await user.until(lambda: user.ended is not None)


REFUSALS = {
    "a length": answer("404 Not Found", b"Content-Length: 2", body=b"no"),
    "chunks": answer("403 Forbidden", b"Transfer-Encoding: chunked", body=b"2\r\nno\r\n0\r\n\r\n"),
    "no body": answer("401 Unauthorized", b"Content-Length: 0"),
}


@pytest.mark.parametrize("framing", REFUSALS)
async def test_a_refusal_is_passed_on_and_ends_the_connection(framing: str) -> None:
    refusal = REFUSALS[framing]
    async with scripted(Whole(), refusal, Gone()) as (stage, origin), connected(stage.port) as user:
        await user.send(UPGRADE + ask("GET /smuggled"))
        await user.until(lambda: user.ended is not None)
        [told], [said] = answers(user.raw, [b"GET"], ended=True), answers(refusal, [b"GET"], ended=True)
        assert (told.start, told.body, told.complete) == (said.start, said.body, True)
        assert {*told.headers} - {(b"connection", b"close")} == {(name.lower(), value) for name, value in said.headers}
        await origin.until(lambda: origin.finished == 1)
        assert [message.start for message in origin.received] == [b"GET /cable?token=a%2Fb HTTP/1.1"]
        assert upgrades(stage, int(refusal[9:12])) == 1


async def test_nothing_is_smuggled_behind_a_refusal_that_is_still_going_on() -> None:
    signals = Signals()
    head = answer("404 Not Found", b"Content-Length: 4", body=b"no")
    async with scripted(Whole(), head, Hear("sent"), b"pe", Gone(), signals=signals) as (stage, origin):
        async with connected(stage.port) as user:
            await user.send(UPGRADE)
            await user.until(lambda: user.raw.endswith(b"no"))
            await user.send(ask("GET /smuggled"))
            signals["sent"].set()
            await user.until(lambda: user.ended is not None)
            [told] = answers(user.raw, [b"GET"], ended=True)
            assert (told.status, told.body, told.complete) == (404, b"nope", True)
        await origin.until(lambda: origin.finished == 1)
        assert [message.start for message in origin.received] == [b"GET /cable?token=a%2Fb HTTP/1.1"]


async def test_a_legacy_that_is_not_there_is_told_of_in_json() -> None:
    async with staged(legacy={"url": NOWHERE}) as stage, connected(stage.port) as user:
        await user.send(UPGRADE.replace(b"Cookie: a=1", b"X-Request-Id: r-1"))
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.start, told.body) == (
            b"HTTP/1.1 502 Bad Gateway",
            b'{"error": "legacy_refused", "requestId": "r-1"}',
        )
        assert told.values(b"x-request-id") == [b"r-1"]
        assert upgrades(stage, 502) == 1
        await eventually(lambda: stage.metric("tunnels") == 0)


FAILURES: dict[str, tuple[Script, int, bytes]] = {
    "hangs": ((Whole(), Gone()), 504, b"legacy_timeout"),
    "closes": ((Whole(), Close()), 502, b"legacy_broken"),
    "closes within its head": ((Whole(), b"HTTP/1.1 101 Swi", Close()), 502, b"legacy_broken"),
    "speaks no HTTP": ((Whole(), b"hello\r\n\r\n", Gone()), 502, b"legacy_broken"),
}


@pytest.mark.parametrize("habit", FAILURES)
async def test_a_legacy_that_does_not_answer_is_answered_for(habit: str) -> None:
    script, status, error = FAILURES[habit]
    knobs = {"first_byte": "100ms"} if habit == "hangs" else {}
    async with scripted(*script, **knobs) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.status, error in told.body) == (status, True)


async def test_a_user_who_leaves_during_the_handshake_ends_it() -> None:
    signals = Signals()
    async with scripted(Whole(), Tell("asked"), Gone(), signals=signals) as (stage, origin):
        async with connected(stage.port) as user:
            await user.send(UPGRADE)
            await signals["asked"].wait()
        await origin.until(lambda: origin.finished == 1)
        await eventually(lambda: stage.tasks == stage.at_rest)
        assert upgrades(stage, 502) == 0


async def echo(connection: ServerConnection) -> None:
    """Says back what it hears."""
    async for message in connection:
        if message == "close":
            await connection.close(4321, "as you wish")
        await connection.send(message)


@asynccontextmanager
async def echoing(pair: Pair | None = None, **options: Any) -> AsyncIterator[Stage]:
    """A proxy ahead of a WebSocket server that says back what it hears, by TLS if it has a certificate."""
    context = None if pair is None else server_context(pair.certificate, pair.key)
    async with serve(echo, "127.0.0.1", 0, max_size=None, ssl=context, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        legacy = {"url": f"http://127.0.0.1:{port}"}
        if pair is not None:
            legacy = {"url": f"https://localhost:{port}", "ca": str(pair.certificate)}
        async with staged(legacy=legacy) as stage:
            yield stage
            await eventually(lambda: stage.metric("tunnels") == 0 and stage.connections == 0)


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_large_frames_pass_both_ways(compression: str | None) -> None:
    sent = hashlib.shake_256(b"seed").digest(LARGE)
    async with echoing(compression=compression) as stage:
        url = f"ws://127.0.0.1:{stage.port}/cable"
        async with connect(url, max_size=None, compression=compression) as client:
            await client.send(sent)
            assert await client.recv() == sent
            assert [each.name for each in client.protocol.extensions] == (["permessage-deflate"] if compression else [])


async def test_frames_pass_to_a_side_that_speaks_tls(tmp_path: Path) -> None:
    sent = hashlib.shake_256(b"seed").digest(LARGE)
    async with (
        echoing(self_signed(tmp_path, "side", "DNS:localhost")) as stage,
        connect(f"ws://127.0.0.1:{stage.port}/cable", max_size=None) as client,
    ):
        await client.send(sent)
        assert await client.recv() == sent


async def test_frames_pass_to_a_unix_socket(tmp_path: Path) -> None:
    async with (
        unix_serve(echo, str(tmp_path / "side.sock")),
        staged(legacy={"url": f"unix://{tmp_path}/side.sock"}) as stage,
        connect(f"ws://127.0.0.1:{stage.port}/cable") as client,
    ):
        await client.send("text")
        assert await client.recv() == "text"


async def test_an_upgrade_passes_over_addresses_that_are_down() -> None:
    async with running_origin() as origin:
        origin.begin((Whole(), SWITCHED, Close()))
        async with staged(legacy={"url": [NOWHERE, f"http://127.0.0.1:{origin.port}"]}) as stage:
            for _ in range(2):
                async with connected(stage.port) as user:
                    await user.send(UPGRADE)
                    await user.until(lambda user=user: user.ended is not None)  # type: ignore[misc]  # of this round
                    assert user.raw == SWITCHED


async def test_pings_and_subprotocols_pass() -> None:
    async with echoing(subprotocols=[CABLE]) as stage:
        url = f"ws://127.0.0.1:{stage.port}/cable"
        async with connect(url, subprotocols=[Subprotocol("actioncable-unsupported"), CABLE]) as client:
            assert client.subprotocol == CABLE
            await (await client.ping(b"are you there"))
            await client.send("text")
            assert await client.recv() == "text"


async def test_close_codes_pass_both_ways() -> None:
    async with echoing() as stage:
        async with connect(f"ws://127.0.0.1:{stage.port}/") as client:
            await client.send("close")
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as you wish")
        async with connect(f"ws://127.0.0.1:{stage.port}/") as client:
            await client.close(3000, "my own")


async def test_a_slow_end_holds_the_other_back() -> None:
    size = 64 * 1024 * 1024
    async with scripted(Whole(), SWITCHED + bytes(size), Gone()) as (stage, origin):
        _, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        writer.write(UPGRADE)
        await origin.until(lambda: len(origin.received) == 1)
        [user] = await settled_tunnel(stage)
        assert user.transport is not None
        assert await settled(user.transport.get_write_buffer_size) < size // 8
        writer.transport.abort()


async def test_an_end_that_reads_nothing_is_let_go() -> None:
    async with scripted(Whole(), SWITCHED + bytes(LARGE * 4), Gone()) as (stage, origin):
        _, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        writer.write(UPGRADE)
        [user] = await settled_tunnel(stage)
        assert await settled(user.transport.get_write_buffer_size) > 0
        user.reader = 0.05
        user.close()
        await eventually(lambda: stage.connections == 0)
        await origin.until(lambda: origin.open == 0)
        writer.transport.abort()


async def settled_tunnel(stage: Stage) -> list[Any]:
    await eventually(lambda: upgrades(stage, 101) == 1)
    return list(stage.server.server_state.connections)


async def test_a_server_that_stops_closes_tunnels() -> None:
    async with running_origin() as origin:
        origin.begin((Whole(), SWITCHED, Gone()))
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        async with staged(legacy=legacy, drain="100ms") as stage, connected(stage.port) as user:
            await user.send(UPGRADE)
            await user.until(lambda: user.raw == SWITCHED)
            stage.server.stop()
            await user.until(lambda: user.ended is not None)
        await origin.until(lambda: origin.open == 0)


async def test_a_refused_client_hears_the_side_s_status() -> None:
    async with scripted(Whole(), REFUSALS["a length"], Gone()) as (stage, _):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{stage.port}/cable")
        assert refused.value.response.status_code == 404


async def test_rails_serves_its_cable_through_the_tunnel(rails: Service) -> None:
    async with staged(legacy={"url": rails.url}) as stage:
        url = f"ws://127.0.0.1:{stage.port}/cable?token=none"
        async with connect(url, subprotocols=[CABLE], origin=Origin(f"http://127.0.0.1:{stage.port}")) as client:
            assert client.subprotocol == CABLE
            told = json.loads(await client.recv())
            assert (told["type"], told["reason"]) == ("disconnect", "unauthorized")
            with pytest.raises(ConnectionClosed):
                await client.recv()
        await eventually(lambda: stage.metric("tunnels") == 0)


async def test_an_upgrade_that_rails_does_not_offer_is_answered_once_and_ends(rails: Service) -> None:
    async with staged(legacy={"url": rails.url}) as stage, connected(stage.port) as user:
        await user.send(UPGRADE.replace(b"/cable", b"/nowhere") + ask("GET /up"))
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.status, told.complete) == (404, True)


async def refused_with(script: bytes, **legacy: Any) -> tuple[bytes, float]:
    """What a user is answered by a legacy that answers an upgrade so, and how many answers broke."""
    async with scripted(Whole(), script, Gone(), **legacy) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.ended is not None)
        return bytes(user.raw), upgrades(stage, 502)


async def test_a_refusal_passes_by_the_rules_of_every_answer_and_nothing_behind_it() -> None:
    own = b"X-Strangler-Discarded: 1", b"Keep-Alive: timeout=5", b"Connection: keep-alive", b"Content-Length: 2"
    stray = answer("200 OK", b"Content-Length: 5", body=b"stray")
    raw, _ = await refused_with(answer("403 Forbidden", *own, body=b"no") + stray)
    [told] = answers(raw, [b"GET"], ended=True)
    assert (told.start, told.body) == (b"HTTP/1.1 403 Forbidden", b"no")
    assert sorted(told.headers) == [(b"connection", b"close"), (b"content-length", b"2")]


@pytest.mark.parametrize(
    "script",
    [
        answer("999 Forbidden", b"Content-Length: 0"),
        b"HTTP/2.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        answer("101 Switching Protocols", b"Upgrade: h2c", b"Connection: Upgrade"),
    ],
    ids=["a status of nobody's", "another version", "another protocol"],
)
async def test_an_answer_to_an_upgrade_that_is_none_is_a_broken_one(script: bytes) -> None:
    raw, broken = await refused_with(script)
    assert raw.startswith(b"HTTP/1.1 502 ")
    assert broken == 1


async def test_words_of_ours_end_here_when_an_upgrade_is_agreed_on() -> None:
    agreed = answer(
        "101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade", b"X-Strangler-Discarded: 1"
    )
    async with scripted(Whole(), agreed, Gone()) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.raw.endswith(b"\r\n\r\n"))
        assert b"trangler" not in user.raw


@pytest.mark.parametrize("framing", [[b"Content-Length: 100"], []], ids=["a length", "none"])
async def test_a_refusal_that_stalls_ends_with_its_connection_and_is_not_whole(framing: list[bytes]) -> None:
    raw, _ = await refused_with(answer("403 Forbidden", *framing, body=b"no"), between_bytes="50ms")
    [told] = answers(raw, [b"GET"], ended=True)
    assert (told.status, told.body, told.complete) == (403, b"no", False)


async def test_a_refusal_without_a_length_ends_with_the_sides_connection_and_is_whole() -> None:
    refusal = answer("403 Forbidden", body=b"no")
    async with scripted(Whole(), refusal, Close()) as (stage, _), connected(stage.port) as user:
        await user.send(UPGRADE)
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [b"GET"], ended=True)
        assert (told.body, told.complete) == (b"no", True)


async def test_an_upgrade_with_a_body_is_served_as_if_it_had_not_asked() -> None:
    posted = ask("POST /cable", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3", body=b"abc")
    ok = answer("200 OK", b"Content-Length: 2", body=b"ok")
    async with scripted(Whole(), ok) as (stage, origin), connected(stage.port) as user:
        await user.send(posted)
        await origin.until(lambda: origin.finished == 1)
        [came] = origin.received
        assert (came.body, came.values(b"upgrade")) == (b"abc", [])
