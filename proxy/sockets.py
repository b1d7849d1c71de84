"""Listening sockets, bound before anything is started, so that what is wrong with an address is told at once."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from proxy.address import Address
from proxy.faults import ConfigError, Fault

BACKLOG = 2048


def listen(address: Address, place: str) -> socket.socket:
    """A listening socket; a ConfigError that names the place in the configuration if it cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError([Fault(place, f"cannot listen on {address}: {error.strerror}")]) from None
    sock.setblocking(False)
    return sock


@dataclass(frozen=True, slots=True)
class Doors:
    """The users' and the operators' listening socket, and what the configuration had them bound to."""

    public: socket.socket
    private: socket.socket
    listen: str
    admin: str

    @classmethod
    def opened(cls, public: Address, private: Address) -> Doors:
        """A ConfigError names both if neither can be had."""
        sockets: list[socket.socket] = []
        faults: list[Fault] = []
        for address, place in ((public, "listen"), (private, "admin.listen")):
            try:
                sockets.append(listen(address, place))
            except ConfigError as error:
                faults += error.faults
        if faults:
            for sock in sockets:
                sock.close()
            raise ConfigError(faults)
        users, operators = sockets
        return cls(users, operators, str(public), str(private))
