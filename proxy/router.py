"""One ASGI app ahead of two: match, decide, ask a side, listen, and afterwards have the other one asked the same."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from math import inf
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from flags.decide import Decision
from flags.flag import Side
from flags.window import Outcome
from proxy.answer import Answer, Kept, refuse
from proxy.attempt import Attempt, Bounds
from proxy.decider import Decider
from proxy.errors import ClientLeft, ClientStalled, SideFailed
from proxy.exchange import Exchange
from proxy.fallback import Places
from proxy.leaving import leaving_of
from proxy.native import Native
from proxy.request import SAFE
from proxy.resting import Resting
from shadow.observation import Observation, Recorder


class Observer(Protocol):
    """Who is told of requests. Called on the request path: must neither wait nor raise."""

    def opened(self, route: str, decision: Decision, second: int) -> None: ...

    def resting(self, route: str, decision: Decision, second: int) -> Resting:
        """Who hears whether it is the user who is waited for."""

    def closed(self, exchange: Exchange) -> Outcome:
        """How it ended, for the side that was decided."""

    def failed(self, exchange: Exchange, scope: Scope, body: bytes) -> None:
        """Native has failed what either side may be asked again."""

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None: ...


class _Unheard:
    """For requests of another proxy's comparison, which are nobody's evidence here."""

    def opened(self, route: str, decision: Decision, second: int) -> None:
        return

    def resting(self, route: str, decision: Decision, second: int) -> Resting:
        return Resting(lambda rests: None, inf)

    def closed(self, exchange: Exchange) -> Outcome:
        return Outcome.EXCLUDED

    def failed(self, exchange: Exchange, scope: Scope, body: bytes) -> None:
        return

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None:
        return


UNHEARD: Observer = _Unheard()


class Router:
    def __init__(
        self, decide: Decider, legacy: ASGIApp, native: Native, bounds: Bounds, places: Places, observer: Observer
    ) -> None:
        self.decide, self.legacy, self.native = decide, legacy, native
        self.bounds, self.places, self.observer = bounds, places, observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, decision = self._decided(scope)
        scope["strangler.route"] = name
        observer = UNHEARD if "shadow" in scope.get("strangler.words", ()) else self.observer
        second, started = int(time.time()), time.perf_counter()
        observer.opened(name, decision, second)

        bounds = self.bounds
        recorder = Recorder(bounds.compare) if decision.shadow and scope["method"] in SAFE else None
        resting = observer.resting(name, decision, second) if decision.primary is Side.LEGACY else None
        keep = bounds.keep if decision.primary is Side.NATIVE else bounds.compare if recorder else 0
        kept, answer = Kept(receive, keep, resting), Answer(send, recorder, resting)
        asked, failure, left = decision.primary, None, False
        attempt = Attempt(self.native, self.places, bounds, scope, kept, answer) if asked is Side.NATIVE else None
        try:
            if attempt is not None:
                await attempt.run()
                failure = attempt.failure
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
            if attempt is not None:
                attempt.over()
            kept.over()
            ended = time.perf_counter()
            exchange = Exchange(
                route=name,
                decision=decision,
                second=second,
                elapsed=ended - started,
                waited=_waited(scope, kept, started, ended),
                status=answer.status or leaving_of(scope).told,
                asked_last=asked,
                failure=failure.kind if failure is not None else "5xx" if answer.status >= 500 else None,
                withheld=attempt.withheld if attempt is not None else None,
                left=left or (failure is None and not answer.complete),
            )
            scope["strangler.exchange"] = exchange
            _close(observer, exchange, scope, kept, bounds.compare)
        if recorder is not None and failure is None and answer.complete and _repeats(scope, kept, bounds.compare):
            await asyncio.sleep(0)  # what the user was sent leaves at the end of this round, and all this comes after
            observer.shadow(exchange, scope, kept.body, recorder.observe(exchange.elapsed))

    def _decided(self, scope: Scope) -> tuple[str, Decision]:
        """The route and its decision. The server's front has decided already, to know what it may relay; a request is
        never decided twice."""
        name, decision = scope.get("strangler.decided") or self.decide(
            scope["method"],
            scope["raw_path"],
            scope["headers"],
            scope["strangler.client"],
            scope.get("strangler.forces", ()),
        )
        if decision.shadow and scope.get("strangler.marked"):  # whoever has marked it compares it, our secret or not
            decision = replace(decision, shadow=False)
        return name, decision


def _close(observer: Observer, exchange: Exchange, scope: Scope, kept: Kept, limit: int) -> None:
    """What was marked is asked again by whoever has marked it."""
    failed = observer.closed(exchange) is Outcome.FAILED and exchange.decision.primary is Side.NATIVE
    unmarked = failed and scope["method"] in SAFE and not scope.get("strangler.marked")
    if unmarked and _repeats(scope, kept, limit):
        observer.failed(exchange, scope, kept.body)


def _repeats(scope: Scope, kept: Kept, limit: int) -> bool:
    """Whether the request's body, if it has one, was kept as it came: only then is the candidate asked the same."""
    return kept.whole and kept.size <= limit and (kept.ended or not _announces_body(scope))


def _waited(scope: Scope, kept: Kept, started: float, ended: float) -> float | None:
    if kept.ended:  # what has no body was whole at once, whenever the side came to look for one
        return ended - (kept.ended_at if kept.size else started)
    return None if _announces_body(scope) else ended - started


def _announces_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
