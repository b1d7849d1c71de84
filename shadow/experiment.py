"""One experiment: the candidate is asked what the user asked, and what differs is confirmed by asking both again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import structlog

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


class Dropped(Exception):
    """An experiment that tells nothing, and why: a word that serves as a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Experimenter:
    """Carries experiments out, one after another or at once; what it holds is asked and compared with.

    `on_ignored` hears how many differences each rule has covered; `on_drop`, with `journal`, of a mismatch that is
    counted but whose details are lost.
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
        self.sides, self._rules, self._journal, self._limits = sides, rules, journal, limits
        self._on_result, self._on_drop, self._now, self._sign = on_result, on_drop, now, sign
        self._comparer, self._on_ignored = comparer or Comparer(), on_ignored
        self._asker = Asker(limits.body, limits.patience)

    @property
    def strays(self) -> int:
        """Calls that ignored their cancellation and are still about."""
        return len(self._asker.strays)

    async def close(self) -> None:
        await self._asker.close()
        await self._comparer.close()

    async def run(self, experiment: Experiment) -> None:
        """Raises Dropped, and apart.Undone if the answers could not be compared."""
        if self.strays >= self._limits.concurrency:
            raise Dropped("abandoned")
        if not await self._comparer.readable(experiment.control):
            raise Dropped("encoding")
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
        return await self._asker.ask(self.sides[side], scope, experiment.body, seconds)

    async def _compared(self, experiment: Experiment, control: Observation, candidate: Observation) -> _Pair:
        rules = self._rules.get(experiment.route, DEFAULT)
        return _Pair(control, candidate, await self._comparer.compare(control, candidate, rules))

    async def _record(self, experiment: Experiment, pair: _Pair) -> None:
        try:
            async with asyncio.timeout(self._limits.patience):
                await self._journal.record(_finding(experiment, pair, self._now()))
        except Exception as fault:  # whatever kind of journal it is: the mismatch is counted, only its details are lost
            log.warning("a mismatch could not be journalled", route=experiment.route, error=repr(fault))
            self._on_drop(experiment.route, "journal")


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
