"""Where flags and mismatches are kept, in memory or on Redis for every worker, and the loop that goes by the flags."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flags.audit import Note
from flags.flag import Flag, Trip
from flags.latched import Latched
from flags.loop import Loop
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.deliveries import MemoryDeliveries, RedisDeliveries
from proxy.judged import rule_of, rules_of, slow_over
from proxy.load import Loads
from proxy.metrics import Metrics
from proxy.ramping import Ramping
from proxy.ramps import Ramps
from proxy.sections import Config
from proxy.values import read_secret
from proxy.webhooks import Hook, Webhook
from shadow.journal import Journal, MemoryJournal, RedisJournal

log = structlog.get_logger()


def stores(config: Config) -> tuple[Store, Journal, Redis | None]:
    """Both, and the client that is ours to close."""
    if config.redis is None:
        return MemoryStore(), MemoryJournal(), None
    # No `socket_timeout`: redis-py waits for it in a way that can lose a cancellation. Whoever calls bounds the call.
    client = Redis.from_url(config.redis, socket_timeout=None, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1))
    return RedisStore(config.redis), RedisJournal(client), client


def this_run() -> str:
    """A name that no other run of a worker has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


def ramping_of(config: Config, store: Store, loop: Loop, metrics: Metrics) -> tuple[Ramping, Ramps, Loads]:
    """Ramps, what they are carried on by, and what is known of the load that a rollback would bring."""
    ramps = Ramps(store, loop, followed=config.unleash.url is not None)
    loads = Loads(store, this_run(), metrics, [route.name for route in config.routes])
    return Ramping(loop, ramps, loads, rules_of(config)), ramps, loads


def webhooks_of(config: Config, store: Store, client: Redis | None) -> Sequence[Webhook]:
    deliveries = MemoryDeliveries(store) if client is None else RedisDeliveries(client)
    hooks = [Hook(hook.url, read_secret(hook.secret)) for hook in config.webhooks]
    return [Webhook(hook, store, deliveries, this_run()) for hook in hooks]


def loop_of(
    config: Config,
    store: Store,
    on_change: Callable[[str, Flag, Flag], None],
    on_trip: Callable[[str, Trip], None],
) -> Loop:
    """This worker's."""
    return Loop(
        store,
        [route.name for route in config.routes],
        rule_of(config),
        worker=this_run(),
        judges={route.name: route.judge for route in config.routes if route.judge is not None},
        slow_over=slow_over(config),
        holdbacks=config.holdbacks,
        latched=Latched(config.admin.state) if config.admin.state else None,
        on_change=on_change,
        on_trip=on_trip,
        followed=config.unleash.url is not None,
    )


async def first_flags(store: Store, loop: Loop, seeds: Mapping[str, Flag], shares: Mapping[str, Flag]) -> None:
    """The last flags of the fleet, before the first request; a store that does not answer does not keep us.

    In memory there are none: there it is the seeds, but for `shares` that are known from elsewhere.
    """
    if isinstance(store, MemoryStore):
        note = Note(time.time(), "configuration", "in memory: each start begins with these shares")
        await store.seed({r: replace(shares.get(r, seed), shadow=seed.shadow) for r, seed in seeds.items()}, note)
    await loop.refresh()
    if not loop.connected:
        log.warning("the flags' store does not answer: every request goes to legacy until it does")
