from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from proxy.address import Address
from proxy.dial import Dial
from proxy.errors import NoConnection, Refused
from tests.fidelity.origin import Origin, running_origin
from tests.proxy.certificates import Authority, self_signed
from tests.proxy.ends import NOBODY, at, tls_origin, unix_origin, unreachable, vanishing
from tests.proxy.stage import eventually, stand_still


class Caller(asyncio.Protocol):
    """Keeps its transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture
async def other() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.founded(tmp_path_factory.mktemp("authority"))


async def called(dial: Dial, times: int = 1) -> list[Address]:
    """Where so many connections lead that are opened one after the other."""
    found = []
    for _ in range(times):
        caller, address = await dial.open(Caller)
        caller.transport.abort()
        found.append(address)
    return found


def looked_up(*hosts: str) -> Callable[[str, int], asyncio.Future[Sequence[str]]]:
    """A resolver that knows these addresses for every name."""

    def found(host: str, port: int) -> asyncio.Future[Sequence[str]]:
        answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        answer.set_result(hosts)
        return answer

    return found


def named(address: Address) -> Address:
    return Address("legacy.test", address.port)


# One address


async def test_a_connection_leads_to_the_side(origin: Origin) -> None:
    assert await called(Dial("legacy", [at(origin)])) == [at(origin)]
    await origin.until(lambda: origin.accepted == 1)


async def test_a_connection_may_lead_to_a_unix_socket(tmp_path: Path) -> None:
    async with unix_origin(tmp_path) as (origin, address):
        assert await called(Dial("legacy", [address])) == [address]
        await origin.until(lambda: origin.accepted == 1)


async def test_a_unix_socket_that_is_not_there_is_refused(tmp_path: Path) -> None:
    address = Address("", 0, path=f"{tmp_path}/nowhere")
    with pytest.raises(Refused, match=f"^no connection to unix://{tmp_path}/nowhere: No such file or directory$"):
        await called(Dial("legacy", [address]))


async def test_nobody_there_is_refused_and_silence_is_late() -> None:
    with pytest.raises(Refused, match=r"^no connection to 127\.0\.0\.1:1: Connection refused$"):
        await called(Dial("legacy", [NOBODY]))
    with unreachable() as address, pytest.raises(NoConnection, match=f"^no connection to {address} within 0.05 s$"):
        await called(Dial("legacy", [address], connect=0.05))


@pytest.mark.parametrize("tls", [False, True], ids=["TCP", "TLS"])
async def test_who_answered_while_our_own_loop_stood_still_is_not_late(authority: Authority, tls: bool) -> None:
    pair = authority.sign("good-still", "DNS:localhost", "IP:127.0.0.1")
    async with tls_origin(pair, "localhost") as (origin, secured):
        address = secured if tls else at(origin)
        dial = Dial("legacy", [address], connect=0.4, ca=authority.own.certificate)
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(called(dial)) for _ in range(20)]
            await asyncio.sleep(0)
            stand_still(0.6)
        assert [call.result() for call in calls] == [[address]] * 20
        assert dial.up == {str(address): True}


async def test_silence_is_late_even_if_we_are_late_to_notice() -> None:
    with unreachable() as address:
        dial = Dial("legacy", [address], connect=0.05)
        call = asyncio.get_running_loop().create_task(called(dial))
        await asyncio.sleep(0)
        stand_still(0.15)
        with pytest.raises(NoConnection):
            await call
        assert dial.up == {str(address): False}


async def test_a_connection_that_is_over_as_soon_as_it_is_open_is_none(origin: Origin) -> None:
    class Deserter(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    with pytest.raises(Refused, match="closed as soon as it was open"):
        await Dial("legacy", [at(origin)]).open(Deserter)


# TLS


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_is_trusted_by_its_authority_and_name(authority: Authority, host: str) -> None:
    pair = authority.sign(f"good-{host}", "DNS:localhost", "IP:127.0.0.1")
    async with tls_origin(pair, host) as (_, address):
        assert await called(Dial("legacy", [address], ca=authority.own.certificate)) == [address]


@pytest.mark.parametrize(
    ("subject", "days", "host", "why"),
    [
        ("DNS:example.org", 1, "localhost", "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("DNS:localhost", 1, "127.0.0.1", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("DNS:localhost", -1, "localhost", "certificate has expired"),
    ],
)
async def test_a_certificate_for_another_name_or_time_is_refused(
    authority: Authority, subject: str, days: int, host: str, why: str
) -> None:
    pair = authority.sign("wrong", subject, days=days)
    async with tls_origin(pair, host) as (_, address):
        dial = Dial("legacy", [address], ca=authority.own.certificate)
        with pytest.raises(Refused, match=f"^no connection to {address}: its certificate is not to be trusted: {why}$"):
            await called(dial)
        assert dial.up == {str(address): False}


async def test_a_certificate_of_an_authority_unknown_to_the_system_is_refused(tmp_path: Path) -> None:
    async with tls_origin(self_signed(tmp_path, "alone", "DNS:localhost"), "localhost") as (_, address):
        with pytest.raises(Refused, match=r"not to be trusted: self-signed certificate$"):
            await called(Dial("legacy", [address]))


async def test_a_side_that_does_not_speak_tls_is_told() -> None:
    async def answers_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async def leaves_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    for habit, why in ((answers_at_once, "does not speak TLS"), (leaves_at_once, "ended the connection")):
        server = await asyncio.start_server(habit, "127.0.0.1", 0)
        async with server:
            address = Address("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
            with pytest.raises(Refused, match=f"no connection to {address}: it {why}"):
                await called(Dial("legacy", [address]))


async def test_a_handshake_that_is_given_up_leaves_no_connection() -> None:
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
        with pytest.raises(NoConnection):
            await called(Dial("legacy", [address], connect=0.05))
        assert await ended  # the greeting, and then the end


# Names


async def test_each_address_of_a_name_is_tried(origin: Origin) -> None:
    address = named(at(origin))
    dial = Dial("legacy", [address], resolve=looked_up("127.0.0.2", "127.0.0.1"))  # nobody listens at the first
    assert await called(dial) == [address]
    assert dial.up == {str(address): True}


async def test_an_address_of_a_name_that_is_silent_leaves_time_for_the_next() -> None:
    with unreachable("127.0.0.2") as silent:
        origin = Origin()
        server = await asyncio.start_server(origin.serve, "127.0.0.1", silent.port)
        async with server:
            dial = Dial("legacy", [named(silent)], connect=0.2, resolve=looked_up("127.0.0.2", "127.0.0.1"))
            with capture_logs() as logs:
                assert await called(dial, 3) == [named(silent)] * 3
            await origin.until(lambda: origin.accepted == 3 and origin.open == 0)
    assert [(log["ip"], log["reason"]) for log in logs] == [("127.0.0.2", "no connection within 0.1 s")]


async def test_an_address_of_a_name_that_took_no_connection_comes_last_until_a_look_finds_it() -> None:
    async with vanishing() as (here, _):
        dial = Dial("legacy", [named(here)], resolve=looked_up("127.0.0.2", "127.0.0.1"))
        await called(dial)
        origin = Origin()
        async with await asyncio.start_server(origin.serve, "127.0.0.2", here.port):
            await called(dial, 2)
            assert origin.accepted == 0
            assert await dial.look(()) is True
            await origin.until(lambda: origin.accepted == 1 and origin.open == 0)
            await called(dial, 2)
            await origin.until(lambda: origin.accepted == 3 and origin.open == 0)


async def test_only_what_others_replace_comes_last() -> None:
    dial = Dial("legacy", [named(NOBODY)], resolve=looked_up("127.0.0.2", "127.0.0.1"))
    with capture_logs() as logs, pytest.raises(Refused):
        await called(dial)
    assert [log["event"].partition(":")[0] for log in logs] == ["a side is down"]


async def test_a_name_is_looked_up_for_each_connection(origin: Origin) -> None:
    address, hosts = named(at(origin)), [["127.0.0.2"], ["127.0.0.1"]]

    async def changing(host: str, port: int) -> Sequence[str]:
        assert (host, port) == (address.host, address.port)
        return hosts.pop(0)

    dial = Dial("legacy", [address], resolve=changing)
    with pytest.raises(Refused, match=r"no connection to legacy\.test:"):
        await called(dial)
    assert await called(dial) == [address]
    assert hosts == []


@pytest.mark.parametrize("silent", [True, False])
async def test_a_name_keeps_its_addresses_while_nobody_tells_them(origin: Origin, silent: bool) -> None:
    asked = 0

    async def failing(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait() if silent else _unknown()
        return ["127.0.0.1"]

    address = named(at(origin))
    assert await called(Dial("legacy", [address], connect=0.2, resolve=failing), 2) == [address] * 2
    assert asked == 2


def _unknown() -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def test_a_name_that_nobody_knows_is_refused() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Refused, match=r"no connection to legacy\.test:80: Name or service not known"):
        await called(Dial("legacy", [Address("legacy.test", 80)], resolve=unknown))
    with pytest.raises(Refused, match=r"legacy\.test has no address"):
        await called(Dial("legacy", [Address("legacy.test", 80)], resolve=looked_up()))


async def test_the_system_knows_names(origin: Origin) -> None:
    address = Address("localhost", origin.port)
    assert await called(Dial("legacy", [address])) == [address]


# Several addresses


async def test_connections_go_round(origin: Origin, other: Origin) -> None:
    dial = Dial("legacy", [at(origin), at(other)])
    first, second, third, fourth = await called(dial, 4)
    assert {first, second} == {at(origin), at(other)}
    assert (third, fourth) == (first, second)


async def test_the_next_address_is_tried_at_once_and_the_first_left_out(origin: Origin, other: Origin) -> None:
    dial = Dial("legacy", [NOBODY, at(origin), at(other)])
    assert NOBODY not in await called(dial, 3)
    found = await called(dial, 4)
    assert found.count(at(origin)) == found.count(at(other)) == 2
    assert dial.up == {str(NOBODY): False, str(at(origin)): True, str(at(other)): True}


async def test_an_address_that_is_silent_is_left_out_like_one_that_refuses(origin: Origin) -> None:
    with unreachable() as silent:
        dial = Dial("legacy", [silent, at(origin)], connect=0.05)
        assert await called(dial, 3) == [at(origin)] * 3
        assert dial.up[str(silent)] is False


async def test_what_is_down_is_tried_where_nothing_else_is_left() -> None:
    async with vanishing() as (first, leave_first), vanishing() as (second, leave_second):
        dial = Dial("legacy", [first, NOBODY, second])
        leave_first()
        assert set(await called(dial, 4)) == {second}
        leave_second()
        with pytest.raises(Refused) as refused:
            await called(dial)
        assert str(refused.value).count("Connection refused") == 3
        assert not any(dial.up.values())
        server = await asyncio.start_server(Origin().serve, "127.0.0.1", first.port)
        async with server:
            assert await called(dial) == [first]


async def test_the_failure_of_all_is_late_only_if_each_was() -> None:
    with unreachable() as silent, unreachable() as deaf:
        with pytest.raises(NoConnection, match=f"no connection to {deaf} within .*; no connection to {silent} within"):
            await called(Dial("legacy", [silent, deaf], connect=0.02))
        with pytest.raises(Refused, match=r"within .*; .*: Connection refused|refused; .* within"):
            await called(Dial("legacy", [silent, NOBODY], connect=0.02))


async def test_who_asked_to_hear_of_it_is_told_what_others_replace(origin: Origin) -> None:
    told: list[Address] = []
    async with vanishing() as (leaving, leave):
        dial = Dial("legacy", [leaving, at(origin)])
        dial.when_down(told.append)
        await called(dial, 2)
        leave()
        await called(dial, 4)
    assert told == [leaving]
    alone = Dial("legacy", [NOBODY])
    alone.when_down(told.append)
    with pytest.raises(Refused):
        await called(alone)
    assert told == [leaving]


async def test_what_came_back_is_found_and_takes_its_part_again() -> None:
    async with vanishing() as (first, leave), vanishing() as (second, _):
        dial = Dial("legacy", [first, second], every=0.01)
        leave()
        await called(dial, 2)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(dial.watch())
            origin = Origin()
            async with await asyncio.start_server(origin.serve, "127.0.0.1", first.port):
                await eventually(lambda: dial.up[str(first)])
                assert set(await called(dial, 2)) == {first, second}
                await origin.until(lambda: origin.accepted >= 2 and origin.open == 0)
            watching.cancel()


async def test_who_dies_unseen_is_found_down_if_others_can_replace_it(origin: Origin) -> None:
    async with vanishing() as (leaving, leave), asyncio.TaskGroup() as tasks:
        dial = Dial("legacy", [leaving, at(origin)], every=0.01)
        watching = tasks.create_task(dial.watch())
        leave()
        await eventually(lambda: not dial.up[str(leaving)])
        watching.cancel()


async def test_an_only_address_is_left_in_peace_while_it_is_up(origin: Origin, other: Origin) -> None:
    only, one_of_two = Dial("legacy", [at(origin)], every=0.01), Dial("legacy", [at(other), NOBODY], every=0.01)
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(dial.watch()) for dial in (only, one_of_two)]
        await eventually(lambda: other.accepted >= 3)
        for task in watching:
            task.cancel()
    assert origin.accepted == 0


async def test_an_only_address_that_came_back_is_found() -> None:
    async with vanishing() as (address, leave):
        leave()
    dial, origin = Dial("legacy", [address], every=0.01), Origin()
    with pytest.raises(Refused):
        await called(dial)
    async with await asyncio.start_server(origin.serve, "127.0.0.1", address.port), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(dial.watch())
        await eventually(lambda: dial.up[str(address)])
        watching.cancel()
        await origin.until(lambda: origin.open == 0)


async def test_a_look_says_whether_any_address_is_up_and_keeps_no_connection(origin: Origin) -> None:
    dial = Dial("native", [NOBODY, at(origin)])
    assert await dial.look(dial.addresses) is True
    assert dial.up == {str(NOBODY): False, str(at(origin)): True}
    await origin.until(lambda: origin.accepted == 1 and origin.open == 0)
    assert await Dial("native", [NOBODY]).look([NOBODY]) is False


async def test_each_change_is_told_once_with_what_it_means() -> None:
    with capture_logs() as logs:
        async with vanishing() as (leaving, leave):
            dial = Dial("legacy", [leaving, NOBODY])
            await called(dial, 4)
            leave()
            for _ in range(2):
                assert await dial.look(dial.addresses) is False
            async with await asyncio.start_server(Origin().serve, "127.0.0.1", leaving.port):
                for _ in range(2):
                    assert await dial.look(dial.addresses) is True
    others, nobody, back = logs
    assert others["event"].startswith("an address is down: the others of its side take its traffic")
    assert (others["side"], others["address"], others["log_level"]) == ("legacy", str(NOBODY), "warning")
    assert others["reason"] == f"no connection to {NOBODY}: Connection refused"
    assert nobody["event"].startswith("a side is down: what it is asked fails, or goes to the other side")
    assert (back["event"], back["address"]) == ("an address is up again", str(leaving))


@contextmanager
def exhausted() -> Iterator[None]:
    """No file can be opened by this process."""
    gc.collect()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), before[1]))
    taken: list[int] = []
    try:
        with suppress(OSError):  # there are no more
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_what_this_process_has_run_out_of_is_no_fault_of_an_address(origin: Origin) -> None:
    address = named(at(origin))
    dial = Dial("legacy", [address], resolve=looked_up("127.0.0.1", "127.0.0.2"))
    with capture_logs() as logs, exhausted(), pytest.raises(Refused, match="Too many open files"):
        await called(dial)
    assert dial.up == {str(address): True}
    assert logs == []
