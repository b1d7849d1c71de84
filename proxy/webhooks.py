"""Tells other systems of trips and resets: each record of the audit that is one, signed, at least once, in order.

Every worker tries; for each webhook one sends, and another takes over when it is heard of no more. What nobody takes is
given up after a while and kept, for a system that is down must not keep others, or later news, from being told. Nothing
waits for any of this.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential
from tenacity.wait import wait_base

from flags.audit import Record, What
from flags.errors import StoreUnavailable
from flags.store import Store
from proxy import told
from proxy.deliveries import Deliveries, Told

EVERY = 1.0  # seconds between two looks at the audit
PAGE = 100  # records looked at, and told of in one request, at a time
ATTEMPTS = 6  # of a request that fails; one alone while the last one was given up
BETWEEN = wait_exponential(min=1, max=8)  # seconds
PARTING = 1.0  # seconds that it may take to leave the sending to another
PATIENCE = 5.0  # seconds for one attempt, and for Redis: with what is between, less than a sender's lease

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hook:
    """Where to tell, and the secret that proves to whom listens there that we did."""

    url: str
    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """By which it is known in the store."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        """Without its path, which is a password at some."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{'/…' if parts.path.strip('/') else ''}"

    @property
    def label(self) -> str:
        """As metrics name it: two of one system differ in the path alone."""
        return f"{self.shown}#{self.name[:6]}"

    def headers(self, body: bytes, now: float) -> dict[str, str]:
        at = str(int(now))
        signature = hmac.new(self.secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"content-type": "application/json", "x-strangler-signature": f"t={at},v1={signature}"}


class NotTaken(Exception):
    """An attempt that failed."""


class Lost(Exception):
    """Another worker sends to this webhook now."""


class Webhook:
    """The sender to one. `worker` names this run of this process. `on_told` hears how many more were told and how many
    given up, `on_all_told` that nothing that is known is left to be told."""

    def __init__(
        self,
        hook: Hook,
        store: Store,
        deliveries: Deliveries,
        worker: str,
        *,
        between: wait_base = BETWEEN,
        now: Callable[[], float] = time.time,
        on_told: Callable[[int, int], None] = lambda told, given_up: None,
        on_all_told: Callable[[], None] = lambda: None,
    ) -> None:
        self.hook = hook
        self._on_told, self._on_all_told = on_told, on_all_told
        self._store, self._deliveries, self._worker, self._now = store, deliveries, worker, now
        self._between, self._giving_up = between, False

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                while True:
                    await self._look(client)
                    await asyncio.sleep(EVERY)
        finally:
            with suppress(RedisError, OSError):
                async with asyncio.timeout(PARTING):
                    await self._deliveries.leave(self.hook.name, self._worker)

    async def _look(self, client: httpx.AsyncClient) -> None:
        try:
            await self.look(client)
        except (StoreUnavailable, RedisError, OSError):
            pass  # the flags' loop says that it is away; what it hears of since is told later
        except Exception:
            log.exception("a webhook could not be served: trying again", webhook=self.hook.shown)

    async def told(self) -> dict[str, Any]:
        """What became of what it was to be told."""
        return {"url": self.hook.shown, **asdict(await self._deliveries.state(self.hook.name))}

    async def look(self, client: httpx.AsyncClient) -> None:
        """Tell of what has happened since the last one."""
        try:
            place = await self._take()
            while records := await self._store.audited(place, PAGE):
                await self._deliver(client, records)
                place = records[-1].id
        except Lost:
            return
        self._on_all_told()

    async def _deliver(self, client: httpx.AsyncClient, records: Sequence[Record]) -> None:
        events = [told.record(record) for record in records if record.what is not What.CHANGED]
        failed: list[Told] = []
        if events:
            try:
                await self._sent(client, json.dumps({"events": events}).encode())
            except RetryError as error:
                problem = str(error.last_attempt.exception())
                failed = [{**event, "problem": problem} for event in events]
                log.error(
                    "a webhook was not told: given up", webhook=self.hook.shown, events=len(events), error=problem
                )
            self._giving_up = bool(failed)
        async with asyncio.timeout(PATIENCE):
            delivered = len(events) - len(failed)
            if not await self._deliveries.done(self.hook.name, self._worker, records[-1].id, delivered, failed):
                raise Lost
        self._on_told(delivered, len(failed))

    async def _sent(self, client: httpx.AsyncClient, body: bytes) -> None:
        """Return once it is taken; RetryError when it is given up."""
        attempts = AsyncRetrying(
            stop=stop_after_attempt(1 if self._giving_up else ATTEMPTS),
            wait=self._between,
            retry=retry_if_exception_type(NotTaken),
        )
        async for attempt in attempts:
            with attempt:
                await self._take()  # still ours?
                await self._ask(client, body)

    async def _ask(self, client: httpx.AsyncClient, body: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                headers = self.hook.headers(body, self._now())
                async with client.stream("POST", self.hook.url, content=body, headers=headers) as answer:
                    if not answer.is_success:  # a redirection is none: the signature is for whom the file names
                        raise NotTaken(f"it answered {answer.status_code}")
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotTaken(f"{type(error).__name__} {error}".strip()) from error

    async def _take(self) -> str:
        async with asyncio.timeout(PATIENCE):
            place = await self._deliveries.take(self.hook.name, self._worker)
        if place is None:
            raise Lost
        return place
