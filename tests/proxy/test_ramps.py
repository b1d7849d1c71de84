"""Ramps as workers carry them on: whoever is first, each step once, whatever dies or goes away in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import pytest

from flags.audit import Note
from flags.errors import Followed, Stale, StoreUnavailable, Tripped, UnknownRoute
from flags.flag import WHOLE, Flag, Side
from flags.ramp import Alike, Ramp, State
from flags.rollback import Judge, Kind, Rule
from flags.store.memory import MemoryStore
from proxy.ramps import NotNow, Ramps
from tests.flags.workers import ROUTE, RULE, Worker

SHARES = (100, 500, 2_500)
HOLD, REQUESTS = 10.0, 60


class Fickle(MemoryStore):
    """A store that can be away, and be restored from the past."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.before_a_step: Callable[[], Awaitable[object]] | None = None

    async def flags(self) -> Mapping[str, Flag]:
        self._reached()
        return await super().flags()

    async def ramps(self) -> Mapping[str, Ramp]:
        self._reached()
        return await super().ramps()

    async def ramp(self, route: str, expected: int, ramp: Ramp, note: Note | None = None) -> bool:
        self._reached()
        return await super().ramp(route, expected, ramp, note)

    async def change(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> None:
        if ramp is not None and (happens := self.before_a_step) is not None:
            self.before_a_step = None
            await happens()
        await super().change(route, expected, flag, note, ramp)

    def restore(self, ramps: Mapping[str, Ramp]) -> None:
        self._ramps = dict(ramps)

    def _reached(self) -> None:
        if self.away:
            raise StoreUnavailable("it is away")


class Climber:
    """A worker with its ramps, under a clock that the test sets."""

    def __init__(
        self, store: Fickle, name: str = "one", *, now: float = 1_000.0, followed: bool = False, rule: Rule = RULE
    ) -> None:
        self.store, self.worker, self.clock = store, Worker(store, name, now, rule), 0.0
        self.ready, self.mismatches = True, 1.0
        self.ramps = Ramps(
            store,
            self.worker.loop,
            followed=followed,
            ready=lambda: self.ready,
            now=lambda: self.worker.now,
            clock=self.elapsed,
            alike=lambda route, allowed: Alike(self.mismatches, f"asked for {allowed}"),
        )

    def elapsed(self) -> float:
        return self.clock

    @property
    def share(self) -> int:
        return self.worker.flag.native

    @property
    def ramp(self) -> Ramp:
        return self.ramps.ramps[ROUTE]

    async def begin(self, *shares: int, parity: int = 0) -> Ramp:
        await self.worker.tick()
        return await self.ramps.begin(ROUTE, shares or SHARES, HOLD, REQUESTS, "anna", parity=parity)

    async def second(self, ok: int = 10, failed: int = 0) -> None:
        """One second of traffic, and what is done at its end."""
        self.worker.answer(Side.NATIVE, ok=ok, failed=failed)
        self.worker.answer(Side.LEGACY, ok=3 * ok)
        await self.worker.tick()
        self.clock += 1.0
        await self.ramps.look()

    async def seconds(self, number: int, ok: int = 10) -> None:
        for _ in range(number):
            await self.second(ok)

    async def until(self, share: int) -> int:
        """The seconds that it took."""
        for second in range(100):
            if self.share == share:
                return second
            await self.second()
        raise AssertionError(f"{self.share} after 100 s: {self.ramps.words(ROUTE)}")


async def test_each_share_is_held_and_earned_before_the_next_and_then_it_is_done() -> None:
    climber = Climber(Fickle())
    begun = await climber.begin()
    assert (climber.share, begun.state, begun.by) == (100, State.RUNNING, "anna")
    for share in SHARES[1:]:
        assert HOLD <= await climber.until(share) <= HOLD + 3
    await climber.seconds(5)
    assert climber.ramp.is_open
    await climber.seconds(10)
    assert (climber.ramp.state, climber.share) == (State.DONE, 2_500)
    begun_by, *steps, end = reversed(await climber.store.audit(10, ROUTE))
    way = "a ramp begins: 1 %, 5 %, 25 %, each for 10 s and 60 requests at least"
    assert (begun_by.note.who, begun_by.words, begun_by.after) == ("anna", way, Flag())
    assert [(each.after.native, each.note.who) for each in steps] == [(share, "ramp of anna") for share in SHARES]
    assert (end.words, end.note.who) == ("its ramp is done at step 3 of 3, 25 %: native has held 25 %", "ramp of anna")


@pytest.mark.parametrize("failing", [range(0), range(6, 10)], ids=["all is well", "native fails one in ten for 4 s"])
async def test_by_evidence_a_doubt_that_comes_up_during_the_hold_is_waited_out(failing: range) -> None:
    climber = Climber(Fickle(), rule=replace(RULE, judge=Judge.EVIDENCE))
    await climber.begin()
    for second in range(20):
        climber.worker.serve(Side.LEGACY, range(10_000, 10_030))
        failed = [90_000 + second] if second in failing else []
        climber.worker.serve(Side.NATIVE, range(10 * second, 10 * second + 10), failed=failed)
        await climber.second(ok=0)
    assert not climber.worker.flag.tripped
    if failing:
        assert climber.worker.loop.verdicts[ROUTE].kind is Kind.INCONCLUSIVE
        assert climber.share == 100
    else:
        assert climber.share == 500


async def test_too_few_requests_raise_nothing_however_long_they_are_held() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(50, ok=1)
    assert climber.share == 100
    assert "12 more of the 60 requests" in (climber.ramps.words(ROUTE) or "")


async def test_mismatches_that_are_not_disproved_keep_it_where_it_is() -> None:
    climber = Climber(Fickle())
    await climber.begin(parity=10)
    await climber.seconds(30)
    assert climber.share == 100
    assert "goes on to 5 % after mismatches of 0.1 % at most: asked for 10" in (climber.ramps.words(ROUTE) or "")
    climber.mismatches = 0.001
    await climber.second()
    assert climber.share == 500


async def test_failures_that_prove_nothing_yet_keep_it_where_it_is() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    for _ in range(30):
        climber.worker.answer(Side.LEGACY, failed=4)  # legacy fails alike: inconclusive
        await climber.second(ok=9, failed=1)
    assert climber.share == 100
    assert "a healthy verdict: it is inconclusive" in (climber.ramps.words(ROUTE) or "")
    assert await climber.until(500)


async def test_a_trip_stops_it_and_a_reset_does_not_revive_it() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(3)
    await climber.second(ok=40, failed=60)
    assert climber.worker.flag.tripped
    assert climber.ramp.state is State.STOPPED
    assert climber.ramp.why.startswith("the route tripped: native failed 60 of ")
    await climber.worker.loop.reset(ROUTE)
    await climber.seconds(30)
    assert climber.share == 0


async def test_an_operator_who_moves_the_share_stops_it() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(3)
    await climber.worker.loop.set(ROUTE, share=300)
    await climber.seconds(30)
    assert (climber.share, climber.ramp.state) == (300, State.STOPPED)


async def test_a_share_that_an_operator_takes_back_to_the_step_before_is_not_raised_again() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.until(500)
    await climber.worker.loop.set(ROUTE, share=100)
    await climber.seconds(30)
    assert (climber.share, climber.ramp.state) == (100, State.STOPPED)


async def test_a_share_that_somebody_gives_back_between_two_looks_after_a_rollback_is_not_raised() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(3)
    loop = climber.worker.loop
    await loop.rollback(ROUTE, "incident 7")
    await loop.reset(ROUTE)
    await loop.set(ROUTE, share=100)
    await climber.seconds(30)
    assert (climber.share, climber.ramp.state, climber.ramp.why) == (
        100,
        State.STOPPED,
        "somebody else gave native 1 %",
    )


async def test_while_native_takes_no_requests_nothing_is_raised_and_the_time_is_not_held() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(8)
    climber.ready = False
    await climber.seconds(30)
    assert climber.share == 100
    assert "goes on to 5 % after a native that takes requests; and 3 s more" in (climber.ramps.words(ROUTE) or "")
    climber.ready = True
    assert 3 <= await climber.until(500) <= 5


async def test_every_order_is_recorded_with_who_and_why_and_those_for_another_one_are_refused() -> None:
    climber = Climber(Fickle())
    generation = climber.worker.flag.generation
    begun = await climber.ramps.begin(ROUTE, (100, 500), HOLD, REQUESTS, "anna", "ticket 3", generation)
    paused = await climber.ramps.turn(ROUTE, State.PAUSED, "bob", "a doubt", begun.generation)
    assert (await climber.ramps.turn(ROUTE, State.PAUSED, "carl")) == paused
    with pytest.raises(NotNow, match=f"its ramp is at generation {paused.generation} now"):
        await climber.ramps.turn(ROUTE, State.ABORTED, "carl", generation=begun.generation)
    await climber.ramps.turn(ROUTE, State.RUNNING, "bob", "none left")
    assert (await climber.ramps.turn(ROUTE, State.ABORTED, "bob", "lunch")).why == "by bob: lunch"
    with pytest.raises(Stale):
        await climber.ramps.begin(ROUTE, (500,), HOLD, REQUESTS, "carl", generation=generation)
    records = [each for each in reversed(await climber.store.audit(10)) if each.note.did]
    assert [(each.note.who, each.note.why, each.words) for each in records] == [
        ("anna", "ticket 3", "a ramp begins: 1 %, 5 %, each for 10 s and 60 requests at least"),
        ("bob", "a doubt", "its ramp is paused at step 1 of 2, 1 %"),
        ("bob", "none left", "its ramp is resumed at step 1 of 2, 1 %"),
        ("bob", "lunch", "its ramp is aborted at step 1 of 2, 1 %"),
    ]


async def test_another_shadow_share_lets_the_hold_begin_anew() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(8)
    await climber.worker.loop.set(ROUTE, shadow=1_000)
    assert await climber.until(500) >= HOLD


async def test_a_pause_keeps_the_share_until_it_is_resumed() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(3)
    await climber.ramps.turn(ROUTE, State.PAUSED, "bob")
    await climber.seconds(30)
    assert (climber.share, climber.ramp.state) == (100, State.PAUSED)
    await climber.ramps.turn(ROUTE, State.RUNNING, "bob")
    assert await climber.until(500) <= 1


async def test_an_aborted_one_leaves_the_share_and_another_may_begin_there() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.until(500)
    assert (await climber.ramps.turn(ROUTE, State.ABORTED, "bob")).why == "by bob"
    await climber.seconds(30)
    assert climber.share == 500
    with pytest.raises(NotNow, match="no ramp is under way"):
        await climber.ramps.turn(ROUTE, State.PAUSED, "bob")
    assert (await climber.begin(500, WHOLE)).state is State.RUNNING
    assert await climber.until(WHOLE) >= HOLD


@pytest.mark.parametrize("state", [State.ABORTED, State.PAUSED])
async def test_one_that_is_ended_between_a_step_and_its_share_leaves_the_share(state: State) -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    await one.begin()
    store.before_a_step = lambda: two.ramps.turn(ROUTE, state, "ben")
    await one.seconds(15)
    await two.worker.tick()
    assert (one.share, two.share) == (100, 100)
    assert (one.ramp.state, one.ramp.step, two.ramp.state) == (state, 1, state)
    if state is State.PAUSED:
        await two.ramps.turn(ROUTE, State.RUNNING, "ben")
        await one.second()
        assert one.share == 500


async def test_what_cannot_begin_says_why_and_changes_nothing() -> None:
    climber = Climber(Fickle())
    await climber.worker.loop.set(ROUTE, share=500)
    with pytest.raises(NotNow, match="native answers 5 % already, and a ramp only raises"):
        await climber.begin(100, WHOLE)
    with pytest.raises(ValueError, match="only raises"):
        await climber.begin(2_500, 1_000)
    with pytest.raises(UnknownRoute):
        await climber.ramps.begin("no.such", SHARES, HOLD, REQUESTS, "anna")
    with pytest.raises(UnknownRoute):
        await climber.ramps.turn("no.such", State.PAUSED, "anna")
    await climber.begin(500, 1_000)
    with pytest.raises(NotNow, match="a ramp is running here"):
        await climber.begin(1_000)
    await climber.worker.loop.rollback(ROUTE, "incident 7")
    with pytest.raises(Tripped):
        await climber.begin(1_000)
    followed = Climber(Fickle(), followed=True)
    with pytest.raises(Followed):
        await followed.begin()
    assert climber.ramp.shares == (500, 1_000)
    assert (await followed.store.ramps()) == {}


async def test_of_two_workers_either_takes_a_step_and_none_is_taken_twice() -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    await one.begin()
    await two.worker.tick()
    for _ in range(40):
        await asyncio.gather(one.second(), two.second())
    assert (one.share, two.share, one.ramp, two.ramp) == (2_500, 2_500, two.ramp, one.ramp)
    assert one.ramp.state is State.DONE
    moved = [each.after.native for each in await store.audit(10, ROUTE) if each.after != each.before]
    assert moved == [2_500, 500, 100]
    assert len(await store.audit(10, ROUTE)) == len(moved) + 2  # its beginning and its end, once each


async def test_a_worker_that_dies_leaves_its_ramp_to_another() -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    await one.begin()
    for _ in range(5):
        await asyncio.gather(one.second(), two.second())
    assert await two.until(500) <= HOLD


async def test_a_worker_that_comes_later_waits_until_it_has_seen_as_much_itself() -> None:
    store = Fickle()
    one = Climber(store)
    await one.begin()
    await one.seconds(9)
    two = Climber(store, "two", now=one.worker.now)
    assert await two.until(500) >= HOLD


async def test_a_step_that_was_written_but_not_taken_is_taken_by_who_finds_it() -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    await one.begin()
    await one.seconds(5)
    written = one.ramp.onto(1, one.worker.flag.generation, one.worker.now)  # and there its author dies
    assert await store.ramp(ROUTE, one.ramp.generation, written)
    two.worker.now = one.worker.now
    await two.second()
    assert (two.share, two.ramp) == (500, written)


async def test_a_step_that_was_written_before_a_trip_is_not_taken_after_it() -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    await one.begin()
    await one.seconds(5)
    written = one.ramp.onto(1, one.worker.flag.generation, one.worker.now)
    assert await store.ramp(ROUTE, one.ramp.generation, written)
    two.worker.now = one.worker.now
    await two.worker.loop.rollback(ROUTE, "incident 7")
    await two.second()
    assert (two.share, two.ramp.state) == (0, State.STOPPED)


async def test_of_two_operators_at_once_one_begins_it() -> None:
    store = Fickle()
    one, two = Climber(store), Climber(store, "two")
    ended = await asyncio.gather(one.begin(100), two.begin(500), return_exceptions=True)
    assert {type(each) for each in ended} == {Ramp, NotNow}
    await asyncio.gather(one.second(), two.second())
    assert one.share == two.share == one.ramp.share


async def test_while_the_store_is_away_nothing_is_raised_and_then_it_goes_on() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(5)
    climber.store.away = True
    for _ in range(30):
        with pytest.raises(StoreUnavailable):
            await climber.second()
    assert climber.share == 100
    climber.store.away = False
    assert await climber.until(500) <= 2


async def test_a_store_restored_from_the_past_revives_no_ramp() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    past = await climber.store.ramps()
    await climber.seconds(3)
    await climber.ramps.turn(ROUTE, State.ABORTED, "bob")
    for restored in (past, {}):
        climber.store.restore(restored)
        await climber.seconds(15)
        assert (climber.share, climber.ramp.state) == (100, State.ABORTED)
        assert await climber.store.ramps() == {ROUTE: climber.ramp}


async def test_a_clock_that_is_set_back_neither_hastens_it_nor_keeps_it_waiting() -> None:
    climber = Climber(Fickle())
    await climber.begin()
    await climber.seconds(5)
    climber.worker.now -= 3_600
    assert 5 <= await climber.until(500) <= HOLD
    climber.worker.now += 7_200
    await climber.second()
    assert climber.share == 500


async def test_a_fault_ends_neither_the_watch_nor_the_ramp() -> None:
    class Faulty(Fickle):
        asked = 0

        async def ramps(self) -> Mapping[str, Ramp]:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("a fault of ours")
            if self.asked == 3:
                reached.set()
            return await super().ramps()

    reached = asyncio.Event()
    store = Faulty()
    ramps = Ramps(store, Worker(store).loop, every=0.0)
    task = asyncio.get_running_loop().create_task(ramps.run())
    async with asyncio.timeout(10):
        await reached.wait()
    task.cancel()
    await asyncio.wait([task])
