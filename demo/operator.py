"""The operator at the site: looks at the proxy, gives its commands, and lets bugs in and out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import httpx
import psycopg

from demo.accounts import kept
from demo.native import SWITCH
from demo.service import ServiceError
from demo.sight import Sight, read
from demo.site import STRANGLER, Site
from demo.stack import INHERITED

LOOK_EVERY = 0.5
REMEMBERED = 60  # looks
PATIENCE = 10.0


class Watch:
    """Looks at the proxy twice a second and remembers the last half minute."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looks: deque[Sight] = deque(maxlen=REMEMBERED)
        self._news = asyncio.Condition()

    @property
    def latest(self) -> Sight:
        return self._looks[-1]

    def recent(self, seconds: float) -> Sight:
        """What happened in the last seconds, as far as it is remembered."""
        since = self.latest.at - seconds
        return self.latest.since(next(look for look in self._looks if look.at >= since))

    async def follow(self, told: Callable[[], None]) -> None:
        """Until cancelled; `told` is called after each look. Raises when a service of the site has ended."""
        async with httpx.AsyncClient(base_url=self._site.admin_url, timeout=PATIENCE, trust_env=False) as admin:
            while True:
                await self.look(admin)
                told()
                await asyncio.sleep(LOOK_EVERY)

    async def look(self, admin: httpx.AsyncClient) -> None:
        try:
            metrics, flags = await admin.get("/metrics"), await admin.get("/flags")
        except httpx.HTTPError as error:
            self._site.check()
            raise ServiceError(f"the proxy's admin port does not answer: {error!r}") from error
        self._site.check()
        async with self._news:
            self._looks.append(read(metrics.text, flags.json(), time.time()))
            self._news.notify_all()

    async def until(self, holds: Callable[[Sight], bool], within: float) -> bool:
        """Whether that came to hold in time."""
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: bool(self._looks) and holds(self.latest))
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was typed, and what it printed."""

    typed: str
    printed: str
    succeeded: bool


class Operator:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def order(self, *arguments: str) -> Command:
        """Run `strangler …` where the site's config.yaml lies."""
        process = await asyncio.create_subprocess_exec(
            STRANGLER,
            *arguments,
            cwd=self._site.directory,
            env=INHERITED,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Command(" ".join(("strangler", *arguments)), printed.decode().strip(), process.returncode == 0)

    async def adjust(self, routes: Collection[str], **knobs: str) -> None:
        """Set these routes' share or shadow, as the commands do, without a process for each."""
        async with self._admin() as admin:
            for route in routes:
                (await admin.patch(f"/flags/{route}", json=knobs)).raise_for_status()

    async def reset(self, routes: Collection[str]) -> None:
        """Lift what has tripped of these routes."""
        async with self._admin() as admin:
            for route in routes:
                (await admin.post(f"/flags/{route}/reset")).raise_for_status()

    def _admin(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._site.admin_url, timeout=PATIENCE, trust_env=False)

    async def let_in(self, bugs: Collection[str]) -> None:
        """From now on native has these bugs and no others."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as native:
            (await native.put(self._site.native.service.url + SWITCH, json={"on": list(bugs)})).raise_for_status()

    async def native_last_asked(self) -> float:
        """When a user's request last arrived at native."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as native:
            return float((await native.get(self._site.native.service.url + SWITCH)).json()["lastAsked"])

    def messages_kept(self) -> dict[str, list[int]]:
        """The ids under which each message that was written is in the database."""
        with psycopg.connect(self._site.stack.application.database_url) as database:
            return kept(database)
