from __future__ import annotations

import socket
import struct
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_network

import pytest
from structlog.testing import capture_logs

from proxy.doorkeeper import PATIENCE, STRANGER, UNPREFACED, prefaced
from proxy.peers import Peers
from tests.fidelity.cases import ask
from tests.fidelity.wire import connected
from tests.proxy.entry import Entry, entered, until_answered
from tests.proxy.stage import eventually

GET = ask("GET /x")
UPGRADE = ask("GET /cable", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"
QUIT = b"\r\n\r\n\0\r\nQUIT\n"
HERE = "127.0.0.0/8"


def version_2(source: str = "2001:db8::7", *, command: int = 0x21, tlvs: bytes = b"") -> bytes:
    addresses = ip_address(source).packed + ip_address("::1").packed + struct.pack("!HH", 56324, 443)
    return QUIT + struct.pack("!BBH", command, 0x21, len(addresses + tlvs)) + addresses + tlvs


def behind_a_balancer(*trusted: str, patience: float = PATIENCE) -> AbstractAsyncContextManager[Entry]:
    peers = Peers([ip_network(network) for network in trusted])
    return entered(
        lambda strangler: {"http": prefaced(strangler.front, peers, patience)}, trusted_proxies=list(trusted)
    )


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (LINE, b"192.0.2.7"),
        (version_2(), b"2001:db8::7"),
        (version_2(command=0x20), b"127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    ],
)
@pytest.mark.parametrize("cut", ["together", "header first", "byte by byte"])
async def test_the_source_that_a_balancer_names_is_the_peer(header: bytes, source: bytes, cut: str) -> None:
    pieces = {
        "together": [header + GET],
        "header first": [header, GET],
        "byte by byte": [bytes([byte]) for byte in header + GET],
    }
    async with behind_a_balancer(HERE) as entry, connected(entry.port) as user:
        for piece in pieces[cut]:
            await user.send(piece)
        await until_answered(user)
        await user.send(GET)
        await until_answered(user, 2)
        assert entry.told(b"x-forwarded-for") == 2 * [[source]]


async def test_pipelined_requests_behind_a_header_are_all_of_that_source() -> None:
    async with behind_a_balancer(HERE) as entry, connected(entry.port) as user:
        await user.send(LINE + 3 * GET)
        await until_answered(user, 3)
        assert entry.told(b"x-forwarded-for") == 3 * [[b"192.0.2.7"]]


@pytest.mark.parametrize(
    ("trusted", "told"), [([HERE], [b"192.0.2.7"]), ([HERE, "192.0.2.0/24"], [b"203.0.113.9, 192.0.2.7"])]
)
async def test_what_the_source_says_of_others_counts_only_if_it_is_trusted_itself(
    trusted: list[str], told: list[bytes]
) -> None:
    async with behind_a_balancer(*trusted) as entry, connected(entry.port) as user:
        await user.send(LINE + ask("GET /x", b"X-Forwarded-For: 203.0.113.9"))
        await until_answered(user)
        assert entry.told(b"x-forwarded-for")[0] == told


@pytest.mark.parametrize(("client", "scheme"), [(b"\1", b"https"), (b"\0", b"http")])
async def test_a_balancer_that_has_taken_tls_off_is_believed(client: bytes, scheme: bytes) -> None:
    tls = struct.pack("!BH", 0x20, 5) + client + bytes(4)
    async with behind_a_balancer(HERE) as entry, connected(entry.port) as user:
        await user.send(version_2(tlvs=tls) + GET)
        await until_answered(user)
        assert entry.told(b"x-forwarded-proto")[0] == [scheme]
        assert entry.told(b"x-forwarded-port")[0] == [b"443" if scheme == b"https" else b"80"]


async def test_an_upgrade_is_asked_for_on_behalf_of_the_source() -> None:
    async with behind_a_balancer(HERE) as entry, connected(entry.port) as user:
        await user.send(LINE + UPGRADE)
        await until_answered(user)
        assert entry.told(b"x-forwarded-for")[0] == [b"192.0.2.7"]


@pytest.mark.parametrize("first", [GET, b"PROXY TCP4 nonsense\r\n" + GET, QUIT + b"\x31" + bytes(40), b"\x16\x03\x01"])
async def test_a_balancer_that_does_not_speak_the_protocol_is_closed_and_its_request_not_served(first: bytes) -> None:
    async with behind_a_balancer(HERE) as entry:
        with capture_logs() as logs:
            async with connected(entry.port) as user:
                await user.send(first)
                await user.until(lambda: False)
                assert not user.raw
        await eventually(lambda: entry.connections == 0)
        assert entry.origin.received == []
    assert [(record["event"], record["peer"]) for record in logs] == [(UNPREFACED, "127.0.0.1")]


async def test_a_stranger_is_closed_whatever_it_says() -> None:
    async with behind_a_balancer("10.0.0.0/8") as entry:
        with capture_logs() as logs:
            for _ in range(3):
                async with connected(entry.port) as user:
                    await user.send(LINE + GET)
                    await user.until(lambda: False)
                    assert not user.raw
        assert entry.origin.received == []
    assert [(record["event"], record["closed"]) for record in logs] == [(STRANGER, 1)]  # not once a connection


async def test_a_header_that_does_not_come_is_not_waited_for_without_end() -> None:
    async with behind_a_balancer(HERE, patience=0.01) as entry:
        with capture_logs() as logs:
            async with connected(entry.port) as user:
                await user.send(LINE[:-1])
                await user.until(lambda: False)
        await eventually(lambda: entry.connections == 0)
    assert [record["event"] for record in logs] == [UNPREFACED]


async def test_a_balancer_that_only_looks_whether_the_port_is_open_is_no_news() -> None:
    async with behind_a_balancer(HERE) as entry:
        with capture_logs() as logs:
            async with connected(entry.port):
                await eventually(lambda: entry.connections == 1)
            await eventually(lambda: entry.connections == 0)
    assert logs == []


async def test_one_whose_look_is_over_before_it_is_let_in_is_no_stranger() -> None:
    async with behind_a_balancer(HERE) as entry:
        with capture_logs() as logs:
            with socket.create_connection(("127.0.0.1", entry.port)) as look:  # while the event loop takes nobody in
                look.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            async with connected(entry.port) as user:  # is let in behind it
                await user.send(LINE + GET)
                await until_answered(user)
            await eventually(lambda: entry.connections == 0)
        assert len(entry.origin.received) == 1
    assert logs == []


@pytest.mark.parametrize("pieces", [[LINE + GET], [LINE, GET]])
async def test_a_request_that_is_about_to_come_when_the_server_stops_is_served(pieces: list[bytes]) -> None:
    async with behind_a_balancer(HERE) as entry, connected(entry.port) as user:
        await eventually(lambda: entry.connections == 1)
        [doorkeeper] = entry.server.server_state.connections
        entry.server.stop()
        doorkeeper.shutdown()  # as the server does next
        for piece in pieces:
            await user.send(piece)
        await until_answered(user)
        await user.until(lambda: user.ended is not None)
        assert b"connection: close" in user.raw


async def test_the_time_for_a_header_ends_with_the_header() -> None:
    async with behind_a_balancer(HERE, patience=0.3) as entry, connected(entry.port) as user:
        await user.send(LINE)
        async with connected(entry.port) as other:  # whose time begins later
            await other.until(lambda: False)
        await user.send(GET)
        await until_answered(user)
