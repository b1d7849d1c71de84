"""What a worker does each second, and what operators can tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from flags.audit import Note
from flags.change import Reach
from flags.errors import Stale, Tripped, UnknownRoute
from flags.flag import WHOLE, Flag, Side, Trip
from flags.fleet import BATCH
from flags.loop import Loop
from flags.rollback import Judge, Kind
from flags.store import Write
from flags.store.memory import MemoryStore
from flags.window import Cells, Counts, Outcome, Seconds
from tests.flags.workers import NOTE, OTHER, ROUTE, RULE, Worker


class Meanwhile(MemoryStore):
    """A store where others are at work: something happens while counts are read, and rivals are first with a change."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: Callable[[], Awaitable[object]] | None = None
        self.rivals = 0

    async def window(self, first: int, last: int) -> Seconds:
        if self.reading is not None:
            reading, self.reading = self.reading, None
            await reading()
        return await super().window(first, last)

    async def change(self, route: str, expected: int, flag: Flag, note: Note, ramp: int | None = None) -> None:
        if self.rivals:
            self.rivals -= 1
            rival = (await self.flags())[route]
            await super().change(route, rival.generation, replace(rival, generation=rival.generation + 1), NOTE)
        await super().change(route, expected, flag, note, ramp)


async def strangled(store: MemoryStore | None = None, share: int = 2_500) -> Worker:
    """A worker whose route has native traffic, one second after that was ordered."""
    worker = Worker(store or MemoryStore())
    await worker.loop.set(ROUTE, share=share)
    await worker.tick()
    return worker


async def test_a_route_trips_when_native_fails_beyond_the_rule() -> None:
    worker = await strangled()
    worker.break_native()
    await worker.tick()
    words = "native failed 60 of 100 (60.0 %, allowed 5 %), legacy 0 of 300 (0.0 %) in 30 s"
    assert (worker.flag.native, worker.flag.trip) == (0, Trip(worker.now, words, "evidence"))
    assert worker.trips == [(ROUTE, Trip(worker.now, words, "evidence"))]
    assert worker.loop.latches == {}


async def test_a_healthy_route_keeps_its_share_and_its_verdict_says_so() -> None:
    worker = await strangled()
    worker.answer(Side.NATIVE, ok=100)
    worker.answer(Side.LEGACY, ok=300)
    await worker.tick()
    assert worker.flag.native == 2_500
    assert worker.loop.verdicts[ROUTE].kind is Kind.HEALTHY


async def test_a_route_that_only_legacy_answers_is_not_judged() -> None:
    worker = Worker(MemoryStore())
    worker.break_native()
    await worker.tick()
    assert worker.loop.verdicts == {}
    assert not worker.flag.tripped


async def test_a_tripped_route_stays_at_zero_until_reset() -> None:
    worker = await strangled()
    worker.break_native()
    await worker.tick()
    reason = worker.flag.trip
    for _ in range(100):
        worker.answer(Side.LEGACY, ok=10)
        await worker.tick()
    assert worker.flag.trip is reason is not None
    assert len(worker.trips) == 1
    change = await worker.loop.reset(ROUTE)
    assert (change.before.trip, change.after.trip, change.reach) == (reason, None, Reach.FLEET)
    assert worker.flag.native == 0


async def test_failures_of_before_a_reset_do_not_trip_again() -> None:
    worker = await strangled()
    worker.break_native()
    await worker.tick()
    await worker.loop.reset(ROUTE)
    await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    assert worker.flag.native == 2_500
    assert worker.loop.verdicts[ROUTE].kind is Kind.INCONCLUSIVE


async def test_failures_of_before_a_raise_do_not_count_against_it() -> None:
    worker = await strangled()
    worker.answer(Side.NATIVE, failed=49)
    await worker.tick()
    await worker.loop.set(ROUTE, share=5_000)
    await worker.tick()
    worker.answer(Side.NATIVE, failed=49)
    await worker.tick()
    assert not worker.flag.tripped


