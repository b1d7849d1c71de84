"""Jobs that follow from what a unit of work keeps: rows of its transaction, handed to Sidekiq after the commit.

A statement that writes something leaves the jobs for it in `outbox`, so that neither is ever there without the other.
The row goes when Redis has taken the job. Who dies between the two leaves it to the next look, of whichever process
of either side (Rails' is legacy/app/models/waiting_job.rb): a job may be handed over twice then, under the same `jid`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import Redis

from .answers import encode

if TYPE_CHECKING:
    from .resources import Resources

log = structlog.get_logger("handlers")

BATCH = 100
# Jobs can wait so many seconds for those of other units: a batch costs as much as a single one.
GATHERING = 0.01

# Locked until Redis has them: of several processes each relays other rows. An array, for a subquery that is joined
# may be run again, and take more than its limit.
TAKE = f"""
delete from outbox
 where id = any (array (select id from outbox order by id limit {BATCH} for update skip locked))
returning id, queue, job, args, jid, created_at
"""  # noqa: S608  a number of this file


@dataclass(frozen=True, slots=True, order=True)
class Job:
    """A row of the outbox."""

    id: int
    queue: str
    job: str
    args: list[Any]
    jid: str
    created_at: datetime

    def encoded(self, now: float) -> bytes:
        """In Sidekiq's own format: whoever works the queue cannot tell who enqueued it."""
        payload = {
            "retry": True,
            "queue": self.queue,
            "class": self.job,
            "args": self.args,
            "jid": self.jid,
            "created_at": self.created_at.replace(tzinfo=UTC).timestamp(),
            "enqueued_at": now,
        }
        return encode(payload)


async def push(redis: Redis, jobs: Sequence[Job], now: float) -> None:
    """All of them or none, in their order."""
    pipeline = redis.pipeline(transaction=True)
    for queue in sorted({job.queue for job in jobs}):
        pipeline.sadd("queues", queue)
        pipeline.lpush(f"queue:{queue}", *(job.encoded(now) for job in jobs if job.queue == queue))
    await pipeline.execute()


async def relay(held: Resources) -> int:
    """Hand over what waits, a batch at most; returns how many jobs that were."""
    connection = await held.take()
    try:
        async with asyncio.timeout(held.settings.answer_wait):
            await connection.execute("begin read write", prepare=False)
            taken = await (await connection.execute(TAKE)).fetchall()
            if taken:
                async with held.in_time():
                    await push(held.redis, sorted(Job(*row) for row in taken), time.time())
            await connection.execute("commit", prepare=False)
    except BaseException:
        await connection.close()  # PostgreSQL puts back what a lost connection had taken
        raise
    finally:
        await held.give_back(connection)
    return len(taken)


class Outbox:
    """Relays for as long as the application runs: at once when it is told of jobs, and now and then untold."""

    def __init__(self, held: Resources) -> None:
        self._held = held
        self._told, self._closing = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def tell(self) -> None:
        """A unit that may have left jobs is committed."""
        self._told.set()

    async def close(self, within: float = 2.0) -> None:
        """Relay what the last units have left, unless that takes too long: other processes, or the next, will."""
        self._closing.set()
        self._told.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._closing.is_set():
            # While Redis or PostgreSQL fails, each new job would only be the next one to fail.
            over = self._told if await self._relay_all() else self._closing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._held.settings.outbox_pause):
                    await over.wait()
                    await asyncio.sleep(GATHERING)
        await self._relay_all()

    async def _relay_all(self) -> bool:
        self._told.clear()  # before looking: what is committed from here on tells again
        try:
            while await relay(self._held) == BATCH:
                pass
        except Exception as error:  # whatever it is: the jobs are where they were, and the next look finds them
            log.error("jobs_wait", error=repr(error))
            return False
        return True
