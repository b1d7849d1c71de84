"""A rollback on this machine: by files and a signal, from this process to itself."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from flags.change import Reach
from flags.errors import StoreUnavailable
from flags.flag import Flag, Trip
from flags.latched import EVERY, Latched
from flags.loop import Loop
from flags.rollback import Rule
from flags.store.memory import MemoryStore
from proxy.local import BY_HAND, TAKE, obeying, roll_back, words
from proxy.presence import presence
from tests.flags.workers import NOTE
from tests.proxy.stage import eventually
from tests.proxy.threads import all_threads_busy

ROUTES = ["things.list", "things.show"]
HALF = Flag(native=5_000)
RULE = Rule(30, 50, 0.05, 0.02)


async def looping(directory: Path, store: MemoryStore | None = None) -> Loop:
    """A worker's flags, half of each route native's."""
    store = store or MemoryStore()
    await store.seed(dict.fromkeys(ROUTES, HALF), NOTE)
    loop = Loop(store, ROUTES, RULE, "worker", latched=Latched(directory))
    await loop.refresh()
    return loop


def tripped(loop: Loop) -> set[str]:
    return {route for route, flag in loop.snapshot.items() if flag.tripped}


def ordered(directory: Path, route: str | None = None, pause: Callable[[float], None] = time.sleep) -> dict[int, bool]:
    return dict(roll_back(directory, route, "a test", pause=pause))


async def test_a_rollback_holds_before_the_loop_of_the_process_runs_again(tmp_path: Path) -> None:
    """A handler that blocks the loop keeps it from nobody: here the loop stands still while the order is given."""
    loop = await looping(tmp_path)
    with obeying(tmp_path, loop):
        seen = list[set[str]]()
        ordered(tmp_path, None, pause=lambda seconds: seen.append(tripped(loop)))
        assert tripped(loop) == set(ROUTES)
        assert set.union(*seen) == set(ROUTES)
        flag = loop.get("things.list")
        assert flag.trip is not None
        assert flag.trip.reason == "by hand, on this machine: a test"


async def test_a_process_says_that_it_has_taken_the_rollback(tmp_path: Path) -> None:
    loop = await looping(tmp_path)
    with obeying(tmp_path, loop):
        told = await asyncio.to_thread(ordered, tmp_path, "things.list")
        assert told == {os.getpid(): True}
        assert tripped(loop) == {"things.list"}


async def test_a_process_that_hangs_is_named(tmp_path: Path) -> None:
    with presence(tmp_path):
        before = signal.signal(TAKE, lambda *_: None)
        try:
            told = dict(roll_back(tmp_path, None, "a test", patience=0.0))
        finally:
            signal.signal(TAKE, before)
    assert told == {os.getpid(): False}
    assert f"kill -9 {os.getpid()}" in words(tmp_path, None, told)


def test_who_says_nothing_of_one_route_may_not_know_it_and_is_not_to_be_killed(tmp_path: Path) -> None:
    told = words(tmp_path, "things.lst", {7: False})
    assert "7 said nothing of it" in told
    assert "kill" not in told


async def test_where_no_proxy_runs_the_next_one_goes_by_it(tmp_path: Path) -> None:
    assert "No proxy runs here" in words(tmp_path, None, ordered(tmp_path))
    loop = await looping(tmp_path)
    assert tripped(loop) == set()
    with obeying(tmp_path, loop):
        assert tripped(loop) == set(ROUTES)


async def test_the_store_hears_of_it_and_a_reset_there_lifts_it_for_good(tmp_path: Path) -> None:
    store = MemoryStore()
    loop = await looping(tmp_path, store)
    ordered(tmp_path)
    with obeying(tmp_path, loop):
        await loop.refresh()
        assert loop.latches == {}
        assert {route for route, flag in (await store.flags()).items() if flag.tripped} == set(ROUTES)
        change = await loop.reset("things.list")
        assert "reset" in change.words
    again = await looping(tmp_path, store)
    with obeying(tmp_path, again):
        assert tripped(again) == {"things.show"}
    anew = await looping(tmp_path)  # a store in memory has forgotten all: the disk has not
    with obeying(tmp_path, anew):
        assert tripped(anew) == {"things.show"}


async def test_it_holds_for_a_route_that_was_reset_before_this_worker_has_heard_of_it(tmp_path: Path) -> None:
    store, here = MemoryStore(), tmp_path / "here"
    loop, other = await looping(here, store), await looping(tmp_path / "there", store)
    await other.rollback("things.list", "incident 7")
    await loop.refresh()
    await other.reset("things.list")
    assert (tripped(loop), tripped(other)) == ({"things.list"}, set())
    with obeying(here, loop):
        ordered(here, "things.list")
        await eventually(lambda: "things.list" in loop.latches)
        for each in (loop, other):
            await each.refresh()
    assert tripped(loop) == tripped(other) == {"things.list"}


async def test_a_rollback_by_the_operators_port_is_kept_too(tmp_path: Path) -> None:
    loop = await looping(tmp_path)
    change = await loop.rollback("things.list", "what was seen")
    assert change.kept
    kept = Latched(tmp_path).read(ROUTES, told=True)  # noted at once: this process may be killed any moment
    assert {route: trip.reason for route, trip in kept.items()} == {"things.list": "by hand: what was seen"}


async def test_of_the_only_route_a_rollback_is_kept_as_its_own(tmp_path: Path) -> None:
    for word in ("things.list", EVERY):
        directory = tmp_path / word
        loop = Loop(MemoryStore(), ROUTES[:1], RULE, "worker", latched=Latched(directory))
        await (loop.rollback_all("x") if word == EVERY else loop.rollback("things.list", "x"))
        assert set(Latched(directory).read(ROUTES, told=True)) == {"things.list"}
        assert [path.name for path in directory.glob("*.trip")] == [f"{word}.trip"]


class Away(MemoryStore):
    away = False

    async def flags(self) -> Mapping[str, Flag]:
        if self.away:
            raise StoreUnavailable("away")
        return await super().flags()


@pytest.mark.parametrize("whole", [False, True], ids=["of a route", "of every route"])
async def test_a_rollback_that_was_reset_elsewhere_long_ago_holds_only_until_the_store_is_heard(
    whole: bool, tmp_path: Path
) -> None:
    store = Away()
    loop = await looping(tmp_path, store)
    await (loop.rollback_all("last week") if whole else loop.rollback("things.list", "last week"))
    elsewhere = Loop(store, ROUTES, RULE, "another machine")
    await elsewhere.refresh()
    await elsewhere.reset("things.list")
    await elsewhere.set("things.list", share=5_000)
    store.away = True
    anew = Loop(store, ROUTES, RULE, "worker", latched=Latched(tmp_path))
    await anew.refresh()
    with obeying(tmp_path, anew):
        assert "things.list" in tripped(anew)
        store.away = False
        await anew.refresh()
        await elsewhere.refresh()
    assert anew.get("things.list") == elsewhere.get("things.list")
    assert elsewhere.get("things.list").native == 5_000
    assert tripped(anew) == tripped(elsewhere) == ({"things.show"} if whole else set())


async def test_who_rolls_back_what_an_old_rollback_still_holds_is_obeyed_whatever_the_store_says(
    tmp_path: Path,
) -> None:
    store = Away()
    loop = await looping(tmp_path, store)
    await loop.rollback("things.list", "last week")
    elsewhere = Loop(store, ROUTES, RULE, "another machine", now=lambda: time.time() + 60)
    await elsewhere.refresh()
    await elsewhere.reset("things.list")
    await elsewhere.set("things.list", share=5_000)
    store.away = True
    anew = Loop(store, ROUTES, RULE, "worker", latched=Latched(tmp_path))
    with obeying(tmp_path, anew):
        change = await anew.rollback("things.list", "today")
        assert change.reach is Reach.WORKER
        store.away = False
        await anew.tick()
        await elsewhere.refresh()
    assert tripped(anew) == tripped(elsewhere) == {"things.list"}


async def test_an_order_that_the_store_did_not_hear_is_not_noted_as_heard(tmp_path: Path) -> None:
    store = Away()
    loop = await looping(tmp_path, store)
    store.away = True
    await loop.rollback("things.list", "one")
    await loop.rollback_all("all")
    assert set(Latched(tmp_path).read(ROUTES, told=False)) == set(ROUTES)
    store.away = False
    await loop.tick()
    assert Latched(tmp_path).read(ROUTES, told=False) == {}


async def test_what_was_rolled_back_before_the_clock_was_set_back_gives_way_to_a_reset_of_after_that(
    tmp_path: Path,
) -> None:
    store, now = Away(), [time.time()]
    await store.seed(dict.fromkeys(ROUTES, HALF), NOTE)
    loop = Loop(store, ROUTES, RULE, "worker", latched=Latched(tmp_path), now=lambda: now[0])
    store.away = True
    await loop.rollback("things.list", "before the step")
    now[0] -= 3_600
    store.away = False
    await loop.tick()
    elsewhere = Loop(store, ROUTES, RULE, "another machine", now=lambda: now[0])
    await elsewhere.refresh()
    await elsewhere.reset("things.list")
    anew = await looping(tmp_path, store)
    with obeying(tmp_path, anew):
        assert tripped(anew) == set()


async def test_a_disk_that_takes_nothing_keeps_no_rollback_from_holding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    loop = await looping(tmp_path / "file")
    change = await loop.rollback("things.list", "what was seen")
    assert change.kept is False
    assert "on every worker; this machine's disk did not take it in time" in change.words
    assert tripped(loop) == {"things.list"}


async def test_a_rollback_is_written_whatever_else_waits_for_threads(tmp_path: Path) -> None:
    loop = await looping(tmp_path)
    with all_threads_busy():
        assert (await loop.rollback("things.list", "what was seen")).kept


class Hanging(Latched):
    """Keeps nothing before it is let go on."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.hangs = threading.Event()

    def keep(self, trips: Mapping[str, Trip], known: Iterable[str] | None = None) -> float:
        self.hangs.wait()
        return super().keep(trips, known)


