"""Where the router's requests are booked: the window that flags judge by, metrics, and the shadow's queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.types import Scope

from flags.complaint import LATE
from flags.decide import Decision
from flags.flag import Side
from flags.window import Outcome, Tally, Window
from proxy.exchange import UNMATCHED, Exchange, outcome
from proxy.latency import Latency
from proxy.metrics import Account, Metrics
from proxy.pairing import Pairing
from proxy.resting import Resting
from shadow.eligibility import why_not
from shadow.experiment import Experiment
from shadow.newest import Newest
from shadow.observation import Observation
from shadow.pairs import Question
from shadow.runner import Runner

P95, P99 = 0.95, 0.99
MEMORY = 10  # minutes over which what is usual moves


class _Page:
    """All that a request of one route and side is booked in, found by one look.

    `tally`: for what is evidence alone, which would be most of what a request touches here. `latency` is legacy's, on
    either side, and `usual` the p95 that it has had of late; 0 while nobody knows. `slow_over`: seconds after which an
    answer is late for whoever judges.
    """

    __slots__ = ("_settled", "account", "latency", "slow_over", "tally", "usual")

    def __init__(self, tally: Tally, account: Account, latency: Latency, slow_over: float) -> None:
        self.tally, self.account, self.latency, self.slow_over = tally, account, latency, slow_over
        self.usual, self._settled = 0.0, False

    def learn(self) -> None:
        """As soon as there are enough answers, so that what is slow is seen before a minute has passed."""
        self.usual = self.latency.quantile(P95) or 0.0

    def fade(self) -> None:
        """A minute has passed."""
        p95 = self.latency.quantile(P95)
        if p95 is None:
            pass
        elif self._settled:
            self.usual += (p95 - self.usual) / MEMORY
        else:  # the first answers may have been slow because all was cold, and the later ones because of ourselves
            self.usual, self._settled = min(self.usual, p95), True
        self.latency.fade()


class Books:
    """The router's observer. Nothing here waits; the runner does its work after the user has been served.

    `slow_over`: of each route, seconds after which an answer is late. `lateness` is legacy's towards users. `pairing`
    has what native failed put to both sides. `epoch`: of a route's tallies, in which a comparison counts.
    """

    def __init__(
        self,
        slow_over: Mapping[str, float],
        window: Window,
        metrics: Metrics,
        runner: Runner,
        pairing: Pairing | None = None,
        epoch: Callable[[str], str] = lambda route: "",
    ) -> None:
        self._metrics, self._runner, self._pairing, self.lateness = metrics, runner, pairing, Newest(1 - P95)
        self._epoch = epoch
        self._legacy, self._native = dict[str, _Page](), dict[str, _Page]()
        for route in (*slow_over, UNMATCHED):
            latency = Latency()
            for side, pages in ((Side.LEGACY, self._legacy), (Side.NATIVE, self._native)):
                tally, account = window.tally(route, side), metrics.account(route, side)
                pages[route] = _Page(tally, account, latency, slow_over.get(route, 0.0))

    def opened(self, route: str, decision: Decision, second: int) -> None:
        if decision.subject is not None:  # else nobody judges it: most routes wait for their turn
            pages = self._legacy if decision.primary is Side.LEGACY else self._native
            pages[route].tally.asked(second, decision.subject)
        elif decision.forced_by is not None:
            self._metrics.forced.labels(route, decision.primary.value).inc()

    def resting(self, route: str, decision: Decision, second: int) -> Resting:
        """For a request of legacy's: only whom that keeps waiting is evidence."""
        page, judged = self._legacy[route], decision.subject is not None

        def tell(rests: bool) -> None:
            if judged:
                page.tally.rests(second, 1 if rests else -1)

        return Resting(tell, page.slow_over)

    def closed(self, exchange: Exchange) -> Outcome:
        route, decided = exchange.route, exchange.decision.primary
        page = (self._legacy if decided is Side.LEGACY else self._native)[route]
        ended = outcome(exchange, page.latency.quantile(P99) if exchange.left else None, page.slow_over)
        if decided is Side.LEGACY and exchange.waited is not None:
            if ended is Outcome.OK:
                page.latency.observe(exchange.waited)
            if page.usual:
                self.lateness.heard(exchange.waited > page.usual)
            else:
                page.learn()
        if (subject := exchange.decision.subject) is not None:
            if ended is Outcome.OK:
                if exchange.status >= 400:
                    page.tally.complained(exchange.second, exchange.status, subject)
                if exchange.waited is not None and exchange.waited > page.slow_over:
                    page.tally.complained(exchange.second, LATE, subject)
            page.tally.closed(exchange.second, ended, subject)
            if exchange.asked_last is not decided:
                self._fell_back(exchange, self._legacy[route].tally)
        page.account.closed(exchange, ended)
        return ended

    def failed(self, exchange: Exchange, scope: Scope, body: bytes) -> None:
        subject, route = exchange.decision.subject, exchange.route
        if self._pairing is not None and subject is not None:
            question = Question(route, scope, body, scope["strangler.request_id"])
            tallies = self._native[route].tally, self._legacy[route].tally
            self._pairing.ask(question, exchange.second, subject, *tallies)

    def _fell_back(self, exchange: Exchange, legacy: Tally) -> None:
        """Legacy's answer in native's place is evidence about legacy: where both fail, going back would not help."""
        answered = Outcome.FAILED if exchange.status >= 500 else Outcome.EXCLUDED if exchange.left else Outcome.OK
        legacy.asked(exchange.second)  # by no subject of its own: whom it failed, too, is what matters
        failed = exchange.decision.subject if answered is Outcome.FAILED else None
        legacy.closed(exchange.second, answered, failed)

    def shadow(self, exchange: Exchange, scope: Scope, body: bytes, control: Observation) -> None:
        reason = why_not(scope["method"], control)
        if reason is not None:
            self._metrics.undone.dropped(exchange.route, reason)
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
                epoch=self._epoch(exchange.route),
            )
        )

    def fade(self) -> None:
        """Let old latencies count for less. Called once a minute."""
        for page in self._legacy.values():
            page.fade()