async def test_a_late_answer_to_a_question_of_before_a_reset_does_not_trip_again() -> None:
    worker = await strangled()
    asked = int(worker.now)
    worker.answer(Side.NATIVE, still_open=200)
    await worker.loop.rollback(ROUTE, "incident 7")
    await worker.loop.reset(ROUTE)
    await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    for _ in range(200):
        worker.loop.window.closed(asked, ROUTE, Side.NATIVE, Outcome.FAILED)
    await worker.tick()
    assert not worker.flag.tripped


async def test_new_failures_after_a_reset_do_trip_again() -> None:
    worker = await strangled()
    for _ in range(2):
        worker.break_native()
        await worker.tick()
        assert worker.flag.tripped
        await worker.loop.reset(ROUTE)
        await worker.loop.set(ROUTE, share=2_500)
        await worker.tick()
    assert len(worker.trips) == 2


async def test_failures_older_than_the_window_count_no_more() -> None:
    worker = await strangled()
    worker.answer(Side.NATIVE, failed=49)
    await worker.tick(after=30.0)
    worker.answer(Side.NATIVE, failed=1)
    await worker.tick()
    assert not worker.flag.tripped


async def test_failures_count_to_the_last_second_of_the_window() -> None:
    worker = await strangled()
    worker.answer(Side.NATIVE, failed=49)
    await worker.tick(after=29.0)
    worker.answer(Side.NATIVE, failed=1)
    await worker.tick(after=0.0)
    assert worker.flag.tripped


async def test_what_the_fleet_has_heard_is_not_said_again() -> None:
    worker = await strangled()
    worker.answer(Side.NATIVE, ok=5)
    await worker.tick()
    assert worker.loop.window.take([ROUTE], 1) is None


async def test_two_workers_trip_on_what_neither_has_seen_enough_of_alone() -> None:
    store = MemoryStore()
    one, two = await strangled(store), Worker(store, "two")
    await two.tick()
    await two.tick()
    for worker in (one, two):
        worker.now = 1_010.0
        worker.answer(Side.NATIVE, failed=30)
        worker.answer(Side.LEGACY, ok=30)
        await worker.tick()
    assert not one.flag.tripped
    assert two.flag.tripped
    await one.tick()
    assert one.flag == two.flag
    assert (len(one.trips), len(two.trips)) == (0, 1)


async def test_two_workers_that_trip_at_once_make_one_trip() -> None:
    store = MemoryStore()
    one, two = await strangled(store), Worker(store, "two")
    await two.tick()
    await two.tick()
    for worker in (one, two):
        worker.now = 1_010.0
        worker.break_native()
    await asyncio.gather(one.tick(), two.tick())
    assert one.flag.tripped
    assert len(one.trips) + len(two.trips) == 1
    await asyncio.gather(one.tick(), two.tick())
    assert one.flag == two.flag == (await store.flags())[ROUTE]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["on this worker", "on another one"])
async def test_evidence_about_a_flag_that_was_changed_while_it_was_judged_is_dropped(elsewhere: bool) -> None:
    store = Meanwhile()
    worker = await strangled(store)
    changer = Worker(store, "another") if elsewhere else worker
    worker.break_native()
    store.reading = lambda: changer.loop.set(ROUTE, share=5_000)
    await worker.tick()
    assert worker.flag.native == 5_000
    assert any(after.tripped for _, _, after in worker.changes) is elsewhere  # here it is known before anything is done
    assert not worker.flag.tripped
    assert worker.trips == []
    assert worker.loop.latches == {}


async def test_an_order_gives_way_to_one_who_changes_the_flag_all_the_time() -> None:
    store = Meanwhile()
    worker = await strangled(store)
    store.rivals = 1_000
    with pytest.raises(Stale, match=r"^messages.create: somebody else changed it first"):
        await worker.loop.set(ROUTE, share=500)


async def test_a_trip_does_not_give_way_but_waits_on_its_worker_until_the_fleet_takes_it() -> None:
    store = Meanwhile()
    worker = await strangled(store)
    store.rivals = 7
    change = await worker.loop.rollback(ROUTE, "incident 7")
    assert worker.flag.tripped
    assert change.reach is Reach.WORKER
    await worker.tick()
    assert worker.loop.latches == {}
    assert (await store.flags())[ROUTE].tripped


