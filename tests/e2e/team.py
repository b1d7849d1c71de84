"""Users of several accounts, all at work at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.e2e.accounts import Account
from tests.e2e.asking import Log
from tests.e2e.user import User


class Team:
    """All users, at work in a thread of their own. `ended`: none of them works any more."""

    def __init__(self, url: str, accounts: Sequence[Account]) -> None:
        self.log, self.ended = Log(), threading.Event()
        self._users = [
            User(url, account, id, desk, self.log) for account in accounts for desk, id in enumerate(account.emails)
        ]
        self._over = threading.Event()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for user in self._users:
                tasks.create_task(user.work(self._over))

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        finally:
            self.ended.set()


@contextmanager
def working(url: str, accounts: Sequence[Account]) -> Iterator[Team]:
    """Until the block ends, and then until everybody has an answer to what he has asked."""
    team = Team(url, accounts)
    thread = threading.Thread(target=team._run)
    thread.start()
    try:
        yield team
    finally:
        team._over.set()
        thread.join()
