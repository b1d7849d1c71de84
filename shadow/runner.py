"""Between the request path and the candidate: a bounded queue, and a bounded number of experiments under way."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Mapping, Set
from functools import partial
from types import MappingProxyType

import structlog

from .apart import Undone
from .ask import DEADLINE
from .experiment import Dropped, Experiment, Experimenter, Limits
from .observation import Observation
from .room import Room

log = structlog.get_logger()


def all_of_it() -> float:
    """The pace of who never yields."""
    return 1.0


class Runner:
    """Asks candidates the questions that users asked, off the request path, within `Limits`.

    `pace`: the part of what may be under way at once that may be so at this moment, in [0, 1]; one always may. `rooms`:
    of sides that others need, too; who finds none at a candidate lets those pass whose candidate has some.
    Reasons for a drop: `queue_full` (the oldest goes), `too_large`, `encoding` (the control's body cannot be read),
    `no_side`, `spared` (users alone may ask that side), `paused` (a side has left a question of the route unanswered),
    `abandoned` (too many calls that ignored their cancellation are still about), `stopped`, `fault` (ours, and logged)
    and `comparison` (it took too long, or its process is gone).
    """

    def __init__(
        self,
        experimenter: Experimenter,
        limits: Limits,
        on_drop: Callable[[str, str], None],
        pace: Callable[[], float] = all_of_it,
        rooms: Mapping[str, Room] = MappingProxyType({}),
    ) -> None:
        self._experimenter, self._limits, self._on_drop, self._pace = experimenter, limits, on_drop, pace
        self._rooms = rooms
        self._waiting: deque[tuple[Experiment, int]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._held = 0  # bytes of what waits and of what is under way; answers to come are bounded by themselves
        self._context: contextvars.Context | None = None  # of who has started us: a request's own would outlive it
        self._stopping = False

    @property
    def pending(self) -> int:
        """Experiments waiting for their turn."""
        return len(self._waiting)

    @property
    def strays(self) -> int:
        """Calls that ignored their cancellation and are still about."""
        return self._experimenter.strays

    def places(self, side: str) -> int:
        """Experiments that may ask this candidate at once, as far as that depends on the candidate."""
        room = self._rooms.get(side)
        return self._limits.concurrency if room is None else room.places

    def offer(self, experiment: Experiment) -> None:
        """Take the experiment if there is room, at the cost of the oldest one waiting. Never waits, never raises."""
        limits, size, asker = self._limits, experiment.size, self._experimenter
        if self._stopping:
            self._drop(experiment, "stopped")
        elif not {experiment.control_side, experiment.candidate_side} <= asker.sides.keys():
            self._drop(experiment, "no_side")
        elif (experiment.route, experiment.candidate_side) in asker.spared:
            self._drop(experiment, "spared")
        elif self._paused(experiment):
            self._drop(experiment, "paused")
        elif len(experiment.body) > limits.body or size > limits.queue_bytes:
            self._drop(experiment, "too_large")
        else:
            self._waiting.append((experiment, size))
            self._held += size
            self._begin()
            while self._waiting and (len(self._waiting) > limits.queue or self._held > limits.queue_bytes):
                self._drop_oldest("queue_full")

    def heard(self, experiment: Experiment, side: str, answer: Observation) -> None:
        """What has come of a question of an experiment."""
        if (room := self._rooms.get(side)) is None:
            return
        if side == experiment.candidate_side:
            room.answered(experiment.route, answer.elapsed if answer.complete else None)
        if answer.complete:
            room.replied(experiment.route)
        elif answer.error == DEADLINE and answer.elapsed >= self._limits.deadline / 2:  # else it had no time
            self._given_up(room, experiment.route, side)

    async def start(self) -> None:
        self._context = contextvars.copy_context()
        self._begin()

    async def stop(self, grace: float) -> None:
        """Take nothing more, drop what waits, give what is under way `grace` seconds, and end."""
        self._stopping = True
        while self._waiting:
            self._drop_oldest("stopped")
        under_way = set(self._under_way)
        if under_way:
            await asyncio.wait(under_way, timeout=grace)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._experimenter.close()

    def _begin(self) -> None:
        """As many of those that wait as may be under way."""
        if self._context is None or self._stopping:
            return
        now, at_once = asyncio.get_running_loop().time(), max(1, int(self._limits.concurrency * self._pace()))
        while len(self._under_way) < at_once and (place := self._next(now)) is not None:
            experiment, size = self._waiting[place]
            del self._waiting[place]
            if (room := self._rooms.get(experiment.candidate_side)) is not None:
                room.enter(experiment.route, now)
            loop, context = asyncio.get_running_loop(), self._context.copy()
            task = loop.create_task(self._carry_out(experiment), context=context)
            self._under_way.add(task)
            task.add_done_callback(partial(self._ended, experiment, size), context=context)

    def _next(self, now: float) -> int | None:
        """Where whoever has waited longest waits, of those whose candidate has room."""
        full = {side for side, room in self._rooms.items() if not room.free(now)}
        found = (place for place, (each, _) in enumerate(self._waiting) if self._has_room(each, full))
        return next(found, None)

    def _has_room(self, experiment: Experiment, full: Set[str]) -> bool:
        room = self._rooms.get(experiment.candidate_side)
        return room is None or not (experiment.candidate_side in full or room.crowded(experiment.route))

    def _paused(self, experiment: Experiment) -> bool:
        rooms = (self._rooms.get(side) for side in (experiment.candidate_side, experiment.control_side))
        return any(room.paused(experiment.route, asyncio.get_running_loop().time()) for room in rooms if room)

    def _given_up(self, room: Room, route: str, side: str) -> None:
        """Nobody waits any more for what a side was asked, but it may work on. Those that wait would grow old."""
        loop = asyncio.get_running_loop()
        if not (seconds := room.given_up(route, loop.time())):
            return
        log.info("a side leaves shadow requests unanswered, and gets none", side=side, route=route, seconds=seconds)
        loop.call_later(seconds, self._begin)
        kept = deque[tuple[Experiment, int]]()
        for experiment, size in self._waiting:
            if self._paused(experiment):
                self._held -= size
                self._drop(experiment, "paused")
            else:
                kept.append((experiment, size))
        self._waiting = kept

    def _ended(self, experiment: Experiment, size: int, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if (room := self._rooms.get(experiment.candidate_side)) is not None:
            room.leave(experiment.route)
        self._held -= size
        if task.cancelled():
            self._drop(experiment, "stopped")
        self._begin()

    def _drop_oldest(self, reason: str) -> None:
        experiment, size = self._waiting.popleft()
        self._held -= size
        self._drop(experiment, reason)

    def _drop(self, experiment: Experiment, reason: str) -> None:
        self._on_drop(experiment.route, reason)

    async def _carry_out(self, experiment: Experiment) -> None:
        try:
            await self._experimenter.run(experiment)
        except Dropped as dropped:
            self._drop(experiment, dropped.reason)
        except Undone as fault:
            log.warning("two answers could not be compared", route=experiment.route, error=str(fault))
            self._drop(experiment, "comparison")
        except Exception:
            log.exception("a shadow experiment failed in the comparison itself", route=experiment.route)
            self._drop(experiment, "fault")