async def test_a_change_reaches_another_worker_without_a_tick_of_its_own() -> None:
    store = MemoryStore()
    one, two = Worker(store, "one"), Worker(store, "two")
    async with two.running():
        await one.loop.set(ROUTE, share=500)
        await two.until(lambda flag: flag.native == 500)


async def test_a_fault_in_a_hook_ends_neither_the_watch_nor_the_worker() -> None:
    class Faulty(Worker):
        def _on_change(self, route: str, before: Flag, after: Flag) -> None:
            super()._on_change(route, before, after)
            if len(self.changes) == 1:
                raise RuntimeError("a fault in a hook")

    store = MemoryStore()
    one, two = Worker(store, "one"), Faulty(store, "two")
    async with two.running():
        await one.loop.set(ROUTE, share=500)
        await two.until(lambda flag: flag.native == 500)
        await one.loop.set(ROUTE, share=700)
        await two.until(lambda flag: flag.native == 700)


async def test_a_share_is_set_and_said() -> None:
    worker = Worker(MemoryStore())
    change = await worker.loop.set(ROUTE, share=500)
    assert change.words == "messages.create: native answers 5 % (it was 0 %), on every worker"
    assert worker.flag.native == 500
    assert worker.loop.get(OTHER) == Flag()


async def test_setting_what_is_set_changes_nothing() -> None:
    worker = await strangled()
    generation = worker.flag.generation
    change = await worker.loop.set(ROUTE, share=2_500)
    assert change.before == change.after
    assert worker.flag.generation == generation


async def test_a_share_on_a_tripped_route_is_refused_with_the_reason() -> None:
    worker = await strangled()
    await worker.loop.rollback(ROUTE, "incident 7")
    with pytest.raises(Tripped, match=r"^messages.create is tripped: by hand: incident 7; .*[Rr]eset it first"):
        await worker.loop.set(ROUTE, share=500)
    assert worker.flag.native == 0


async def test_a_tripped_route_can_be_shadowed() -> None:
    worker = await strangled()
    await worker.loop.rollback(ROUTE, "incident 7")
    await worker.loop.set(ROUTE, shadow=WHOLE)
    assert worker.flag.tripped
    assert worker.flag.shadow == WHOLE


@pytest.mark.parametrize("share", [-1, WHOLE + 1])
async def test_a_share_out_of_range_is_refused_and_nothing_changes(share: int) -> None:
    worker = await strangled()
    with pytest.raises(ValueError, match="outside"):
        await worker.loop.set(ROUTE, share=share)
    assert worker.flag.native == 2_500


async def test_an_unknown_route_is_refused_by_every_order() -> None:
    loop = Worker(MemoryStore()).loop
    for order in (
        loop.set("nothing", share=1),
        loop.set("nothing", shadow=1),
        loop.reset("nothing"),
        loop.rollback("nothing", "why"),
    ):
        with pytest.raises(UnknownRoute, match=r"^nothing: no such route"):
            await order
    with pytest.raises(UnknownRoute):
        loop.get("nothing")


async def test_resetting_a_route_that_is_not_tripped_leaves_its_share() -> None:
    worker = await strangled()
    change = await worker.loop.reset(ROUTE)
    assert change.words == "messages.create: nothing changed: native answers 25 %, 0 % is shadowed"
    assert worker.flag.native == 2_500


async def test_a_reset_leaves_no_share_even_if_somebody_wrote_one_under_the_trip() -> None:
    store = MemoryStore()
    await store.change(ROUTE, 0, Flag(native=500, trip=Trip(1.0, "by another tool"), generation=1), NOTE)
    worker = Worker(store)
    await worker.loop.reset(ROUTE)
    assert (worker.flag.native, worker.flag.trip) == (0, None)


async def trips_that_one_worker_has_not_heard_of_being_reset(store: MemoryStore) -> tuple[Worker, Worker]:
    """The one that reset it and gave native a share again, and the one that still goes by the trip."""
    one, two = await strangled(store), Worker(store, "two")
    await one.loop.rollback(ROUTE, "incident 7")
    await two.tick()
    await one.loop.reset(ROUTE)
    await one.loop.set(ROUTE, share=WHOLE)
    assert two.flag.tripped
    return one, two


