"""The leaving of a user on the ASGI way, for whoever waits for something else and must not `receive` meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Scope

from proxy.errors import ClientLeft


class Leaving:
    """Known to the user's connection, and by the request's scope to who serves it.

    `told`: the status by which a user was refused whose body is no HTTP; 0 for one who has gone.
    """

    __slots__ = ("_tell", "gone", "told")

    def __init__(self) -> None:
        self.gone, self.told = False, 0
        self._tell: Callable[[], None] | None = None

    def leave(self, told: int) -> None:
        self.gone, self.told = True, told
        if self._tell is not None:
            self._tell()

    @asynccontextmanager
    async def heeded(self) -> AsyncIterator[None]:
        """Raises ClientLeft amid the block as soon as the user has left."""
        if self.gone:
            raise ClientLeft
        try:
            async with asyncio.timeout(None) as limit:
                self._tell = lambda: limit.reschedule(0.0)  # long ago
                try:
                    yield
                finally:
                    self._tell = None
        except TimeoutError:
            raise ClientLeft from None


def leaving_of(scope: Scope) -> Leaving:
    """Of the request's user, where its server tells; else of one who never leaves."""
    leaving: Leaving | None = scope.get("strangler.leaving")
    return Leaving() if leaving is None else leaving
