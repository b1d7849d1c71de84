"""What goes on until it is interrupted, over ends and beginnings of the proxy that it listens to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from demo.service import LOOPBACK, free_port
from flags.store.memory import MemoryStore
from proxy.address import Address
from proxy.orders import OrderFailed, Orders
from proxy.watching import follow, watch
from tests.proxy.telling import Site, serving


class Enough(Exception):
    """What a test ends a command by."""


class Heard:
    """The shares that were told, up to a number of them."""

    def __init__(self, number: int) -> None:
        self.shares: list[int] = []
        self._number, self._loop = number, asyncio.get_running_loop()
        self.news = asyncio.Event()

    def __call__(self, told: Any) -> None:
        self.shares.append(told["after"]["share"])
        self._loop.call_soon_threadsafe(self.news.set)
        if len(self.shares) == self._number:
            raise Enough

    async def next(self) -> None:
        async with asyncio.timeout(20):
            await self.news.wait()
        self.news.clear()


def orders(port: int) -> Orders:
    return Orders(Address(LOOPBACK, port))


async def followed(port: int, tell: Heard) -> None:
    with pytest.raises(Enough):
        await asyncio.to_thread(follow, orders(port), tell)


async def listened(site: Site) -> None:
    async with asyncio.timeout(20):
        while not site.events.readers:  # noqa: ASYNC110  # they come over a socket
            await asyncio.sleep(0)


async def test_events_are_told_each_once_though_the_proxy_is_replaced_in_between() -> None:
    store, port, heard = MemoryStore(), free_port(), Heard(3)
    async with asyncio.TaskGroup() as tasks:
        first = Site(store)
        async with serving(first, port):
            task = tasks.create_task(followed(port, heard))
            await listened(first)
            await first.change(native=100)
            await heard.next()
        second = Site(store, first.generation)
        await second.change(native=200)  # while nobody serves
        async with serving(second, port):
            await heard.next()
            await second.change(native=300)
            await task
    assert heard.shares == [100, 200, 300]


async def test_where_nobody_answers_following_says_so_at_once_and_after_a_while_if_there_was_somebody() -> None:
    port, site = free_port(), Site(MemoryStore())
    with pytest.raises(OrderFailed, match="no proxy answers"):
        await asyncio.to_thread(follow, orders(port), Heard(1))
    async with serving(site, port):
        following = asyncio.gather(asyncio.to_thread(follow, orders(port), Heard(1), 0.01))
        await listened(site)
    with pytest.raises(OrderFailed, match="no proxy answers"):
        await following


async def test_something_is_drawn_at_once_and_again_at_each_change() -> None:
    site, port = Site(MemoryStore()), free_port()
    loop, drawn, again = asyncio.get_running_loop(), list[int](), threading.Event()

    def draw() -> None:
        drawn.append(site.generation)
        if site.generation:
            raise Enough
        again.set()

    async with serving(site, port):
        task = asyncio.gather(asyncio.to_thread(watch, orders(port), draw))
        await asyncio.to_thread(again.wait, 20)
        await site.change(native=100)
        with pytest.raises(Enough):
            await task
    assert loop.is_running()
    assert drawn[0] == 0
    assert drawn[-1] == 1
