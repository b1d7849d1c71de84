"""The line between a supervisor and one of its workers: short messages, both ways, until either end is gone."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from typing import Any

HEAD = struct.Struct(">cI")


class Word(enum.Enum):
    """What a message is about."""

    READY = b"r"  # a worker takes requests; with what it has agreed to, as JSON
    COUNTS = b"c"  # a worker's exposition, or the answer to EVERYONE: that of all others
    EVERYONE = b"e"  # a worker asks what all others have counted
    TRIPS = b"t"  # the trips that the store has not heard of, as JSON
    SHADOWS = b"s"  # how much of its shadow work a worker leaves undone, as JSON; back, a list of the others'


_WORDS = {word.value: word for word in Word}


Heard = tuple[str, float, str, str]  # a trip: its route, when, why, who


def heard(told: Iterable[Sequence[Any]]) -> set[Heard]:
    """Trips as the other end tells them. While workers are replaced one by one the ends may be of two versions: what a
    later one adds is passed over."""
    return {(route, at, why, who) for route, at, why, who, *_ in told}


class Line:
    """One end. The sockets are a pair that nobody else holds, so that its end tells the end of a process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Line:
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def post(self, word: Word, body: bytes = b"") -> None:
        """For what is short and rare; a message to an end that is gone is lost."""
        if not self._writer.is_closing():
            self._writer.write(HEAD.pack(word.value, len(body)) + body)

    async def send(self, word: Word, body: bytes = b"") -> None:
        """Return once the other end keeps up."""
        self.post(word, body)
        with suppress(OSError):  # whoever listens learns of the end
            await self._writer.drain()

    async def messages(self) -> AsyncGenerator[tuple[Word, bytes], None]:
        """What the other end says, until it is gone."""
        try:
            while True:
                word, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
                body = await self._reader.readexactly(size)
                if word in _WORDS:  # those of a later version mean nothing here
                    yield _WORDS[word], body
        except (asyncio.IncompleteReadError, OSError):
            return

    async def close(self) -> None:
        """Return once all that was said has been sent."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
