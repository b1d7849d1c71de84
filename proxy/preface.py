"""The header of the PROXY protocol, versions 1 and 2: whom a TCP balancer has connected to us.  No I/O.

Of version 2, TCP over IPv4 and IPv6 is told apart; for everything else the balancer itself stands as the peer, as the
specification (haproxy, doc/proxy-protocol.txt) asks of receivers that do not know a kind of address.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

Endpoint = tuple[str, int]

_LINE_LIMIT = 107  # bytes of the longest line of version 1
_LIMIT = 4096  # bytes of a header of version 2, its TLVs included
_LINE = b"PROXY "
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_VERSION_1 = re.compile(rb"TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")
_LOCAL, _PROXY = 0x20, 0x21
_KINDS = {high << 4 | low for high in range(4) for low in range(3)}
_TCP4, _TCP6, _ADDRESS_LENGTHS = 0x11, 0x21, {1: 12, 2: 36, 3: 216}  # lengths by address family
_CRC32C, _SSL = 0x03, 0x20


class Malformed(ValueError):
    """What came is no header of the PROXY protocol."""


@dataclass(frozen=True, slots=True)
class Preface:
    """`source` is who has connected to the balancer, `destination` where; None: the balancer speaks for itself.
    `encrypted`: the balancer says that it was over TLS. `length`: bytes of the header, after which the request begins.
    """

    source: Endpoint | None
    destination: Endpoint | None
    length: int
    encrypted: bool = False


def parse(data: bytes) -> Preface | None:
    """The header that a connection begins with; None while it is not there whole; raises Malformed."""
    if data.startswith(_SIGNATURE):
        return _version_2(data)
    if data.startswith(_LINE):
        return _version_1(data)
    if _SIGNATURE.startswith(data) or _LINE.startswith(data):
        return None
    raise Malformed("it does not begin with a header of the PROXY protocol")


def _version_1(data: bytes) -> Preface | None:
    line, ended, _ = data[:_LINE_LIMIT].partition(b"\r\n")
    if b"\n" in line or (not ended and len(data) >= _LINE_LIMIT):
        raise Malformed("its PROXY line does not end with CRLF")
    if not ended:
        return None
    length, told = len(line) + 2, line[len(_LINE) :]
    if told.split(b" ")[0] == b"UNKNOWN":
        return Preface(None, None, length)
    found = _VERSION_1.fullmatch(told)
    if found is None:
        raise Malformed("its PROXY line does not name two addresses and two ports")
    kind = IPv4Address if found[1] == b"4" else IPv6Address
    ports = int(found[4]), int(found[5])
    try:
        source, destination = (str(kind(address.decode())) for address in (found[2], found[3]))
    except ValueError as error:
        raise Malformed(f"its PROXY line names no address: {error}") from None
    if max(ports) > 0xFFFF:
        raise Malformed(f"its PROXY line names no port: {max(ports)}")
    return Preface((source, ports[0]), (destination, ports[1]), length)


def _version_2(data: bytes) -> Preface | None:
    if len(data) < 16:
        return None
    command, kind, rest = struct.unpack_from("!BBH", data, 12)
    if command not in (_LOCAL, _PROXY):
        raise Malformed(f"its PROXY header has the unknown version or command 0x{command:02x}")
    length = 16 + rest
    if length > _LIMIT:
        raise Malformed(f"its PROXY header has {length} bytes, more than {_LIMIT}")
    if len(data) < length:
        return None
    if command == _LOCAL:
        return Preface(None, None, length)
    if kind not in _KINDS:
        raise Malformed(f"its PROXY header has the unknown kind of address 0x{kind:02x}")
    addresses = _ADDRESS_LENGTHS.get(kind >> 4, 0)
    if rest < addresses:
        raise Malformed("its PROXY header is too short for its addresses")
    source, destination = _endpoints(data, kind)
    encrypted = False
    # Of an unspecified kind nobody knows where addresses end and TLVs begin.
    for tlv, start, end in _tlvs(data, 16 + addresses, length) if addresses else ():
        if tlv == _CRC32C and not _sound(data[:length], start, end):
            raise Malformed("its PROXY header was damaged on the way: the checksum is another")
        encrypted = encrypted or (tlv == _SSL and end > start and bool(data[start] & 1))
    return Preface(source, destination, length, encrypted)


def _endpoints(data: bytes, kind: int) -> tuple[Endpoint, Endpoint] | tuple[None, None]:
    if kind not in (_TCP4, _TCP6):
        return None, None
    source, destination, *ports = struct.unpack_from("!4s4sHH" if kind == _TCP4 else "!16s16sHH", data, 16)
    return (str(ip_address(source)), ports[0]), (str(ip_address(destination)), ports[1])


def _tlvs(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """What is told beside the addresses: its type, and where its value starts and ends."""
    while start < end:
        if start + 3 > end:
            raise Malformed("its PROXY header ends within a TLV")
        tlv, length = struct.unpack_from("!BH", data, start)
        start += 3
        if start + length > end:
            raise Malformed("its PROXY header ends within a TLV")
        yield tlv, start, start + length
        start += length


def _sound(header: bytes, start: int, end: int) -> bool:
    """Whether the checksum, taken over the header with zeros in its own place, is the one that it says."""
    return header[start:end] == struct.pack("!I", crc32c(header[:start] + bytes(end - start) + header[end:]))


def crc32c(data: bytes) -> int:
    """The checksum of RFC 4960, Appendix B."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _table_entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (0x82F63B78 if index & 1 else 0)
    return index


_TABLE = [_table_entry(index) for index in range(256)]
