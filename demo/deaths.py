"""One side or the other is killed at every turn of the clock, while users go on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from demo.mortal import Mortal
from demo.operator import Watch
from demo.screen import Screen
from demo.sight import Sight

EVERY = 10.0  # seconds between two deaths
READY_WITHIN, SEEN_WITHIN = 60.0, 2.0


class Deaths:
    """`put_back` gives routes their share again that native's death has rolled back."""

    def __init__(
        self,
        sides: Mapping[str, Mortal],
        watch: Watch,
        screen: Screen,
        put_back: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        self._sides, self._watch, self._screen, self._put_back = sides, watch, screen, put_back
        self._clock = asyncio.get_running_loop().time
        self._chance = random.Random()

    async def go_on(self, seconds: float) -> int:
        """How many there were within so many seconds, the first at once."""
        began, deaths = self._clock(), 0
        while (at := self._clock() - began) < seconds:
            await self._kill(*self._chance.choice(list(self._sides.items())), at)
            deaths += 1
            turns = int((self._clock() - began) // EVERY) + 1
            await self._attend(began + min(seconds, turns * EVERY))
        return deaths

    async def _kill(self, name: str, side: Mortal, at: float) -> None:
        killed = self._clock()
        side.kill()
        # In a thread that lives as long as the loop: the service would end with its thread.
        await asyncio.to_thread(side.revive)
        await self._watch.until(lambda sight: sight.native_ready, READY_WITHIN)
        self._screen.result(f"{_minutes(at)}  {name} is killed, and serves again {self._clock() - killed:.1f} s later")

    async def _attend(self, until: float) -> None:
        """Put back what trips, until that moment."""
        while (left := until - self._clock()) > 0:
            if await self._watch.until(lambda sight: bool(_tripped(sight)), left):
                await self._put_back(_tripped(self._watch.latest))
                await self._watch.until(lambda sight: not _tripped(sight), SEEN_WITHIN)


def _tripped(sight: Sight) -> list[str]:
    return [route.name for route in sight.routes.values() if route.trip is not None]


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
