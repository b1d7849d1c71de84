"""Requests that come when they like, each another user's, and what became of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from bench.rollback_live.stage import PATH, Stage
from handlers import tokens
from handlers.tokens import Caller

FIRST = 1_000_000  # ids that no user of the seeds has; an access token is trusted without a row
WITHIN = 10.0  # seconds that an answer may take


@dataclass(slots=True)
class Served:
    """`failed`: when each request was asked that came back as a failure, or not at all."""

    asked: int = 0
    failed: list[float] = field(default_factory=list)


async def ask(stage: Stage, rate: float, served: Served) -> None:
    """Until cancelled. Times are the monotonic clock's."""
    callers = _callers(stage.application.jwt_secret)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with (
        httpx.AsyncClient(base_url=stage.proxy.url, timeout=WITHIN, limits=limits, trust_env=False) as client,
        asyncio.TaskGroup() as requests,
    ):
        while True:
            await asyncio.sleep(random.expovariate(rate))
            requests.create_task(_ask(client, next(callers), served))


async def _ask(client: httpx.AsyncClient, token: str, served: Served) -> None:
    began = time.monotonic()
    served.asked += 1
    try:
        answer = await client.get(PATH, headers={"Authorization": f"Bearer {token}"})
    except httpx.TransportError:
        served.failed.append(began)
    else:
        if answer.status_code != 200:
            served.failed.append(began)


def _callers(secret: str) -> Iterator[str]:
    user = FIRST
    while True:
        user += 1
        yield tokens.issue(Caller(user_id=user, account_id=1), secret, int(time.time()))
