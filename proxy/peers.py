"""Whom to believe about where a request comes from.  No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([^:\[\]]+):\d+")


class Peers:
    """The proxies in front of this one, by network."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self.trusted = tuple(trusted)
        self.trusts = lru_cache(maxsize=1024)(self._trusts)  # balancers are few and come with every request

    def _trusts(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and self._contain(parsed)

    def _contain(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.trusted)

    def client(self, chain: Iterable[bytes], peer: str) -> str:
        """The address of whoever asked the outermost trusted proxy: X-Forwarded-For read from its trustworthy end."""
        client = peer
        if not self.trusts(peer):
            return client
        for hop in reversed(b",".join(chain).decode("latin-1").split(",")):
            parsed = _parsed(hop.strip())
            if parsed is None:
                break
            client = str(parsed)
            if not self._contain(parsed):
                break
        return client


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    with_port = _WITH_PORT.fullmatch(address) if ":" in address else None
    try:
        parsed = ip_address((with_port[1] or with_port[2]) if with_port else address)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
