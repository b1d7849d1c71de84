"""What this process knows of Redis: whether it is worth a step of the cache, or a broadcast, and how long a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from redis import ConnectionError, ReadOnlyError, RedisError
from redis import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from .resources import Resources

T = TypeVar("T")
Step = Callable[[], Coroutine[Any, Any, T]]
Errors = tuple[type[Exception], ...]
log = structlog.get_logger("handlers")

PAUSE = 1.0  # seconds in which a Redis that has failed is left alone
# Whose steps are left out after one has failed.
PAUSES = {"read": ("read",), "write": ("read", "write"), "tell": ("read", "write", "tell")}
FAILURES: Errors = (RedisError, OSError, TimeoutError)
SILENCE: Errors = (TimeoutError, RedisTimeoutError)  # which take their time
LATE = 0.01  # seconds by which our own event loop may be behind before a time-out says nothing of Redis


class Away(Exception):
    """Redis has not answered, or is left alone because it has not answered just now."""


class Link:
    """Redis as readers and writers find it.

    A reader gives up after some milliseconds, because the database answers as well: that keeps the next readers from
    waiting, but no writer from being heard. A writer waits longer. If not even it is answered, no reader would be, nor
    what it would tell others after its commit. But a Redis that refuses what is written may well pass on what is told.
    """

    def __init__(self, held: Resources) -> None:
        self._held = held
        self._paused_until = {"read": 0.0, "write": 0.0, "tell": 0.0}
        self.failed_at = 0.0  # when a step was last not answered

    @property
    def pauses_reads(self) -> bool:
        return asyncio.get_running_loop().time() < self._paused_until["read"]

    def read(self, step: Step[T]) -> Coroutine[Any, Any, T]:
        return self._answer("read", step, self._held.settings.cache_wait)

    def write(self, step: Step[T]) -> Coroutine[Any, Any, T]:
        return self._answer("write", lambda: twice(step), self._held.settings.redis_wait)

    def tell(self, step: Step[T]) -> Coroutine[Any, Any, T]:
        """What follows a commit, once: what was not answered may have been carried out. That it was refused, or that
        its connection had been lost, says nothing of the cache."""
        return self._answer("tell", step, self._held.settings.redis_wait, SILENCE)

    async def _answer(self, kind: str, step: Step[T], seconds: float, failures: Errors = FAILURES) -> T:
        """What Redis answers to a step; Away if it does not, in time."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until[kind]:
            raise Away
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await step()
        except failures as error:
            due = limit.when()
            if not (limit.expired() and due is not None and loop.time() > due + LATE):
                self.failed_at = loop.time()
                if kind == "write" and isinstance(error, SILENCE):
                    kind = "tell"
                for other in PAUSES[kind]:
                    self._paused_until[other] = self.failed_at + PAUSE
                log.warning("cache_away", error=repr(error))
            raise Away from error


async def twice(step: Step[T]) -> T:
    """For what does no harm if it is done again: a connection that was lost in the meantime, or that leads to what has
    become a replica, is replaced."""
    try:
        return await step()
    except (ConnectionError, OSError, ReadOnlyError):
        return await step()
