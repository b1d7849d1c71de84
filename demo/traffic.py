"""Real traffic: everybody who is at work, on both accounts of the seeds and outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg

from demo.accounts import Account
from demo.contact import Contact
from demo.log import Log
from demo.shift import Shift
from demo.stack import Application
from demo.user import User

USERS = {1: 14, 2: 6}  # by account: all that the seeds have
THINK = 0.3  # seconds


class Traffic:
    """Users of several accounts and people who write to their pages, all at work at the same time."""

    def __init__(self, url: str, application: Application, accounts: Sequence[Account]) -> None:
        self.log = Log()
        self.users = [
            User(url, account, id, desk, self.log) for account in accounts for desk, id in enumerate(account.emails)
        ]
        contacts = [
            Contact(url, account.page, sender, application, self.log)
            for account in accounts
            for sender in account.chats
        ]
        self._people: list[User | Contact] = [*self.users, *contacts]

    async def sign_in(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for user in self.users:
                tasks.create_task(user.sign_in())

    async def work(self, shift: Shift) -> None:
        """Until the shift is over, and then until everybody has an answer to what he has asked."""
        async with asyncio.TaskGroup() as tasks:
            for person in self._people:
                tasks.create_task(person.work(shift))

    async def aclose(self) -> None:
        for person in self._people:
            await person.close()


def accounts(application: Application, users: dict[int, int]) -> list[Account]:
    """As the database has them now, with so many users of each."""
    with psycopg.connect(application.database_url, autocommit=True) as database:
        return [Account(database, id, number) for id, number in users.items()]
