"""Connections to PostgreSQL and Redis: how they are to behave."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from .proofs import prove_role, prove_user
from .settings import Settings
from .shadow import note, stay

if TYPE_CHECKING:
    Base = AbstractConnection
else:
    Base = object

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
        except psycopg.Error as error:
            note(error)
            raise


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


async def configure_for_shadows(connection: Connection) -> None:
    """A session can be told that it only reads, and can tell itself otherwise: what counts is what its role may."""
    await configure(connection)
    await prove_role(connection)


def died(connection: Connection) -> bool:
    """True if the server has closed an idle connection: its last word, or the end, is waiting to be read.

    A look at the socket costs a microsecond, where `select 1` costs a round trip on every request.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def redis_client(settings: Settings, *, shadow: bool = False) -> Redis:
    proved: dict[str, Any] = {"redis_connect_func": prove_user} if shadow else {}
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
        **proved,
    )
    if shadow:
        pool.connection_class = type("ShadowConnection", (Noting, pool.connection_class), {})
    return Redis.from_pool(pool)  # and so closed with the client


class Noting(Base):
    """A connection to Redis whose refusals are noted, and whose user stays the one that was proved."""

    _introducing = False

    async def on_connect(self) -> None:
        self._introducing = True
        try:
            await super().on_connect()
        finally:
            self._introducing = False

    def pack_command(self, *words: Any) -> Any:
        if not self._introducing:
            stay(words)
        return super().pack_command(*words)

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ResponseError as error:
            note(error)
            raise
