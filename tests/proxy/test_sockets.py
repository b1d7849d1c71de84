from __future__ import annotations

import socket

import pytest

from proxy.address import Address
from proxy.faults import ConfigError
from proxy.sockets import listen, listen_together

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


def test_sockets_that_listen_together_share_a_port_with_nobody_else() -> None:
    sockets = listen_together(HERE, "listen", 3)
    (port,) = {sock.getsockname()[1] for sock in sockets}
    try:
        for attempt in (lambda: listen(Address("127.0.0.1", port), "listen"), lambda: again(port)):
            with pytest.raises(ConfigError, match="Address already in use"):
                attempt()
    finally:
        for sock in sockets:
            sock.close()


def again(port: int) -> list[socket.socket]:
    """Another proxy of the same user, who may share the port as far as the kernel is concerned."""
    return listen_together(Address("127.0.0.1", port), "listen", 2)


def test_connections_are_spread_over_all_of_them() -> None:
    sockets = listen_together(HERE, "listen", 2)
    users = [socket.create_connection(sockets[0].getsockname()) for _ in range(64)]
    accepted = [sock.accept()[0] for sock in sockets]  # which raises where nobody waits
    for sock in [*users, *accepted, *sockets]:
        sock.close()
