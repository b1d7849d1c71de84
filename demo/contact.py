"""Somebody who writes to an account's page, and Facebook, which tells the webhook of it."""

from __future__ import annotations

import random

from demo.asking import Client
from demo.graph import delivery, signed, written
from demo.log import Log
from demo.promises import MARK
from demo.shift import Shift
from demo.stack import Application

WEBHOOK = "/webhooks/facebook"
SELDOM = 2.5  # seconds between two errands, on average
AGAIN = 0.2  # of the deliveries are made once more, though they were answered
CONFIRMED = 0.1  # of the errands: Facebook asks whether the address is ours
QUESTIONS = ("Where is my order?", "J’ai reçu le mauvais article 😕", "Kann ich <morgen> noch umtauschen & wie?")


class Contact:
    """One person, known to a page by an id."""

    def __init__(self, url: str, page: str, sender: str, application: Application, log: Log) -> None:
        self._page, self._sender, self._application, self._log = page, sender, application, log
        self._chance = random.Random(sender)
        self._client = Client(url, sender, log)

    async def work(self, shift: Shift) -> None:
        while not shift.over:
            await shift.pause(SELDOM)
            await (self._confirm() if self._chance.random() < CONFIRMED else self._write())

    async def close(self) -> None:
        await self._client.close()

    async def _write(self) -> None:
        """Facebook delivers until it is answered, and what was answered sometimes again: the message's id tells."""
        number = next(self._log.numbers)
        content = f"{MARK}{number} {self._chance.choice(QUESTIONS)}"
        body = delivery([written(self._page, self._sender, f"m_live_{number}", content)])
        headers = signed(body, self._application.facebook_app_secret)
        for _ in range(1 + (self._chance.random() < AGAIN)):
            told = await self._client.ask("webhook", "POST", WEBHOOK, body, headers=headers)
            if self._client.due("webhook", told, 200):
                self._log.delivered.add(content)

    async def _confirm(self) -> None:
        challenge = str(next(self._log.numbers))
        token = self._application.facebook_verify_token
        path = f"{WEBHOOK}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge={challenge}"
        told = await self._client.ask("confirm", "GET", path)
        if self._client.due("confirm", told, 200):
            self._client.check("confirm", [] if told.body == challenge else [f"{told.body!r}, not {challenge!r}"])
