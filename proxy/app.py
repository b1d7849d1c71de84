"""The composition root: the only place that knows concrete classes."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flags.flag import Flag, Side, Trip
from flags.loop import Loop
from flags.rollback import Rule
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.access import Access
from proxy.admin import Admin, Tokens
from proxy.books import Books
from proxy.config import Config, ConfigError
from proxy.decider import Decider
from proxy.doorkeeper import prefaced
from proxy.forwarding import Forwarding
from proxy.front import Front
from proxy.line import Line
from proxy.logs import AccessLog
from proxy.metrics import Metrics, States
from proxy.peers import Peers
from proxy.relay import Relay
from proxy.router import Router
from proxy.routes import RouteTable
from proxy.server import Server
from proxy.siblings import NoSiblings, Siblings, Supervised
from proxy.sides import Sides, fallbacks
from proxy.signature import Secret
from proxy.subject import Subject
from proxy.tasks import Tasks
from proxy.tls import Certificate
from proxy.trips import Trips
from proxy.tunnels import Tunnels
from proxy.values import read_secret
from proxy.ways import Ways
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.runner import Limits as ShadowLimits
from shadow.runner import Runner

log = structlog.get_logger()
FADE_EVERY = 60.0  # seconds
ADMIN_DRAIN = 5.0  # seconds that orders in flight have when the process is told to stop


class Strangler:
    """One worker: the router and its sides, the flags' loop, the shadow's runner, and both ports."""

    def __init__(self, config: Config, line: Line | None = None) -> None:
        """`line` leads to the supervisor, if there are other workers."""
        names = [route.name for route in config.routes]
        self.tasks = Tasks()
        self.metrics = Metrics(names)
        self.stopping, self._replaced, self._drain = asyncio.Event(), False, config.drain
        self._store, self._journal, self._redis = _state(config)
        self._trips = Trips(config.trips.redis, config.trips.key) if config.trips.redis else None
        self.loop = Loop(
            self._store,
            names,
            Rule(**config.rollback.model_dump()),
            worker=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}",
            on_change=_log_change,
            on_trip=self._tripped,
        )
        self.sides = Sides.of(config, self.tasks)
        self.legacy, self.native, self.pools = self.sides.legacy, self.sides.native, self.sides.pools
        self._seeds = {route.name: Flag(native=route.share, shadow=route.shadow) for route in config.routes}
        peers = Peers(config.trusted_proxies)
        forwarding = Forwarding(peers, Secret(read_secret(config.secret)) if config.secret else None)
        self.runner = Runner(
            sides=self.sides.candidates,
            rules={route.name: route.rules for route in config.routes},
            journal=self._journal,
            limits=ShadowLimits(**config.shadow.model_dump()),
            on_result=lambda route, side, outcome: self.metrics.compared.labels(route, side, outcome).inc(),
            on_drop=lambda route, reason: self.metrics.drops.labels(route, reason).inc(),
            now=time.time,
            sign=forwarding.signed,
        )
        self.books = Books(names, self.loop.window, self.metrics, self.runner)
        decide = Decider(
            RouteTable([route.route for route in config.routes]),
            self.loop.get,
            Subject(config.subject),
            lambda: self.native.ready,
        )
        self.places, bounds = fallbacks(config, self.legacy.pool)
        router = Router(decide, self.legacy, self.native, bounds, self.places, self.books)
        record = AccessLog().record if config.log.access else None
        self.app = Access(router, forwarding, record)
        relay = Relay(self.legacy, self.books, record)
        to_legacy = self.sides.dials[Side.LEGACY.value]
        tunnels = Tunnels(to_legacy, config.legacy.limits, forwarding, self.metrics, self.tasks)
        self.ways = Ways(forwarding, decide, relay, tunnels.open)
        front = functools.partial(Front, self.ways)
        self.front: Any = prefaced(front, peers) if config.proxy_protocol else front
        self.certificate = Certificate(config.tls.certificate, config.tls.key) if config.tls else None
        tokens = Tokens(config.admin.tokens)
        states = self._ready, lambda: self.native.ready
        self.siblings: Siblings = Supervised(line, self.loop, self.metrics) if line else NoSiblings(self.metrics)
        self.admin = Admin(self.loop, self._seeds, self.siblings, self._journal, tokens, *states).app
        self.metrics.watch(lambda: self.loop.snapshot, self.pools, self._states())

    def _states(self) -> States:
        """What is read at each scrape."""
        return {
            "store_connected": ("1 while the flags' store answers", lambda: self.loop.connected),
            "native_ready": ("1 while native takes requests", lambda: self.native.ready),
            "fallbacks_open": ("Requests that legacy is asked in native's place", lambda: self.places.taken),
            "shadow_queue": ("Experiments waiting", lambda: self.runner.pending),
            "shadow_strays": ("Shadow requests that ignore their cancellation", lambda: self.runner.strays),
            "tasks": ("Tasks of this worker", lambda: len(self.tasks)),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything but the ports: native's lifespan, the loop, the runner."""
        await self._first_flags()
        self.native.start()
        await self.runner.start()
        self.tasks.start(self.loop.run())
        if self._trips is not None:
            self.tasks.start(self._trips.run())
        self.tasks.start(self._fading())
        self.tasks.start(self.legacy.pool.dial.watch())
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
        """Serve both ports until told to stop; then finish what is in flight, the public port first."""
        certificate = self.certificate
        tls: dict[str, Any] = {"ssl_context_factory": lambda *_: certificate.context} if certificate else {}
        servers = (
            Server(self.app, public, http=self.front, drain=self._drain, **tls),
            Server(self.admin, private, drain=ADMIN_DRAIN),
        )
        async with self.running():
            await self.siblings.join(self.tasks, gone=self.stopping.set)
            serving = [self.tasks.start(server.run_until_stopped()) for server in servers]
            for server in servers:
                await server.serving.wait()
            gc.collect()
            gc.freeze()  # what is there now stays: to look through it again and again would stop traffic each time
            self.siblings.ready(self._drain)
            await self.stopping.wait()
            for server, task in zip(servers, serving, strict=True):
                server.stop()
                if not self._replaced:
                    await task
            await asyncio.wait(serving)
        await self.siblings.leave()

    def renew(self) -> None:
        """Take up a new certificate. All else needs new processes."""
        if self.certificate is None:
            log.warning("nothing was renewed: there is no certificate, and all else needs a stop and a start")
            return
        try:
            self.certificate.reload()
        except ConfigError as error:
            log.error("the new certificate cannot be used, so the old one stays", reason=str(error))
        else:
            log.info("the certificate is read again: new connections are shown it")

    def leave(self) -> None:
        """Stop as one of several workers: both ports are the others' at once."""
        self._replaced = True
        self.stopping.set()

    def _ready(self) -> bool:
        return self._replaced or not self.stopping.is_set()

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
        if self._trips is not None:
            self._trips.made()


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
