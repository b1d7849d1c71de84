"""Who is calling, and how: X-Forwarded-* and Forwarded.  No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Header = tuple[bytes, bytes]
Said = Mapping[bytes, tuple[bytes, ...]]  # what headers say, by their names in lower case

# A WebSocket is asked for over HTTP (RFC 6455 §4.1), and X-Forwarded-Proto names that: "ws" is no scheme to Rails.
_OVER = {"ws": b"http", "wss": b"https"}

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")  # RFC 9110 §5.6.2
_PORT = re.compile(rb":([0-9]{1,5})$")
CLAIMED = b"host x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port forwarded".split()


class Claims(NamedTuple):
    """What a request says of who sent it, as far as it is believed."""

    host: tuple[bytes, ...] | None = None
    chain: tuple[bytes, ...] | None = None
    schemes: tuple[bytes, ...] | None = None
    hosts: tuple[bytes, ...] | None = None
    ports: tuple[bytes, ...] | None = None
    forwarded: tuple[bytes, ...] | None = None

    @classmethod
    def of(cls, said: Said, *, trusted: bool) -> Claims:
        return cls._make(map(said.get, CLAIMED)) if trusted else cls(said.get(b"host"))


def origin(claims: Claims, client: str, scheme: str) -> tuple[Header, ...]:
    """Who asked whom, and how: X-Forwarded-* and Forwarded, as two spellings of one statement."""
    peer = client.encode("latin-1", "replace") or b"unknown"
    before = claims.chain or ()
    schemes = claims.schemes or (_OVER.get(scheme) or scheme.encode(),)
    hosts = claims.hosts or claims.host or ()
    proto = schemes[0].split(b",")[0].strip()
    host = hosts[0] if hosts else b""
    return (
        (b"x-forwarded-for", b", ".join([*before, peer])),
        *[(b"x-forwarded-proto", value) for value in schemes],
        *[(b"x-forwarded-host", value) for value in hosts],
        *[(b"x-forwarded-port", value) for value in claims.ports or (_port(host, proto),)],
        (b"forwarded", _forwarded(claims.forwarded, before, peer, host, proto)),
    )


def _port(host: bytes, scheme: bytes) -> bytes:
    """The port that the user's address names, or the scheme's own."""
    named = _PORT.search(host) if b":" in host else None
    return named[1] if named else b"443" if scheme == b"https" else b"80"


def _forwarded(
    stated: Sequence[bytes] | None, before: Sequence[bytes], client: bytes, host: bytes, scheme: bytes
) -> bytes:
    """RFC 7239. Host and scheme are stated once, as the user sees them; a chain known only from X-Forwarded-For is
    translated (§7.4), or whoever reads Forwarded would take the last proxy for the user."""
    if stated:
        return b", ".join([*stated, b"for=" + _node(client)])
    hops = [b"for=" + _node(hop.strip()) for line in before for hop in line.split(b",") if hop.strip()]
    named = b";host=" + _value(host) if host else b""
    return b", ".join([*hops, b"for=%b%b;proto=%b" % (_node(client), named, _value(scheme))])


def _node(address: bytes) -> bytes:
    """RFC 7239 §6: an IPv6 address stands in brackets and, for its colons, in quotes."""
    return b'"[%b]"' % address if address.count(b":") > 1 and b"[" not in address else _value(address)


def _value(text: bytes) -> bytes:
    if _TOKEN.fullmatch(text):
        return text
    return b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
