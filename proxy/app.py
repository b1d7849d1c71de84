"""The composition root: the only place that knows concrete classes."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import ASGIApp

from flags.flag import Flag, Side, Trip
from flags.loop import Loop
from flags.rollback import Rule
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.access import Access, Forwarding
from proxy.admin import Admin, Tokens
from proxy.books import Books
from proxy.config import Config
from proxy.front import Front
from proxy.metrics import Metrics
from proxy.native import Absent, Embedded, Native, Remote, import_app
from proxy.peers import Peers
from proxy.pool import Limits, Pool
from proxy.router import Bounds, Router
from proxy.routes import RouteTable
from proxy.server import Server
from proxy.subject import Subject
from proxy.tasks import Tasks
from proxy.tunnels import Tunnels
from proxy.upstream import Upstream
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.runner import Limits as ShadowLimits
from shadow.runner import Runner

log = structlog.get_logger()
FADE_EVERY = 60.0  # seconds


class Strangler:
    """One worker: the router and its sides, the flags' loop, the shadow's runner, and both ports."""

    def __init__(self, config: Config) -> None:
        names = [route.name for route in config.routes]
        self.tasks = Tasks()
        self.metrics = Metrics(names)
        self.stopping = asyncio.Event()
        self._store, self._journal, self._redis = _state(config)
        self.loop = Loop(
            self._store,
            names,
            Rule(**config.rollback.model_dump()),
            worker=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}",
            on_change=_log_change,
            on_trip=self._tripped,
        )
        limits = _limits(config)
        self.legacy = Upstream(config.legacy.url, limits, self.tasks)
        self.native, native_pool = _native(config, self.tasks)
        candidates, candidate_pools = _candidates(config, self.tasks, self.native)
        self.pools = {"legacy": self.legacy.pool, **native_pool, **candidate_pools}
        self._seeds = {route.name: Flag(native=route.share, shadow=route.shadow) for route in config.routes}
        self.runner = Runner(
            sides=candidates,
            rules={route.name: route.rules for route in config.routes},
            journal=self._journal,
            limits=ShadowLimits(**config.shadow.model_dump()),
            on_result=lambda route, side, outcome: self.metrics.compared.labels(route, side, outcome).inc(),
            on_drop=lambda route, reason: self.metrics.drops.labels(route, reason).inc(),
            now=time.time,
        )
        self.books = Books(names, self.loop.window, self.metrics, self.runner)
        forwarding = Forwarding(Peers(config.trusted_proxies))
        router = Router(
            RouteTable([route.route for route in config.routes]),
            self.legacy,
            self.native,
            self.loop.get,
            Subject(config.subject),
            Bounds(budget=config.native.budget if config.native else 0.0, keep=config.shadow.body),
            self.books,
        )
        self.app = Access(router, forwarding, records=config.log.access)
        tunnels = Tunnels(config.legacy.url, limits, forwarding, self.metrics, self.tasks)
        self.front: Any = functools.partial(Front, tunnels.open)
        tokens = Tokens(config.admin.tokens)
        states = self._ready, lambda: self.native.ready
        self.admin = Admin(self.loop, self._seeds, self.metrics, self._journal, tokens, *states).app
        self.metrics.watch(
            lambda: self.loop.snapshot,
            self.pools,
            {
                "store_connected": ("1 while the flags' store answers", lambda: self.loop.connected),
                "native_ready": ("1 while native takes requests", lambda: self.native.ready),
                "shadow_queue": ("Experiments waiting", lambda: self.runner.pending),
                "shadow_strays": ("Shadow requests that ignore their cancellation", lambda: self.runner.strays),
                "tasks": ("Tasks of this worker", lambda: len(self.tasks)),
            },
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything but the ports: native's lifespan, the loop, the runner."""
        await self._first_flags()
        self.native.start()
        await self.runner.start()
        self.tasks.start(self.loop.run())
        self.tasks.start(self._fading())
        try:
            yield
        finally:
            await self.runner.stop(1.0)
            await self.native.stop()
            for pool in self.pools.values():
                pool.close()
            await self.tasks.close()
            await self._store.close()
            if self._redis is not None:
                await self._redis.aclose()

    async def serve(self, public: socket.socket, private: socket.socket) -> None:
        """Serve both ports until `stopping` is set; then finish what is in flight, the public port first."""
        servers = Server(self.app, public, http=self.front), Server(self.admin, private)
        async with self.running():
            serving = [self.tasks.start(server.run_until_stopped()) for server in servers]
            await self.stopping.wait()
            for server, task in zip(servers, serving, strict=True):
                server.stop()
                await task

    def _ready(self) -> bool:
        return not self.stopping.is_set()

    async def _first_flags(self) -> None:
        """The last flags of the fleet, before the first request; a store that does not answer does not keep us."""
        if isinstance(self._store, MemoryStore):
            await self._store.seed(self._seeds)
        await self.loop.refresh()
        if not self.loop.connected:
            log.warning("the flags' store does not answer: every request goes to legacy until it does")

    async def _fading(self) -> None:
        while True:
            await asyncio.sleep(FADE_EVERY)
            self.books.fade()

    def _tripped(self, route: str, trip: Trip) -> None:
        self.metrics.trips.labels(route).inc()


def _log_change(route: str, before: Flag, after: Flag) -> None:
    if replace(after, generation=before.generation) == before:
        return  # only its number is another, as when the store has heard of our trip
    log.info(
        "flag changed",
        route=route,
        share=after.native,
        shadow=after.shadow,
        tripped=after.tripped,
        was_share=before.native,
        was_tripped=before.tripped,
    )


def _state(config: Config) -> tuple[Store, Journal, Redis | None]:
    """Where flags and mismatches are kept, and the client that is ours to close."""
    if config.redis is None:
        return MemoryStore(), MemoryJournal(), None
    # No `socket_timeout`: redis-py waits for it in a way that can lose a cancellation. Whoever calls bounds the call.
    client = Redis.from_url(config.redis, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1))
    return RedisStore(config.redis), RedisJournal(client), client


def _limits(config: Config) -> Limits:
    legacy = config.legacy
    return Limits(legacy.connect, legacy.first_byte, legacy.connections, legacy.queue, legacy.wait)


def _native(config: Config, tasks: Tasks) -> tuple[Native, Mapping[str, Pool]]:
    native = config.native
    if native is not None and native.url is not None:
        limits = Limits(connect=1.0, first_byte=native.budget, connections=native.connections, queue=native.connections)
        upstream = Upstream(native.url, limits, tasks)
        return Remote(upstream, tasks), {"native": upstream.pool}
    if native is not None and native.app is not None:
        return Embedded(import_app(native.app), tasks), {}
    return Absent(), {}


def _candidates(config: Config, tasks: Tasks, native: Native) -> tuple[Mapping[str, ASGIApp], Mapping[str, Pool]]:
    """The sides as the shadow asks them: through pools of their own, so that no user waits behind a comparison."""
    number = config.shadow.concurrency
    limits = Limits(connect=1.0, first_byte=config.shadow.deadline, connections=number, queue=number)
    legacy = Upstream(config.legacy.url, limits, tasks)
    sides: dict[str, ASGIApp] = {Side.LEGACY.value: legacy}
    pools = {"legacy_shadow": legacy.pool}
    if config.native is not None and config.native.url is not None:
        remote = Upstream(config.native.url, limits, tasks)
        sides[Side.NATIVE.value] = remote
        pools["native_shadow"] = remote.pool
    elif config.native is not None:
        sides[Side.NATIVE.value] = native
    return sides, pools