@pytest.mark.parametrize("every", [False, True], ids=["of it", "of everything"])
async def test_a_rollback_trips_a_route_that_was_reset_before_this_worker_has_heard_of_it(every: bool) -> None:
    one, two = await trips_that_one_worker_has_not_heard_of_being_reset(MemoryStore())
    changes = await two.loop.rollback_all("incident 8") if every else [await two.loop.rollback(ROUTE, "incident 8")]
    (change,) = [change for change in changes if change.route == ROUTE]
    words = "messages.create: tripped (by hand: incident 8); legacy answers everything until a reset, on every worker"
    assert change.words == words
    assert [trip.reason for route, trip in two.trips if route == ROUTE] == ["by hand: incident 8"]
    await one.tick()
    assert one.flag == two.flag
    assert one.flag.trip is not None
    assert (one.flag.native, one.flag.trip.reason) == (0, "by hand: incident 8")
    assert two.loop.latches == {}


async def test_whoever_still_goes_by_a_trip_that_was_reset_lets_nobody_to_native_when_it_hears_of_both() -> None:
    _, two = await trips_that_one_worker_has_not_heard_of_being_reset(MemoryStore())
    await two.loop.rollback(ROUTE, "incident 8")
    assert {after.native for _, _, after in two.changes} == {0}


async def test_a_route_that_is_tripped_keeps_its_first_reason_through_another_rollback() -> None:
    worker = await strangled()
    await worker.loop.rollback(ROUTE, "incident 7")
    change = await worker.loop.rollback(ROUTE, "incident 8")
    assert "nothing changed: it is tripped already (by hand: incident 7)" in change.words
    assert len(worker.trips) == 1
    assert worker.loop.latches == {}


async def test_a_rollback_of_everything_takes_every_route_and_says_so_of_each() -> None:
    worker = await strangled()
    changes = await worker.loop.rollback_all("incident 7")
    assert [change.route for change in changes] == [ROUTE, OTHER]
    assert {change.reach for change in changes} == {Reach.FLEET}
    assert all(flag.tripped and not flag.native for flag in worker.loop.snapshot.values())
    assert [route for route, _ in worker.trips] == [ROUTE, OTHER]


