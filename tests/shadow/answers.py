"""Answers, sides and listeners that the tests of this folder share."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from shadow.compare import Outcome, Rules
from shadow.experiment import Experiment, Experimenter, Limits, Listeners
from shadow.journal import Journal, MemoryJournal
from shadow.observation import Observation
from shadow.runner import Runner

JSON = (b"content-type", b"application/json")
Side = Callable[[Any, Any, Any], Awaitable[None]]
CANDIDATE_FIRST = 0.4  # a draw by which no control is asked twice, and the candidate before the control


def answer(body: Any = b"", *headers: tuple[bytes, bytes], status: int = 200, **told: Any) -> Observation:
    """A whole answer; a body that is not bytes is sent as JSON."""
    if not isinstance(body, bytes):
        body, headers = json.dumps(body).encode(), (JSON, *headers)
    return Observation(status, headers, body, **{"complete": True, "elapsed": 0.01, **told})


def scope(target: str = "/api/v1/conversations", *headers: tuple[bytes, bytes], method: str = "GET") -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": list(headers),
    }


def experiment(control: Observation, **told: Any) -> Experiment:
    given = {"route": "list", "control_side": "legacy", "candidate_side": "native", "scope": scope(), "body": b""}
    return Experiment(**{**given, "control": control, "request_id": "r-1", **told})


async def reply(send: Any, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [JSON, *headers]})
    await send({"type": "http.response.body", "body": body})


def side(*bodies: Any, status: int = 200) -> Side:
    """A side that gives these JSON answers in turn, and the last of them for ever."""
    left = [json.dumps(body).encode() for body in bodies]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, left.pop(0) if len(left) > 1 else left[0], status=status)

    return app


class Ledger:
    """What a runner told, with a way to wait for more of it."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str, str]] = []
        self.roles: list[str] = []
        self.drops: Counter[str] = Counter()
        self._told = asyncio.Event()

    def listeners(self, **more: Any) -> Listeners:
        return Listeners(ended=self.ended, lost=lambda route: self.drop(route, "journal"), **more)

    def ended(self, experiment: Experiment, outcome: Outcome, role: str) -> None:
        self.roles.append(role)
        self.results.append((experiment.route, experiment.candidate_side, outcome.value))
        self._told.set()

    def drop(self, route: str, reason: str) -> None:
        self.drops[reason] += 1
        self._told.set()

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, _, outcome in self.results]

    async def until(self, enough: Callable[[Ledger], bool]) -> None:
        async with asyncio.timeout(20):
            while not enough(self):
                self._told.clear()
                await self._told.wait()

    async def finished(self, count: int) -> None:
        await self.until(lambda told: len(told.results) + told.drops.total() >= count)


@asynccontextmanager
async def running(
    sides: Mapping[str, Side],
    *,
    rules: Mapping[str, Rules] | None = None,
    journal: Journal | None = None,
    limits: Limits | None = None,
    grace: float = 10.0,
    hears: Mapping[str, Any] = MappingProxyType({}),
    **told: Any,
) -> AsyncIterator[tuple[Runner, Ledger, Journal]]:
    ledger, journal = Ledger(), journal or MemoryJournal()
    held, heard = limits or Limits(), ledger.listeners(**hears)
    told = {"draw": lambda: CANDIDATE_FIRST, **told}
    experimenter = Experimenter(sides, rules or {}, journal, held, heard, lambda: 1_700_000_000.0, **told)
    runner = Runner(experimenter, held, ledger.drop)
    await runner.start()
    try:
        yield runner, ledger, journal
    finally:
        await runner.stop(grace)
