"""The proxy in this process, before real sockets: where a test must see tasks and pools from within."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from proxy.address import Address
from proxy.app import Strangler
from proxy.front import Front
from proxy.sections import Config
from proxy.server import Server, listen
from tests.fidelity.wire import PATIENCE

NOWHERE = "http://127.0.0.1:1"  # where nobody listens
# What is given up here hangs: this machine may be busy. A test of giving up says how soon.
PATIENT = {"legacy": {"connect": "30s", "wait": "30s"}, "native": {"connect": "30s", "wait": "30s", "budget": "30s"}}


@dataclass(frozen=True, slots=True)
class Stage:
    """A serving proxy; `user` is a client of it."""

    strangler: Strangler
    server: Server
    port: int
    user: httpx.AsyncClient
    at_rest: int  # tasks that are there without any request

    @property
    def connections(self) -> int:
        """Users' connections, tunnels among them."""
        return len(self.server.server_state.connections)

    @property
    def fronts(self) -> list[Front]:
        """Users' connections that are no tunnels."""
        return [each for each in list(self.server.server_state.connections) if isinstance(each, Front)]

    @property
    def tasks(self) -> int:
        """Tasks on behalf of users, the server's and the proxy's own."""
        return len(self.server.server_state.tasks) + len(self.strangler.tasks)

    async def quiet(self) -> None:
        """Nothing is under way, and nothing is counted that is not there; users may still be connected."""
        pools = self.strangler.pools.values()
        await eventually(lambda: self.tasks == self.at_rest)
        await eventually(lambda: all(pool.opened == pool.idle and not pool.waiting for pool in pools))

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value; 0 if there is no such series."""
        families = text_string_to_metric_families(self.strangler.metrics.exposition().decode())
        samples = (sample for family in families for sample in family.samples)
        found = (sample.value for sample in samples if (sample.name, sample.labels) == (f"strangler_{name}", labels))
        return next(found, 0.0)


@asynccontextmanager
async def staged(*, ways: Mapping[str, Any] | None = None, **sections: Any) -> AsyncIterator[Stage]:
    """The whole composition with this configuration, but for the operators' port, and for what replaces its `ways`.

    Nobody is held back, and shadow work yields to nothing, unless it says so.
    """
    given = {"legacy": {"url": NOWHERE}, "log": {"access": False}, "holdback": 0, **sections}
    sides = {side: {**knobs, **given[side]} for side, knobs in PATIENT.items() if side in given}
    shadow = {"yields": False, **given.get("shadow", {})}
    config = Config.model_validate({**given, **sides, "shadow": shadow})
    strangler = Strangler(config)
    sock = listen(Address("127.0.0.1", 0), "listen")
    port: int = sock.getsockname()[1]
    front = functools.partial(Front, replace(strangler.ways, **ways)) if ways else strangler.front
    server = Server(strangler.app, sock, http=front, drain=config.drain)
    async with (
        strangler.running(),
        serving(server),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as user,
    ):
        if "native" in sections:
            await eventually(lambda: strangler.native.ready)
        yield Stage(strangler, server, port, user, len(strangler.tasks))


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(server.run_until_stopped())
    try:
        yield
    finally:
        server.stop()
        await task


async def eventually(holds: Callable[[], bool]) -> None:
    """Return once it holds, letting everybody else run meanwhile; fails if it does not come about."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # what it watches tells nobody when it changes
            await asyncio.sleep(0)


async def settled(figure: Callable[[], int], rounds: int = 2000) -> int:
    """The figure once it has stayed the same while the event loop went round so many times."""
    last, since = figure(), 0
    while since < rounds:
        await asyncio.sleep(0)
        last, since = (last, since + 1) if figure() == last else (figure(), 0)
    return last


def stand_still(seconds: float) -> None:
    """Keep the event loop from everything else."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        pass
