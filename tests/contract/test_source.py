"""What every source of shares must do: an operator's orders, in memory and on Redis, and Unleash's own server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from demo.service import Service
from demo.unleash import CLIENT_TOKEN, Page, rollout
from flags.flag import Flag, bucket
from flags.loop import Loop
from flags.rollback import Rule
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from flags.unleash.backup import Backup
from flags.unleash.follow import Unleash
from flags.unleash.server import Server
from tests.contract.redis_process import PATIENCE

RULE = Rule(window=30.0, min_requests=50, max_error_rate=0.05, max_excess=0.02)


@dataclass
class Source:
    """Somebody who gives shares to `route`, and a worker that goes by them."""

    store: Store
    page: Page | None = None
    route: str = field(default_factory=lambda: f"messages.create.{secrets.token_hex(4)}")
    other: str = field(default_factory=lambda: f"messages.list.{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        routes = self.route, self.other
        self.worker = Loop(
            self.store, routes, RULE, "worker", on_change=self._on_change, followed=self.page is not None
        )
        self._operator = Loop(self.store, routes, RULE, "operator")
        self._given = False

    @property
    def flag(self) -> Flag:
        return self.worker.get(self.route)

    async def give(self, percent: int) -> None:
        if self.page is None:
            await self._operator.set(self.route, share=percent * 100)
        elif self._given:
            await self.page.move(self.route, percent)
        else:
            await self.page.create(self.route, rollout(percent))
        self._given = True

    async def until(self, percent: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.flag.native != percent * 100:
                self._changed.clear()
                await self._changed.wait()

    def _on_change(self, route: str, before: Flag, after: Flag) -> None:
        self._changed.set()


@asynccontextmanager
async def watching(worker: Loop, unleash: Unleash | None) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watches = [tasks.create_task(watch.run()) for watch in (worker, unleash) if watch is not None]
        yield
        for watch in watches:
            watch.cancel()


@pytest.fixture(params=["memory", "redis", "unleash"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    async with AsyncExitStack() as owned:
        store: Store = MemoryStore()
        if request.param != "memory":
            url = request.getfixturevalue("contract_redis")
            async with Redis.from_url(url) as client:
                await client.flushdb()
            store = RedisStore(url, PATIENCE)
            owned.push_async_callback(store.close)
        source, unleash = Source(store), None
        if request.param == "unleash":
            service: Service = request.getfixturevalue("unleash_server")
            source = Source(store, await owned.enter_async_context(Page(service.url)))
            routes = source.route, source.other
            server = Server(service.url, CLIENT_TOKEN, limit=PATIENCE)
            unleash = Unleash(server, source.worker, routes, Backup(tmp_path / "unleash.json"), every=0.05)
        await owned.enter_async_context(watching(source.worker, unleash))
        yield source


async def test_a_share_moves_up_and_down_and_takes_nobody_but_its_own_route(source: Source) -> None:
    assert source.flag.native == 0
    for percent in (5, 50, 25):
        await source.give(percent)
        await source.until(percent)
        assert source.worker.get(source.other).native == 0


async def test_a_share_takes_the_same_subjects_wherever_it_comes_from(source: Source) -> None:
    await source.give(25)
    await source.until(25)
    group = source.flag.source.group if source.flag.source is not None else "default"
    assert group == "default"
    taken = [subject for subject in range(20) if bucket("default", str(subject)) < source.flag.native]
    assert taken == [9, 10, 11, 15, 18]


async def test_a_trip_wins_over_the_source_until_it_is_reset(source: Source) -> None:
    await source.give(25)
    await source.until(25)
    await source.worker.rollback(source.route, "incident 7")
    assert (source.flag.native, source.flag.tripped) == (0, True)
    if source.page is not None:
        await source.give(50)
        await source.worker.tick()
        assert source.flag.tripped
    await source.worker.reset(source.route)
    await source.give(5)
    await source.until(5)
    assert not source.flag.tripped


async def test_a_worker_that_comes_later_goes_by_the_same_share(source: Source) -> None:
    await source.give(25)
    await source.until(25)
    later = Loop(source.store, [source.route], RULE, "later")
    await later.refresh()
    assert later.get(source.route) == source.flag
