"""What is said to PostgreSQL meanwhile, as libpq writes it down."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import pq

from handlers.resources import Resources


@dataclass(slots=True)
class Wire:
    """The messages of both ends in their order, each as its words: sender, length, kind, and what it holds."""

    messages: list[list[str]] = field(default_factory=list)

    @property
    def statements(self) -> int:
        return sum(kind in ("Execute", "Query") for kind in self._asked)

    @property
    def round_trips(self) -> int:
        return sum(kind in ("Sync", "Query") for kind in self._asked)

    @property
    def transactions(self) -> int:
        """As often as PostgreSQL is ready and in none: a statement by itself is one, a BEGIN begins one."""
        return sum(message[2] == "ReadyForQuery" and message[-1].strip() == "I" for message in self.messages)

    def count(self, query: str) -> int:
        return sum(message[2] == "Query" and message[-1].strip() == f'"{query}"' for message in self.messages)

    @property
    def _asked(self) -> list[str]:
        return [message[2] for message in self.messages if message[0] == "F"]


@asynccontextmanager
async def overheard(held: Resources, directory: Path) -> AsyncIterator[Wire]:
    """All that is said over the one connection of the pool, which relays no jobs meanwhile; the record is there when
    the block has ended."""
    await held.outbox.close()
    path, wire = directory / "wire", Wire()
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    connection = await held.take()
    connection.pgconn.trace(file)
    connection.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
    await held.give_back(connection)
    yield wire
    connection.pgconn.untrace()
    os.close(file)
    # A statement of several lines begins a message and is followed by what is none.
    lines = [line for line in path.read_text().splitlines() if line.startswith(("F\t", "B\t"))]
    wire.messages += [line.split("\t") for line in lines]
