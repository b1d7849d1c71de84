"""One replay by a configuration: both sides up, what a file holds asked of them, and everything closed again."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Final

from flags.flag import Side
from proxy.config import Config
from proxy.dial import Dial
from proxy.errors import SideFailed
from proxy.forwarding import Forwarding
from proxy.peers import Peers
from proxy.replay.asking import Asking, Manner
from proxy.replay.question import Choice, choices
from proxy.replay.source import Source
from proxy.replay.tally import Tally
from proxy.routes import RouteTable
from proxy.sides import Sides
from proxy.signature import Secret
from proxy.stores import stores
from proxy.tasks import Tasks
from proxy.values import read_secret
from shadow.excerpt import Shown
from shadow.journal import Journal, MemoryJournal
from shadow.mismatch import Finding, Mismatch

LEGACY = Side.LEGACY.value
ENTRIES: Final = 1_000  # mismatches of one route: this process has no other use for its memory
STARTS_WITHIN: Final = 30.0  # seconds, of an application in this process
LOOK: Final = 0.02

_OURS: Final = (ip_network("127.0.0.0/8"),)  # what the operator says of who is calling is believed


class SideDown(Exception):
    """A side cannot be asked anything."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """`mismatches` with their samples. `stopped`, `unreadable`: as `Asking` has them."""

    tally: Tally
    mismatches: Sequence[Mismatch]
    seconds: float
    stopped: str | None
    unreadable: bool


class _Kept(MemoryJournal):
    """Keeps in another journal, too."""

    def __init__(self, shown: dict[str, Shown], other: Journal | None) -> None:
        super().__init__(shown, ENTRIES)
        self._other = other

    async def record(self, finding: Finding) -> None:
        await super().record(finding)
        if self._other is not None:
            await self._other.record(finding)


async def replay(
    config: Config,
    source: Source,
    choice: Choice,
    manner: Manner,
    *,
    journal: bool,
    on_asking: Callable[[Asking], None],
    starts_within: float = STARTS_WITHIN,
) -> Found:
    """`journal`: whether what differs goes into the proxy's own, too. `on_asking` is given what can be stopped, and
    looked at. Raises SideDown."""
    began = time.monotonic()
    async with _sides(config, manner.concurrency, starts_within) as sides, _journal(config, journal) as kept:
        asking = Asking(
            sides.candidates,
            {route.name: route.rules for route in config.routes},
            kept,
            config.shadow.limits,
            Forwarding(Peers(_OURS), Secret(read_secret(config.secret)) if config.secret else None),
            manner,
        )
        on_asking(asking)
        try:
            given = frozenset(name.decode() for name, _ in manner.headers)
            await asking.run(choices(dataclasses.replace(choice, given=given), source.readings()))
        finally:
            await asking.close()
        listed = await kept.latest(ENTRIES * len(config.routes))
        found = [each for each in [await kept.find(each.id) for each in listed] if each is not None]
    return Found(asking.tally, found, time.monotonic() - began, asking.stopped, asking.unreadable)


def choice_of(config: Config, only: frozenset[str], host: str | None, *, send_credentials: bool) -> Choice:
    spared = frozenset(route.name for route in config.routes if not route.shadow_legacy)
    return Choice(RouteTable([route.route for route in config.routes]), only, spared, host, send_credentials)


@asynccontextmanager
async def _sides(config: Config, concurrency: int, starts_within: float) -> AsyncIterator[Sides]:
    """Both sides, each of which can be asked."""
    tasks = Tasks()
    shadow = config.shadow.model_copy(update={"concurrency": concurrency})
    sides = Sides.of(config.model_copy(update={"shadow": shadow}), tasks)
    sides.native.start()
    try:
        for dial in sides.dials.values():
            await _look(dial)
        await _started(sides, starts_within)
        yield sides
    finally:
        await sides.native.stop()
        for pool in sides.pools.values():
            pool.close()
        await tasks.close()


async def _look(dial: Dial) -> None:
    try:
        door, _ = await dial.open(_Door)
    except SideFailed as failure:
        raise SideDown(f"{dial.side} is down, so neither side was asked anything: {failure}") from None
    door.transport.close()


async def _started(sides: Sides, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            while not sides.native.ready:  # noqa: ASYNC110  # it is looked at, and tells nobody
                await asyncio.sleep(LOOK)
    except TimeoutError:
        words = f"native did not start within {within:g} s, so neither side was asked anything"
        raise SideDown(words) from None


@asynccontextmanager
async def _journal(config: Config, shared: bool) -> AsyncIterator[_Kept]:
    shown = {route.name: Shown.parse(route.show) for route in config.routes if route.show}
    if not shared:
        yield _Kept(shown, None)
        return
    store, journal, client = stores(config)
    try:
        yield _Kept(shown, journal)
    finally:
        await store.close()
        if client is not None:
            await client.aclose()


class _Door(asyncio.Protocol):
    """A connection for no other purpose than to see that there is one."""

    transport: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
