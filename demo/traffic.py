"""Real traffic: agents who sign in through the proxy, list, open, read and answer, and a tally of what they met."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any, Self

import httpx

ACCOUNTS = {"acme": 13, "globex": 5}  # agents in the seeds, beside one admin each
AGENTS = [
    f"{name}@{account}.example"
    for account, number in ACCOUNTS.items()
    for name in ("admin", *(f"agent{n}" for n in range(1, number + 1)))
]
PASSWORD = "password"
THINK = 0.3  # seconds
PATIENCE = 15.0
OPENED = 2  # conversations of each list
ANSWERED = 0.3  # of the conversations that are opened
PHRASES = (
    "Thanks, I am looking into it.",
    "Your order left our warehouse this morning <3",
    "Ihre Erstattung ist unterwegs & sollte morgen ankommen.",
    "C’est réglé. Bonne journée 😊",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that a user did not get the due answer to. Status 0: none at all."""

    user: str
    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What users saw: reads can be asked again without harm, writes cannot."""

    reads: int = 0
    writes: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def failed_reads(self) -> int:
        return sum(failure.method == "GET" for failure in self.failures)

    @property
    def failed_writes(self) -> int:
        return len(self.failures) - self.failed_reads

    @property
    def users_hurt(self) -> int:
        return len({failure.user for failure in self.failures})

    def __sub__(self, earlier: Seen) -> Seen:
        failures = self.failures[len(earlier.failures) :]
        return Seen(self.reads - earlier.reads, self.writes - earlier.writes, failures)


@dataclass(slots=True)
class Tally:
    """What the agents have met so far. `sent`: each message not under way any more, and whether it was confirmed."""

    reads: int = 0
    writes: int = 0
    failures: list[Failure] = field(default_factory=list)
    sent: dict[str, bool] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def seen(self) -> Seen:
        return Seen(self.reads, self.writes, tuple(self.failures))

    def book(self, user: str, method: str, path: str, status: int, expected: int) -> None:
        if method == "GET":
            self.reads += 1
        else:
            self.writes += 1
        if status != expected:
            self.failures.append(Failure(user, method, path, status))


class Agent:
    """One person at work, on one connection, with `think` seconds between two requests on average."""

    def __init__(self, url: str, email: str, tally: Tally, think: float = THINK) -> None:
        self.email, self.user_id = email, 0
        self._tally, self._think_time = tally, think
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)
        self._renew_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def sign_in(self) -> None:
        told = await self._ask("POST", "/auth/login", {"email": self.email, "password": PASSWORD})
        if told is not None:
            self.user_id = told["user"]["id"]
            self._client.headers["authorization"] = f"Bearer {told['accessToken']}"
            # Well before it expires, and not all agents at once.
            self._renew_at = time.time() + random.uniform(0.5, 0.8) * _lifetime(told["accessToken"])

    async def work(self) -> None:
        """Until cancelled."""
        while True:
            await self._think()
            if time.time() > self._renew_at:
                await self.sign_in()
            else:
                await self._handle_conversations()

    async def _handle_conversations(self) -> None:
        status = random.choice(("open", "pending", "resolved"))
        listed = await self._ask("GET", f"/api/v1/conversations?status={status}&limit=10")
        for conversation in random.sample(listed["data"], OPENED) if listed else ():
            await self._handle(conversation["id"])

    async def _handle(self, conversation: int) -> None:
        await self._think()
        await self._ask("GET", f"/api/v1/conversations/{conversation}")
        await self._think()
        await self._ask("GET", f"/api/v1/conversations/{conversation}/messages")
        if random.random() < ANSWERED:
            await self._think()
            await self._answer(conversation)

    async def _answer(self, conversation: int) -> None:
        # Numbered, so that each can be looked for in the database. Not sent again when it fails: perhaps it arrived.
        content = f"{random.choice(PHRASES)} [{next(self._tally.numbers)}]"
        told = await self._ask("POST", "/api/v1/messages", {"content": content, "conversationId": conversation})
        self._tally.sent[content] = told is not None

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON; None if it is not the one that is due."""
        expected = HTTPStatus.CREATED if path == "/api/v1/messages" else HTTPStatus.OK
        try:
            answer = await self._client.request(method, path, json=body)
            status = answer.status_code
            told = answer.json() if status == expected else None
        except (httpx.HTTPError, ValueError):
            status, told = 0, None
        self._tally.book(self.email, method, path, status, expected)
        return told

    async def _think(self) -> None:
        await asyncio.sleep(self._think_time * random.expovariate(1))


async def sign_in_all(agents: Sequence[Agent]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for agent in agents:
            tasks.create_task(agent.sign_in())


def _lifetime(token: str) -> float:
    claims = token.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return float(told["exp"]) - time.time()
