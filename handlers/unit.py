"""The unit of work: the only way to the database, and all or nothing.

    async with unit_of_work(request, caller) as unit:
        row = await unit.row(CREATE, content="…")
        unit.emit(MessageCreated(…))
        unit.forget(*entries.of_message(…))

One connection, at most one transaction. Leaving the block commits; an exception or a cancelled request rolls back.
Events are handed on after the commit, and never without it. What the cache must forget is marked before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8
from starlette.requests import Request

from . import resources
from .cache import Marks
from .events import Event, hand_on
from .resources import Connection, Resources
from .shadow import shadowed
from .tokens import Caller

STEP_BACK = 0.05  # seconds for whom we were in a deadlock with


class ScopeError(Exception):
    """A statement over an account's rows that does not name the account."""


class BrokenUnit(Exception):
    """A handler went on after a statement had failed: there is nothing left to commit."""


@dataclass(frozen=True, slots=True)
class Scoped:
    """SQL over one account's rows. Text that does not bind the account is refused when its module is imported."""

    sql: LiteralString

    def __post_init__(self) -> None:
        if "%(account_id)s" not in self.sql:
            raise ScopeError(self.sql)


@dataclass(frozen=True, slots=True)
class Unscoped:
    """SQL that runs before it is known which account is asking, and why it may."""

    sql: LiteralString
    reason: str


class Reading:
    """Runs statements for one caller. The account is bound here, where no handler can forget or change it."""

    __slots__ = ("_account_id", "_connection")

    def __init__(self, connection: Connection, caller: Caller | None) -> None:
        self._connection = connection
        # Without a caller the account is null, which no row's is.
        self._account_id = caller.account_id if caller else None

    async def rows(self, statement: Scoped | Unscoped, **values: Any) -> list[TupleRow]:
        return await (await self._run(statement, values)).fetchall()

    async def row(self, statement: Scoped | Unscoped, **values: Any) -> TupleRow | None:
        return await (await self._run(statement, values)).fetchone()

    async def _run(self, statement: Scoped | Unscoped, values: dict[str, Any]) -> psycopg.AsyncCursor[TupleRow]:
        bound = {**values, "account_id": self._account_id}
        # psycopg would type an integer by its size, and so prepare one statement several times over.
        typed = {name: Int8(value) if type(value) is int else value for name, value in bound.items()}
        return await self._execute(statement.sql, typed)

    async def _execute(self, sql: LiteralString, bound: dict[str, Any]) -> psycopg.AsyncCursor[TupleRow]:
        try:
            return await self._connection.execute(sql, bound)
        except psycopg.errors.FeatureNotSupported as error:
            if not outdated(error):
                raise
            await self._connection.execute("deallocate all", prepare=False)
            return await self._connection.execute(sql, bound)


class Unit(Reading):
    """A reading that may also write, and say what has happened."""

    __slots__ = ("_begin", "_first", "changed", "events")

    def __init__(self, connection: Connection, caller: Caller | None, begin: LiteralString) -> None:
        super().__init__(connection, caller)
        self._begin, self._first = begin, True
        self.events: list[Event] = []
        self.changed: list[str] = []

    async def execute(self, statement: Scoped | Unscoped, **values: Any) -> None:
        await self._run(statement, values)

    async def _execute(self, sql: LiteralString, bound: dict[str, Any]) -> psycopg.AsyncCursor[TupleRow]:
        """The first statement can begin again: it may use an outdated plan, where the others are never prepared, and be
        the one that ends a deadlock.

        A change finds its row as its snapshot shows it and locks what has become of that: two at once can wait for each
        other, where messages that refer to the row hold it as well.
        """
        first, self._first = self._first, False
        try:
            return await self._connection.execute(sql, bound, prepare=None if first else False)
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.DeadlockDetected) as error:
            if not (first and (isinstance(error, psycopg.errors.DeadlockDetected) or outdated(error))):
                raise
            await self.begin_again()
            return await self._connection.execute(sql, bound)

    async def begin_again(self) -> None:
        """Discard whatever has been done, for who does all of it once more."""
        await self._connection.execute("rollback", prepare=False)
        # Who waited for our locks has been woken, but has them only if we are not back before: we would meet again.
        await asyncio.sleep(STEP_BACK)
        await self._connection.execute(self._begin, prepare=False)
        self.events.clear()
        self.changed.clear()

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def forget(self, *keys: str) -> None:
        """Keys of the cache that show what this unit changes (`entries`)."""
        self.changed += keys


def outdated(error: psycopg.errors.FeatureNotSupported) -> bool:
    """True if a statement was prepared before Rails changed a column of its result.

    Having seen a DEALLOCATE ALL or ROLLBACK, psycopg prepares everything anew. The error's text may be in any language.
    """
    return error.diag.source_function == "RevalidateCachedQuery"


@asynccontextmanager
async def reading(request: Request, caller: Caller | None = None) -> AsyncIterator[Reading]:
    """Statements that only read, each on a snapshot of its own: PostgreSQL refuses those that write.

    At read committed a transaction around them would give no more than that, for two round trips.
    """
    held = resources.of(request)
    connection = await held.take()
    try:
        yield Reading(connection, caller)
    finally:
        await held.give_back(connection)


@asynccontextmanager
async def unit_of_work(request: Request, caller: Caller | None = None) -> AsyncIterator[Unit]:
    held, shadow = resources.of(request), shadowed(request)
    connection, ours = await held.take(), True
    try:
        begin: LiteralString = "begin read only" if shadow else "begin read write"
        await connection.execute(begin, prepare=False)
        unit = Unit(connection, caller, begin)
        yield unit
        if connection.pgconn.transaction_status != TransactionStatus.INTRANS:
            raise BrokenUnit
        if not shadow:
            marks = await held.cache.mark(connection, unit.changed)
            # From here on nobody can say that nothing was kept, and a caller who leaves no longer changes the end.
            request.state.commit_sent, ours = True, False
            await held.finishing.see_through(commit(held, connection, marks, unit.events, request.state.request_id))
    except asyncio.CancelledError:
        if ours:
            await connection.close()  # rolling back would wait for an answer
        raise
    finally:
        if ours:
            await discard(held, connection)


async def commit(held: Resources, connection: Connection, marks: Marks, events: list[Event], request_id: str) -> None:
    try:
        async with asyncio.timeout(held.settings.answer_wait):
            await connection.execute("commit", prepare=False)
    finally:
        await held.give_back(connection)
    if events:  # which jobs may follow
        held.outbox.tell()
    await asyncio.gather(held.cache.forget(marks), hand_on(events, held, request_id))


async def discard(held: Resources, connection: Connection) -> None:
    try:
        if connection.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            async with asyncio.timeout(held.settings.answer_wait):
                await connection.execute("rollback", prepare=False)
    except (psycopg.Error, TimeoutError):
        # The connection is lost, and PostgreSQL discards what a lost connection had begun.
        await connection.close()
    finally:
        await held.give_back(connection)
