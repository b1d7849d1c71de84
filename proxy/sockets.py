"""Listening sockets, bound before anything is started, so that what is wrong with an address is told at once."""

from __future__ import annotations

import socket

from proxy.address import Address
from proxy.faults import ConfigError, Fault

BACKLOG = 2048


def listen(address: Address, place: str, *, shared: bool = False) -> socket.socket:
    """A listening socket; a ConfigError that names the place in the configuration if it cannot be had.

    Several sockets that are `shared` can listen on one address: the kernel spreads connections over them.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError([Fault(place, f"cannot listen on {address}: {error.strerror}")]) from None
    sock.setblocking(False)
    return sock


def listen_together(address: Address, place: str, count: int) -> list[socket.socket]:
    """So many sockets on one address, which is nobody else's: a port that is shared could be shared by mistake, too."""
    with listen(address, place) as alone:
        taken = Address(address.host, alone.getsockname()[1])  # port 0 is one port for all of them
    return [listen(taken, place, shared=True) for _ in range(count)]
