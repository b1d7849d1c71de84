"""What the application holds while it runs: database and Redis connections, bcrypt's threads, commits under way."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

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
from starlette.requests import Request

from .finishing import Finishing

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


class MisconfiguredError(Exception):
    """The environment lacks something without which nothing can be served."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The application's environment. The first three are the variables that Rails reads too."""

    database_url: str
    redis_url: str
    jwt_secret: str
    database_pool: int = 10
    database_wait: float = 0.5  # seconds a request may wait for a connection before it is answered 503
    answer_wait: float = 5.0  # seconds for the answer to a COMMIT or ROLLBACK, after which the connection is closed
    redis_pool: int = 20
    redis_wait: float = 0.5
    bcrypt_threads: int = 2
    cable_prefix: str = ""  # of ActionCable's channels, `channel_prefix` in Rails' cable.yml

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        missing = [name for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET") if not environment.get(name)]
        if missing:
            raise MisconfiguredError(
                f"the native application cannot start: set {', '.join(missing)} in the environment"
            )
        return cls(
            database_url=environment["DATABASE_URL"],
            redis_url=environment["REDIS_URL"],
            jwt_secret=environment["JWT_SECRET"],
            database_pool=int(environment.get("DATABASE_POOL", "10")),
            redis_pool=int(environment.get("REDIS_POOL", "20")),
            bcrypt_threads=int(environment.get("BCRYPT_THREADS", "2")),
            cable_prefix=environment.get("CABLE_CHANNEL_PREFIX", ""),
        )


class Resources:
    """Made at start, without waiting for anyone: PostgreSQL and Redis may come later, and may come back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.finishing = Finishing()
        self.bcrypt = CapacityLimiter(settings.bcrypt_threads)
        self.redis = redis_client(settings)
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
            timeout=settings.database_wait,
            open=False,
            name="handlers",
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        resources = cls(settings)
        await resources._pool.open(wait=False)
        try:
            yield resources
        finally:
            await resources.finishing.close()
            await resources._pool.close()
            await resources.redis.aclose()

    async def take(self) -> Connection:
        """A connection that lives. Connections that died while they lay in the pool are found here, and replaced."""
        deadline = time.monotonic() + self.settings.database_wait
        while True:
            connection = await self._pool.getconn(deadline - time.monotonic())
            if not died(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)

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
        # No `socket_timeout`: redis-py waits for it in a way that can lose a cancellation. `in_time` bounds each call.
        socket_connect_timeout=settings.redis_wait,
        # A command that timed out may have been carried out: it is the caller's to decide, never repeated blindly.
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)  # and so closed with the client
