"""What the application holds while it runs: database and Redis connections, bcrypt's threads, commits under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from weakref import WeakValueDictionary

import psycopg
from anyio import CapacityLimiter
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from .cache import Cache
from .connections import Connection, configure, configure_for_shadows, died, redis_client
from .errors import NoConnection
from .finishing import Finishing
from .line import Line
from .outbox import Outbox
from .reports import Reports
from .settings import MisconfiguredError, Settings
from .shadow import Unproved, shadowed

__all__ = ["Connection", "MisconfiguredError", "Resources", "Settings", "of"]


class Resources:
    """Made at start, without waiting for anyone: PostgreSQL and Redis may come later, and may come back.

    Those of a `shadow` relay no jobs, and nothing can be changed or told by them.
    """

    def __init__(self, settings: Settings, *, shadow: bool = False) -> None:
        self.settings = settings
        self.finishing = Finishing()
        self.outbox = Outbox(self)
        self.bcrypt = CapacityLimiter(settings.bcrypt_threads)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.redis = redis_client(settings, shadow=shadow)
        self.line = Line(settings.redis_url, settings.redis_wait, self._prove if shadow else None)  # the cache's
        self.cache = Cache(self)
        self.reports = Reports(settings.sentry_dsn)
        self._waiting: set[asyncio.Timeout] = set()
        self._unproved = ""  # why connections are not used, though they can be had
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            settings.database_url,
            connection_class=Connection,
            kwargs={
                "autocommit": True,  # a statement that reads is its own transaction; `unit` begins one to write
                "connect_timeout": 2,
                "tcp_user_timeout": 5_000,  # milliseconds in which a network that swallows packets is given up
            },
            configure=self._configure_for_shadows if shadow else configure,
            min_size=0 if shadow else min(2, settings.database_pool),
            max_size=settings.database_pool,
            max_waiting=settings.database_pool * 8,
            # A lost connection is tried again by the next request that wants one, not after a growing pause.
            reconnect_timeout=0,
            reconnect_failed=self._give_up_waiting,
            timeout=settings.database_wait,
            open=False,
            name="shadows" if shadow else "handlers",
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, shadow: bool = False) -> AsyncIterator[Self]:
        resources = cls(settings, shadow=shadow)
        await resources._pool.open(wait=False)
        if not shadow:
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
            raise NoConnection(self._unproved or "PostgreSQL cannot be reached") from None
        except psycopg.OperationalError as error:  # the pool's own: its connections are all in use
            raise NoConnection(str(error)) from None
        finally:
            self._waiting.discard(limit)

    async def _prove(self) -> None:
        """What the client's connections are asked when they are made."""
        async with self.redis.client():
            pass

    async def _configure_for_shadows(self, connection: Connection) -> None:
        self._unproved = ""
        try:
            await configure_for_shadows(connection)
        except Unproved as error:
            self._unproved = str(error)
            raise

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

    @property
    def short(self) -> bool:
        """Whether few connections to PostgreSQL are left, or somebody waits for one."""
        pool = self._pool.get_stats()
        free = pool["pool_max"] - pool["pool_size"] + pool["pool_available"]
        return pool["requests_waiting"] > 0 or 4 * free < pool["pool_max"]

    async def give_back(self, connection: Connection) -> None:
        await self._pool.putconn(connection)


def of(request: Request) -> Resources:
    """A shadow gets others than a user: they let it do nothing but read, and leave users their own."""
    state = request.app.state
    resources: Resources = state.shadows if shadowed(request) else state.resources
    return resources
