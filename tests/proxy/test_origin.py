from __future__ import annotations

import pytest

from proxy.origin import Claims, Header, origin


def told(*headers: Header, client: str = "10.0.0.1", scheme: str = "http") -> dict[bytes, bytes]:
    """The lines by name, of a peer that is believed."""
    said = {name: (value,) for name, value in headers}
    return dict(origin(Claims.of(said, trusted=True), client, scheme))


def test_a_stranger_is_asked_for_the_host_and_nothing_else() -> None:
    said = {b"host": (b"h",), b"x-forwarded-for": (b"203.0.113.9",), b"forwarded": (b"for=203.0.113.9",)}
    assert Claims.of(said, trusted=False) == Claims(host=(b"h",))
    assert Claims.of(said, trusted=True).chain == (b"203.0.113.9",)


def test_a_chain_told_in_one_spelling_is_told_in_both() -> None:
    chain = (b"x-forwarded-for", b"2001:db8::9, 10.0.0.2:77")
    found = told((b"host", b"h"), chain, (b"x-forwarded-proto", b"https, http"))
    assert found[b"forwarded"] == b'for="[2001:db8::9]", for="10.0.0.2:77", for=10.0.0.1;host=h;proto=https'
    assert found[b"x-forwarded-port"] == b"443"


def test_what_came_in_several_lines_leaves_in_several() -> None:
    claims = Claims(hosts=(b"a", b"b"), schemes=(b"https", b"http"))
    lines = origin(claims, "10.0.0.1", "http")
    assert [value for name, value in lines if name == b"x-forwarded-host"] == [b"a", b"b"]
    assert [value for name, value in lines if name == b"x-forwarded-proto"] == [b"https", b"http"]


@pytest.mark.parametrize(
    ("client", "spelled"),
    [
        ("192.0.2.7", b"192.0.2.7"),
        ("2001:db8::1", b'"[2001:db8::1]"'),
        ("fe80::1%eth0", b'"[fe80::1%eth0]"'),
        ("", b"unknown"),
    ],
)
def test_an_address_is_spelled_by_the_rules_of_forwarded(client: str, spelled: bytes) -> None:
    assert told(client=client)[b"forwarded"] == b"for=" + spelled + b";proto=http"


def test_a_hostile_host_cannot_leave_its_quotes() -> None:
    found = told((b"host", b'a";for=127.0.0.1;x="\\'))
    assert found[b"forwarded"] == b'for=10.0.0.1;host="a\\";for=127.0.0.1;x=\\"\\\\";proto=http'


@pytest.mark.parametrize(
    ("host", "port"), [(b"a", b"80"), (b"a:81", b"81"), (b"[::1]", b"80"), (b"[::1]:82", b"82"), (b"a:", b"80")]
)
def test_the_port_is_the_one_in_the_users_address(host: bytes, port: bytes) -> None:
    assert told((b"host", host))[b"x-forwarded-port"] == port


@pytest.mark.parametrize(
    ("scheme", "spelled", "port"),
    [("http", b"http", b"80"), ("https", b"https", b"443"), ("ws", b"http", b"80"), ("wss", b"https", b"443")],
)
def test_the_scheme_is_the_one_of_http(scheme: str, spelled: bytes, port: bytes) -> None:
    found = told((b"host", b"h"), scheme=scheme)
    assert found[b"x-forwarded-proto"] == spelled
    assert found[b"x-forwarded-port"] == port
