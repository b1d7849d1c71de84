"""Between the request path and the candidate: a bounded queue, and few workers that ask, compare and tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import structlog

from .apart import Undone
from .ask import DEADLINE, Asker, Sign, marked, unsigned
from .compare import Outcome, Result, Rules
from .comparer import Comparer
from .journal import Journal
from .mismatch import Finding
from .observation import Observation

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = structlog.get_logger()

DEFAULT: Final = Rules()


@dataclass(frozen=True, slots=True)
class Limits:
    """What shadow work may cost at most."""

    concurrency: int = 16
    queue: int = 256
    body: int = 256 * 1024  # bytes of one question, and of one answer
    deadline: float = 5.0  # seconds for one experiment, its confirmation included
    queue_bytes: int = 32 * 1024 * 1024
    patience: float = 1.0  # seconds for a side to end once it is cancelled, and for the journal to write


@dataclass(frozen=True, slots=True)
class Experiment:
    """One exchange as it was served, to be asked again of the side that did not serve it."""

    route: str
    control_side: str
    candidate_side: str
    scope: Mapping[str, Any]
    body: bytes
    control: Observation
    request_id: str

    @property
    def size(self) -> int:
        """The bytes this holds while it waits."""
        pairs = (*self.scope.get("headers", ()), *self.control.headers)
        return len(self.body) + len(self.control.body) + sum(len(name) + len(value) for name, value in pairs)


class Runner:
    """Asks candidates the questions that users asked, off the request path, within `Limits`.

    Reasons for a drop: `queue_full` (the oldest goes), `too_large`, `encoding` (the control's body cannot be read),
    `no_side`, `abandoned` (too many calls that ignored their cancellation are still about), `stopped`, `fault` (ours,
    and logged), `comparison` (it took too long, or its process is gone), and `journal`: the mismatch is counted, only
    its details are lost. `on_ignored` hears how many differences each rule has covered.
    """

    def __init__(
        self,
        sides: Mapping[str, ASGIApp],
        rules: Mapping[str, Rules],
        journal: Journal,
        limits: Limits,
        on_result: Callable[[str, str, str], None],
        on_drop: Callable[[str, str], None],
        now: Callable[[], float],
        sign: Sign = unsigned,
        on_ignored: Callable[[str, str, int], None] = lambda route, rule, count: None,
        comparer: Comparer | None = None,
    ) -> None:
        self._sides, self._rules, self._journal, self._limits = sides, rules, journal, limits
        self._on_result, self._on_drop, self._now, self._sign = on_result, on_drop, now, sign
        self._queue: asyncio.Queue[tuple[Experiment, int] | None] = asyncio.Queue()
        self._queued_bytes = 0
        self._asker = Asker(limits.body, limits.patience)
        self._comparer, self._on_ignored = comparer or Comparer(), on_ignored
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.dropped = 0

    @property
    def pending(self) -> int:
        """Experiments waiting for a worker."""
        return self._queue.qsize()

    @property
    def strays(self) -> int:
        """Calls that ignored their cancellation and are still about."""
        return len(self._asker.strays)

    def offer(self, experiment: Experiment) -> None:
        """Take the experiment if there is room, at the cost of the oldest one waiting. Never waits, never raises."""
        limits, size = self._limits, experiment.size
        if self._stopping:
            self._drop(experiment, "stopped")
        elif not {experiment.control_side, experiment.candidate_side} <= self._sides.keys():
            self._drop(experiment, "no_side")
        elif len(experiment.body) > limits.body or size > limits.queue_bytes:
            self._drop(experiment, "too_large")
        else:
            self._queue.put_nowait((experiment, size))
            self._queued_bytes += size
            while self._queue.qsize() > limits.queue or self._queued_bytes > limits.queue_bytes:
                self._drop_oldest("queue_full")

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._workers = [loop.create_task(self._work()) for _ in range(self._limits.concurrency)]

    async def stop(self, grace: float) -> None:
        """Take nothing more, drop what waits, give what is under way `grace` seconds, and end."""
        self._stopping = True
        while not self._queue.empty():
            self._drop_oldest("stopped")
        workers, self._workers = self._workers, []
        for _ in workers:
            self._queue.put_nowait(None)
        if workers:
            await asyncio.wait(workers, timeout=grace)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()  # the words to end that cancelled workers did not take
        await self._asker.close()
        await self._comparer.close()

    def _drop_oldest(self, reason: str) -> None:
        oldest = self._queue.get_nowait()
        if oldest is not None:
            experiment, size = oldest
            self._queued_bytes -= size
            self._drop(experiment, reason)

    def _drop(self, experiment: Experiment, reason: str) -> None:
        self.dropped += 1
        self._on_drop(experiment.route, reason)

    async def _work(self) -> None:
        while (waiting := await self._queue.get()) is not None:
            experiment, size = waiting
            self._queued_bytes -= size
            try:
                await self._run(experiment)
            except asyncio.CancelledError:
                self._drop(experiment, "stopped")
                raise
            except Undone as fault:
                log.warning("two answers could not be compared", route=experiment.route, error=str(fault))
                self._drop(experiment, "comparison")
            except Exception:
                log.exception("a shadow experiment failed in the comparison itself", route=experiment.route)
                self._drop(experiment, "fault")

    async def _run(self, experiment: Experiment) -> None:
        if self.strays >= self._limits.concurrency:
            self._drop(experiment, "abandoned")
            return
        if not await self._comparer.readable(experiment.control):
            self._drop(experiment, "encoding")
            return
        until = asyncio.get_running_loop().time() + self._limits.deadline
        candidate = await self._ask(experiment, experiment.candidate_side, until)
        pair = await self._compared(experiment, experiment.control, candidate)
        outcome = pair.result.outcome
        if outcome is Outcome.MISMATCHED and candidate.error != DEADLINE:  # a deadline leaves no time to ask again
            outcome, pair = await self._confirm(experiment, until)
        self._on_result(experiment.route, experiment.candidate_side, outcome.value)
        for rule, count in pair.result.by:
            self._on_ignored(experiment.route, rule, count)
        if outcome is Outcome.MISMATCHED:
            await self._record(experiment, pair)

    async def _confirm(self, experiment: Experiment, until: float) -> tuple[Outcome, _Pair]:
        """Ask the control, the candidate, and the control again: what a write in between has caused will not show.

        Where the data changes all the time, every second pair has a write in between. A control that agrees with
        itself, before the candidate and after, is one that did not move.
        """
        control = await self._ask(experiment, experiment.control_side, until)
        candidate = await self._ask(experiment, experiment.candidate_side, until)
        pair = await self._compared(experiment, control, candidate)
        told = control.complete and candidate.error != DEADLINE  # what we had no time for is no evidence
        if not told or pair.result.outcome is not Outcome.MISMATCHED:
            return Outcome.UNCONFIRMED, pair
        again = await self._ask(experiment, experiment.control_side, until)
        repeated = await self._compared(experiment, control, again)
        steady = again.complete and repeated.result.outcome is not Outcome.MISMATCHED
        return Outcome.MISMATCHED if steady else Outcome.UNCONFIRMED, pair

    async def _ask(self, experiment: Experiment, side: str, until: float) -> Observation:
        seconds = until - asyncio.get_running_loop().time()
        scope = marked(experiment.scope, experiment.request_id, self._sign)
        return await self._asker.ask(self._sides[side], scope, experiment.body, seconds)

    async def _compared(self, experiment: Experiment, control: Observation, candidate: Observation) -> _Pair:
        rules = self._rules.get(experiment.route, DEFAULT)
        return _Pair(control, candidate, await self._comparer.compare(control, candidate, rules))

    async def _record(self, experiment: Experiment, pair: _Pair) -> None:
        try:
            async with asyncio.timeout(self._limits.patience):
                await self._journal.record(_finding(experiment, pair, self._now()))
        except Exception as fault:  # whatever kind of journal it is: the mismatch is counted, only its details are lost
            log.warning("a mismatch could not be journalled", route=experiment.route, error=repr(fault))
            self._drop(experiment, "journal")


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two answers to one question, and how they compare."""

    control: Observation
    candidate: Observation
    result: Result


def _finding(experiment: Experiment, pair: _Pair, at: float) -> Finding:
    scope = experiment.scope
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    return Finding(
        at=at,
        route=experiment.route,
        method=scope["method"],
        target=(path + query).decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ())],
        has_body=bool(experiment.body),
        request_id=experiment.request_id,
        control_side=experiment.control_side,
        candidate_side=experiment.candidate_side,
        control_status=pair.control.status,
        candidate_status=pair.candidate.status,
        differences=pair.result.differences,
    )
