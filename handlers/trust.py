"""Whether entries may be believed, where Redis could not be told of every write: its keys stand in PostgreSQL then.

A process believes the cache for as long as `cache_look` after it began to look into `keys_to_forget`, and found nothing
or forgot what it found. A write that cannot mark its keys writes them down in its own transaction. From then on whoever
looks finds that one is under way, by the lock that its INSERT holds, and from the COMMIT on he finds the keys. So when
it has waited for `cache_look` nobody believes the cache any more, and its COMMIT may come.

The keys stand for some seconds, and as long nobody believes the cache: writes that follow need not wait again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import structlog

from .leases import Leases
from .link import Link

if TYPE_CHECKING:
    from .resources import Connection, Resources

log = structlog.get_logger("handlers")

# Seconds for which keys stand, at least: a pause, a wait for Redis and one for the readers, so that of the writes of an
# outage that follow each other the first one waits for the readers, and no other.
KEPT = 3.0
BATCH = 1000

WRITE_DOWN = """
insert into keys_to_forget (key, created_at, kept_until)
select unnest(%s::text[]), now() at time zone 'utc', (clock_timestamp() + make_interval(secs => %s)) at time zone 'utc'
"""
UNDER_WAY = """
select exists (
    select from pg_locks
     where relation = 'keys_to_forget'::regclass and mode = 'RowExclusiveLock'
       and database = (select oid from pg_database where datname = current_database()))
"""
WRITTEN_DOWN = f"""
select id, key, coalesce(kept_until > now() at time zone 'utc', false) from keys_to_forget order by id limit {BATCH}
"""  # noqa: S608  a number of this file
STRIKE_OUT = "delete from keys_to_forget where id = any (%s)"


@dataclass(frozen=True, slots=True)
class Look:
    """A look into what is written down. It is clean if nothing is left of that."""

    began: float
    ended: float
    clean: bool


class Trust:
    def __init__(self, held: Resources, link: Link, leases: Leases) -> None:
        self._held, self._link, self._leases = held, link, leases
        self._looking = asyncio.Lock()
        self._last = Look(began=0.0, ended=0.0, clean=True)
        self._doubted_until = 0.0  # until when nobody believes the cache, as far as this process knows
        self.passed_over = 0  # reads that the database answered because the cache could not be asked, or believed

    async def holds(self) -> bool:
        if self._link.pauses_reads:
            return False
        came = now()
        if not self._still_counts(came):
            async with self._looking:
                if self._last.ended < came:  # or else one has ended that many have waited for: it speaks for all
                    await self._look()
        return self._last.clean and self._still_counts(came)

    def _still_counts(self, came: float) -> bool:
        return self._link.failed_at < self._last.began and came < self._last.began + self._held.settings.cache_look

    async def _look(self) -> None:
        began, clean = now(), False
        try:
            clean = await self._nothing_is_left()
        except asyncio.CancelledError:
            raise  # of whoever was looking, which says nothing
        except Exception:
            self._last = Look(began, now(), clean=False)
            raise
        if self._last.clean and not clean:
            log.warning("cache_doubted")
        self._last = Look(began, now(), clean)
        if clean and self.passed_over:
            log.info("cache_back", passed_over=self.passed_over)
            self.passed_over = 0

    async def _nothing_is_left(self) -> bool:
        connection = await self._held.take()
        try:
            # In this order: what is no longer under way has left its keys.
            under_way = await (await connection.execute(UNDER_WAY, prepare=False)).fetchone()
            rows = await (await connection.execute(WRITTEN_DOWN, prepare=False)).fetchall()
        finally:
            await self._held.give_back(connection)
        if under_way != (False,) or any(kept for _, _, kept in rows):
            return False
        if rows:
            keys = sorted({key for _, key, _ in rows})
            await self._link.read(lambda: self._leases.forget(keys, ""))
            await self._write(STRIKE_OUT, [id for id, _, _ in rows])
        return len(rows) < BATCH

    async def write_down(self, connection: Connection, keys: Sequence[str]) -> float:
        """In the transaction that could not mark them. When it returns nobody believes the cache, until the COMMIT,
        and if that comes until the time returned."""
        began = now()
        await connection.execute(WRITE_DOWN, [list(keys), KEPT], prepare=False)
        if now() >= self._doubted_until:
            await asyncio.sleep(self._held.settings.cache_look)
        return began + KEPT - self._held.settings.cache_look  # who began to look before that finds the keys

    def doubted(self, until: float) -> None:
        """The COMMIT has come."""
        self._doubted_until = max(until, self._doubted_until)

    async def write_down_afterwards(self, keys: Sequence[str]) -> None:
        """For whoever looks next. Nobody has believed the keys since they were marked."""
        await self._write(WRITE_DOWN, list(keys), 0)

    async def _write(self, statement: LiteralString, *values: Any) -> None:
        connection = await self._held.take()
        try:
            async with asyncio.timeout(self._held.settings.answer_wait):
                await connection.execute("begin read write", prepare=False)
                await connection.execute(statement, values, prepare=False)
                await connection.execute("commit", prepare=False)
        except BaseException:
            await connection.close()
            raise
        finally:
            await self._held.give_back(connection)


def now() -> float:
    return asyncio.get_running_loop().time()
