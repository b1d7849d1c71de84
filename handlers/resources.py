"""What the application holds while it runs: database and Redis connections, bcrypt's threads, commits under way."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar
from weakref import WeakValueDictionary

import psycopg
from anyio import CapacityLimiter
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig
from starlette.requests import Request

from .cache import Cache
from .finishing import Finishing
from .line import Line
from .outbox import Outbox
from .reports import Reports
from .settings import MisconfiguredError, Settings

__all__ = ["Connection", "MisconfiguredError", "Resources", "Settings", "of"]

T = TypeVar("T")


class Connection(psycopg.AsyncConnection[TupleRow]):
    """A connection that does not outlive a statement which is cancelled, so that cancelling takes no time.

    psycopg asks the server to end the statement, and waits for its answer: ten seconds, if the server is frozen.
    PostgreSQL discards what a lost connection had begun.
    """

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


class Resources:
    """Made at start, without waiting for anyone: PostgreSQL and Redis may come later, and may come back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.finishing = Finishing()
        self.outbox = Outbox(self)
        self.bcrypt = CapacityLimiter(settings.bcrypt_threads)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.redis = redis_client(settings)
        self.line = Line(settings.redis_url, settings.redis_wait)  # the cache's
        self.cache = Cache(self)
        self.reports = Reports(settings.sentry_dsn)
        self._waiting: set[asyncio.Timeout] = set()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            settings.database_url,
            connection_class=Connection,
            kwargs={
                "autocommit": True,  # a statement that reads is its own transaction; `unit` begins one to write
                "connect_timeout": 2,
                "tcp_user_timeout": 5_000,  # milliseconds in which a network that swallows packets is given up
            },
            configure=configure,
            min_size=min(2, settings.database_pool),
            max_size=settings.database_pool,
            max_waiting=settings.database_pool * 8,
            # A lost connection is tried again by the next request that wants one, not after a growing pause.
            reconnect_timeout=0,
            reconnect_failed=self._give_up_waiting,
            timeout=settings.database_wait,
            open=False,
            name="handlers",
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        resources = cls(settings)
        await resources._pool.open(wait=False)
        resources.outbox.open()
        try:
            yield resources
        finally:
            await resources.finishing.close()
            await resources.outbox.close()
            await resources._pool.close()
            await resources.line.close()
            await resources.redis.aclose()
            await resources.reports.close()

    async def take(self) -> Connection:
        """A connection that lives. Connections that died while they lay in the pool are found here, and replaced."""
        deadline = time.monotonic() + self.settings.database_wait
        while True:
            connection = await self._wait_for_connection(deadline - time.monotonic())
            if not died(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)

    async def _wait_for_connection(self, seconds: float) -> Connection:
        limit = asyncio.timeout(None)
        self._waiting.add(limit)
        try:
            async with limit:
                return await self._pool.getconn(seconds)
        except TimeoutError:
            raise psycopg.OperationalError("PostgreSQL cannot be reached") from None
        finally:
            self._waiting.discard(limit)

    def _give_up_waiting(self, pool: AsyncConnectionPool[Any]) -> None:
        """An attempt to connect has failed. If there is no connection at all, nobody need wait for one to come back.

        Whoever comes next has another attempt made.
        """
        if pool.get_stats()["pool_size"] == 0:
            for limit in self._waiting:
                limit.reschedule(0)

    def turn(self, key: str) -> asyncio.Lock:
        """For requests that want the same thing, one after another: it is there for whoever comes second."""
        return self._turns.setdefault(key, asyncio.Lock())

    def in_time(self) -> asyncio.Timeout:
        """Bounds a call of Redis: `async with held.in_time(): await held.redis…` raises TimeoutError."""
        return asyncio.timeout(self.settings.redis_wait)

    async def give_back(self, connection: Connection) -> None:
        await self._pool.putconn(connection)


def of(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


# How PostgreSQL is to treat our connections.
SESSION = """
    -- What writes says so, in a unit of work: nothing else can keep anything.
    set default_transaction_read_only = on;
    -- No statement of ours needs a second; one that waits for a lock must not keep the connection.
    set statement_timeout = '5s';
    -- Nor may a COMMIT come when the cache's marks for it have expired.
    set idle_in_transaction_session_timeout = '5s';
    set lock_timeout = '3s';
    -- A statement that was cancelled has lost its connection: it is to let go of its locks, and not only when it ends.
    set client_connection_check_interval = '500ms';
    -- Our statements leave no choice that depends on a value: planning each anew would cost more than running it.
    set plan_cache_mode = force_generic_plan;
    -- Such a plan does not know how short a page is, and estimates enough to compile what runs for a millisecond.
    set jit = off;
"""


async def configure(connection: Connection) -> None:
    await connection.execute(SESSION)


def died(connection: Connection) -> bool:
    """True if the server has closed an idle connection: its last word, or the end, is waiting to be read.

    A look at the socket costs a microsecond, where `select 1` costs a round trip on every request.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def redis_client(settings: Settings) -> Redis:
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=settings.redis_pool,
        timeout=settings.redis_wait,
        socket_connect_timeout=settings.redis_wait,
        # redis-py would wait in a way that can lose a cancellation, and has a default. `in_time` bounds each call.
        socket_timeout=None,
        # A command that timed out may have been carried out: it is the caller's to decide, never repeated blindly.
        retry=Retry(NoBackoff(), 0),
        # Nor is this one, but its connection is left: Redis has become a replica, and who asks again finds whatever the
        # address leads to by now.
        retry_on_error=[ReadOnlyError],
        # With these redis-py would lend a connection that Redis has closed while it was idle: it takes what can be read
        # there for a notice.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)  # and so closed with the client
