"""Both sides are asked what a file holds: at a rate, a few at a time, and compared as shadowed requests are."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Scope

from flags.flag import Side
from proxy.asgi import http_scope
from proxy.forwarding import Forwarding
from proxy.headers import Header
from proxy.replay.ahead import ahead
from proxy.replay.forms import Unreadable
from proxy.replay.heard import TRAIL, Listening
from proxy.replay.pace import Pace
from proxy.replay.question import Question, Skipped
from proxy.replay.tally import Heard, Tally
from shadow.allowance import AT_ONCE, Allowance
from shadow.apart import Undone
from shadow.ask import Asker, marked
from shadow.compare import Rules
from shadow.eligibility import why_not
from shadow.experiment import Dropped, Experiment, Experimenter, Limits, Listeners
from shadow.journal import Journal
from shadow.result import Outcome

LEGACY, NATIVE = Side.LEGACY.value, Side.NATIVE.value
SILENT: Final = 10  # questions in a row that a side leaves without an answer, until it is asked no more
HERE: Final = ("127.0.0.1", 0)  # who asks

_NO_ANSWER: Final = frozenset({"refused", "broken", "timeout", "saturated", "late"})


@dataclass(frozen=True, slots=True)
class Manner:
    """`host`, `headers`: of every question, in place of the file's. `limit`: of questions."""

    pace: Pace
    concurrency: int
    host: bytes
    headers: tuple[Header, ...] = ()
    limit: int | None = None


class Asking:
    """`stopped`: why it has ended before the file did, in words; `unreadable`: because of the file."""

    def __init__(
        self,
        sides: Mapping[str, ASGIApp],
        rules: Mapping[str, Rules],
        journal: Journal,
        limits: Limits,
        forwarding: Forwarding,
        manner: Manner,
    ) -> None:
        self.tally = Tally()
        self.stopped: str | None = None
        self.unreadable = False
        self._sides = {side: Listening(side, app) for side, app in sides.items()}
        self._limits, self._forwarding, self._manner, self._pace = limits, forwarding, manner, manner.pace
        self._silent: Counter[str] = Counter()
        self._asker = Asker(limits.body, limits.patience)
        self._experimenter = Experimenter(
            self._sides,
            rules,
            journal,
            limits,
            Listeners(
                ended=lambda asked, outcome, role: self._ended(asked.route, outcome, asked.scope[TRAIL]),
                lost=self._lost,
                ignored=lambda route, rule, count: self._count(self.tally.route(route).covered, rule, count),
            ),
            time.time,
            sign=forwarding.signed,
            # As many begin at once as are under way, before anything is known of what is noise.
            allowance=Allowance(AT_ONCE + manner.concurrency),
        )
        self._dispatching: asyncio.Task[None] | None = None

    async def run(self, chosen: Iterable[Sequence[Question | Skipped]]) -> None:
        """Until everything is asked, or `stop`; what is under way is finished."""
        async with asyncio.TaskGroup() as group:
            self._dispatching = group.create_task(self._dispatch(chosen, group))

    def stop(self, why: str) -> None:
        """Ask nothing more. The first reason is the one that counts."""
        if self._dispatching is not None and not self._dispatching.done():
            self.stopped = self.stopped or why
            self._dispatching.cancel()

    async def close(self) -> None:
        await self._asker.close()
        await self._experimenter.close()

    async def _dispatch(self, chosen: Iterable[Sequence[Question | Skipped]], group: asyncio.TaskGroup) -> None:
        places = asyncio.Semaphore(self._manner.concurrency)
        try:
            async with aclosing(ahead(chosen)) as read:
                async for few in read:
                    for each in few:
                        if isinstance(each, Skipped):
                            self.tally.skip(each)
                            continue
                        await places.acquire()
                        await self._when_due()
                        self.tally.route(each.route).asked += 1
                        group.create_task(self._ask(each, places))
                        if self.tally.asked == self._manner.limit:
                            return
        except Unreadable as fault:
            self.stopped, self.unreadable = str(fault), True

    async def _when_due(self) -> None:
        now = asyncio.get_running_loop().time
        while (seconds := self._pace.wait(now())) > 0.0:  # noqa: ASYNC110  # it grows with what is confirmed meanwhile
            await asyncio.sleep(seconds)
        self._pace = self._pace.spent(now())

    async def _ask(self, question: Question, places: asyncio.Semaphore) -> None:
        trail: list[Heard] = []
        try:
            await self._compare(question, trail)
        except Dropped as dropped:
            self._count(self.tally.route(question.route).uncompared, dropped.reason)
        except Undone:
            self._count(self.tally.route(question.route).uncompared, "comparison")
        finally:
            places.release()
        by_side = Counter(heard.side for heard in trail)
        if more := max(by_side.values(), default=1) - 1:
            self._pace = self._pace.spent(asyncio.get_running_loop().time(), more)
        self.tally.hear(question.route, trail)
        self._mind(trail)

    async def _compare(self, question: Question, trail: list[Heard]) -> None:
        scope = self._scope(question, trail)
        request_id, sign = scope["strangler.request_id"], self._forwarding.signed
        asked = marked(scope, request_id, sign)
        control = await self._asker.ask(self._sides[LEGACY], asked, b"", self._limits.deadline)
        if (reason := why_not(question.method, control)) is not None:
            raise Dropped(reason)
        await self._experimenter.run(Experiment(question.route, LEGACY, NATIVE, scope, b"", control, request_id))

    def _scope(self, question: Question, trail: list[Heard]) -> Scope:
        """As of a user who asks the proxy."""
        given, manner = {name for name, _ in self._manner.headers}, self._manner
        headers = [header for header in question.headers if header[0] not in given]
        scope = http_scope(
            question.method,
            "1.1",
            question.target,
            [(b"host", manner.host), *headers, *manner.headers],
            scheme=question.scheme,
            server=None,
            client=HERE,
        )
        return {**self._forwarding(scope), "strangler.route": question.route, TRAIL: trail}

    def _ended(self, route: str, outcome: Outcome, trail: Sequence[Heard]) -> None:
        found = self.tally.route(route)
        self._count(found.outcomes, outcome.value)
        if outcome is Outcome.UNCONFIRMED:
            first = {heard.side: heard.failure for heard in reversed(trail)}
            failed = [side for side, failure in first.items() if failure is not None]
            if len(failed) == 1:
                found.failed_alone[failed[0]] += 1

    def _lost(self, route: str) -> None:
        self.tally.route(route).unjournalled += 1

    def _mind(self, trail: list[Heard]) -> None:
        """A side that answers nobody is not asked ten thousand times."""
        for side in self._sides:
            failures = [heard.failure for heard in trail if heard.side == side]
            if not failures:
                continue
            self._silent[side] = self._silent[side] + 1 if _NO_ANSWER.issuperset(failures) else 0
            if self._silent[side] >= SILENT:
                self.stop(
                    f"{side} left {SILENT} requests in a row without an answer ({failures[-1]}), so no more were sent: "
                    "see that it runs and is reached as the configuration says, and begin again"
                )

    @staticmethod
    def _count(counts: Counter[str], word: str, count: int = 1) -> None:
        counts[word] += count
