"""The events of a store on a port of their own, and changes to tell of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo.service import LOOPBACK
from flags.audit import Note
from flags.flag import Flag
from flags.store import Store
from proxy.address import Address
from proxy.events import BEAT, Events
from proxy.server import Server, listen

ROUTE = "things.list"


class Site:
    def __init__(self, store: Store, generation: int = 0, beat: float = BEAT) -> None:
        self.store, self.over, self.generation = store, asyncio.Event(), generation
        self.events = Events(store, self.over, beat=beat)

    async def answer(self, request: Request) -> Response:
        return await self.events.reader(request.headers.get("last-event-id"))

    async def change(self, **knobs: Any) -> None:
        self.generation += 1
        flag = Flag(generation=self.generation, **knobs)
        await self.store.change(ROUTE, self.generation - 1, flag, Note(1.5, "Anna", "step 2"))


@asynccontextmanager
async def serving(site: Site, port: int = 0) -> AsyncIterator[httpx.AsyncClient]:
    sock = listen(Address(LOOPBACK, port), "listen")
    server = Server(Starlette(routes=[Route("/events", site.answer)]), sock)
    url = f"http://{LOOPBACK}:{sock.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run_until_stopped())
        try:
            yield client
        finally:
            site.over.set()
            await client.aclose()  # the server would wait for what it might still ask
            server.stop()
