"""Tells the application of trips: what native has left in a cache is to be believed no longer (docs/contract.md)."""

from __future__ import annotations

import asyncio

import structlog
from redis import RedisError

from flags.store.client import connect
from flags.store.place import Place

log = structlog.get_logger()

PATIENCE = 1.0  # seconds for one attempt, and between two


class Trips:
    """Adds one to a key of the application's Redis for what has tripped since it last did, as often as it takes."""

    def __init__(self, url: str, key: str) -> None:
        self._client = connect(Place.parse(url), PATIENCE, retries=0, key=key)
        self._key = key
        self._made = asyncio.Event()

    def made(self) -> None:
        self._made.set()

    async def run(self) -> None:
        try:
            while True:
                await self._made.wait()
                self._made.clear()
                if not await self._tell():
                    self._made.set()
                    await asyncio.sleep(PATIENCE)
        finally:
            await self._client.aclose()

    async def _tell(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                epoch = await self._client.incr(self._key)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("the application's Redis could not be told of a trip: trying again", error=repr(error))
            return False
        log.info("the application is told of a trip", key=self._key, epoch=epoch)
        return True
