"""One experiment: the candidate is asked what the user asked, and what differs is confirmed by asking both again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import structlog

from .allowance import Allowance
from .ask import Asker, Sign, marked, unsigned
from .breath import in_breaths
from .compare import Outcome, Rules
from .comparer import Comparer
from .encodings import DECODED, content_encodings
from .inquiry import Inquiry, Pair
from .journal import Journal
from .mismatch import Finding
from .noise import Field, Learned, Noise
from .observation import Observation

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = structlog.get_logger()

DEFAULT: Final = Rules()
PAIR: Final = 130  # bytes of a header in memory beside its letters: two objects, their pair, and its place in a list


@dataclass(frozen=True, slots=True)
class Limits:
    """What shadow work may cost at most."""

    concurrency: int = 16
    queue: int = 256
    body: int = 256 * 1024  # bytes of one question, and of one answer; but see `answer_to`
    deadline: float = 5.0  # seconds for one experiment, its confirmation included
    queue_bytes: int = 32 * 1024 * 1024  # of all that is held, waiting or under way, but for the answers to come
    noise: float = 0.1  # of the experiments ask the control twice
    patience: float = 1.0  # seconds for a side to end once it is cancelled, and for the journal to write

    def answer_to(self, control: Observation) -> int:
        """Bytes of an answer that is held against this one. Where that is encoded, the other need not be."""
        return max(self.body, DECODED) if content_encodings(control) else self.body


@dataclass(frozen=True, slots=True)
class Experiment:
    """One exchange as it was served, to be asked again of the side that did not serve it. `epoch`: of its route's
    tallies, which it counts in."""

    route: str
    control_side: str
    candidate_side: str
    scope: Mapping[str, Any]
    body: bytes
    control: Observation
    request_id: str
    epoch: str = ""

    @property
    def size(self) -> int:
        """The bytes this holds while it waits, about."""
        pairs = (*self.scope.get("headers", ()), *self.control.headers)
        target = (self.scope.get(part, b"") for part in ("path", "raw_path", "query_string"))
        headers = sum(len(name) + len(value) + PAIR for name, value in pairs)
        return len(self.body) + len(self.control.body) + headers + sum(map(getsizeof, target))


class Dropped(Exception):
    """An experiment that tells nothing, and why: a word that serves as a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears what comes of experiments: that one came to an end, with which outcome, and as whom the sides say that
    it was asked ("" if neither does); of which route a mismatch is counted though its details are lost; how many
    differences of a route a rule has covered; in which field of a route a difference was taken for noise; what came of
    each question to a side."""

    ended: Callable[[Experiment, Outcome, str], None] = lambda experiment, outcome, role: None
    lost: Callable[[str], None] = lambda route: None
    ignored: Callable[[str, str, int], None] = lambda route, rule, count: None
    noise: Callable[[str, Field], None] = lambda route, field: None
    asked: Callable[[Experiment, str, Observation], None] = lambda experiment, side, answer: None


class Experimenter:
    """Carries experiments out, one after another or at once; what it holds is asked and compared with.

    `spared`: routes, each with a side that users alone may ask, because to be asked is more than to read there.
    `draw`: chance, in [0, 1). `at_ease`: whether a control may be asked twice for nothing but to know its noise.
    """

    def __init__(
        self,
        sides: Mapping[str, ASGIApp],
        rules: Mapping[str, Rules],
        journal: Journal,
        limits: Limits,
        listeners: Listeners,
        now: Callable[[], float],
        *,
        sign: Sign = unsigned,
        comparer: Comparer | None = None,
        allowance: Allowance | None = None,
        spared: Collection[tuple[str, str]] = (),
        draw: Callable[[], float] = random.random,
        at_ease: Callable[[], bool] = lambda: True,
    ) -> None:
        self.sides, self._rules, self._journal, self._limits = sides, rules, journal, limits
        self._listeners, self._now, self._sign, self._draw, self._at_ease = listeners, now, sign, draw, at_ease
        self.spared, self._comparer = frozenset(spared), comparer or Comparer()
        self._asker, self._allowance = Asker(limits.body, limits.patience), allowance or Allowance()
        self._learned = Learned()

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
        self._allowance.earn(experiment.route)
        control_may_be_asked = (experiment.route, experiment.control_side) not in self.spared
        noise = self._learned.of(experiment.route, experiment.control_side, self._now())
        chance = noise.chance(self._limits.noise) if control_may_be_asked and self._at_ease() else 0.0
        twice = chance > 0 and self._draw() < chance
        roles: list[str] = []
        ruling = await self._inquiry(experiment, until, noise, roles).rule(
            experiment.control.unsaid, twice=twice, chance=chance
        )
        await asyncio.sleep(0)  # to tell of it takes time, too
        self._listeners.ended(experiment, ruling.outcome, roles[0] if roles else "")
        for rule, count in ruling.first.result.by:
            self._listeners.ignored(experiment.route, rule, count)
        async for field in in_breaths(ruling.noise):
            self._listeners.noise(experiment.route, field)
        for pair in ruling.mismatched:
            await self._record(experiment, pair, noise)
        if ruling.unconfirmed:
            await self._record(experiment, ruling.first.only(ruling.unconfirmed), noise, confirmed=False)

    def _inquiry(self, experiment: Experiment, until: float, noise: Noise, roles: list[str]) -> Inquiry:
        route, control, candidate = experiment.route, experiment.control_side, experiment.candidate_side
        rules = self._rules.get(route, DEFAULT)
        return Inquiry(
            control=lambda: self._ask(experiment, control, until, roles),
            candidate=lambda: self._ask(experiment, candidate, until, roles),
            compare=lambda one, other: self._comparer.compare(one, other, rules, noise.known),
            noise=noise,
            draw=lambda: self._draw() < 0.5,
            again=lambda: (route, control) not in self.spared and self._allowance.spend(route),
        )

    async def _ask(self, experiment: Experiment, side: str, until: float, roles: list[str]) -> Observation:
        """The answer; `roles` hears what it says of who asks. A side that has failed may not have come to know."""
        seconds = until - asyncio.get_running_loop().time()
        scope = marked(experiment.scope, experiment.request_id, self._sign)
        limit = self._limits.answer_to(experiment.control)
        answer = await self._asker.ask(self.sides[side], scope, experiment.body, seconds, limit)
        self._listeners.asked(experiment, side, answer)
        if answer.role:
            roles.append(answer.role)
        return answer

    async def _record(self, experiment: Experiment, pair: Pair, noise: Noise, *, confirmed: bool = True) -> None:
        try:
            async with asyncio.timeout(self._limits.patience):
                await self._journal.record(_finding(experiment, pair, noise, self._now(), confirmed=confirmed))
        except Exception as fault:  # whatever kind of journal it is: the mismatch is counted, only its details are lost
            log.warning("a mismatch could not be journalled", route=experiment.route, error=repr(fault))
            self._listeners.lost(experiment.route)


def _finding(experiment: Experiment, pair: Pair, noise: Noise, at: float, *, confirmed: bool) -> Finding:
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
        confirmed=confirmed,
        often=noise.often(pair.fields),
    )
