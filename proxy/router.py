"""One ASGI app ahead of two: match, decide, ask a side, listen, and afterwards have the other one asked the same."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.decide import Decision
from flags.flag import Side
from proxy.answer import Answer, Kept, refuse
from proxy.decider import Decider
from proxy.errors import Broken, ClientLeft, ClientStalled, Errored, NoAnswer, Raised, SideFailed
from proxy.exchange import Exchange
from proxy.native import Native
from proxy.request import SAFE
from shadow.observation import Observation, Recorder

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """`budget`: seconds that native has until its first byte, waiting for the user's body not counted. `keep`: bytes of
    a body kept for asking another side."""

    budget: float
    keep: int


class Observer(Protocol):
    """Who is told of requests. Called on the request path: must neither wait nor raise."""

    def opened(self, route: str, decision: Decision, second: int) -> None: ...

    def closed(self, exchange: Exchange) -> None: ...

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None: ...


class _Unheard:
    """For requests of another proxy's comparison, which are nobody's evidence here."""

    def opened(self, route: str, decision: Decision, second: int) -> None:
        return

    def closed(self, exchange: Exchange) -> None:
        return

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None:
        return


UNHEARD: Observer = _Unheard()


class Router:
    def __init__(self, decide: Decider, legacy: ASGIApp, native: Native, bounds: Bounds, observer: Observer) -> None:
        self.decide, self.legacy, self.native, self.bounds, self.observer = decide, legacy, native, bounds, observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server's front has decided already, to know what it may relay; a request is never decided twice.
        name, decision = scope.get("strangler.decided") or self.decide(
            scope["method"], scope["raw_path"], scope["headers"], scope["strangler.client"]
        )
        scope["strangler.route"] = name
        observer = self.observer
        if "shadow" in scope.get("strangler.words", ()):
            decision, observer = replace(decision, shadow=False), UNHEARD
        second, started = int(time.time()), time.perf_counter()
        observer.opened(name, decision, second)

        recorder = Recorder(self.bounds.keep) if decision.shadow and scope["method"] in SAFE else None
        kept = Kept(receive, self.bounds.keep if recorder or decision.primary is Side.NATIVE else 0)
        answer = Answer(send, recorder)
        asked, failure, left = decision.primary, None, False
        try:
            if asked is Side.NATIVE:
                failure = await self._ask_native(scope, kept, answer)
                asked = Side.NATIVE if failure is None else Side.LEGACY
            if asked is Side.LEGACY:
                await self.legacy(dict(scope), kept if failure is None else kept.again(), answer)
        except ClientLeft as gone:
            left = True
            if isinstance(gone, ClientStalled) and not answer.started:
                await refuse(answer, "client", gone, scope["strangler.request_id"])
        except SideFailed as failed:
            failure = failure or failed
            if answer.started:
                raise  # the answer breaks off visibly: never a short 200
            await refuse(answer, asked.value, failed, scope["strangler.request_id"])
        finally:
            ended = time.perf_counter()
            exchange = Exchange(
                route=name,
                decision=decision,
                second=second,
                elapsed=ended - started,
                waited=_waited(scope, kept, started, ended),
                status=answer.status,
                asked_last=asked,
                failure=failure.kind if failure is not None else "5xx" if answer.status >= 500 else None,
                left=left or (failure is None and not answer.complete),
            )
            scope["strangler.exchange"] = exchange
            observer.closed(exchange)
        if recorder is not None and failure is None and answer.complete and _repeats(scope, kept):
            observer.shadow(exchange, scope, kept.body, recorder.observe(exchange.elapsed))

    async def _ask_native(self, scope: Scope, kept: Kept, answer: Answer) -> SideFailed | None:
        """None if native answered; its failure if legacy may be asked the same; raised if not."""
        safe = scope["method"] in SAFE
        loop, budget = asyncio.get_running_loop(), self.bounds.budget
        limit = asyncio.timeout(budget)

        def start(head: Answer) -> bool:
            if head.status >= 500 and (safe or head.discarded) and kept.whole:
                return False
            limit.reschedule(None)  # the budget ends with the first byte that reaches the user
            return True

        def waits(for_user: bool) -> None:
            if not (answer.started or limit.expired()):
                limit.reschedule(None if for_user else loop.time() + budget)

        with answer.judged(start), kept.waits_told(waits):
            failure = await self._native_failure(scope, kept, answer, limit)
        if failure is None or answer.complete:
            return None
        harmless = safe or not failure.reached or answer.discarded
        if answer.started or not kept.whole or not harmless:
            raise failure
        return failure

    async def _native_failure(
        self, scope: Scope, kept: Kept, answer: Answer, limit: asyncio.Timeout
    ) -> SideFailed | None:
        try:
            async with limit:
                await self.native(dict(scope), kept, answer)
        except ClientLeft:
            raise
        except SideFailed as failure:
            return failure
        except Exception as error:
            if limit.expired():
                return NoAnswer(f"native gave no answer within {self.bounds.budget:g} s")
            if not kept.left:  # an app whose user is gone may end as it likes
                log.error("native raised", exc_info=error, request_id=scope["strangler.request_id"])
                return Raised(repr(error))
        if answer.held:
            return Errored(f"native answered {answer.status}")
        return None if answer.complete or kept.left else Broken("native ended without completing its answer")


def _repeats(scope: Scope, kept: Kept) -> bool:
    """Whether the request's body, if it has one, was kept as it came: only then is the candidate asked the same."""
    return kept.whole and (kept.ended or not _announces_body(scope))


def _waited(scope: Scope, kept: Kept, started: float, ended: float) -> float | None:
    if kept.ended:
        return ended - kept.ended_at
    return None if _announces_body(scope) else ended - started


def _announces_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
