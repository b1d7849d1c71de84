"""A way up through shares, each held until native has proved fit for it: what is known → what is to be done.

No I/O, no clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flags.flag import WHOLE, Flag, percent
from flags.rollback import Kind, Verdict

MOST_STEPS = 100


class State(enum.Enum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # by a trip, or by whoever else moved the share
    ABORTED = "aborted"  # by an operator
    DONE = "done"


OPEN = frozenset({State.RUNNING, State.PAUSED})


@dataclass(frozen=True, slots=True)
class Ramp:
    """A route's way up through `shares`. That of `step` is in force, or about to be: as long as the flag still has the
    generation `found`, at which the step was decided, it has yet to be moved.

    A share is held for `hold` seconds at least, and until native has answered `min_requests` at it. `by` has begun it;
    `at` is when it came to this step or state, `why` what ended it. `generation` is the version of this record. Where
    `parity` is not 0 none is left before mismatches are proved to be no more than that, in basis points.
    """

    shares: tuple[int, ...]
    hold: float
    min_requests: int
    by: str
    found: int
    at: float
    step: int = 0
    state: State = State.RUNNING
    why: str = ""
    generation: int = 0
    parity: int = 0

    def __post_init__(self) -> None:
        faults = [share for share in self.shares if type(share) is not int or not 0 < share <= WHOLE]
        if faults or not 0 < len(self.shares) <= MOST_STEPS:
            raise ValueError(f"a ramp has 1 to {MOST_STEPS} shares, each above 0 % and at most 100 %")
        if any(one >= next_ for one, next_ in zip(self.shares, self.shares[1:], strict=False)):
            raise ValueError("a ramp only raises: each share must be greater than the one before it")
        if not 0 <= self.step < len(self.shares):
            raise ValueError(f"step: {self.step} is none of the {len(self.shares)} shares")
        if type(self.parity) is not int or not 0 <= self.parity < WHOLE:
            raise ValueError("parity: mismatches of less than 100 %")

    @property
    def share(self) -> int:
        return self.shares[self.step]

    @property
    def following(self) -> int | None:
        """The share after this one."""
        return self.shares[self.step + 1] if self.step + 1 < len(self.shares) else None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def into(self, state: State, now: float, why: str = "") -> Ramp:
        return replace(self, state=state, why=why, at=now, generation=self._next_generation(now))

    def onto(self, step: int, found: int, now: float) -> Ramp:
        return replace(self, step=step, found=found, at=now, generation=self._next_generation(now))

    def _next_generation(self, now: float) -> int:
        """As a flag's: what is written on a store that was restored from the past outranks what the fleet held."""
        return max(self.generation + 1, int(now * 1000))


@dataclass(frozen=True, slots=True)
class Alike:
    """How alike the sides are known to answer: the part of questions that they answer differently, at most."""

    mismatches: float = 1.0
    words: str = "nothing is known of them"


@dataclass(frozen=True, slots=True)
class Watched:
    """What one worker has seen of a share in force: for how long native has taken requests, how many it has answered,
    and whether it takes them now; and what is known of `alike`, which is as old as the comparisons are."""

    seconds: float = 0.0
    answered: int = 0
    ready: bool = True
    alike: Alike = Alike()


def onward(ramp: Ramp, flag: Flag, verdict: Verdict | None, watched: Watched, now: float) -> Ramp:
    """The ramp as it should be: itself, as long as there is nothing to do but wait.

    It goes by what one worker has watched by itself, from the share's first second on: whose evidence has begun later
    knows too little to raise anything, be it healthy.
    """
    if not ramp.is_open or flag.generation < ramp.found:  # over; or this worker has yet to hear of the flag
        return ramp
    if flag.trip is not None:
        return ramp.into(State.STOPPED, now, f"the route tripped: {flag.trip.reason}")
    if not stands(ramp, flag):
        if flag.generation == ramp.found:
            return ramp
        return ramp.into(State.STOPPED, now, f"somebody else gave native {percent(flag.native)}")
    if ramp.state is State.PAUSED or missing(ramp, verdict, watched):
        return ramp
    if ramp.following is None:
        return ramp.into(State.DONE, now, f"native has held {percent(ramp.share)}")
    return ramp.onto(ramp.step + 1, flag.generation, now)


