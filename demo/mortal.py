"""A side that can be killed, and started again at the same address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from demo.service import Service


class Mortal:
    """`start` starts the service, also anew, and returns once it serves."""

    def __init__(self, start: Callable[[], Service]) -> None:
        self._start = start
        self.service = start()
        self.alive, self.deaths = True, 0

    def kill(self) -> None:
        """With all its processes, as the kernel does it: nobody has time for a last word."""
        self.alive = False
        self.deaths += 1
        self.service.kill()

    def revive(self) -> None:
        self.service = self._start()
        self.alive = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()
