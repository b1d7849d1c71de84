"""Workers as the tests drive them: a clock that stands still, counts by hand, a wait for what is pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from flags.audit import Note
from flags.flag import Flag, Side, Trip
from flags.loop import Loop
from flags.rollback import Judge, Rule
from flags.store import Store
from flags.window import Outcome

ROUTE, OTHER = "messages.create", "conversations.list"
NOTE = Note(1_000.0, "Anna", "step 1")
RULE = Rule(window=30.0, min_requests=50, max_error_rate=0.05, max_excess=0.02)


class Worker:
    """A Loop, and all that it told."""

    def __init__(
        self,
        store: Store,
        name: str = "one",
        now: float = 1_000.0,
        rule: Rule = RULE,
        judges: Mapping[str, Judge] = MappingProxyType({}),
        holdbacks: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.now = now
        self.changes: list[tuple[str, Flag, Flag]] = []
        self.trips: list[tuple[str, Trip]] = []
        self._changed = asyncio.Event()
        self.loop = Loop(
            store,
            [ROUTE, OTHER],
            rule,
            worker=name,
            judges=judges,
            holdbacks=holdbacks,
            now=lambda: self.now,
            on_change=self._on_change,
            on_trip=lambda route, trip: self.trips.append((route, trip)),
        )

    @property
    def flag(self) -> Flag:
        return self.loop.get(ROUTE)

    async def tick(self, after: float = 1.0) -> None:
        self.now += after
        await self.loop.tick()

    def answer(self, side: Side, ok: int = 0, failed: int = 0, still_open: int = 0) -> None:
        """Requests decided in this second, most of them answered."""
        second = int(self.now)
        for _ in range(ok + failed + still_open):
            self.loop.window.asked(second, ROUTE, side)
        for outcome, number in ((Outcome.OK, ok), (Outcome.FAILED, failed)):
            for _ in range(number):
                self.loop.window.closed(second, ROUTE, side, outcome)

    def serve(self, side: Side, subjects: Iterable[int], failed: Iterable[int] = ()) -> None:
        """Each of these subjects asks once in this second, and is answered."""
        second = int(self.now)
        for outcome, whose in ((Outcome.OK, subjects), (Outcome.FAILED, failed)):
            for subject in whose:
                self.loop.window.asked(second, ROUTE, side, subject)
                self.loop.window.closed(second, ROUTE, side, outcome, subject)

    def break_native(self) -> None:
        """Plenty of evidence against native, and none against legacy."""
        self.answer(Side.NATIVE, ok=40, failed=60)
        self.answer(Side.LEGACY, ok=300)

    async def until(self, condition: Callable[[Flag], bool]) -> None:
        """Wait for a change after which the route's flag is as wished."""
        async with asyncio.timeout(20):
            while not condition(self.flag):
                self._changed.clear()
                await self._changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self.loop.run())
            try:
                yield
            finally:
                watch.cancel()
                ended, _ = await asyncio.wait([watch], timeout=10)
                watch.cancel()  # once more, so that a lost cancellation fails the test and does not hang it
                assert ended, "the loop went on after it was cancelled"

    def _on_change(self, route: str, before: Flag, after: Flag) -> None:
        self.changes.append((route, before, after))
        self._changed.set()
