"""Answers that are kept in Redis: read and filled around a query, marked and forgotten around a COMMIT.

Redis may be away: then the database answers, and for a second nobody here asks Redis again (`link`). Keys that could
not be marked or forgotten are written down in PostgreSQL, and nobody believes the cache before they are forgotten
(`trust`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from redis import RedisError

from .entries import Entry
from .leases import Follow, Found, Hit, Lead, Leases, token
from .link import Away, Link
from .trust import Trust

if TYPE_CHECKING:
    from .resources import Connection, Resources

log = structlog.get_logger("handlers")

Load = Callable[[], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Flight:
    """A query under way for an entry. Others of the same account wait for it instead of asking as well."""

    account_id: int
    landed: asyncio.Future[bytes | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True, slots=True)
class Marks:
    """What a transaction is about to make untrue. Without a token it is written down in the transaction itself, and
    if that is committed nobody believes the cache for a while."""

    keys: tuple[str, ...]
    token: str | None
    doubted_until: float = 0.0


class Cache:
    def __init__(self, held: Resources) -> None:
        self._held, self._leases, self.link = held, Leases(held.line), Link(held)
        self.trust = Trust(held, self.link, self._leases)
        self._flights: dict[str, Flight] = {}

    async def fetch(self, entry: Entry, account_id: int, load: Load) -> bytes | None:
        """The entry, or what `load` makes of the database; None, which is not kept, if there is nothing."""
        own = token()
        self._flights[own] = flight = Flight(account_id)
        try:
            found = await self._find(entry, account_id, own)
            if isinstance(found, Follow) and found.token not in self._flights:
                # Of another process, or landed while we were told of it: then the entry is there by now.
                found = await self._find(entry, account_id, own)
            match found:
                case Hit(answer):
                    return answer
                case Lead(lease):
                    return await self._lead(entry, own, lease, load)
                case Follow(leader):
                    return await self._follow(leader, flight, load)
            return await load()
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
            await self.link.write(lambda: self._leases.mark(changed, marks.token or ""))
        except Away:
            return Marks(changed, None, await self.trust.write_down(connection, changed))
        return marks

    async def forget(self, marks: Marks) -> None:
        """After the COMMIT. One that failed or was not answered may still come true: its marks are left to expire."""
        if marks.token is None:
            return self.trust.doubted(marks.doubted_until)
        try:
            await self.link.write(lambda: self._leases.forget(marks.keys, marks.token or ""))
        except Away:
            # Should Redis have lost the marks as well, an entry may be there that is older than the COMMIT.
            try:
                await self.trust.write_down_afterwards(marks.keys)
            except Exception as error:  # whatever it is: the work is committed, and its answer stays what it is
                log.error("cache_keys_lost", keys=marks.keys, error=repr(error))

    async def _find(self, entry: Entry, account_id: int, own: str) -> Found | None:
        try:
            if await self.trust.holds():
                return await self.link.read(lambda: self._read(entry, account_id, own))
        except Away:
            pass
        self.trust.passed_over += 1
        return None

    async def _read(self, entry: Entry, account_id: int, own: str) -> Found:
        try:
            return await self._leases.read(entry, account_id, own)
        except BaseException:
            # Redis may still carry it out, and give a lease of which nobody hears. What is asked now comes after that.
            self._held.finishing.begin(self._give_back(entry, own))
            raise

    async def _lead(self, entry: Entry, own: str, lease: bytes, load: Load) -> bytes | None:
        flight = self._flights[own]
        try:
            answer = await load()
            flight.landed.set_result(answer)
            if answer is not None:
                await self._fill(entry, flight.account_id, lease, answer)
                return answer
        except BaseException:
            # Whoever failed, or left, does not wait for that.
            self._held.finishing.begin(self._give_back(entry, own))
            raise
        await self._give_back(entry, own)
        return None

    async def _follow(self, leader: str, own: Flight, load: Load) -> bytes | None:
        # If it is of another process, whoever is first to follow it here asks for all who do. Nothing that the entry
        # shows has been changed since the lease was given: no query since then is too old for who is told of it.
        flight = self._flights.setdefault(leader, own)
        if flight is own:
            try:
                answer = await load()
                own.landed.set_result(answer)
                return answer
            finally:
                del self._flights[leader]
        # That of an account to which something else is there is not ours to wait for.
        if flight.account_id == own.account_id:
            await asyncio.wait([flight.landed])
            if not flight.landed.cancelled():
                return flight.landed.result()
        return await load()

    async def _fill(self, entry: Entry, account_id: int, lease: bytes, answer: bytes) -> None:
        try:
            await self.link.read(lambda: self._leases.fill(entry, account_id, lease, answer))
        except Away:
            return  # the lease expires

    async def _give_back(self, entry: Entry, own: str) -> None:
        """The lease that was given to a token, if any was and it still is good."""
        try:
            async with asyncio.timeout(self._held.settings.cache_wait):
                await self._leases.give_back(entry, own)
        except (RedisError, OSError):
            return  # it is carried out late, or the lease expires
