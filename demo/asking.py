"""A user's client: whoever meets a failure asks again until there is an answer, and everything is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from demo.log import Failure, Log

BREATH, BREATHLESS = 0.1, 1.0  # seconds before something is asked again: twice as long each time, at most
PATIENCE = 60.0
FAILED = (500, 502, 503, 504)  # no answer, but none that is wrong either
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    replayed: bool


class Client:
    """One user's connection."""

    def __init__(self, url: str, user: str, log: Log) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)
        self._user, self._log, self._token = user, log, ""

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
        headers: Mapping[str, str] | None = None,
        failures: list[str] | None = None,
    ) -> Answer:
        """The first answer that is none of a failure. `failures` takes down what was met before it."""
        met, breath = [] if failures is None else failures, BREATH
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        while (answer := await self._asked(what, method, path, content, headers or {}, met)) is None:
            self._log.failures.append(Failure(self._user, method, what, met[-1]))
            await asyncio.sleep(breath)
            breath = min(2 * breath, BREATHLESS)
        return answer

    def due(self, what: str, answer: Answer, status: int) -> bool:
        """Whether the answer is the one that must come; else it is noted as wrong."""
        self.check(what, [] if answer.status == status else [f"{answer.status} {answer.body}"])
        return answer.status == status

    def check(self, what: str, faults: Iterable[str]) -> None:
        self._log.wrong += [f"{what}: {fault}" for fault in faults]

    async def _asked(
        self, what: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str], met: list[str]
    ) -> Answer | None:
        number = next(self._log.numbers)
        asked = {"X-Request-Id": f"request-{number}", "Content-Type": JSON, **self._sender(path, number), **headers}
        self._note(what, method)
        try:
            told = await self._client.request(method, path, content=body, headers=asked)
        except httpx.TransportError as error:
            met.append(type(error).__name__)
            return None
        # 409: what was asked before is not over yet.
        if told.status_code in FAILED or (told.status_code == 409 and met):
            met.append(told.json()["error"])
            return None
        self._log.answered += 1
        mine = told.headers["x-request-id"] == f"request-{number}"
        self.check(what, [] if mine else ["an answer to another request"])
        body_told = told.json() if told.headers["content-type"].startswith(JSON) else told.text
        return Answer(told.status_code, body_told, "idempotent-replayed" in told.headers)

    def _sender(self, path: str, number: int) -> dict[str, str]:
        """Who shows no token comes from somewhere else each time: sessions are begun and ended on either side."""
        if path.startswith("/api/"):
            return {"Authorization": f"Bearer {self._token}"}
        return {"X-Forwarded-For": f"10.{number % 250}.0.1"}

    def _note(self, what: str, method: str) -> None:
        self._log.asked[what] += 1
        if method == "GET":
            self._log.reads += 1
        else:
            self._log.writes += 1
