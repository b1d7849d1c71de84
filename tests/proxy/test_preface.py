from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.preface import Malformed, Preface, crc32c, parse

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"


def version_2(rest: bytes, *, command: int = 0x21, kind: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, kind, len(rest) if length is None else length) + rest


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


TCP4 = IPv4Address("192.0.2.7").packed + IPv4Address("10.0.0.1").packed + struct.pack("!HH", 56324, 443)
TCP6 = IPv6Address("2001:db8::7").packed + IPv6Address("::1").packed + struct.pack("!HH", 56324, 443)


def checked(flipped: int = 0) -> bytes:
    """A header with a checksum, of which some bits may be flipped."""
    header = version_2(TCP4 + tlv(4, b"padding") + tlv(3, b"\0\0\0\0"))
    return header[:-4] + struct.pack("!I", crc32c(header) ^ flipped)


@pytest.mark.parametrize(
    ("header", "source", "destination"),
    [
        (LINE, ("192.0.2.7", 56324), ("10.0.0.1", 443)),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", *2 * [("255.255.255.255", 65535)]),
        (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", *2 * [("0.0.0.0", 0)]),
        (b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 1 2\r\n", ("2001:db8::7", 1), ("::1", 2)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", ("::ffff:c000:207", 1), ("::1", 2)),
        (b"PROXY TCP6 " + 2 * (b"ffff:" * 7 + b"ffff ") + b"65535 65535\r\n", *2 * [("ffff:" * 7 + "ffff", 65535)]),
        (version_2(TCP4), ("192.0.2.7", 56324), ("10.0.0.1", 443)),
        (version_2(TCP6, kind=0x21), ("2001:db8::7", 56324), ("::1", 443)),
        (version_2(TCP4 + tlv(2, b"chat.example") + tlv(0xEA, b"\1vpce-1")), ("192.0.2.7", 56324), ("10.0.0.1", 443)),
        (version_2(TCP4 + tlv(4, bytes(4065))), ("192.0.2.7", 56324), ("10.0.0.1", 443)),
        (checked(), ("192.0.2.7", 56324), ("10.0.0.1", 443)),
    ],
)
def test_a_balancer_says_whom_it_has_connected(
    header: bytes, source: tuple[str, int], destination: tuple[str, int]
) -> None:
    assert parse(header + b"GET / HTTP/1.1\r\n") == Preface(source, destination, len(header))


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 whatever 0x \r\n",
        b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n",
        version_2(b"", command=0x20, kind=0),
        version_2(TCP4, command=0x20),
        version_2(b"any thing", command=0x20, kind=0xFF),
        version_2(b"", kind=0),
        version_2(b"any thing", kind=0),
        version_2(TCP4, kind=0x10),
        version_2(TCP4, kind=0x12),
        version_2(TCP6, kind=0x22),
        version_2(bytes(216), kind=0x31),
        version_2(bytes(216) + tlv(4, b""), kind=0x32),
    ],
)
def test_a_balancer_that_names_no_tcp_address_stands_for_itself(header: bytes) -> None:
    assert parse(header + b"GET / HTTP/1.1\r\n") == Preface(None, None, len(header))


@pytest.mark.parametrize(
    ("value", "encrypted"),
    [
        (b"\1\0\0\0\0", True),
        (b"\7\0\0\0\1" + tlv(0x21, b"TLSv1.3"), True),
        (b"\0\0\0\0\0", False),
        (b"\6\0\0\0\0", False),
        (b"", False),
    ],
)
def test_a_balancer_says_whether_its_user_came_over_tls(value: bytes, encrypted: bool) -> None:
    preface = parse(version_2(TCP4 + tlv(0x20, value)))
    assert preface is not None
    assert preface.encrypted is encrypted


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXYTCP4",
        b"proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP6 1::2::3 ::1 1 2\r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 96,
        version_2(TCP4, command=0x11),
        version_2(TCP4, command=0x22),
        version_2(TCP4, kind=0x13),
        version_2(TCP4, kind=0x41),
        version_2(TCP4[:-1]),
        version_2(TCP6[:-1], kind=0x21),
        version_2(bytes(215), kind=0x31),
        version_2(TCP4 + b"\4"),
        version_2(TCP4 + b"\4\0\2a"),
        version_2(TCP4 + tlv(4, bytes(4066))),
        version_2(b"", length=0xFFFF),
        checked(flipped=1),
        version_2(TCP4 + tlv(3, b"abc")),
    ],
)
def test_anything_else_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


def test_the_checksum_is_the_standard_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283


HEADERS = st.sampled_from(
    [LINE, b"PROXY UNKNOWN\r\n", b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", version_2(TCP4), version_2(TCP6, kind=0x21),
     version_2(b"", command=0x20), version_2(TCP4 + tlv(0x20, b"\1\0\0\0\0")), checked()]
)  # fmt: skip


@given(HEADERS, st.binary(max_size=40))
def test_a_header_is_understood_when_its_last_byte_has_come_and_not_before(header: bytes, rest: bytes) -> None:
    assert [parse(header[:size]) for size in range(len(header))] == [None] * len(header)
    whole = parse(header)
    assert whole is not None
    assert parse(header + rest) == whole
    assert whole.length == len(header)


@given(HEADERS, st.data())
def test_no_mutation_makes_it_raise_anything_of_its_own_accord(header: bytes, data: st.DataObject) -> None:
    broken = bytearray(header)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    _expect_sense(bytes(broken))


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE, SIGNATURE + b"\x21"]), st.binary())
def test_nothing_that_comes_makes_it_raise_anything_of_its_own_accord(start: bytes, rest: bytes) -> None:
    _expect_sense(start + rest)


def _expect_sense(data: bytes) -> None:
    """Malformed, or unfinished within the bound, or a header that lies within the data and names addresses."""
    try:
        preface = parse(data)
    except Malformed:
        return
    if preface is None:
        assert len(data) < 4096
        return
    assert 0 < preface.length <= len(data)
    for endpoint in (preface.source, preface.destination):
        assert endpoint is None or (ip_address(endpoint[0]) and 0 <= endpoint[1] <= 0xFFFF)
