"""Where flags and mismatches are kept: in memory, or on Redis for every worker."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

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
