from __future__ import annotations

import socket
from collections.abc import Sequence

from structlog.testing import capture_logs

from proxy.address import Address
from proxy.names import Names, resolve

RAILS, PUMA = Address("rails.test", 80), Address("rails.test", 3000)


class Directory:
    """A resolver that tells every name what it has just now."""

    def __init__(self, *ips: str) -> None:
        self.ips: tuple[str, ...] | None = ips

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if self.ips is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.ips


def names_in(directory: Directory) -> Names:
    return Names("legacy", directory, within=1)


async def test_an_ip_address_needs_no_look_up() -> None:
    directory = Directory()
    directory.ips = None
    for host in ("127.0.0.1", "::1"):
        assert await names_in(directory).ips(Address(host, 80)) == [host]


async def test_what_was_missed_comes_last_until_it_is_met_and_the_rest_keep_their_order() -> None:
    names = names_in(Directory("10.0.0.3", "10.0.0.1", "10.0.0.2"))
    assert await names.ips(RAILS) == ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
    names.met(RAILS, "10.0.0.1", {"10.0.0.3": "it is silent"})
    assert await names.ips(RAILS) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert names.missing == {(RAILS, "10.0.0.3")}
    names.met(RAILS, "10.0.0.3")
    assert await names.ips(RAILS) == ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
    assert names.missing == frozenset()


async def test_what_is_missed_at_one_port_is_not_at_another() -> None:
    names = names_in(Directory("10.0.0.1", "10.0.0.2"))
    names.met(RAILS, "10.0.0.2", {"10.0.0.1": "it is silent"})
    assert await names.ips(PUMA) == ["10.0.0.1", "10.0.0.2"]
    assert names.missing == {(RAILS, "10.0.0.1")}


async def test_what_a_name_no_longer_has_is_not_missed_but_what_nobody_tells_is() -> None:
    directory = Directory("10.0.0.1", "10.0.0.2")
    names = names_in(directory)
    await names.ips(RAILS)
    names.met(RAILS, "10.0.0.2", {"10.0.0.1": "it is silent"})
    directory.ips = None
    assert await names.ips(RAILS) == ["10.0.0.2", "10.0.0.1"]
    assert names.missing == {(RAILS, "10.0.0.1")}
    directory.ips = ("10.0.0.2", "10.0.0.3")
    assert await names.ips(RAILS) == ["10.0.0.2", "10.0.0.3"]
    assert names.missing == frozenset()


async def test_each_change_of_an_ip_address_is_told_once() -> None:
    names = names_in(Directory())
    with capture_logs() as logs:
        for _ in range(2):
            names.met(RAILS, "10.0.0.2", {"10.0.0.1": "it is silent"})
        for _ in range(2):
            names.met(RAILS, "10.0.0.1")
    missed, met = logs
    assert missed["event"].startswith("an IP address of a name takes no connection: its others are tried first")
    assert (missed["side"], missed["address"], missed["ip"]) == ("legacy", str(RAILS), "10.0.0.1")
    assert (missed["reason"], missed["log_level"]) == ("it is silent", "warning")
    assert (met["event"], met["ip"], met["log_level"]) == ("an IP address of a name is back", "10.0.0.1", "info")


async def test_the_system_knows_names() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)
