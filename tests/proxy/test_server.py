from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.address import Address
from proxy.faults import ConfigError
from proxy.server import KEEP_ALIVE, listen
from tests.fidelity.cases import answer, ask
from tests.fidelity.origin import running_origin
from tests.fidelity.wire import Hear, Signals, Tell, Whole, connected
from tests.proxy.stage import eventually, staged


def test_a_port_in_use_is_a_fault_of_the_configuration() -> None:
    with listen(Address("127.0.0.1", 0), "listen") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as error:
            listen(Address("127.0.0.1", port), "admin.listen")
    [fault] = error.value.faults
    assert (fault.place, fault.message) == (
        "admin.listen",
        f"cannot listen on 127.0.0.1:{port}: Address already in use",
    )


def test_an_address_of_another_machine_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError) as error:
        listen(Address("192.0.2.1", 0), "listen")
    assert "192.0.2.1:0" in error.value.faults[0].message


def test_both_families_can_be_listened_on() -> None:
    with listen(Address("127.0.0.1", 0), "listen") as four, listen(Address("::1", 0), "listen") as six:
        assert (four.family, six.family) == (socket.AF_INET, socket.AF_INET6)


async def test_to_stop_is_to_finish_what_is_in_flight_and_to_take_no_more() -> None:
    signals = Signals()
    async with running_origin() as origin:
        slow = answer("200 OK", b"Content-Length: 4"), Hear("stopping"), b"done"
        origin.begin((Whole(), Tell("asked"), *slow), signals=signals)
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        async with staged(legacy=legacy) as stage, connected(stage.port) as busy, connected(stage.port) as idle:
            await busy.send(ask("GET /x"))
            await signals["asked"].wait()
            await eventually(lambda: stage.connections == 2)
            stage.server.stop()
            await idle.until(lambda: idle.ended is not None)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", stage.port)
            assert busy.ended is None
            signals["stopping"].set()
            await busy.until(lambda: busy.ended is not None)
            assert busy.raw.endswith(b"done")


async def test_a_caller_on_this_machine_is_believed_no_more_than_any_other() -> None:
    async with running_origin() as origin:
        async with staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage:
            claims = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
            assert (await stage.user.get("/x", headers=claims)).status_code == 200
        [told] = origin.received
        assert told.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert told.values(b"x-forwarded-proto") == [b"http"]


async def test_idle_connections_are_kept_longer_than_balancers_keep_them() -> None:
    async with staged() as stage:
        assert stage.server.config.timeout_keep_alive == KEEP_ALIVE > 60
