"""Where flags and mismatches are kept, in memory or on Redis for every worker, and the loop that goes by the flags."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog
from redis.asyncio import Redis

from flags.flag import Flag, Trip
from flags.judges import undoubted
from flags.latched import Latched
from flags.loop import Loop
from flags.store import Store
from flags.store.client import connect
from flags.store.memory import MemoryStore
from flags.store.place import Place
from flags.store.redis import RedisStore
from proxy.compared import Compared
from proxy.deliveries import Deliveries, MemoryDeliveries, RedisDeliveries
from proxy.judged import rule_of, rules_of, slow_over
from proxy.load import Loads
from proxy.metrics import Metrics
from proxy.mismatches import Mismatches
from proxy.parities import Parities, digest_of
from proxy.ramping import Ramping
from proxy.ramps import Ramps
from proxy.sections import Config
from proxy.values import read_secret
from proxy.webhooks import Hook, Webhook
from shadow.eligibility import SAFE
from shadow.excerpt import Shown
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.tallies import MemoryTallies, RedisTallies

log = structlog.get_logger()
REACHED_WITHIN = 1.0  # seconds; whoever calls bounds each call as a whole


def stores(config: Config) -> tuple[Store, Journal, Redis | None]:
    """Both, and the client that is ours to close."""
    shown = {route.name: Shown.parse(route.show) for route in config.routes if route.show}
    if config.redis is None:
        return MemoryStore(), MemoryJournal(shown), None
    client = connect(Place.parse(config.redis), REACHED_WITHIN)
    return RedisStore(config.redis), RedisJournal(client, shown), client


def this_run() -> str:
    """A name that no other run of a worker has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


def ramping_of(
    config: Config, store: Store, loop: Loop, metrics: Metrics, ready: Callable[[], bool], compared: Compared
) -> tuple[Ramping, Ramps, Loads]:
    """Ramps, what they are carried on by, and what is known of the load that a rollback would bring. `ready`: whether
    native takes requests."""
    ramps = Ramps(store, loop, followed=config.unleash.url is not None, ready=ready, alike=compared.alike)
    loads = Loads(store, this_run(), metrics, [route.name for route in config.routes])
    return Ramping(loop, ramps, loads, rules_of(config), compared.check), ramps, loads


def parities_of(config: Config, client: Redis | None, metrics: Metrics) -> Parities:
    role, roles = config.shadow.role, config.shadow.roles
    digests = {route.name: digest_of(route, role, roles) for route in config.routes}
    tallies = MemoryTallies() if client is None else RedisTallies(client, digests, this_run())
    return Parities(tallies, metrics.parity, role, roles, allowed=config.shadow.max_mismatches)


def compared_of(config: Config, parities: Parities, loop: Loop, store: Store) -> Compared:
    writes = [route.name for route in config.routes if route.route.method not in SAFE]
    return Compared(parities, loop, store, writes)


def mismatches_of(config: Config, journal: Journal, loop: Loop, store: Store) -> Mismatches:
    rules = {route.name: route.compare.written(route.ignore) for route in config.routes}
    return Mismatches(journal, loop, store, rules)


def webhooks_of(config: Config, store: Store, client: Redis | None, metrics: Metrics) -> Sequence[Webhook]:
    deliveries = MemoryDeliveries(store) if client is None else RedisDeliveries(client)
    hooks = [Hook(hook.url, read_secret(hook.secret)) for hook in config.webhooks]
    return [_webhook(hook, store, deliveries, metrics) for hook in hooks]


def _webhook(hook: Hook, store: Store, deliveries: Deliveries, metrics: Metrics) -> Webhook:
    delivered, undelivered = (metrics.webhook_events.labels(hook.label, each) for each in ("delivered", "undelivered"))
    last = metrics.webhook_told.labels(hook.label)

    def told(number: int, given_up: int) -> None:
        delivered.value += number
        undelivered.value += given_up

    def all_told() -> None:
        last.value = time.time()

    all_told()
    return Webhook(hook, store, deliveries, this_run(), on_told=told, on_all_told=all_told)


def loop_of(
    config: Config,
    store: Store,
    on_change: Callable[[str, Flag, Flag], None],
    on_trip: Callable[[str, Trip], None],
    doubt: Callable[[str], str] = undoubted,
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
        doubt=doubt,
        followed=config.unleash.url is not None,
    )


async def first_flags(store: Store, loop: Loop, seeds: Mapping[str, Flag], shares: Mapping[str, Flag]) -> None:
    """The last flags of the fleet, before the first request; a store that does not answer does not keep us.

    In memory there are none: there it is the seeds, but for `shares` that are known from elsewhere.
    """
    if isinstance(store, MemoryStore):
        begun = {route: replace(shares.get(route, seed), shadow=seed.shadow) for route, seed in seeds.items()}
        await loop.seed(begun, "configuration", "in memory: each start begins with these shares")
    await loop.refresh()
    if not loop.connected:
        log.warning("the flags' store does not answer: every request goes to legacy until it does")
