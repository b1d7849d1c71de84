"""The operator of a site that follows Unleash: moves shares on its page, and gives all other orders to the proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from time import monotonic

import httpx

from demo.operator import Command, Operator
from demo.service import Service, ServiceError
from demo.site import Site
from demo.unleash import Page, rollout

FOLLOWED_WITHIN = 20.0
LOOK_EVERY = 0.05


async def furnish(unleash: Service, routes: Collection[str]) -> None:
    """A flag for each route, switched on at 0 %, all counted in one group: a user moves with the whole journey."""
    async with Page(unleash.url) as page:
        for route in routes:
            await page.create(route, rollout(0))


class ReleaseEngineer(Operator):
    def __init__(self, site: Site, unleash: Service) -> None:
        super().__init__(site)
        self._page = Page(unleash.url)

    async def order(self, *arguments: str) -> Command:
        if arguments[0] != "set":
            return await super().order(*arguments)
        _, route, share = arguments
        began = monotonic()
        await self._move([route], share)
        return Command(f"Unleash: {route} to {share}", f"The proxy followed {monotonic() - began:.1f} s later.", True)

    async def adjust(self, routes: Collection[str], **knobs: str) -> None:
        if share := knobs.pop("share", None):
            await self._move(routes, share)
        if knobs:
            await super().adjust(routes, **knobs)

    async def aclose(self) -> None:
        await self._page.close()

    async def _move(self, routes: Collection[str], share: str) -> None:
        """Where a trip has switched a flag off, it is switched on again."""
        percent = int(share.removesuffix("%"))
        for route in routes:
            await self._page.move(route, percent)
            await self._page.switch(route, on=True)
        async with self._admin() as admin:
            await self._followed(admin, routes, percent * 100)

    async def _followed(self, admin: httpx.AsyncClient, routes: Collection[str], points: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_WITHIN):
                while True:
                    told = (await admin.get("/flags")).json()["routes"]
                    if all(flag["share"] == points or flag["trip"] for flag in told if flag["route"] in routes):
                        return
                    await asyncio.sleep(LOOK_EVERY)
        raise ServiceError(f"the proxy did not follow Unleash within {FOLLOWED_WITHIN:.0f} s")
