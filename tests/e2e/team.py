"""Everybody at work in a thread of its own, while a test kills what they ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress

from demo.log import Log
from demo.shift import Shift
from demo.stack import Application
from demo.traffic import Traffic, accounts

USERS = {1: 8, 2: 4}  # by account
THINK = 0.02  # seconds


class Team:
    """`ended`: none of them works any more."""

    def __init__(self, url: str, application: Application) -> None:
        self._traffic = Traffic(url, application, accounts(application, USERS))
        self._shift = Shift(THINK)
        self._loop = asyncio.new_event_loop()
        self.ended = threading.Event()

    @property
    def log(self) -> Log:
        return self._traffic.log

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._work())
        finally:
            self.ended.set()

    def dismiss(self) -> None:
        with suppress(RuntimeError):  # whoever has fallen ill has closed it already
            self._loop.call_soon_threadsafe(self._shift.end)

    async def _work(self) -> None:
        async with aclosing(self._traffic):
            await self._traffic.sign_in()
            await self._traffic.work(self._shift)


@contextmanager
def working(url: str, application: Application) -> Iterator[Team]:
    """Until the block ends, and then until everybody has an answer to what he has asked."""
    team = Team(url, application)
    thread = threading.Thread(target=team.run)
    thread.start()
    try:
        yield team
    finally:
        team.dismiss()
        thread.join()
