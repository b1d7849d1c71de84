"""Where one worker serves, and then the next one."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.child import Child


class Place:
    """`worker` is its number, which all who come to serve in it have in common."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.child: Child | None = None
        self._taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, child: Child) -> Child | None:
        """Let this one serve here; who did before, and may have something to finish."""
        before, self.child = self.child, child
        self._taken.set_result(None)
        self._taken = asyncio.get_running_loop().create_future()
        return before

    async def bereft(self) -> Child:
        """Wait until whoever serves here by then has ended by itself. Those who were replaced may last longer."""
        while True:
            child = self.child
            assert child is not None
            either: set[asyncio.Future[Any]] = {child.ended, self._taken}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self.child is child:
                return child