class Counting(MemoryStore):
    """`written`: how many flags in one go, each time. Somebody may be first: `changing`."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.changing: Callable[[], Awaitable[object]] | None = None

    async def change_all(self, writes: Sequence[Write]) -> Mapping[str, Flag]:
        self.written.append(len(writes))
        if self.changing is not None:
            changing, self.changing = self.changing, None
            await changing()
        return await super().change_all(writes)


async def test_a_rollback_of_a_thousand_routes_reaches_the_fleet_in_one_go() -> None:
    store, routes = Counting(), [f"route {number}" for number in range(1_000)]
    loop = Loop(store, routes, RULE, "one")
    await loop.seed(dict.fromkeys(routes, Flag(native=2_500)))
    changes = await loop.rollback_all("incident 7")
    assert {change.reach for change in changes} == {Reach.FLEET}
    assert all(flag.tripped for flag in (await store.flags()).values())
    assert store.written == [1_000]


@pytest.mark.parametrize("changed", [False, True], ids=["all are judged still", "one is changed meanwhile"])
async def test_routes_that_fail_at_once_are_tripped_in_one_go(changed: bool) -> None:
    store = Counting()
    worker = await strangled(store)
    await worker.loop.set(OTHER, share=2_500)
    await worker.tick()
    second = int(worker.now)
    for route in (ROUTE, OTHER):
        for _ in range(100):
            worker.loop.window.asked(second, route, Side.NATIVE)
            worker.loop.window.closed(second, route, Side.NATIVE, Outcome.FAILED)
    if changed:
        store.changing = lambda: Worker(store, "another").loop.set(OTHER, share=5_000)
    await worker.tick()
    assert store.written == [2]
    assert {route for route, _ in worker.trips} == ({ROUTE} if changed else {ROUTE, OTHER})
    assert worker.loop.get(OTHER).native == (5_000 if changed else 0)
    assert worker.loop.latches == {}


async def test_a_rollback_of_a_tripped_route_keeps_the_first_reason_and_is_no_new_trip() -> None:
    worker = await strangled()
    await worker.loop.rollback(ROUTE, "incident 7")
    change = await worker.loop.rollback(ROUTE, "again")
    assert change.before == change.after
    assert "incident 7" in change.words
    assert len(worker.trips) == 1


async def test_a_trip_of_another_worker_is_in_force_here_and_told_to_the_store() -> None:
    store = MemoryStore()
    worker, bystander = await strangled(store), Worker(store, "bystander")
    trip = Trip(worker.now + 1, "by hand: incident 7")
    worker.loop.adopt({ROUTE: trip, "no.such": trip})
    assert (worker.flag.native, worker.flag.trip) == (0, trip)
    assert worker.trips == []  # it counts where it was made
    await worker.tick()
    await bystander.loop.refresh()
    assert bystander.flag.trip == trip
    assert worker.loop.latches == {}


async def test_a_trip_that_somebody_has_lifted_since_is_not_taken_over() -> None:
    worker = await strangled()
    trip = Trip(worker.now - 1, "by hand: incident 7")
    await worker.loop.set(ROUTE, share=500)
    worker.loop.adopt({ROUTE: trip})
    assert (worker.flag.native, worker.flag.trip) == (500, None)


async def test_two_operators_at_once_are_both_heard() -> None:
    store = MemoryStore()
    one, two = Worker(store, "one"), Worker(store, "two")
    await asyncio.gather(one.loop.set(ROUTE, share=500), two.loop.set(ROUTE, shadow=700))
    flag = (await store.flags())[ROUTE]
    assert (flag.native, flag.shadow) == (500, 700)


async def test_every_change_is_told_to_the_hook_with_before_and_after() -> None:
    worker = Worker(MemoryStore())
    await worker.loop.set(ROUTE, share=500)
    await worker.loop.rollback(ROUTE, "incident 7")
    assert [(before.native, after.native) for _, before, after in worker.changes if before.native != after.native] == [
        (0, 500),
        (500, 0),
    ]


async def test_seeds_give_flags_only_where_the_fleet_has_none() -> None:
    worker = await strangled()
    assert list(await worker.loop.seed({ROUTE: Flag(native=1), OTHER: Flag(native=2)})) == [OTHER]
    assert (worker.flag.native, worker.loop.get(OTHER).native) == (2_500, 2)


async def test_counts_are_forgotten_with_their_window() -> None:
    worker = await strangled()
    for _ in range(100):
        worker.answer(Side.NATIVE, ok=1)
        await worker.tick()
    assert len(worker.loop.window.cells()) <= 31


async def test_a_verdict_is_made_anew_only_when_the_counts_of_its_route_have_moved() -> None:
    worker = await strangled()
    await worker.loop.set(OTHER, share=2_500)
    worker.answer(Side.NATIVE, ok=1)
    await worker.tick()
    before = worker.loop.verdicts
    worker.answer(Side.NATIVE, ok=1)
    await worker.tick()
    assert worker.loop.verdicts[OTHER] is before[OTHER]
    assert worker.loop.verdicts[ROUTE].words == "native answered 2 of the 50 requests needed in 30 s: 48 more"
    await worker.tick(after=30.0)  # what leaves the window moves them too
    assert worker.loop.verdicts[ROUTE].words == "native answered 0 of the 50 requests needed in 30 s: 50 more"


async def test_more_than_is_told_at_a_time_reaches_the_fleet_whole() -> None:
    class Listening(MemoryStore):
        told: ClassVar[list[int]] = []

        async def report(self, worker: str, cells: Cells, keep: int) -> None:
            self.told.append(len(cells))
            await super().report(worker, cells, keep)

    store, now = Listening(), [1_000.0]
    routes = [f"route {number}" for number in range(2 * BATCH + 7)]
    loop = Loop(store, routes, RULE, "one", now=lambda: now[0])
    await loop.seed(dict.fromkeys(routes, Flag(native=2_500)))
    await loop.tick()
    now[0] += 1.0
    for route in routes:
        loop.window.asked(1_001, route, Side.NATIVE)
    await loop.tick()
    assert store.told == [BATCH, BATCH, 7]
    assert await store.window(1_001, 1_001) == {1_001: {(route, Side.NATIVE): Counts(1) for route in routes}}


EVIDENCE = replace(RULE, judge=Judge.EVIDENCE)


async def by_evidence(store: MemoryStore | None = None, name: str = "one") -> Worker:
    worker = Worker(store or MemoryStore(), name, rule=EVIDENCE)
    if store is None or not await store.flags():
        await worker.loop.set(ROUTE, share=2_500)
    await worker.tick()
    return worker


@pytest.mark.parametrize("held", [0, 200])
async def test_native_is_held_to_its_ceiling_alone_only_where_nobody_is_held_back(held: int) -> None:
    worker = Worker(MemoryStore(), rule=EVIDENCE, holdbacks={ROUTE: held})
    change = await worker.loop.set(ROUTE, share=WHOLE)
    assert change.words.startswith(f"{ROUTE}: native answers {'98' if held else '100'} %")
    await worker.tick()
    worker.serve(Side.NATIVE, range(4), failed=range(4, 40))
    await worker.tick()
    assert worker.flag.tripped is (held == 0)  # legacy, whose control has not asked yet, may fail alike


async def test_native_failing_its_users_is_proved_and_trips() -> None:
    worker = await by_evidence()
    worker.serve(Side.LEGACY, range(100, 130))
    worker.serve(Side.NATIVE, range(4), failed=range(4, 10))
    await worker.tick()
    assert worker.flag.trip is not None
    assert worker.flag.trip.reason.startswith("native failed 6 of 10 subjects, legacy 0 of 30; e-value ")
    assert worker.flag.trip.reason.endswith(" (rule A)")


async def test_one_user_failing_on_and_on_trips_nothing() -> None:
    worker = await by_evidence()
    for _ in range(200):
        worker.serve(Side.LEGACY, range(100, 110))
        worker.serve(Side.NATIVE, range(3), failed=[7, 7])
        await worker.tick()
    assert not worker.flag.tripped
    assert worker.loop.verdicts[ROUTE].kind is Kind.HEALTHY
    assert worker.loop.verdicts[ROUTE].words.startswith("native failed 1 of ")


async def test_a_user_whom_two_workers_fail_is_one_failure() -> None:
    store = MemoryStore()
    one, two = await by_evidence(store), await by_evidence(store, "two")
    await two.tick()
    for worker in (one, two):
        worker.now = 1_010.0
        worker.serve(Side.LEGACY, range(100, 130))
        worker.serve(Side.NATIVE, range(4), failed=[7, 8])
        await worker.tick()
    assert not two.flag.tripped
    assert two.loop.verdicts[ROUTE].words.startswith("native failed 2 of 12 subjects, legacy 0 of 60")


async def test_evidence_of_before_a_change_does_not_count_after_it() -> None:
    worker = await by_evidence()
    worker.serve(Side.LEGACY, range(100, 130))
    worker.serve(Side.NATIVE, range(20), failed=range(20, 22))
    await worker.tick()
    await worker.loop.set(ROUTE, share=5_000)
    await worker.tick()
    worker.serve(Side.NATIVE, range(3))
    await worker.tick()
    assert worker.loop.verdicts[ROUTE].words.startswith("native failed 0 of 3 subjects, legacy was not asked")


async def test_a_whole_share_is_held_to_the_ceiling_alone() -> None:
    worker = await by_evidence()
    await worker.loop.set(ROUTE, share=WHOLE)
    await worker.tick()
    worker.serve(Side.NATIVE, range(4), failed=range(4, 10))
    await worker.tick()
    assert worker.flag.trip is not None
    assert "legacy was not asked" in worker.flag.trip.reason


async def test_a_route_may_have_a_judge_of_its_own() -> None:
    worker = Worker(MemoryStore(), rule=EVIDENCE, judges={ROUTE: Judge.THRESHOLD})
    for route in (ROUTE, OTHER):
        await worker.loop.set(route, share=2_500)
    await worker.tick()
    worker.break_native()
    await worker.tick()
    assert worker.flag.trip is not None
    assert worker.flag.trip.reason.endswith(" in 30 s")
    assert worker.loop.verdicts[OTHER].words.startswith("native failed 0 of 0 subjects")