def stands(ramp: Ramp, flag: Flag) -> bool:
    """Whether the flag has its share from this step of the ramp. A share of the same size that somebody gave meanwhile,
    be it back after a trip that this worker never saw, is theirs. A generation of its own, such as one that only
    shadows more, is no matter: what is watched of it begins anew."""
    given = flag.native == ramp.share and flag.source is None and not flag.tripped
    return given and flag.step == ramp.found


def raised(ramp: Ramp, flag: Flag) -> Flag:
    """The flag as this step wants it, if nobody has changed it since that was decided."""
    if flag.generation != ramp.found or flag.tripped or ramp.state is not State.RUNNING:
        return flag
    return replace(flag, native=ramp.share, source=None, step=ramp.found)


def missing(ramp: Ramp, verdict: Verdict | None, watched: Watched) -> tuple[str, ...]:
    """What keeps it from going on, in words."""
    found = [] if watched.ready else ["a native that takes requests"]
    if watched.seconds < ramp.hold:
        found.append(f"{span(ramp.hold - watched.seconds)} more of the hold of {span(ramp.hold)}")
    if watched.answered < ramp.min_requests:
        found.append(f"{ramp.min_requests - watched.answered} more of the {ramp.min_requests} requests")
    if ramp.parity and watched.alike.mismatches > ramp.parity / WHOLE:
        found.append(f"mismatches of {percent(ramp.parity)} at most: {watched.alike.words}")
    if verdict is None:
        found.append("a verdict: it is not judged yet")
    elif verdict.kind is not Kind.HEALTHY:
        found.append(f"a healthy verdict: it is {verdict.kind.value}: {verdict.words}")
    return tuple(found)


def told(ramp: Ramp, verdict: Verdict | None, watched: Watched) -> str:
    """Where it stands, in words."""
    way = _way(ramp)
    if ramp.state is State.PAUSED:
        return f"paused at {way}; the share stays until it is resumed"
    if ramp.state is not State.RUNNING:
        return f"{ramp.state.value} at {way}: {ramp.why}" if ramp.why else f"{ramp.state.value} at {way}"
    then = "ends" if ramp.following is None else f"goes on to {percent(ramp.following)}"
    waits = missing(ramp, verdict, watched)
    return f"running, {way}; {then} after {'; and '.join(waits)}" if waits else f"running, {way}; {then} now"


def began(ramp: Ramp) -> str:
    """That it began, for the record."""
    way = ", ".join(map(percent, ramp.shares))
    alike = f", and mismatches of {percent(ramp.parity)} at most" if ramp.parity else ""
    return f"a ramp begins: {way}, each for {span(ramp.hold)} and {ramp.min_requests} requests at least{alike}"


def turned(ramp: Ramp) -> str:
    """What became of it, for the record, which says by itself who did it."""
    state = "resumed" if ramp.state is State.RUNNING else ramp.state.value
    why = f": {ramp.why}" if ramp.state in (State.STOPPED, State.DONE) else ""
    return f"its ramp is {state} at {_way(ramp)}{why}"


def _way(ramp: Ramp) -> str:
    return f"step {ramp.step + 1} of {len(ramp.shares)}, {percent(ramp.share)}"


def span(seconds: float) -> str:
    """A length of time as people say it: no finer than it helps."""
    whole = math.ceil(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"


@dataclass(slots=True)
class Watch:
    """One worker's watch over a share in force, under one `generation` of the flag.

    `looked`: when it last did, by a clock that nobody sets; `first` is the first second whose requests count. A time at
    whose beginning or end native took no requests is no part of the hold: nothing could be seen of it.
    """

    generation: int
    looked: float
    first: int
    ready: bool = True
    _held: float = 0.0
    _past: int = 0
    _lately: dict[int, int] = field(default_factory=dict)

    def see(self, clock: float, answered: Mapping[int, int], ready: bool) -> None:
        """What native has answered of each second that is still told: it grows until the second is told no more."""
        if ready and self.ready:
            self._held += clock - self.looked
        self.looked, self.ready = clock, ready
        gone = [second for second in self._lately if second not in answered]
        if gone:
            self._past += sum(self._lately[second] for second in gone)
            self.first = max(gone) + 1  # what is told of them again was counted
        self._lately = {second: number for second, number in answered.items() if second >= self.first}

    @property
    def watched(self) -> Watched:
        return Watched(self._held, self._past + sum(self._lately.values()), self.ready)
