"""Stands ahead of a user's protocol until the connection, TLS handshake and all, is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast
from weakref import WeakSet


class Made(Protocol):
    """A user's connection, as a server knows it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def shutdown(self) -> None: ...


class Meetings:
    """What a server makes for each connection in place of a user's protocol, which `make` makes once it is made.

    `leaving`: whether the server parts from its users by now, and so from those whom it meets only then.
    """

    def __init__(self, make: Callable[..., Made], leaving: Callable[[], bool]) -> None:
        self._make, self._leaving = make, leaving
        # Nobody is told of a handshake that fails: what stood for it is dropped, and must then be missing here.
        self._under_way: WeakSet[Meeting] = WeakSet()

    def __call__(self, **server: Any) -> asyncio.Protocol:
        meeting = Meeting(self, server)
        self._under_way.add(meeting)
        return meeting

    def __len__(self) -> int:
        return len(self._under_way)

    def over(self, meeting: Meeting, transport: asyncio.BaseTransport, server: dict[str, Any]) -> None:
        self._under_way.discard(meeting)
        made = self._make(**server)
        cast(asyncio.Transport, transport).set_protocol(cast(asyncio.Protocol, made))
        made.connection_made(transport)
        if self._leaving():
            made.shutdown()


class Meeting(asyncio.Protocol):
    """One connection on its way. It leads to nothing that leads back, so that it goes as soon as it is dropped."""

    def __init__(self, meetings: Meetings, server: dict[str, Any]) -> None:
        self._meetings, self._server = meetings, server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._meetings.over(self, transport, self._server)