async def test_a_reset_while_the_disk_hangs_is_its_last_word(tmp_path: Path) -> None:
    disk = Hanging(tmp_path)
    loop = Loop(MemoryStore(), ROUTES, RULE, "worker", latched=disk)
    await loop.refresh()
    try:
        assert (await loop.rollback("things.list", "what was seen")).kept is False
        await loop.reset("things.list")
    finally:
        disk.hangs.set()
    await eventually(lambda: bool(list(tmp_path.glob("*.trip"))))
    await eventually(lambda: not Latched(tmp_path).read(ROUTES, told=False))
    assert Latched(tmp_path).read(ROUTES, told=True) == {}


async def test_a_store_restored_from_before_the_rollback_does_not_bring_native_back(tmp_path: Path) -> None:
    loop = await looping(tmp_path)
    await loop.rollback("things.list", "what was seen")
    restored = MemoryStore()
    await restored.change("things.list", 0, Flag(native=5_000, generation=1_000), NOTE)
    anew = await looping(tmp_path, restored)
    with obeying(tmp_path, anew):
        assert "things.list" in tripped(anew)


async def test_without_a_directory_nothing_is_obeyed_and_no_signal_taken() -> None:
    loop = Loop(MemoryStore(), ROUTES, RULE, "worker")
    before = signal.getsignal(TAKE)
    with obeying(None, loop):
        assert signal.getsignal(TAKE) == before
    assert loop.take_latched() == 0.0
    assert (await loop.rollback("things.list", "x")).kept is None


