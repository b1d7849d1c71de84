"""What the control failed, put to both sides once more at the same moment: does it fail alone?

That it failed a user says nothing of the candidate, which was not asked, or later: by then an outage that both share
may be over. Of two that are asked at the same moment, whatever both suffer from fails either as likely, and so either
alone: whichever request it was, and however that was chosen.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from .ask import DEADLINE, REFUSED, SILENT, UNREACHED, Asker, Sign, marked, unsigned
from .observation import Observation

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SAVED: Final = 60.0  # pairs that a route may have saved up: more than it takes to tell
A_SECOND: Final = 1.0  # saved up each second, so that one that goes on failing costs the other no more than that
AT_ONCE: Final = 8  # pairs under way, of all routes
UNANSWERED: Final = 30.0  # what one costs more that the candidate does not answer in time: it may work on, unasked for

log = structlog.get_logger()


class Alone(enum.Enum):
    """Who fails alone."""

    CONTROL = "control"
    CANDIDATE = "candidate"
    SILENT = "silent"  # the candidate too, in what only its shadows may meet with; it counts as the same
    NEITHER = "neither"  # both fail, or none does
    UNKNOWN = "unknown"  # the control's failure may be one of its shadows only, or nobody came to ask


@dataclass(frozen=True, slots=True)
class Question:
    """What the control failed."""

    route: str
    scope: Mapping[str, Any]
    body: bytes
    request_id: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Who waits for what comes of a pair. `harmless`: as soon as it can no longer be that the candidate fails alone;
    perhaps more than once. `told`: at the end, once."""

    harmless: Callable[[], None]
    told: Callable[[Alone], None]


class Pairs:
    """Asks both sides, off the request path. `limit`: bytes of a question, and of an answer; `deadline`: seconds that
    each side has, `patience` for it to end once it is cancelled. `heard`: of each answer, whether its side said that it
    is busy. `pace`: the part of the work that may be done at this moment, in (0, 1]."""

    def __init__(
        self,
        control: ASGIApp,
        candidate: ASGIApp,
        *,
        limit: int,
        deadline: float,
        patience: float,
        sign: Sign = unsigned,
        heard: Callable[[bool], None] = lambda busy: None,
        pace: Callable[[], float] = lambda: 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._candidate, self._limit, self._deadline = control, candidate, limit, deadline
        self._sign, self._heard, self._pace, self._clock = sign, heard, pace, clock
        self._asker = Asker(limit, patience)
        self._savings = dict[str, tuple[float, float]]()  # of each route that has spent any: what was left, and when
        self._under_way = set[asyncio.Task[Alone]]()
        self._closed = False

    def ask(self, question: Question, listener: Listener) -> bool:
        """Whether both are asked, which depends on nothing that they will say; if so, `listener` hears what comes of
        it. Never waits, never raises."""
        crowded = len(self._under_way) + len(self._asker.strays) >= max(1, int(AT_ONCE * self._pace()))
        if self._closed or crowded or len(question.body) > self._limit or not self._affords(question.route):
            return False
        task = asyncio.get_running_loop().create_task(self._both(question, listener.harmless))
        self._under_way.add(task)
        task.add_done_callback(partial(self._ended, question, listener.told))
        return True

    async def close(self) -> None:
        """Ask nothing more, and give up what is under way."""
        self._closed = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._asker.close()

    async def _both(self, question: Question, harmless: Callable[[], None]) -> Alone:
        async def control() -> Observation:
            answer = await self._ask(question, self._control)
            if failed(answer):
                harmless()
            return answer

        async def candidate() -> Observation:
            answer = await self._ask(question, self._candidate)
            if answer.error == DEADLINE:
                self._spend(question.route, UNANSWERED)
            if not failed(answer):
                harmless()
            return answer

        async with asyncio.TaskGroup() as tasks:
            one, other = tasks.create_task(control()), tasks.create_task(candidate())
        return alone(one.result(), other.result())

    async def _ask(self, question: Question, side: ASGIApp) -> Observation:
        scope = marked(question.scope, question.request_id, self._sign)
        answer = await self._asker.ask(side, scope, question.body, self._deadline)
        if answer.status:
            self._heard(answer.busy)
        return answer

    def _ended(self, question: Question, told: Callable[[Alone], None], task: asyncio.Task[Alone]) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            told(Alone.UNKNOWN)
        elif (fault := task.exception()) is not None:
            log.error("a pair could not be asked", route=question.route, exc_info=fault)
            told(Alone.UNKNOWN)
        else:
            told(task.result())

    def _affords(self, route: str) -> bool:
        """Whether the route has one saved up, which is spent."""
        enough = self._left(route) >= 1.0
        if enough:
            self._spend(route, 1.0)
        return enough

    def _spend(self, route: str, pairs: float) -> None:
        self._savings[route] = self._left(route) - pairs, self._clock()

    def _left(self, route: str) -> float:
        left, when = self._savings.get(route, (SAVED, 0.0))
        return min(left + (self._clock() - when) * A_SECOND, SAVED)


def alone(control: Observation, candidate: Observation) -> Alone:
    """Who fails alone. What only a shadow meets with is held against the candidate, and never against the control."""
    if not failed(control):
        if not failed(candidate):
            return Alone.NEITHER
        return Alone.SILENT if candidate.error in SILENT else Alone.CANDIDATE
    if failed(candidate):
        return Alone.NEITHER
    as_a_shadow = control.wrote or control.busy or control.error in (UNREACHED, REFUSED)
    return Alone.UNKNOWN if as_a_shadow else Alone.CONTROL


def failed(answer: Observation) -> bool:
    """As users see it; that an answer is larger than is kept of it, nobody does."""
    return answer.status >= 500 or not (answer.complete or answer.truncated)
