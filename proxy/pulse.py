"""A worker's pulse: what its watchdog says to the supervisor past the event loop, which may be busy or stand still."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

LONGEST = 1 << 17


class Pulse:
    """The worker's end. Messages are whole or lost; neither ever waits, and any thread may beat."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def beat(self) -> None:
        self._say(None)

    def stalled(self, routes: Mapping[str, float]) -> None:
        """The event loop stands still, and these are to blame; each with of when its trip is at the earliest."""
        self._say(routes)

    def _say(self, told: Mapping[str, float] | None) -> None:
        with suppress(OSError):  # nobody listens, or not fast enough
            self._sock.send(json.dumps(told).encode())


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of one, each of whose messages arrives as it was sent."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def felt(sock: socket.socket) -> Iterator[dict[str, float] | None]:
    """What has come since: None for a beat, or the routes that are to blame for a stall. EOFError: there is no more.

    While workers are replaced one by one the ends may be of two versions: an earlier one names the routes alone.
    """
    with suppress(BlockingIOError, ConnectionResetError):
        while message := sock.recv(LONGEST):
            told = json.loads(message)
            yield dict.fromkeys(told, 0.0) if isinstance(told, list) else told
        raise EOFError
