from __future__ import annotations

import socket

import pytest

from proxy.address import Address
from proxy.faults import ConfigError
from proxy.sockets import Doors, listen

HERE = Address("127.0.0.1", 0)


def test_a_port_in_use_is_a_fault_of_the_configuration() -> None:
    with listen(HERE, "listen") as taken:
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
    with listen(HERE, "listen") as four, listen(Address("::1", 0), "listen") as six:
        assert (four.family, six.family) == (socket.AF_INET, socket.AF_INET6)


def test_of_two_ports_that_cannot_be_had_both_are_told() -> None:
    with listen(HERE, "listen") as taken, listen(HERE, "listen") as also, pytest.raises(ConfigError) as error:
        Doors.opened(at(taken), at(also))
    assert [fault.place for fault in error.value.faults] == ["listen", "admin.listen"]


def test_of_two_ports_of_which_one_can_be_had_that_one_is_let_go() -> None:
    with listen(HERE, "listen") as taken, listen(HERE, "listen") as passing:
        free = at(passing)
        passing.close()
        with pytest.raises(ConfigError):
            Doors.opened(free, at(taken))
        listen(free, "listen").close()


def at(sock: socket.socket) -> Address:
    return Address("127.0.0.1", sock.getsockname()[1])
