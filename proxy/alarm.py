"""A timer that costs next to nothing to put off, for limits that are set at every request and seldom reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Calls `ring` once its time has come. Putting it off moves no timer: one that fires early is set anew."""

    __slots__ = ("_due", "_fires_at", "_handle", "_loop", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring: Callable[[], None] | None = ring
        self._handle: asyncio.TimerHandle | None = None
        self._due = self._fires_at = inf

    def within(self, seconds: float) -> None:
        """Ring in so many seconds, and not when it was set for before."""
        self._due = due = self._loop.time() + seconds
        if due < self._fires_at:
            self._fire_at(due)

    def off(self) -> None:
        self._due = inf

    def close(self) -> None:
        """Never ring again."""
        self._due, self._ring = inf, None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire_at(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = when
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle, self._fires_at = None, inf
        if self._due == inf:
            return
        if self._loop.time() < self._due:
            self._fire_at(self._due)
            return
        self._due = inf
        if self._ring is not None:
            self._ring()
