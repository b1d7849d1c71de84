"""How connections to a side are opened: by TCP, TLS or a unix socket, at whichever of its addresses answers."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from proxy.address import Address
from proxy.errors import NoConnection, Refused, SideFailed
from proxy.fair import fair_timeout
from proxy.names import Names, Resolve, resolve

P = TypeVar("P", bound=asyncio.Protocol)

log = structlog.get_logger()
LOOK_EVERY = 1.0  # seconds
# What this process has run out of says nothing about the other end.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Dial:
    """The addresses of one side, which new connections go round.

    An address that takes no connection is down, and asked only where no other answers, until `watch` finds it up again.
    `connect`: seconds within which an address takes a connection.
    """

    def __init__(
        self,
        side: str,
        addresses: Sequence[Address],
        *,
        connect: float = 1.0,
        ca: Path | None = None,
        every: float = LOOK_EVERY,
        resolve: Resolve = resolve,
    ) -> None:
        self.side, self.addresses = side, tuple(addresses)
        self._connect, self._every = connect, every
        self._tls = client_context(ca) if any(address.tls for address in addresses) else None
        self._names = Names(side, resolve, within=connect / 2)
        self._down: set[Address] = set()
        self._turn = 0
        self._when_down: list[Callable[[Address], None]] = []

    @property
    def up(self) -> Mapping[str, bool]:
        """Each address, and whether it took the last connection."""
        return {str(address): address not in self._down for address in self.addresses}

    @property
    def authority(self) -> bytes:
        """The Host of a request that brings none."""
        return self.addresses[0].authority.encode()

    def when_down(self, forget: Callable[[Address], None]) -> None:
        """Have this called for each address that others are to replace from now on."""
        self._when_down.append(forget)

    async def open(self, make: Callable[[], P]) -> tuple[P, Address]:
        """A protocol with its connection, and where it leads; Refused or NoConnection if no address takes one."""
        failures: list[SideFailed] = []
        for address in self._in_turn():
            try:
                _, protocol = await self._reach(address, make)
            except SideFailed as failure:
                failures.append(failure)
            else:
                return protocol, address
        late = all(isinstance(failure, NoConnection) for failure in failures)
        raise (NoConnection if late else Refused)("; ".join(map(str, failures)))

    async def look(self, addresses: Iterable[Address]) -> bool:
        """Connect to these addresses, and to what is missing of names, for no other purpose; whether any is up."""
        async with asyncio.TaskGroup() as looks:
            for address in addresses:
                looks.create_task(self._look_at(address))
            for address, ip in self._names.missing:
                looks.create_task(self._look_for(address, ip))
        return len(self._down) < len(self.addresses)

    async def watch(self) -> None:
        """Look every so often, until cancelled: at what is down, and at what could be replaced if it were."""
        while True:
            await asyncio.sleep(self._every)
            await self.look(self.addresses if len(self.addresses) > 1 else tuple(self._down))

    async def _look_at(self, address: Address) -> None:
        with suppress(SideFailed):
            transport, _ = await self._reach(address, asyncio.Protocol)
            transport.close()

    async def _look_for(self, address: Address, ip: str) -> None:
        with suppress(OSError):  # a time-out is one, too
            async with fair_timeout(self._connect):
                transport, _ = await self._connected_to(ip, address, asyncio.Protocol)
            transport.close()
            self._names.met(address, ip)

    def _in_turn(self) -> list[Address]:
        """The next one that is up, the others that are, and at last those that are down."""
        self._turn += 1
        up = [address for address in self.addresses if address not in self._down]
        down = [address for address in self.addresses if address in self._down]
        return _rotated(up, self._turn) + _rotated(down, self._turn)

    async def _reach(self, address: Address, make: Callable[[], P]) -> tuple[asyncio.BaseTransport, P]:
        try:
            async with fair_timeout(self._connect):
                transport, protocol = await self._connected(address, make)
            if transport.is_closing():
                raise ConnectionResetError("closed as soon as it was open")
        except TimeoutError:
            late = NoConnection(f"no connection to {address} within {self._connect:g} s")
            raise self._missed(address, late) from None
        except OSError as error:
            refused = Refused(f"no connection to {address}: {reason(error)}")
            raise refused if error.errno in _OURS else self._missed(address, refused) from None
        self._met(address)
        return transport, protocol

    async def _connected(self, address: Address, make: Callable[[], P]) -> tuple[asyncio.BaseTransport, P]:
        loop = asyncio.get_running_loop()
        if address.path:
            return await loop.create_unix_connection(make, address.path)
        until = loop.time() + self._connect
        ips, missed = await self._names.ips(address), dict[str, str]()
        for left, ip in zip(range(len(ips), 0, -1), ips, strict=True):
            within = (until - loop.time()) / left  # one that is silent leaves time for the rest
            try:
                async with fair_timeout(within):
                    connection = await self._connected_to(ip, address, make)
            except OSError as error:  # a time-out is one, too
                if left == 1:
                    raise
                if error.errno not in _OURS:
                    late = f"no connection within {within:.2g} s"
                    missed[ip] = late if isinstance(error, TimeoutError) else reason(error)
            else:
                self._names.met(address, ip, missed)
                return connection
        raise OSError(f"{address.host} has no address")

    async def _connected_to(self, ip: str, address: Address, make: Callable[[], P]) -> tuple[asyncio.BaseTransport, P]:
        tls: dict[str, Any] = {"ssl": self._tls, "server_hostname": address.host} if address.tls else {}
        return await asyncio.get_running_loop().create_connection(make, ip, address.port, **tls)

    def _missed(self, address: Address, failure: SideFailed) -> SideFailed:
        if address not in self._down:
            self._down.add(address)
            others = len(self.addresses) > len(self._down)
            log.warning(
                "an address is down: the others of its side take its traffic until it answers again"
                if others
                else "a side is down: what it is asked fails, or goes to the other side, until it answers again",
                side=self.side,
                address=str(address),
                reason=str(failure),
            )
            if others:
                for forget in self._when_down:
                    forget(address)
        return failure

    def _met(self, address: Address) -> None:
        if address in self._down:
            self._down.discard(address)
            log.info("an address is up again", side=self.side, address=str(address))


def client_context(ca: Path | None) -> ssl.SSLContext:
    """TLS that verifies the other end's certificate and name, against these authorities or else the system's."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def reason(error: OSError) -> str:
    """Why there is no connection, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as we do ({error.reason or error})"
    return error.strerror or str(error) or "it ended the connection"


def _rotated(addresses: list[Address], turn: int) -> list[Address]:
    start = turn % len(addresses) if addresses else 0
    return addresses[start:] + addresses[:start]
