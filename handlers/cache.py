"""Answers that are kept in Redis: read and filled around a query, marked and forgotten around a COMMIT.

Redis may be away: then the database answers, and for a second nobody here asks Redis again. Keys that could not be
marked or forgotten are rows of `keys_to_forget`. Whoever uses the cache, of whichever side, first forgets what stands
there, unless it has looked within the last second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import structlog
from redis import RedisError

from .entries import Entry
from .leases import Follow, Found, Hit, Lead, Leases, token

if TYPE_CHECKING:
    from .resources import Connection, Resources

T = TypeVar("T")
log = structlog.get_logger("handlers")

PAUSE = 1.0  # seconds in which a Redis that has failed is left alone
LATE = 0.01  # seconds by which our own event loop may be behind before a time-out says nothing of Redis
BATCH = 1000

WRITE_DOWN = "insert into keys_to_forget (key, created_at) select unnest(%s::text[]), now() at time zone 'utc'"
WRITTEN_DOWN = f"select id, key from keys_to_forget order by id limit {BATCH}"  # noqa: S608  a number of this file
STRIKE_OUT = "delete from keys_to_forget where id = any (%s)"


class Away(Exception):
    """Redis has not answered."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A query under way for an entry. Others of the same account wait for it instead of asking as well."""

    account_id: int
    landed: asyncio.Future[bytes | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True, slots=True)
class Marks:
    """What a transaction is about to make untrue. Without a token it is written down in the transaction itself."""

    keys: tuple[str, ...]
    token: str | None


class Cache:
    def __init__(self, held: Resources) -> None:
        self._held, self._leases = held, Leases(held.redis)
        self._flights: dict[str, Flight] = {}
        self._looking = asyncio.Lock()
        self._away_until = self._looked_until = 0.0
        self.passed_over = 0  # reads that the database answered because Redis was away

    async def fetch(self, entry: Entry, account_id: int, load: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """The entry, or what `load` makes of the database; None, which is not kept, if there is nothing."""
        own = token()
        self._flights[own] = flight = Flight(account_id)
        try:
            found = await self._find(entry, account_id, own)
            if isinstance(found, Hit):
                return found.answer
            if isinstance(found, Follow):
                leader = self._flights.get(found.token)
                # Of another process, or of an account to which something else is there: not ours to wait for.
                if leader is not None and leader.account_id == account_id:
                    await asyncio.wait([leader.landed])
                    if not leader.landed.cancelled():
                        return leader.landed.result()
            answer = await load()
            flight.landed.set_result(answer)
            if isinstance(found, Lead):
                await self._fill(entry, account_id, found.lease, answer)
            return answer
        finally:
            flight.landed.cancel()
            del self._flights[own]

    async def mark(self, connection: Connection, keys: Sequence[str]) -> Marks:
        """Before a COMMIT: from here on nobody reads or fills what shows the keys."""
        changed = tuple(dict.fromkeys(keys))
        if not changed:
            return Marks((), None)
        marks = Marks(changed, token())
        try:
            await self._answer(lambda: self._leases.mark(changed, marks.token or ""), self._held.settings.redis_wait)
        except Away:
            await connection.execute(WRITE_DOWN, [list(changed)], prepare=False)
            return Marks(changed, None)
        return marks

    async def forget(self, marks: Marks) -> None:
        """After the COMMIT. One that failed or was not answered may still come true: its marks are left to expire."""
        if marks.token is None:
            return
        for _ in range(2):  # a connection that was lost in the meantime is replaced
            try:
                await self._answer(
                    lambda: self._leases.forget(marks.keys, marks.token or ""), self._held.settings.redis_wait
                )
                return
            except Away as away:
                if isinstance(away.__cause__, TimeoutError):
                    break
        # Should Redis have lost the marks as well, an entry may be there that is older than the COMMIT.
        try:
            await self._write(WRITE_DOWN, list(marks.keys))
        except Exception as error:  # whatever it is: the work is committed, and its answer stays what it is
            log.error("cache_keys_lost", keys=marks.keys, error=repr(error))

    async def _find(self, entry: Entry, account_id: int, own: str) -> Found | None:
        try:
            if await self._trusted():
                return await self._answer(
                    lambda: self._leases.read(entry, account_id, own), self._held.settings.cache_wait
                )
        except Away:
            pass
        self.passed_over += 1
        return None

    async def _fill(self, entry: Entry, account_id: int, lease: bytes, answer: bytes | None) -> None:
        try:
            await self._answer(
                lambda: self._leases.fill(entry, account_id, lease, answer or b""), self._held.settings.cache_wait
            )
        except Away:
            return  # the lease expires

    async def _trusted(self) -> bool:
        """Whether entries may be believed: all that was written down is forgotten."""
        now = asyncio.get_running_loop().time
        if now() < self._looked_until:
            return True
        async with self._looking:
            if now() < self._away_until:
                return False
            if now() >= self._looked_until:
                looked = now()
                if not await self._forget_what_is_written_down():
                    return False
                self._looked_until = looked + self._held.settings.cache_look
                if self.passed_over:
                    log.info("cache_back", passed_over=self.passed_over)
                    self.passed_over = 0
        return True

    async def _forget_what_is_written_down(self) -> bool:
        """False if there may be more."""
        connection = await self._held.take()
        try:
            rows = await (await connection.execute(WRITTEN_DOWN, prepare=False)).fetchall()
        finally:
            await self._held.give_back(connection)
        if rows:
            keys = sorted({key for _, key in rows})
            await self._answer(lambda: self._leases.forget(keys, ""), self._held.settings.cache_wait)
            await self._write(STRIKE_OUT, [id for id, _ in rows])
        return len(rows) < BATCH

    async def _write(self, statement: LiteralString, values: list[Any]) -> None:
        connection = await self._held.take()
        try:
            async with asyncio.timeout(self._held.settings.answer_wait):
                await connection.execute("begin read write", prepare=False)
                await connection.execute(statement, [values], prepare=False)
                await connection.execute("commit", prepare=False)
        except BaseException:
            await connection.close()
            raise
        finally:
            await self._held.give_back(connection)

    async def _answer(self, step: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """What Redis answers to a step; Away if it does not, in time."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            raise Away
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await step()
        except (RedisError, OSError, TimeoutError) as error:
            due = limit.when()
            if not (limit.expired() and due is not None and loop.time() > due + LATE):
                self._away_until, self._looked_until = loop.time() + PAUSE, 0.0
                log.warning("cache_away", error=repr(error))
            raise Away from error