@pytest.mark.parametrize(
    ("taken", "said"), [({1: True, 2: True}, "2 of 2 processes"), ({1: False}, "0 of 1 processes")]
)
def test_the_words_tell_how_many_go_by_it(taken: dict[int, bool], said: str, tmp_path: Path) -> None:
    assert said in words(tmp_path, "things.list", taken)
    assert str(tmp_path) in words(tmp_path, "things.list", taken)


def test_trips_of_two_at_once_both_hold(tmp_path: Path) -> None:
    Latched(tmp_path).keep({"things.list": Trip(1.0, "one")})
    ordered(tmp_path, "things.show")
    assert set(Latched(tmp_path).read(ROUTES, told=False)) == set(ROUTES)


async def test_who_changes_a_flag_without_knowing_of_the_rollback_does_not_undo_it(tmp_path: Path) -> None:
    """The store never heard of it; meanwhile somebody moved the route's shadow share, and this process starts anew."""
    Latched(tmp_path).keep({"things.list": Trip(time.time(), "by hand: while the store was away")})
    store = MemoryStore()
    await store.change(
        "things.list", 0, Flag(native=5_000, shadow=1_000, generation=int(time.time() * 1000) + 60_000), NOTE
    )
    loop = await looping(tmp_path, store)
    with obeying(tmp_path, loop):
        assert tripped(loop) == {"things.list"}
        await loop.tick()
        assert (await store.flags())["things.list"].tripped
    change = await loop.reset("things.list")
    assert not change.after.tripped
    anew = await looping(tmp_path, store)
    with obeying(tmp_path, anew):
        assert tripped(anew) == set()


async def test_a_share_set_by_a_clock_that_is_ahead_is_rolled_back_too(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.change("things.list", 0, Flag(native=5_000, generation=int(time.time() * 1000) + 60_000), NOTE)
    loop = await looping(tmp_path, store)
    with obeying(tmp_path, loop):
        assert ordered(tmp_path) is not None
        assert tripped(loop) == set(ROUTES)


async def test_a_rollback_the_store_has_heard_of_gives_way_to_who_reset_it_elsewhere(tmp_path: Path) -> None:
    store = MemoryStore()
    loop = await looping(tmp_path, store)
    await loop.rollback_all("what was seen")
    await loop.tick()
    assert Latched(tmp_path).read(ROUTES, told=False) == {}
    elsewhere = Loop(store, ROUTES, RULE, "another machine")
    await elsewhere.refresh()
    await elsewhere.reset("things.list")
    anew = await looping(tmp_path, store)
    with obeying(tmp_path, anew):
        assert tripped(anew) == {"things.show"}


async def test_a_rollback_on_this_machine_is_recorded_as_that_once_the_store_hears_of_it(tmp_path: Path) -> None:
    store = MemoryStore()
    loop = await looping(tmp_path, store)
    with obeying(tmp_path, loop):
        await asyncio.to_thread(ordered, tmp_path, "things.list")
        trip = loop.get("things.list").trip
    assert trip is not None
    await (await looping(tmp_path, store)).tick()  # another one has not looked at the disk, and knows nothing of it
    assert len(await store.audit(5, "things.list")) == 1
    again = await looping(tmp_path, store)
    with obeying(tmp_path, again):
        await again.tick()
    record, _ = await store.audit(5, "things.list")
    assert (record.note.at, record.note.who) == (trip.at, BY_HAND)
    assert record.note.why == "by hand, on this machine: a test"
