"""The composition root: the only place that knows concrete classes."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from flags.flag import Flag, Side, Trip
from proxy.access import Access
from proxy.admin import Admin, Tokens
from proxy.books import Books
from proxy.churn import Watch
from proxy.config import Config, ConfigError
from proxy.crowd import Share
from proxy.decider import Decider, nobody
from proxy.doorkeeper import prefaced
from proxy.forwarding import Forwarding
from proxy.front import Front
from proxy.here import Here
from proxy.judged import slow_over
from proxy.line import Line
from proxy.local import obeying
from proxy.logs import AccessLog, log_change, log_in_any_case
from proxy.memory import gather
from proxy.metrics import Metrics, States
from proxy.native import Embedded
from proxy.pairing import pairing_of
from proxy.peers import Peers
from proxy.pulse import Pulse
from proxy.relay import Relay
from proxy.router import Router
from proxy.routes import RouteTable
from proxy.server import Server, settle
from proxy.shadowing import runner_of, shadow_states
from proxy.siblings import NoSiblings, Siblings, Supervised
from proxy.sides import Sides, fallbacks
from proxy.signature import Secret
from proxy.source import states_of, told_of, unleash_of
from proxy.stores import (
    compared_of,
    first_flags,
    loop_of,
    mismatches_of,
    parities_of,
    ramping_of,
    stores,
    webhooks_of,
)
from proxy.subject import Subject
from proxy.tasks import Tasks
from proxy.tls import Certificate
from proxy.trips import Trips
from proxy.tunnels import Tunnels
from proxy.values import read_secret
from proxy.watchdog import NOBODY_REPLACES, STANDS_STILL, Stall, Watchdog
from proxy.ways import Ways
from shadow.pacer import Pacer

log = structlog.get_logger()
FADE_EVERY = 60.0  # seconds
ADMIN_DRAIN = 5.0  # seconds that orders in flight have when the process is told to stop


class Strangler:
    """One worker: the router and its sides, the flags' loop, the shadow's runner, and both ports."""

    def __init__(self, config: Config, line: Line | None = None, pulse: Pulse | None = None) -> None:
        """`line` and `pulse` lead to the supervisor, if there are other workers."""
        self.tasks = Tasks()
        self.metrics = Metrics([route.name for route in config.routes])
        self.stopping, self._replaced, self._drain = asyncio.Event(), False, config.drain
        self._store, self._journal, self._redis = stores(config)
        self.parities = parities_of(config, self._redis, self.metrics)
        self._state, self._yields = config.admin.state, config.shadow.yields
        self._trips = Trips(config.trips.redis, config.trips.key) if config.trips.redis else None
        self.loop = loop_of(config, self._store, self._changed, self._tripped, self.parities.doubt)
        self.unleash = unleash_of(config, self.loop)
        self.sides = Sides.of(config, self.tasks)
        self.legacy, self.native, self.pools = self.sides.legacy, self.sides.native, self.sides.pools
        self._seeds = {route.name: Flag(native=route.share, shadow=route.shadow) for route in config.routes}
        peers = Peers(config.trusted_proxies)
        forwarding = Forwarding(peers, Secret(read_secret(config.secret)) if config.secret else None)
        self.pacer = Pacer(lambda: self.books.lateness.turn(), self.metrics.paced)
        shadowing = self._journal, self.metrics, forwarding.signed, self.pacer, self.parities
        self.runner = runner_of(config, self.sides.candidates, *shadowing)
        paired = self.loop.get, self.metrics, forwarding.signed, self.pacer
        self.pairing = pairing_of(config, self.sides.candidates, *paired)
        shadowed = self.runner, self.pairing, self.parities.epoch
        self.books = Books(slow_over(config), self.loop.window, self.metrics, *shadowed)
        subject = Subject(config.subject)
        self.subjects = Watch(subject.sources)
        decide = Decider(
            RouteTable([route.route for route in config.routes]),
            self.loop.decided_by,
            subject,
            lambda: self.native.ready,
            self.unleash.chooses if self.unleash else nobody,
            self.subjects.saw,
            config.holdbacks,
            lambda: self.pacer.factor,
        )
        self.places, bounds = fallbacks(config, self.legacy.pool)
        router = Router(decide, self.legacy, self.native, bounds, self.places, self.books)
        access, every = AccessLog(), config.log.access
        self.app = Access(router, forwarding, access.record if every else access.record_in_any_case)
        relay = Relay(self.legacy, self.books, access.record, every)
        to_legacy = self.sides.dials[Side.LEGACY.value]
        tunnels = Tunnels(to_legacy, config.legacy.limits, forwarding, self.metrics, self.tasks)
        here = Here(self.metrics.here, access.record_arrived if every else None)
        self.ways = Ways(forwarding, decide, relay, tunnels.open, here)
        front = functools.partial(Front, self.ways)
        self.front: Any = prefaced(front, peers) if config.proxy_protocol else front
        self.certificate = Certificate(config.tls.certificate, config.tls.key) if config.tls else None
        states = self._ready, lambda: self.native.ready, lambda: told_of(self.unleash), self.subjects.concerns
        others = Supervised(line, pulse, self.loop, self.metrics) if line and pulse else None
        self.siblings: Siblings = others or NoSiblings(self.metrics)
        self.watchdog = Watchdog(config.watchdog, self._stalled)
        compared = compared_of(config, self.parities, self.loop, self._store)
        raised = self._store, self.loop, self.metrics, states[1], compared
        ramping, self.ramps, self.loads = ramping_of(config, *raised)
        self.webhooks = webhooks_of(config, self._store, self._redis, self.metrics)
        mismatches = mismatches_of(config, self._journal, self.loop, self._store)
        asked = self.siblings, mismatches, Tokens(config.admin.tokens), self.stopping, self.webhooks
        self.admin = Admin(self.loop, self._store, self._seeds, *asked, *states, ramping=ramping, compared=compared).app
        watched = (lambda: self.loop.snapshot), (lambda: self.loop.verdicts), self.pools, self._states()
        self.metrics.watch(*watched, config.holdbacks)

    def _states(self) -> States:
        """What is read at each scrape."""
        return {
            "store_connected": ("1 while the flags' store answers", lambda: self.loop.connected),
            "native_ready": ("1 while native takes requests", lambda: self.native.ready),
            "fallbacks_open": ("Requests that legacy is asked in native's place", lambda: self.places.taken),
            **shadow_states(self.runner, self.pacer),
            "tasks": ("Tasks of this worker", lambda: len(self.tasks)),
            "subject_concerns": ("Sources of subjects that churn or collapse", lambda: len(self.subjects.concerns())),
            "rollback_unproved": (
                "1 while legacy has not lately carried what a rollback of everything would send it",
                lambda: self.loads.capacity.unproved,
            ),
            **states_of(self.unleash),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything but the ports: native's lifespan, the loop, the runner."""
        await first_flags(self._store, self.loop, self._seeds, self.unleash.recall() if self.unleash else {})
        with obeying(self._state, self.loop):
            async with self._working():
                yield

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        self.native.start()
        await self.runner.start()
        if self._yields:
            self.tasks.start(self.pacer.run())
        self.tasks.start(self.loop.run())
        for watch in (self.ramps, self.loads, self.parities, self._trips, self.unleash, self.pairing, *self.webhooks):
            if watch is not None:
                self.tasks.start(watch.run())
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

    async def serve(self, public: socket.socket, private: socket.socket, share: Share | None = None) -> None:
        """Serve both ports, `share` of the users if others do too, until told to stop; then finish, users first."""
        certificate = self.certificate
        tls: dict[str, Any] = {"ssl_context_factory": lambda *_: certificate.context} if certificate else {}
        servers = (
            Server(self.app, public, http=self.front, drain=self._drain, share=share, **tls),
            Server(self.admin, private, drain=ADMIN_DRAIN, spare=0),  # orders are taken in to the last
        )
        async with self.running(), self.watchdog.watching(self.tasks, self._native_has_started, self.siblings.beat):
            await self.siblings.join(self.tasks, gone=self.stopping.set)
            serving = [self.tasks.start(server.run_until_stopped()) for server in servers]
            for server in servers:
                await server.serving.wait()
            settle()
            self.tasks.start(asyncio.to_thread(gather))
            self.siblings.ready(self._drain, self.watchdog.limit)
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

    def _native_has_started(self) -> bool:
        return self.native.ready or not isinstance(self.native, Embedded)

    def _stalled(self, stall: Stall) -> None:
        self.siblings.stalled(stall)  # first: to log may take as long as whatever blocks
        alone = isinstance(self.siblings, NoSiblings)
        words = STANDS_STILL + NOBODY_REPLACES if alone else STANDS_STILL
        log_in_any_case(words, longer_than=self.watchdog.limit, routes=list(stall.routes), stack=stall.stack)

    def _ready(self) -> bool:
        return self._replaced or not self.stopping.is_set()

    async def _fading(self) -> None:
        while True:
            await asyncio.sleep(FADE_EVERY)
            self.books.fade()
            self.subjects.turn()

    def _changed(self, route: str, before: Flag, after: Flag) -> None:
        log_change(route, before, after)
        if after.tripped and not before.tripped and self._trips is not None:
            self._trips.made()  # on every worker, and at the start of one: whoever made the trip may be gone

    def _tripped(self, route: str, trip: Trip) -> None:
        self.metrics.trips.labels(route).inc()
