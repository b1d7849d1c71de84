"""The IP addresses of names, and which of them take no connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType

import structlog

from proxy.address import Address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

log = structlog.get_logger()


async def resolve(host: str, port: int) -> Sequence[str]:
    """A name's IP addresses in the order in which the system prefers them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Names:
    """Where the addresses of one side may be had. An IP address that takes no connection, where another of its name
    does, is missed and comes last until it is met again: a silent one costs each who tries it first half of a limit.

    `within`: seconds that a look-up may take where an earlier one has told something.
    """

    def __init__(self, side: str, resolve: Resolve, within: float) -> None:
        self._side, self._resolve, self._within = side, resolve, within
        self._known: dict[str, Sequence[str]] = {}
        self._missing: set[tuple[Address, str]] = set()

    @property
    def missing(self) -> frozenset[tuple[Address, str]]:
        """What to look at, until it is met again or its name no longer has it."""
        return frozenset(self._missing)

    async def ips(self, address: Address) -> Sequence[str]:
        """What to try for this one, in this order."""
        if _is_ip(address.host):
            return [address.host]
        found = await self._looked_up(address)
        self._missing = {(of, ip) for of, ip in self._missing if of != address or ip in found}
        return sorted(found, key=lambda ip: (address, ip) in self._missing)

    def met(self, address: Address, ip: str, missed: Mapping[str, str] = MappingProxyType({})) -> None:
        """This one took a connection; these, which were tried before it, did not, and why."""
        if (address, ip) in self._missing:
            self._missing.discard((address, ip))
            log.info("an IP address of a name is back", side=self._side, address=str(address), ip=ip)
        for other, why in missed.items():
            self._miss(address, other, why)

    def _miss(self, address: Address, ip: str, why: str) -> None:
        if (address, ip) not in self._missing:
            self._missing.add((address, ip))
            log.warning(
                "an IP address of a name takes no connection: its others are tried first until it answers again",
                side=self._side,
                address=str(address),
                ip=ip,
                reason=why,
            )

    async def _looked_up(self, address: Address) -> Sequence[str]:
        """Those of the last time if nobody can tell, for they have not gone with DNS."""
        known = self._known.get(address.host)
        try:
            async with asyncio.timeout(self._within if known else None):
                found = self._known[address.host] = await self._resolve(address.host, address.port)
        except OSError:  # a time-out is one, too
            if known is None:
                raise
            return known
        return found


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
