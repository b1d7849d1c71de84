from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.peers import Peers

PEERS = Peers([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize("address", ["10.0.0.1", "10.255.255.255", "2001:db8::7", "::ffff:10.0.0.1"])
def test_a_proxy_in_a_trusted_network_is_trusted(address: str) -> None:
    assert PEERS.trusts(address)


@pytest.mark.parametrize("address", ["11.0.0.1", "192.0.2.7", "2001:db9::7", "::1", "", "unknown", "10.0.0"])
def test_anyone_else_is_not(address: str) -> None:
    assert not PEERS.trusts(address)


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", [b"203.0.113.9"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"1.1.1.1", b"203.0.113.9", b"10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", [b"[2001:db9::9]:4711"], "2001:db9::9"),
        ("10.0.0.1", [b"2001:db9::9"], "2001:db9::9"),
        ("10.0.0.1", [b"203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9, evil, 10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_client_is_whom_the_outermost_trusted_proxy_names(peer: str, chain: list[bytes], client: str) -> None:
    assert PEERS.client(chain, peer) == client


def test_with_no_trusted_proxy_it_is_whoever_is_connected() -> None:
    assert Peers([]).client([b"203.0.113.9"], "10.0.0.1") == "10.0.0.1"


@given(st.lists(st.binary()), st.text())
def test_no_chain_makes_it_raise(chain: list[bytes], peer: str) -> None:
    PEERS.client(chain, peer)
    PEERS.client(chain, "10.0.0.1")
