from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:8080", "::1", 8080),
        ("localhost:80", "localhost", 80),
        ("my_service.internal:65535", "my_service.internal", 65535),
        ("x" * 63 + ".a-b:1", "x" * 63 + ".a-b", 1),
        ("x." * 126 + "x:1", "x." * 126 + "x", 1),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8080", "is not a host and a port"),
        ("127.0.0.1", "is not a host and a port"),
        ("[::1]", "is not a host and a port"),
        ("::1:8080", "[::1]:8080 for IPv6"),
        (":8080", "0.0.0.0 for all interfaces"),
        ("127.0.0.1:", "no valid port"),
        ("127.0.0.1:http", "no valid port"),
        ("127.0.0.1:65536", "no valid port"),
        ("256.0.0.1:80", "no valid address"),
        ("[::g]:80", "no valid address"),
        ("a b:80", "no valid host name"),
        ("-a:80", "no valid host name"),
        ("a..b:80", "no valid host name"),
        ("a.:80", "no valid host name"),
        ("x" * 64 + ".test:80", "no valid host name"),
        ("x." * 127 + "x:80", "no valid host name"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Address.parse(text)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:3000", Address("127.0.0.1", 3000)),
        ("http://127.0.0.1:3000/", Address("127.0.0.1", 3000)),
        ("HTTP://rails", Address("rails", 80)),
        ("http://[::1]:3000", Address("::1", 3000)),
        ("https://rails", Address("rails", 443, tls=True)),
        ("HTTPS://[::1]:8443/", Address("::1", 8443, tls=True)),
        ("unix:///run/puma.sock", Address("", 0, path="/run/puma.sock")),
        ("UNIX:///run/a@b c%20?.sock", Address("", 0, path="/run/a@b c%20?.sock")),
        ("unix:///" + "x" * 106, Address("", 0, path="/" + "x" * 106)),
    ],
)
def test_a_url_names_an_address(url: str, address: Address) -> None:
    assert Address.of_url(url) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:3000", "is no URL"),
        ("", "is no URL"),
        ("https://rails/app", "write https://rails:"),
        ("ftp://rails", "write http://, https:// or unix:///"),
        ("unix://run/puma.sock", "no whole path"),
        ("unix://", "no whole path"),
        ("unix:/run/puma.sock", "is no URL"),
        ("unix:///", "names no unix socket"),
        ("unix:///run/", "names no unix socket"),
        ("unix:///run/\0.sock", "names no unix socket"),
        ("unix:///" + "x" * 107, "107 bytes"),
        ("unix:///" + "é" * 54, "107 bytes"),
        ("http://rails/app", "has a path; write http://rails:"),
        ("http://rails?x=1", "has a path"),
        ("http://", "has no host"),
        ("http://rails:0", "the port 0"),
        ("http://rails:x", "no valid port"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Address.of_url(url)


def test_a_password_in_a_url_is_not_repeated() -> None:
    for url in ("http://me:hunter2@rails", "https://me:hunter2@rails", "unix://me:hunter2@rails", "me:hunter2@rails"):
        with pytest.raises(ValueError, match="user or password") as refused:
            Address.of_url(url)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown", "authority"),
    [
        ("http://rails", "rails:80", "rails:80"),
        ("https://[::1]", "[::1]:443", "[::1]:443"),
        ("unix:///run/puma.sock", "unix:///run/puma.sock", "localhost"),
    ],
)
def test_an_address_is_shown_as_people_know_it_and_named_as_http_can(url: str, shown: str, authority: str) -> None:
    address = Address.of_url(url)
    assert (str(address), address.authority) == (shown, authority)


def test_loopback_is_told_from_the_rest() -> None:
    assert all(Address(host, 1).is_loopback for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert Address("", 0, path="/run/puma.sock").is_loopback
    assert not any(Address(host, 1).is_loopback for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"))


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    for parse in (Address.parse, Address.of_url):
        try:
            found = parse(text)
        except ValueError:
            continue
        assert 0 <= found.port <= 65_535
