"""Where flags and mismatches are kept, in memory or on Redis for every worker, and the loop that goes by the flags."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flags.flag import Flag, Trip
from flags.latched import Latched
from flags.loop import Loop
from flags.rollback import Rule
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.sections import Config
from shadow.journal import Journal, MemoryJournal, RedisJournal


def stores(config: Config) -> tuple[Store, Journal, Redis | None]:
    """Both, and the client that is ours to close."""
    if config.redis is None:
        return MemoryStore(), MemoryJournal(), None
    # No `socket_timeout`: redis-py waits for it in a way that can lose a cancellation. Whoever calls bounds the call.
    client = Redis.from_url(config.redis, socket_timeout=None, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1))
    return RedisStore(config.redis), RedisJournal(client), client


def loop_of(
    config: Config,
    store: Store,
    on_change: Callable[[str, Flag, Flag], None],
    on_trip: Callable[[str, Trip], None],
) -> Loop:
    """This worker's, under a name that no other run of it has."""
    return Loop(
        store,
        [route.name for route in config.routes],
        Rule(**config.rollback.model_dump()),
        worker=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}",
        judges={route.name: route.judge for route in config.routes if route.judge is not None},
        latched=Latched(config.admin.state) if config.admin.state else None,
        on_change=on_change,
        on_trip=on_trip,
        followed=config.unleash.url is not None,
    )
