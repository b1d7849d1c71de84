"""A user's client: whoever meets a failure asks again until there is an answer, and everything is written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.e2e.promises import Create

BREATH = 0.1  # seconds before something is asked again
FAILED = (502, 503, 504)  # a side was dead or died: no answer, but none that is wrong either


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    replayed: bool


@dataclass
class Log:
    """What everybody asked and met. `failures`: what was asked again, by what it was and what was told instead."""

    asked: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    creates: list[Create] = field(default_factory=list)
    replayed: int = 0  # creates that were done already, and nobody had heard of it
    late: int = 0  # refreshes that could be asked again only when it was too late for it
    answered: int = 0  # without failures
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def words(self) -> str:
        again = sum(1 for create in self.creates if create.failures)
        failures = "".join(f"\n  {n} x {what}: {kind}" for (what, kind), n in sorted(self.failures.items()))
        return (
            f"{self.asked.total()} requests: {dict(self.asked)}\n"
            f"{len(self.creates)} creates, {again} of them asked again, {self.replayed} of these done already\n"
            f"{self.late} refreshes too late, {len(self.wrong)} wrong answers\n"
            f"{self.failures.total()} failures:{failures}"
        )


class Client:
    """One user's connection."""

    def __init__(self, url: str, log: Log) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
        self._log, self._token = log, ""

    def is_known_by(self, token: str) -> None:
        self._token = token

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        what: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        failures: list[str] | None = None,
    ) -> Answer:
        """The first answer that is none of a failure. `failures` takes down what was met before it."""
        met = [] if failures is None else failures
        while (answer := await self._asked(what, method, path, body, key, met)) is None:
            self._log.failures[what, met[-1]] += 1
            await asyncio.sleep(BREATH)
        return answer

    async def _asked(
        self, what: str, method: str, path: str, body: Any, key: str | None, met: list[str]
    ) -> Answer | None:
        number = next(self._log.numbers)
        # Who shows no token comes from somewhere else each time: sessions are begun, renewed and ended on either side.
        known = path.startswith("/api/")
        sender = {"Authorization": f"Bearer {self._token}"} if known else {"X-Forwarded-For": f"10.{number % 250}.0.1"}
        headers = {**sender, "X-Request-Id": f"request-{number}", **({"Idempotency-Key": key} if key else {})}
        self._log.asked[what] += 1
        try:
            told = await self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            met.append(type(error).__name__)
            return None
        mine = told.headers["x-request-id"] == f"request-{number}"
        self.check(what, [] if mine else ["an answer to another request"])
        # 409: what was asked before is not over yet.
        if told.status_code in FAILED or (told.status_code == 409 and met):
            met.append(told.json()["error"])
            return None
        self._log.answered += 1
        return Answer(told.status_code, told.json(), "idempotent-replayed" in told.headers)

    def due(self, what: str, answer: Answer, status: int) -> bool:
        """Whether the answer is the one that must come; else it is noted as wrong."""
        self.check(what, [] if answer.status == status else [f"{answer.status} {answer.body}"])
        return answer.status == status

    def check(self, what: str, faults: Iterable[str]) -> None:
        self._log.wrong += [f"{what}: {fault}" for fault in faults]
