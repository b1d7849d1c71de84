"""Where the router's requests are booked: the window that flags judge by, metrics, and the shadow's queue."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from flags.decide import Decision
from flags.flag import Side
from flags.window import Outcome, Window
from proxy.exchange import UNMATCHED, Exchange, outcome
from proxy.latency import Latency
from proxy.metrics import Metrics
from shadow.eligibility import why_not
from shadow.observation import Observation
from shadow.runner import Experiment, Runner

P99 = 0.99


class Books:
    """The router's observer. Nothing here waits; the runner does its work after the user has been served."""

    def __init__(self, routes: Iterable[str], window: Window, metrics: Metrics, runner: Runner) -> None:
        self._window, self._metrics, self._runner = window, metrics, runner
        self._latency = {route: Latency() for route in (*routes, UNMATCHED)}

    def opened(self, route: str, decision: Decision, second: int) -> None:
        if route is not UNMATCHED:
            self._window.asked(second, route, decision.primary)

    def closed(self, exchange: Exchange) -> None:
        route, decided = exchange.route, exchange.decision.primary
        latency = self._latency[route]
        ended = outcome(exchange, latency.quantile(P99) if exchange.left else None)
        if ended is Outcome.OK and decided is Side.LEGACY and exchange.waited is not None:
            latency.observe(exchange.waited)
        if route is not UNMATCHED:
            self._window.closed(exchange.second, route, decided, ended)
            if exchange.asked_last is not decided:
                self._fell_back(exchange)
        self._metrics.closed(exchange, ended)

    def _fell_back(self, exchange: Exchange) -> None:
        """Legacy's answer in native's place is evidence about legacy: where both fail, going back would not help."""
        answered = Outcome.FAILED if exchange.status >= 500 else Outcome.EXCLUDED if exchange.left else Outcome.OK
        self._window.asked(exchange.second, exchange.route, Side.LEGACY)
        self._window.closed(exchange.second, exchange.route, Side.LEGACY, answered)

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None:
        reason = why_not(scope["method"], control)
        if reason is not None:
            self._metrics.drops.labels(exchange.route, reason).inc()
            return
        self._runner.offer(
            Experiment(
                route=exchange.route,
                control_side=exchange.decision.primary.value,
                candidate_side=exchange.decision.primary.other.value,
                scope=scope,
                body=body,
                control=control,
                request_id=scope["strangler.request_id"],
            )
        )

    def fade(self) -> None:
        """Let old latencies count for less. Called once a minute."""
        for latency in self._latency.values():
            latency.fade()
